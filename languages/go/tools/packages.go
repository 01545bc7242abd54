package main

import (
	"bytes"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
)

const (
	mostFiles   = 500     // of one package
	largestFile = 4 << 20 // of a source that is read for its types
)

// pkg is one folder's types, constants and methods, as far as schemas need them.
type pkg struct {
	dir     string
	path    string
	name    string
	files   []*ast.File
	types   map[string]*typeDecl
	methods map[string]map[string]bool // type -> its methods' names
	consts  map[string][]any           // type -> the values of its constants, in order
}

type typeDecl struct {
	spec *ast.TypeSpec
	doc  string
	file *ast.File
	pkg  *pkg
}

// world reads packages once.
type world struct {
	fset    *token.FileSet
	root    string
	sources map[string][]byte // absolute path -> text that stands for the file
	dirs    map[string]*pkg
	modules map[string]*module
	names   map[*ast.File]string
	touched map[string]bool // files that were read beside those asked for
}

func newWorld(root string) *world {
	return &world{fset: token.NewFileSet(), root: root, sources: map[string][]byte{}, dirs: map[string]*pkg{},
		modules: map[string]*module{}, names: map[*ast.File]string{}, touched: map[string]bool{}}
}

// module is a go.mod, as far as it matters here.
type module struct {
	dir      string
	path     string
	goLine   string
	requires map[string]string // path -> version
	replaces []replacement
}

type replacement struct{ old, oldVersion, path, version string }

var modComment = regexp.MustCompile(`\s*//.*$`)

func parseModule(text []byte, dir string) *module {
	m := &module{dir: dir, requires: map[string]string{}}
	block := ""
	for _, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(modComment.ReplaceAllString(line, ""))
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		for i := range words {
			if unquoted, err := strconv.Unquote(words[i]); err == nil {
				words[i] = unquoted
			}
		}
		if block == "" && len(words) == 2 && words[1] == "(" {
			block = words[0]
			continue
		}
		if block != "" && words[0] == ")" {
			block = ""
			continue
		}
		verb := block
		if verb == "" {
			verb, words = words[0], words[1:]
		}
		switch {
		case verb == "module" && len(words) == 1:
			m.path = words[0]
		case verb == "go" && len(words) == 1:
			m.goLine = words[0]
		case verb == "require" && len(words) >= 2:
			m.requires[words[0]] = words[1]
		case verb == "replace":
			for i, word := range words {
				if word != "=>" || i == 0 || i+1 >= len(words) {
					continue
				}
				r := replacement{old: words[0], path: words[i+1]}
				if i == 2 {
					r.oldVersion = words[1]
				}
				if i+2 < len(words) {
					r.version = words[i+2]
				}
				if strings.HasPrefix(r.path, "./") || strings.HasPrefix(r.path, "../") || r.path == "." || r.path == ".." {
					r.path = filepath.Join(dir, r.path)
				}
				m.replaces = append(m.replaces, r)
			}
		}
	}
	return m
}

// moduleOf gives the module that a folder of the project belongs to; nil when there is no go.mod up to the project's root.
func (w *world) moduleOf(dir string) *module {
	if m, ok := w.modules[dir]; ok {
		return m
	}
	var m *module
	if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
		m = parseModule(text, dir)
		w.touched[filepath.Join(dir, "go.mod")] = true
	} else if dir != w.root && strings.HasPrefix(dir, w.root+"/") {
		m = w.moduleOf(filepath.Dir(dir))
	}
	w.modules[dir] = m
	return m
}

func moduleCache() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	if dir := os.Getenv("GOPATH"); dir != "" {
		return filepath.Join(filepath.SplitList(dir)[0], "pkg", "mod")
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, "go", "pkg", "mod")
}

// escaped is a module path as the module cache writes it: upper case letters become !lower.
func escaped(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r >= 'A' && r <= 'Z' {
			out.WriteByte('!')
			r += 'a' - 'A'
		}
		out.WriteRune(r)
	}
	return out.String()
}

