package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"go/ast"
	"go/parser"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// The test command (spec/language.md): go test -json of the files' packages, as JUnit XML.

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name  string      `xml:"name,attr"`
	Cases []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	File      string        `xml:"file,attr,omitempty"`
	Line      int           `xml:"line,attr,omitempty"`
	Failure   *junitMessage `xml:"failure"`
	Error     *junitMessage `xml:"error"`
	Skipped   *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type testEvent struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

func testMain(arguments []string) {
	if len(arguments) < 4 {
		fail("usage: tools test GO REPORT SDK FILE…")
	}
	gocmd, report, sdk := arguments[0], arguments[1], arguments[2]
	root, err := os.Getwd()
	if err != nil {
		fail(err.Error())
	}
	folder, err := os.MkdirTemp("", "sabir-go-test-")
	if err != nil {
		fail(err.Error())
	}
	defer os.RemoveAll(folder)
	w := newWorld(root)
	tests := map[string][]string{} // folder -> names of its tests in the files asked for
	files := map[string][]string{}
	lines := map[string]map[string][2]string{} // folder -> test -> file, line
	var dirs []string
	var suite junitSuite
	suite.Name = "go"
	for _, name := range arguments[3:] {
		full := filepath.Join(root, name)
		dir := filepath.Dir(full)
		if files[dir] == nil {
			dirs = append(dirs, dir)
			lines[dir] = map[string][2]string{}
		}
		files[dir] = append(files[dir], name)
		parsed, err := parser.ParseFile(w.fset, full, nil, parser.SkipObjectResolution)
		if err != nil {
			suite.Cases = append(suite.Cases, junitCase{Name: filepath.Base(name), ClassName: filepath.Dir(name), Time: "0", File: name,
				Error: &junitMessage{err.Error(), err.Error()}})
			continue
		}
		for _, declaration := range parsed.Decls {
			if d, ok := declaration.(*ast.FuncDecl); ok && d.Recv == nil && isTest(d.Name.Name) {
				tests[dir] = append(tests[dir], d.Name.Name)
				lines[dir][d.Name.Name] = [2]string{name, strconv.Itoa(w.fset.Position(d.Pos()).Line)}
			}
		}
	}
	space, err := newWorkspace(gocmd, root, folder, sdk, w, dirs)
	if err != nil {
		fail(err.Error())
	}
	if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		fail(err.Error())
	}
	failed := len(suite.Cases) > 0
	for _, dir := range dirs {
		if len(tests[dir]) == 0 {
			continue
		}
		pattern := "^(" + strings.Join(tests[dir], "|") + ")$"
		path := space.importPath(dir, w.moduleOf(dir))
		out, errors, err := space.run("test", "-json", "-count=1", "-vet=off", "-timeout=5m", "-run", pattern, path)
		cases := casesOf(out, lines[dir], relativeTo(root, dir))
		if len(cases) == 0 {
			text := strings.TrimSpace(plainOutput(out) + errors)
			cases = []junitCase{{Name: "build", ClassName: relativeTo(root, dir), Time: "0", File: files[dir][0],
				Error: &junitMessage{lastLine(text), strings.ReplaceAll(text, folder+"/", "")}}}
			if file, line := placeIn(text, root, folder); file != "" {
				cases[0].File, cases[0].Line = file, line
			}
		}
		failed = failed || err != nil
		suite.Cases = append(suite.Cases, cases...)
	}
	text, err := xml.MarshalIndent(junitSuites{Suites: []junitSuite{suite}}, "", " ")
	if err == nil {
		err = os.WriteFile(report, append([]byte(xml.Header), text...), 0o644)
	}
	if err != nil {
		fail(err.Error())
	}
	if failed {
		os.RemoveAll(folder)
		os.Exit(1)
	}
}

// TestX, FuzzX (its seeds) and ExampleX, where X does not begin with a small letter.
func isTest(name string) bool {
	for _, prefix := range []string{"Test", "Fuzz", "Example"} {
		if rest, ok := cutPrefix(name, prefix); ok && name != "TestMain" && (rest == "" || !(rest[0] >= 'a' && rest[0] <= 'z')) {
			return true
		}
	}
	return false
}

var testLine = regexp.MustCompile(`(?m)^\s+([\w.-]+_test\.go):(\d+): (.*)`)

func casesOf(events string, lines map[string][2]string, class string) []junitCase {
	output := map[string]*strings.Builder{}
	var out []junitCase
	scanner := bufio.NewScanner(bytes.NewReader([]byte(events)))
	scanner.Buffer(make([]byte, 65536), largestInput)
	for scanner.Scan() {
		var event testEvent
		if json.Unmarshal(scanner.Bytes(), &event) != nil || event.Test == "" {
			continue
		}
		text := output[event.Test]
		if text == nil {
			text = &strings.Builder{}
			output[event.Test] = text
		}
		switch event.Action {
		case "output":
			if !strings.HasPrefix(event.Output, "=== ") && !strings.HasPrefix(strings.TrimSpace(event.Output), "--- ") {
				text.WriteString(event.Output)
			}
			continue
		case "pass", "fail", "skip":
		default:
			continue
		}
		one := junitCase{Name: event.Test, ClassName: class, Time: fmt.Sprintf("%.3f", event.Elapsed)}
		top, _, _ := strings.Cut(event.Test, "/")
		place := lines[top]
		one.File = place[0]
		one.Line, _ = strconv.Atoi(place[1])
		said := strings.TrimRight(text.String(), "\n")
		message := said
		if match := testLine.FindStringSubmatch(said); match != nil && event.Action != "pass" {
			if one.File != "" {
				one.File = filepath.Join(filepath.Dir(one.File), match[1])
			}
			one.Line, _ = strconv.Atoi(match[2])
			message = match[3]
		}
		if message == "" {
			message = "it failed and said nothing"
		}
		message, _, _ = strings.Cut(message, "\n")
		switch event.Action {
		case "fail":
			one.Failure = &junitMessage{message, said}
		case "skip":
			one.Skipped = &junitMessage{Message: message}
		}
		out = append(out, one)
	}
	return withoutParents(out)
}

// A test that failed only because one of its subtests did is not a failure of its own.
func withoutParents(cases []junitCase) []junitCase {
	var out []junitCase
	for _, one := range cases {
		parent := false
		for _, other := range cases {
			parent = parent || strings.HasPrefix(other.Name, one.Name+"/")
		}
		if !parent || (one.Failure != nil && one.Failure.Text != "") {
			out = append(out, one)
		}
	}
	return out
}

func plainOutput(events string) string {
	var out strings.Builder
	for _, line := range strings.Split(events, "\n") {
		var event testEvent
		if json.Unmarshal([]byte(line), &event) == nil {
			out.WriteString(event.Output)
		} else if line != "" {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

func lastLine(text string) string {
	for _, line := range strings.Split(text, "\n") {
		if compilerLine.MatchString(strings.TrimSpace(line)) {
			return compilerLine.FindStringSubmatch(strings.TrimSpace(line))[4]
		}
	}
	lines := strings.Split(text, "\n")
	return lines[len(lines)-1]
}

func placeIn(text, root, folder string) (string, int) {
	for _, line := range strings.Split(text, "\n") {
		match := compilerLine.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		name := match[1]
		if !filepath.IsAbs(name) {
			name = filepath.Join(folder, name)
		}
		number, _ := strconv.Atoi(match[2])
		return relativeTo(root, name), number
	}
	return "", 0
}

func relativeTo(root, name string) string {
	if relative, err := filepath.Rel(root, name); err == nil {
		return relative
	}
	return name
}
