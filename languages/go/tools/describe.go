package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

type parameter struct {
	Name     string `json:"name"`
	Kind     string `json:"kind,omitempty"`
	Schema   object `json:"schema,omitempty"`
	Required bool   `json:"required"`
	Default  any    `json:"default,omitempty"`
	Doc      string `json:"doc,omitempty"`
	Type     string `json:"type,omitempty"`
	Context  bool   `json:"context,omitempty"`

	native string // the default as JSON, or ""
}

type result struct {
	Schema object `json:"schema"`
	Type   string `json:"type,omitempty"`
}

type function struct {
	Name       string      `json:"name"`
	Line       int         `json:"line"`
	Doc        string      `json:"doc,omitempty"`
	Generator  bool        `json:"generator,omitempty"`
	Parameters []parameter `json:"parameters"`
	Result     result      `json:"result"`
	Warnings   []string    `json:"warnings,omitempty"`

	goName string
}

type unavailable struct {
	Name   string `json:"name"`
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

type description struct {
	Path        string         `json:"path"`
	ModuleDoc   string         `json:"module_doc,omitempty"`
	Constants   map[string]any `json:"constants,omitempty"`
	Functions   []function     `json:"functions"`
	Unavailable []unavailable  `json:"unavailable"`
	Depends     []string       `json:"depends,omitempty"`

	packageName string
}

type sourceError struct {
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

func describeMain() {
	var asked struct {
		Version int `json:"version"`
		Files   []struct {
			Path   string `json:"path"`
			Source string `json:"source"`
		} `json:"files"`
	}
	readInput(&asked)
	if asked.Version != 1 {
		fail("this program knows version 1 of spec/describe.md")
	}
	root, err := os.Getwd()
	if err != nil {
		fail(err.Error())
	}
	sources := map[string][]byte{}
	for _, file := range asked.Files {
		sources[absolute(root, file.Path)] = []byte(file.Source)
	}
	answers := []any{}
	for _, file := range asked.Files {
		w := newWorld(root)
		w.sources = sources
		told, failed := w.describe(absolute(root, file.Path))
		if failed != nil {
			answers = append(answers, map[string]any{"path": file.Path, "error": failed})
			continue
		}
		told.Path = file.Path
		told.Depends = w.others(absolute(root, file.Path))
		answers = append(answers, told)
	}
	writeOutput(map[string]any{"version": 1, "files": answers})
}

// Files are named from the project's folder, or absolute where they lie elsewhere.
func absolute(root, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(root, name)
}

// describe reads one of w.sources.
func (w *world) describe(full string) (*description, *sourceError) {
	text := w.sources[full]
	out := &description{Functions: []function{}, Unavailable: []unavailable{}, Constants: map[string]any{}}
	if _, err := parser.ParseFile(w.fset, full, text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		var list scanner.ErrorList
		if errors.As(err, &list) && len(list) > 0 {
			return nil, &sourceError{list[0].Msg, list[0].Pos.Line, list[0].Pos.Column}
		}
		return nil, &sourceError{Message: err.Error()}
	}
	p := w.load(filepath.Dir(full), "")
	var file *ast.File
	if p != nil {
		for _, one := range p.files {
			if w.names[one] == full {
				file = one
			}
		}
	}
	if file == nil {
		return out, w.leftOut(full, text)
	}
	out.packageName = file.Name.Name
	out.ModuleDoc = strings.TrimSpace(file.Doc.Text())
	stem := pascal(strings.TrimSuffix(filepath.Base(full), ".go"))
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.GenDecl:
			constants(d, file, out.Constants)
		case *ast.FuncDecl:
			if d.Recv != nil || !d.Name.IsExported() || hidden(d.Doc) {
				continue
			}
			line := w.fset.Position(d.Name.Pos()).Line
			if file.Name.Name == "main" {
				out.Unavailable = append(out.Unavailable, unavailable{d.Name.Name, line,
					"Go cannot import a package main; give it another name, such as package functions"})
				continue
			}
			f, err := w.function(d, p, file)
			if err != nil {
				out.Unavailable = append(out.Unavailable, unavailable{d.Name.Name, line, err.Error()})
				continue
			}
			f.Line = line
			// Several assistants of one folder are one package, so each names its own: RespondConcierge in concierge.go.
			if f.goName == "Respond"+stem {
				f.Name = "Respond"
			}
			out.Functions = append(out.Functions, *f)
		}
	}
	return out, nil
}

func (w *world) leftOut(full string, text []byte) *sourceError {
	if !included(full, text) {
		return &sourceError{Message: "its build constraint leaves it out on this machine", Line: 1}
	}
	return &sourceError{Message: "its folder has more files than are looked at"}
}

func hidden(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, line := range doc.List {
		if strings.TrimSpace(line.Text) == "//sabir:hide" {
			return true
		}
	}
	return false
}