// folderOf finds an imported package's folder: in the module itself, vendored, replaced, or in the module cache.
func (w *world) folderOf(importPath string, from *pkg) string {
	m := w.moduleOf(from.dir)
	if m == nil {
		return ""
	}
	if importPath == m.path {
		return m.dir
	}
	if strings.HasPrefix(importPath, m.path+"/") {
		return filepath.Join(m.dir, importPath[len(m.path)+1:])
	}
	if vendored := filepath.Join(m.dir, "vendor", importPath); isDir(vendored) {
		return vendored
	}
	best := ""
	for required := range m.requires {
		if (importPath == required || strings.HasPrefix(importPath, required+"/")) && len(required) > len(best) {
			best = required
		}
	}
	if best == "" {
		return ""
	}
	rest := strings.TrimPrefix(importPath[len(best):], "/")
	at, version := best, m.requires[best]
	for _, r := range m.replaces {
		if r.old != best || (r.oldVersion != "" && r.oldVersion != version) {
			continue
		}
		if r.version == "" {
			return filepath.Join(r.path, rest)
		}
		at, version = r.path, r.version
	}
	return filepath.Join(moduleCache(), escaped(at)+"@"+escaped(version), rest)
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// included tells whether the file's build constraint and name let it be compiled on this machine.
func included(name string, text []byte) bool {
	stem := strings.TrimSuffix(filepath.Base(name), ".go")
	parts := strings.Split(stem, "_")
	if len(parts) > 1 && !suffixHolds(parts[1:]) {
		return false
	}
	for _, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "package ") {
			break
		}
		if constraint.IsGoBuild(line) {
			expr, err := constraint.Parse(line)
			if err == nil && !expr.Eval(tagHolds) {
				return false
			}
		}
	}
	return true
}

var knownOS = words("aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos")
var knownArch = words("386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm")

func words(text string) map[string]bool {
	out := map[string]bool{}
	for _, word := range strings.Fields(text) {
		out[word] = true
	}
	return out
}

func suffixHolds(parts []string) bool {
	last := parts[len(parts)-1]
	if len(parts) > 1 && knownOS[parts[len(parts)-2]] && knownArch[last] {
		return tagHolds(parts[len(parts)-2]) && tagHolds(last)
	}
	if knownOS[last] || knownArch[last] {
		return tagHolds(last)
	}
	return true
}

func tagHolds(tag string) bool {
	return tag == runtime.GOOS || tag == runtime.GOARCH || tag == "gc" || tag == "cgo" || tag == "unix" ||
		strings.HasPrefix(tag, "go1.") && goVersionHolds(tag)
}

func goVersionHolds(tag string) bool {
	wanted, err := strconv.Atoi(tag[len("go1."):])
	have := strings.Split(strings.TrimPrefix(runtime.Version(), "go"), ".")
	if err != nil || len(have) < 2 {
		return true
	}
	minor, err := strconv.Atoi(have[1])
	return err != nil || wanted <= minor
}

// load reads a folder's package; nil when there is none.
func (w *world) load(dir, importPath string) *pkg {
	if p, ok := w.dirs[dir]; ok {
		return p
	}
	w.dirs[dir] = nil // an import cycle finds nothing
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	p := &pkg{dir: dir, path: importPath, types: map[string]*typeDecl{}, methods: map[string]map[string]bool{}, consts: map[string][]any{}}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name[0] == '_' || name[0] == '.' || len(p.files) >= mostFiles {
			continue
		}
		full := filepath.Join(dir, name)
		text, given := w.sources[full]
		if !given {
			if info, err := entry.Info(); err != nil || info.Size() > largestFile {
				continue
			}
			if text, err = os.ReadFile(full); err != nil {
				continue
			}
		}
		w.touched[full] = true
		if !included(full, text) {
			continue
		}
		// Of a file with errors, what could be read counts.
		file, _ := parser.ParseFile(w.fset, full, text, parser.ParseComments|parser.SkipObjectResolution)
		if file == nil || file.Name == nil {
			continue
		}
		if p.name == "" || !given {
			p.name = file.Name.Name
		}
		p.add(file)
		w.names[file] = full
	}
	w.dirs[dir] = p
	return p
}

func (p *pkg) add(file *ast.File) {
	p.files = append(p.files, file)
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || len(d.Recv.List) != 1 {
				continue
			}
			t := d.Recv.List[0].Type
			if star, ok := t.(*ast.StarExpr); ok {
				t = star.X
			}
			if index, ok := t.(*ast.IndexExpr); ok {
				t = index.X
			}
			if name, ok := t.(*ast.Ident); ok {
				if p.methods[name.Name] == nil {
					p.methods[name.Name] = map[string]bool{}
				}
				p.methods[name.Name][d.Name.Name] = true
			}
		case *ast.GenDecl:
			switch d.Tok {
			case token.TYPE:
				for _, spec := range d.Specs {
					t := spec.(*ast.TypeSpec)
					doc := t.Doc.Text()
					if doc == "" && len(d.Specs) == 1 {
						doc = d.Doc.Text()
					}
					p.types[t.Name.Name] = &typeDecl{t, strings.TrimSpace(doc), file, p}
				}
			case token.CONST:
				p.addConsts(d)
			}
		}
	}
}

