// Package functions is what script/bench functions calls.
package functions

// Echo gives the text.
//
// Effect: read
func Echo(text string) string { return text }
