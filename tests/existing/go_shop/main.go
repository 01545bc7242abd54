package main

import (
	"fmt"

	"example.com/shop/pricing"
)

func main() { fmt.Println(pricing.Title("a shop")) }