var (
	parameterLine = regexp.MustCompile(`^\s*[-*•]?\s*([\p{L}_][\p{L}\p{N}_]*)\s*:\s*(.*)$`)
	defaultText   = regexp.MustCompile(`\s*\((?i:default)\s+(.+)\)\s*\.?$`)
)

// documented splits a doc comment: what is said of the parameters (in lines "name: text", which may go on indented), and the rest.
func documented(doc string, names map[string]bool) (string, map[string]string) {
	about := map[string]string{}
	var rest []string
	current := ""
	for _, line := range strings.Split(doc, "\n") {
		trimmed := strings.TrimSpace(line)
		if match := parameterLine.FindStringSubmatch(line); match != nil && names[match[1]] && about[match[1]] == "" {
			current = match[1]
			about[current] = match[2]
			continue
		}
		if current != "" && trimmed != "" && (strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t")) {
			about[current] += " " + trimmed
			continue
		}
		current = ""
		if lower := strings.ToLower(trimmed); lower == "parameters:" || lower == "arguments:" {
			continue
		}
		rest = append(rest, line)
	}
	text := strings.TrimSpace(strings.Join(rest, "\n"))
	for strings.Contains(text, "\n\n\n") {
		text = strings.ReplaceAll(text, "\n\n\n", "\n\n")
	}
	return text, about
}

func (w *world) function(d *ast.FuncDecl, p *pkg, file *ast.File) (*function, error) {
	if d.Type.TypeParams != nil && len(d.Type.TypeParams.List) > 0 {
		return nil, refuse("a generic function has no single signature; write one for one type that calls it")
	}
	if d.Body == nil {
		return nil, refuse("it has no body here")
	}
	out := &function{Name: d.Name.Name, goName: d.Name.Name, Parameters: []parameter{}}
	at := scope{p, file, nil}
	names := map[string]bool{}
	for _, f := range d.Type.Params.List {
		for _, name := range f.Names {
			names[name.Name] = true
		}
	}
	var about map[string]string
	out.Doc, about = documented(d.Doc.Text(), names)
	r := &reader{w: w}
	position := 0
	for _, f := range d.Type.Params.List {
		declared := f.Names
		if len(declared) == 0 {
			declared = []*ast.Ident{{Name: "_"}}
		}
		for _, name := range declared {
			position++
			if w.isType(f.Type, file, p, "context.Context") {
				if position != 1 {
					return nil, refuse("its parameter %s: context.Context can only be the first parameter", name.Name)
				}
				continue
			}
			if name.Name == "_" {
				return nil, refuse("its parameter %d has no name to be passed by", position)
			}
			one := parameter{Name: name.Name, Required: true, Type: w.source(f.Type)}
			if w.isType(f.Type, file, p, "sabir.Context") {
				out.Parameters = append(out.Parameters, parameter{Name: name.Name, Context: true})
				continue
			}
			t := f.Type
			if rest, ok := t.(*ast.Ellipsis); ok {
				one.Kind, one.Required, t = "variadic", false, rest.Elt
			}
			schema, err := r.schema(t, at)
			if err != nil {
				return nil, refuse("its parameter %s: %s", name.Name, err.Error())
			}
			one.Schema = schema
			if one.Kind == "variadic" {
				one.Schema = of("array")
				if len(schema) > 0 {
					one.Schema = append(one.Schema, member{"items", schema})
				}
			}
			if _, pointer := t.(*ast.StarExpr); pointer {
				one.Required = false
			}
			one.Doc = oneLine(about[name.Name])
			if match := defaultText.FindStringSubmatch(one.Doc); match != nil && one.Kind == "" {
				if value, ok := defaultValue(match[1], schema); ok {
					one.Doc = strings.TrimSuffix(one.Doc, match[0])
					one.Default, one.native, one.Required = value, string(value), false
				} else {
					r.warnings = append(r.warnings, "the default of "+name.Name+" is no JSON: "+match[1])
				}
			}
			out.Parameters = append(out.Parameters, one)
		}
	}
	if err := w.results(d.Type.Results, r, at, out); err != nil {
		return nil, err
	}
	out.Warnings = r.warnings
	return out, nil
}

// A default as JSON; a bare word is a string where strings are expected.
func defaultValue(text string, schema object) (json.RawMessage, bool) {
	text = strings.Trim(text, "`")
	if json.Valid([]byte(text)) {
		return json.RawMessage(text), true
	}
	if schema.get("type") != "string" {
		return nil, false
	}
	quoted, err := json.Marshal(strings.Trim(text, `"'`))
	return quoted, err == nil
}

func (w *world) isType(expr ast.Expr, file *ast.File, p *pkg, full string) bool {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	qualifier, ok := selector.X.(*ast.Ident)
	if !ok {
		return false
	}
	_, importPath := w.imported(qualifier.Name, file, p)
	return importPath+"."+selector.Sel.Name == full
}

