// Package pricing knows what things cost.
package pricing

import (
	"errors"

	"example.com/money"
	"example.com/shop/internal/tax"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// A Line is one position of an order.
type Line struct {
	// SKU is the article's number.
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
	Cents    int    `json:"cents"`
}

// Total adds up an order, with tax, in whole tens of cents.
//
// Effect: read
func Total(lines []Line) (int, error) {
	if len(lines) == 0 {
		return 0, errors.New("an order without lines has no price")
	}
	sum := 0
	for _, line := range lines {
		sum += line.Cents * line.Quantity
	}
	return money.Cents(tax.With(sum)), nil
}

// Title writes an article's name as the catalogue does.
//
// Effect: read
func Title(name string) string { return cases.Title(language.English).String(name) }

func unexported() int { return 0 }
