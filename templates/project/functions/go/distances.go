// Package functions is what the project's other parts, and models, can call.
package functions

import (
	"fmt"
	"math"
)

// A Place on the earth.
type Place struct {
	Name      string  `json:"name"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// Leg is the way from one place to the next.
type Leg struct {
	From       string `json:"from"`
	To         string `json:"to"`
	Kilometers int    `json:"kilometers"`
}

// Route tells the legs of a journey along the shortest lines.
//
//   - places: where it goes, in this order
//   - roundTrip: whether it ends where it began (default false)
//
// Effect: read
func Route(places []Place, roundTrip bool) ([]Leg, error) {
	if len(places) < 2 {
		return nil, fmt.Errorf("a route needs two places, not %d", len(places))
	}
	if roundTrip {
		places = append(places, places[0])
	}
	var legs []Leg
	for i := 1; i < len(places); i++ {
		legs = append(legs, Leg{places[i-1].Name, places[i].Name, kilometers(places[i-1], places[i])})
	}
	return legs, nil
}

func kilometers(a, b Place) int {
	const radius, degree = 6371, math.Pi / 180
	north := math.Sin((b.Latitude - a.Latitude) * degree / 2)
	east := math.Sin((b.Longitude - a.Longitude) * degree / 2)
	h := north*north + math.Cos(a.Latitude*degree)*math.Cos(b.Latitude*degree)*east*east
	return int(math.Round(2 * radius * math.Asin(math.Sqrt(h))))
}
