// Package assistants declares the project's assistants, one in each file.
package assistants

import "sabir"

// Navigator helps with journeys. Talk to it: sabir chat navigator "How far is it from Paris to Rome?"
var Navigator = sabir.Assistant{
	Instructions: `
You help people who plan journeys. Call distances.route for distances, with the places' coordinates. Answer in one short sentence.
`,
	Functions: []string{"distances.route"},
	MaxSteps:  4,
}