// The values of typed constants: literals, and iota counted up by one.
func (p *pkg) addConsts(d *ast.GenDecl) {
	var typeName string
	var values []ast.Expr
	for iota, spec := range d.Specs {
		c := spec.(*ast.ValueSpec)
		if len(c.Values) > 0 {
			values = c.Values
			typeName = ""
			if name, ok := c.Type.(*ast.Ident); ok {
				typeName = name.Name
			}
		}
		for i, name := range c.Names {
			if i >= len(values) {
				break
			}
			of := typeName
			value, converted := constant(values[i], iota)
			if converted != "" && of == "" {
				of = converted
			}
			if value != nil && of != "" && name.Name != "_" {
				p.consts[of] = append(p.consts[of], value)
			}
		}
	}
}

// A constant expression's value, and the type it is converted to if it is; nil when it is none that can be told from here.
func constant(expr ast.Expr, iota int) (any, string) {
	switch e := expr.(type) {
	case *ast.Ident:
		switch e.Name {
		case "iota":
			return int64(iota), ""
		case "true":
			return true, ""
		case "false":
			return false, ""
		}
	case *ast.ParenExpr:
		return constant(e.X, iota)
	case *ast.BasicLit:
		switch e.Kind {
		case token.STRING:
			if text, err := strconv.Unquote(e.Value); err == nil {
				return text, ""
			}
		case token.INT:
			if number, err := strconv.ParseInt(e.Value, 0, 64); err == nil {
				return number, ""
			}
		case token.FLOAT:
			if number, err := strconv.ParseFloat(e.Value, 64); err == nil {
				return number, ""
			}
		case token.CHAR:
			if text, err := strconv.Unquote(e.Value); err == nil {
				return int64([]rune(text)[0]), ""
			}
		}
	case *ast.UnaryExpr:
		value, of := constant(e.X, iota)
		if e.Op == token.SUB {
			switch v := value.(type) {
			case int64:
				return -v, of
			case float64:
				return -v, of
			}
		}
	case *ast.CallExpr:
		if name, ok := e.Fun.(*ast.Ident); ok && len(e.Args) == 1 {
			value, _ := constant(e.Args[0], iota)
			return value, name.Name
		}
	case *ast.BinaryExpr:
		left, of := constant(e.X, iota)
		right, _ := constant(e.Y, iota)
		if a, ok := left.(string); ok && e.Op == token.ADD {
			if b, ok := right.(string); ok {
				return a + b, of
			}
		}
		a, aok := left.(int64)
		b, bok := right.(int64)
		if !aok || !bok {
			return nil, ""
		}
		switch e.Op {
		case token.ADD:
			return a + b, of
		case token.SUB:
			return a - b, of
		case token.MUL:
			return a * b, of
		case token.SHL:
			if b >= 0 && b < 63 {
				return a << uint(b), of
			}
		}
	}
	return nil, ""
}

// imported finds the package that a file calls `name`; the path alone when its sources are not at hand.
func (w *world) imported(name string, file *ast.File, from *pkg) (*pkg, string) {
	for pass := 0; pass < 2; pass++ {
		for _, spec := range file.Imports {
			importPath, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			if spec.Name != nil {
				if spec.Name.Name == name {
					return w.load(w.folderOf(importPath, from), importPath), importPath
				}
				continue
			}
			if pass == 0 {
				if lastElement(importPath) == name {
					return w.load(w.folderOf(importPath, from), importPath), importPath
				}
			} else if dir := w.folderOf(importPath, from); dir != "" {
				if p := w.load(dir, importPath); p != nil && p.name == name {
					return p, importPath
				}
			}
		}
	}
	return nil, ""
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

func lastElement(importPath string) string {
	last := path.Base(importPath)
	if majorVersion.MatchString(last) && strings.Contains(importPath, "/") {
		last = path.Base(path.Dir(importPath))
	}
	if i := strings.LastIndex(last, ".v"); i > 0 {
		last = last[:i]
	}
	return last
}

func (w *world) others(asked string) []string {
	var out []string
	for file := range w.touched {
		if file == asked {
			continue
		}
		if relative, err := filepath.Rel(w.root, file); err == nil && !strings.HasPrefix(relative, "..") {
			file = relative
		}
		out = append(out, file)
	}
	sort.Strings(out)
	return out
}

// source is an expression as it is written.
func (w *world) source(expr ast.Expr) string {
	var out bytes.Buffer
	writeExpr(&out, expr)
	return out.String()
}
