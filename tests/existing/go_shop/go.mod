module example.com/shop

go 1.19

require (
	example.com/money v1.2.0
	golang.org/x/text v0.14.0
)

replace example.com/money => ./money
