// The engine's programs for Go, in one: describe, build and test. run.sh compiles it once.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

const largestInput = 64 << 20

func main() {
	if len(os.Args) < 2 {
		fail("usage: tools describe | build | test REPORT FILE…")
	}
	switch os.Args[1] {
	case "describe":
		describeMain()
	case "build":
		buildMain()
	case "test":
		testMain(os.Args[2:])
	default:
		fail("there is no command " + os.Args[1])
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}

func readInput(into any) {
	text, err := io.ReadAll(io.LimitReader(os.Stdin, largestInput))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		fail("standard input is not what spec/ describes: " + err.Error())
	}
}

func writeOutput(value any) {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		fail(err.Error())
	}
}