func (w *world) results(list *ast.FieldList, r *reader, at scope, out *function) error {
	var types []ast.Expr
	if list != nil {
		for _, f := range list.List {
			for i := 0; i < len(f.Names) || i == 0; i++ {
				types = append(types, f.Type)
			}
		}
	}
	if n := len(types); n > 0 {
		if name, ok := types[n-1].(*ast.Ident); ok && name.Name == "error" {
			types = types[:n-1]
		}
	}
	switch len(types) {
	case 0:
		out.Result = result{Schema: of("null")}
		return nil
	case 1:
		out.Result.Type = w.source(types[0])
		t := types[0]
		if yielded := w.yielded(t, at); yielded != nil {
			out.Generator, t = true, yielded
		}
		schema, err := r.schema(t, at)
		if err != nil {
			return refuse("its result: %s", err.Error())
		}
		out.Result.Schema = schema
		return nil
	}
	items := []any{}
	for i, t := range types {
		schema, err := r.schema(t, at)
		if err != nil {
			return refuse("its result %d: %s", i+1, err.Error())
		}
		items = append(items, schema)
	}
	out.Result.Schema = of("array", member{"prefixItems", items}, member{"minItems", len(items)}, member{"maxItems", len(items)})
	return nil
}

// What a channel or an iterator yields; nil for any other type.
func (w *world) yielded(expr ast.Expr, at scope) ast.Expr {
	switch t := expr.(type) {
	case *ast.ChanType:
		if t.Dir&ast.RECV != 0 {
			return t.Value
		}
	case *ast.IndexExpr:
		if w.isType(t.X, at.file, at.pkg, "iter.Seq") {
			return t.Index
		}
	case *ast.IndexListExpr:
		if len(t.Indices) == 2 && w.isType(t.X, at.file, at.pkg, "iter.Seq2") {
			if name, ok := t.Indices[1].(*ast.Ident); ok && name.Name == "error" {
				return t.Indices[0]
			}
		}
	case *ast.FuncType:
		// func(yield func(T) bool), which iter.Seq[T] stands for.
		if t.Results != nil || t.Params == nil || len(t.Params.List) != 1 {
			return nil
		}
		yield, ok := t.Params.List[0].Type.(*ast.FuncType)
		if !ok || yield.Results == nil || len(yield.Results.List) != 1 || yield.Params == nil || len(yield.Params.List) != 1 {
			return nil
		}
		if name, ok := yield.Results.List[0].Type.(*ast.Ident); ok && name.Name == "bool" {
			return yield.Params.List[0].Type
		}
	}
	return nil
}

// constants keeps the literals of exported names: Instructions = "…", and the members of a sabir.Assistant{…}.
func constants(d *ast.GenDecl, file *ast.File, into map[string]any) {
	if d.Tok != token.CONST && d.Tok != token.VAR {
		return
	}
	for _, spec := range d.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, name := range v.Names {
			if i >= len(v.Values) || !name.IsExported() {
				continue
			}
			if composite, ok := v.Values[i].(*ast.CompositeLit); ok && isAssistant(composite.Type) {
				for _, element := range composite.Elts {
					pair, ok := element.(*ast.KeyValueExpr)
					if !ok {
						continue
					}
					key, ok := pair.Key.(*ast.Ident)
					if value, known := literal(pair.Value); ok && known {
						into[snake(key.Name)] = value
					}
				}
				continue
			}
			if value, known := literal(v.Values[i]); known {
				into[snake(name.Name)] = value
			}
		}
	}
}

func isAssistant(expr ast.Expr) bool {
	selector, ok := expr.(*ast.SelectorExpr)
	return ok && selector.Sel.Name == "Assistant"
}

// A literal's value: constants, slices and maps with string keys of them.
func literal(expr ast.Expr) (any, bool) {
	composite, ok := expr.(*ast.CompositeLit)
	if !ok {
		value, _ := constant(expr, 0)
		return value, value != nil
	}
	if _, isMap := composite.Type.(*ast.MapType); isMap {
		out := map[string]any{}
		for _, element := range composite.Elts {
			pair, ok := element.(*ast.KeyValueExpr)
			if !ok {
				return nil, false
			}
			key, _ := constant(pair.Key, 0)
			name, isText := key.(string)
			value, known := literal(pair.Value)
			if !isText || !known {
				return nil, false
			}
			out[name] = value
		}
		return out, true
	}
	if _, isList := composite.Type.(*ast.ArrayType); !isList {
		return nil, false
	}
	out := []any{}
	for _, element := range composite.Elts {
		value, known := literal(element)
		if !known {
			return nil, false
		}
		out = append(out, value)
	}
	return out, true
}

func pascal(name string) string {
	var out strings.Builder
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' }) {
		out.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return out.String()
}

func snake(name string) string {
	var out strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z' {
				out.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		out.WriteRune(r)
	}
	return out.String()
}
