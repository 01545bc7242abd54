package tax

// With adds a fifth.
func With(cents int) int { return cents + cents/5 }
