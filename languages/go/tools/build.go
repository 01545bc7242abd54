package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// The build program (spec/build.md): one main package that adds every function to the worker.

const mostRounds = 50 // of building again without the files that failed

type askedFile struct {
	Kind     string `json:"kind"`
	Module   string `json:"module"`
	Path     string `json:"path"`
	Absolute string `json:"absolute"`

	told    *description
	dir     string
	pkgName string
}

type brokenFile struct {
	Path    string `json:"path"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

type builder struct {
	asked struct {
		Version     int          `json:"version"`
		Project     string       `json:"project"`
		Interpreter string       `json:"interpreter"`
		SDK         string       `json:"sdk"`
		Folder      string       `json:"folder"`
		Program     string       `json:"program"`
		Files       []*askedFile `json:"files"`
	}
	world   *world
	space   *workspace
	working []*askedFile
	broken  []brokenFile
	hidden  map[string]*askedFile // by absolute path: the broken ones
}

func buildMain() {
	b := &builder{hidden: map[string]*askedFile{}}
	readInput(&b.asked)
	if b.asked.Version != 1 {
		fail("this program knows version 1 of spec/build.md")
	}
	b.world = newWorld(b.asked.Project)
	b.readFiles()
	b.onePackagePerFolder()
	var dirs []string
	for dir := range b.byDir() {
		dirs = append(dirs, dir)
	}
	sort.Strings(dirs)
	var err error
	if b.space, err = newWorkspace(b.asked.Interpreter, b.asked.Project, b.asked.Folder, b.asked.SDK, b.world, dirs); err != nil {
		fail(err.Error())
	}
	for path := range b.hidden {
		b.space.hide(path)
	}
	for round := 0; ; round++ {
		if round == mostRounds {
			fail("building again without the broken files did not end")
		}
		if b.once() {
			break
		}
	}
	if b.broken == nil {
		b.broken = []brokenFile{}
	}
	writeOutput(map[string]any{"version": 1, "broken": b.broken, "depends": b.depends()})
}

// drop takes a file out; it is told once.
func (b *builder) drop(file *askedFile, told brokenFile) {
	told.Path = file.Path
	b.broken = append(b.broken, told)
	b.hidden[file.Absolute] = file
	if b.space != nil {
		b.space.hide(file.Absolute)
	}
	for i, one := range b.working {
		if one == file {
			b.working = append(b.working[:i:i], b.working[i+1:]...)
			break
		}
	}
}

func (b *builder) readFiles() {
	for _, file := range b.asked.Files {
		text, err := os.ReadFile(file.Absolute)
		if err != nil {
			b.broken = append(b.broken, brokenFile{Path: file.Path, Message: err.Error()})
			continue
		}
		file.dir = filepath.Dir(file.Absolute)
		b.world.sources[file.Absolute] = text
		b.working = append(b.working, file)
	}
	for _, file := range append([]*askedFile{}, b.working...) {
		// A world of its own for each: what other files are broken does not matter to the types of this one.
		told, failed := b.world.describe(file.Absolute)
		if failed != nil {
			b.drop(file, brokenFile{Message: failed.Message, File: file.Absolute, Line: failed.Line, Column: failed.Column})
			continue
		}
		file.told, file.pkgName = told, told.packageName
	}
}

func (b *builder) byDir() map[string][]*askedFile {
	out := map[string][]*askedFile{}
	for _, file := range b.working {
		out[file.dir] = append(out[file.dir], file)
	}
	return out
}

// Go allows one package name in a folder: that of most files.
func (b *builder) onePackagePerFolder() {
	for _, files := range b.byDir() {
		counts := map[string]int{}
		best := ""
		for _, file := range files {
			counts[file.pkgName]++
			if best == "" || counts[file.pkgName] > counts[best] {
				best = file.pkgName
			}
		}
		for _, file := range files {
			switch {
			case file.pkgName != best:
				b.drop(file, brokenFile{Message: fmt.Sprintf("it is package %s; the other files of its folder are package %s", file.pkgName, best),
					File: file.Absolute, Line: b.packageLine(file)})
			case best == "main":
				b.drop(file, brokenFile{Message: "Go cannot import a package main; give it another name, such as package functions",
					File: file.Absolute, Line: b.packageLine(file)})
			}
		}
	}
}

func (b *builder) packageLine(file *askedFile) int {
	for i, line := range strings.Split(string(b.world.sources[file.Absolute]), "\n") {
		if strings.HasPrefix(line, "package ") {
			return i + 1
		}
	}
	return 1
}

// mainFile is the generated package's source, and which asked file each of its lines is for.
func (b *builder) mainFile() (string, map[int]*askedFile) {
	lines := []string{"// Generated for the engine: every function of the project's Go files.", "package main", "", `import "sabir/worker"`}
	about := map[int]*askedFile{}
	alias := map[string]string{}
	var dirs []string
	groups := b.byDir()
	for dir := range groups {
		dirs = append(dirs, dir)
	}
	sort.Strings(dirs)
	for _, dir := range dirs {
		uses := false
		for _, file := range groups[dir] {
			uses = uses || len(file.told.Functions) > 0
		}
		name := "_"
		if uses {
			name = "p" + strconv.Itoa(len(alias))
		}
		alias[dir] = name
		path := b.space.importPath(dir, b.world.moduleOf(dir))
		if uses {
			var err error
			if path, err = b.bridged(dir, path, name, groups[dir]); err != nil {
				fail(err.Error())
			}
		}
		lines = append(lines, "import "+name+" "+strconv.Quote(path))
		about[len(lines)] = groups[dir][0]
	}
	lines = append(lines, "", "func main() {", "\tw := worker.New()")
	for _, dir := range dirs {
		for _, file := range groups[dir] {
			for _, f := range file.told.Functions {
				var call strings.Builder
				fmt.Fprintf(&call, "\tw.Add(%s, %s, %s.%s", strconv.Quote(file.Absolute), strconv.Quote(f.Name), alias[dir], f.goName)
				for _, p := range f.Parameters {
					fmt.Fprintf(&call, ", worker.Param{Name: %s, Default: %s}", strconv.Quote(p.Name), strconv.Quote(p.native))
				}
				lines = append(lines, call.String()+")")
				about[len(lines)] = file
			}
		}
	}
	lines = append(lines, "\tw.Run()", "}", "")
	return strings.Join(lines, "\n"), about
}

// bridged gives the import path by which the generated package reaches a package. Go lets an internal one be imported by its
// neighbours alone, so a neighbour that an overlay gives it names its functions.
func (b *builder) bridged(dir, path, name string, files []*askedFile) (string, error) {
	m := b.world.moduleOf(dir)
	parts := strings.Split(path, "/")
	at := len(parts) - 1
	for at >= 0 && parts[at] != "internal" {
		at--
	}
	if at < len(strings.Split(m.path, "/")) {
		return path, nil
	}
	folder := dir
	for range parts[at:] {
		folder = filepath.Dir(folder)
	}
	own := "sabirbridge" + name
	text := "package " + own + "\n\nimport p " + strconv.Quote(path) + "\n"
	for _, file := range files {
		for _, f := range file.told.Functions {
			text += "\nvar " + f.goName + " = p." + f.goName + "\n"
		}
	}
	if err := b.space.put(filepath.Join(folder, own, "bridge.go"), text); err != nil {
		return "", err
	}
	return strings.Join(append(append([]string{}, parts[:at]...), own), "/"), nil
}

var compilerLine = regexp.MustCompile(`^(.+?\.go):(\d+)(?::(\d+))?: (.*)$`)

// once builds; false = files were dropped and it has to be done again.
func (b *builder) once() bool {
	source, about := b.mainFile()
	generated := filepath.Join(b.asked.Folder, "main.go")
	if err := writeChanged(generated, source); err != nil {
		fail(err.Error())
	}
	_, text, err := b.space.run("build", "-o", b.asked.Program, ".")
	if err == nil {
		return true
	}
	before := len(b.broken)
	elsewhere := map[string]brokenFile{} // folder of another package of the project -> its first error
	for _, line := range strings.Split(text, "\n") {
		match := compilerLine.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		name := match[1]
		if !filepath.IsAbs(name) {
			name = filepath.Join(b.asked.Folder, name)
		}
		number, _ := strconv.Atoi(match[2])
		column, _ := strconv.Atoi(match[3])
		told := brokenFile{Message: match[4], File: name, Line: number, Column: column, Detail: b.about(text, name)}
		switch file := b.find(name); {
		case file != nil:
			told.Message += b.because(match[4], file)
			b.drop(file, told)
		case name == generated:
			if file := about[number]; file != nil && b.hidden[file.Absolute] == nil {
				told.File, told.Line, told.Column = file.Absolute, 0, 0
				b.drop(file, told)
			}
		default:
			if _, known := elsewhere[filepath.Dir(name)]; !known {
				elsewhere[filepath.Dir(name)] = told
			}
		}
	}
	if len(b.broken) == before {
		for dir, told := range elsewhere {
			for _, file := range append([]*askedFile{}, b.working...) {
				if b.imports(file, dir, map[string]bool{}) {
					b.drop(file, told)
				}
			}
		}
	}
	if len(b.broken) == before {
		fail(strings.TrimSpace(text))
	}
	return false
}

func (b *builder) find(absolute string) *askedFile {
	for _, file := range b.working {
		if file.Absolute == absolute {
			return file
		}
	}
	return nil
}

// about is every line of the compiler that is about one file.
func (b *builder) about(text, absolute string) string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		match := compilerLine.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		name := match[1]
		if !filepath.IsAbs(name) {
			name = filepath.Join(b.asked.Folder, name)
		}
		if name == absolute {
			out = append(out, filepath.Base(name)+":"+strings.TrimPrefix(strings.TrimSpace(line), match[1]+":"))
		}
	}
	return strings.Join(out, "\n")
}

// A name is undefined because the file of the same package that has it is broken: that one is to be mended.
func (b *builder) because(message string, file *askedFile) string {
	name, isUndefined := cutPrefix(message, "undefined: ")
	if !isUndefined {
		return ""
	}
	for path, other := range b.hidden {
		if other.dir == file.dir && strings.Contains(string(b.world.sources[path]), name) {
			return " (" + other.Path + ", of the same package, does not compile)"
		}
	}
	return ""
}

// imports tells whether a file imports the package of a folder, itself or through others of the project.
func (b *builder) imports(file *askedFile, dir string, seen map[string]bool) bool {
	p := b.world.load(file.dir, "")
	return p != nil && b.reaches(p, dir, seen)
}

func (b *builder) reaches(p *pkg, dir string, seen map[string]bool) bool {
	if seen[p.dir] {
		return false
	}
	seen[p.dir] = true
	for _, file := range p.files {
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			folder := b.world.folderOf(path, p)
			if folder == "" {
				continue
			}
			if folder == dir {
				return true
			}
			if inner := b.world.load(folder, path); inner != nil && b.reaches(inner, dir, seen) {
				return true
			}
		}
	}
	return false
}

// depends is what else the program was made of: go.mod and go.sum files, and folders of other local packages.
func (b *builder) depends() []string {
	out := map[string]string{}
	for _, m := range b.space.modules {
		for _, name := range []string{"go.mod", "go.sum"} {
			out[filepath.Join(m.dir, name)] = ""
		}
	}
	text, _, err := b.space.run("list", "-deps", "-f", `{{if not .Standard}}{{.Dir}}{{end}}`, ".")
	if err == nil {
		cache := moduleCache()
		for _, dir := range strings.Split(text, "\n") {
			if dir != "" && dir != b.asked.Folder && !strings.HasPrefix(dir, cache+"/") && !strings.HasPrefix(dir, b.asked.SDK+"/") {
				out[dir] = ""
			}
		}
	}
	names := sorted(out)
	if raw, err := json.Marshal(names); err != nil || len(raw) > 1<<20 {
		return names[:0]
	}
	return names
}

func cutPrefix(text, prefix string) (string, bool) {
	return strings.TrimPrefix(text, prefix), strings.HasPrefix(text, prefix)
}
