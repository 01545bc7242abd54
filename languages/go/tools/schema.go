package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"reflect"
	"strconv"
	"strings"
)

// object is a JSON object that keeps its members' order.
type object []member

type member struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			out = append(out, ',')
		}
		name, _ := json.Marshal(m.name)
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

func (o object) get(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

func of(kind string, more ...member) object {
	return append(object{{"type", kind}}, more...)
}

func writeExpr(out *bytes.Buffer, expr ast.Expr) {
	_ = (&printer.Config{Mode: printer.RawFormat}).Fprint(out, token.NewFileSet(), expr)
}

// nullable is the schema or null.
func nullable(schema object) object {
	if len(schema) == 0 {
		return schema
	}
	if kind, ok := schema.get("type").(string); ok && len(schema) == 1 {
		return object{{"type", []string{kind, "null"}}}
	}
	if choices, ok := schema.get("anyOf").([]any); ok && len(schema) == 1 {
		return object{{"anyOf", append(append([]any{}, choices...), of("null"))}}
	}
	if kinds, ok := schema.get("type").([]string); ok && len(schema) == 1 {
		for _, kind := range kinds {
			if kind == "null" {
				return schema
			}
		}
	}
	return object{{"anyOf", []any{schema, of("null")}}}
}

// scope is where a type stands: its file, and what its type parameters are.
type scope struct {
	pkg       *pkg
	file      *ast.File
	arguments map[string]bound
}

type bound struct {
	expr  ast.Expr
	scope scope
}

// reader makes schemas of types; warnings are for the function that is read.
type reader struct {
	w        *world
	open     []string // the named types that are being described, so that one that contains itself ends
	warnings []string
}

const deepest = 64

var integers = map[string]object{
	"int": of("integer"), "int64": of("integer"), "uint": of("integer", member{"minimum", 0}), "uint64": of("integer", member{"minimum", 0}),
	"uintptr": of("integer", member{"minimum", 0}),
	"int8":    of("integer", member{"minimum", -128}, member{"maximum", 127}),
	"int16":   of("integer", member{"minimum", -32768}, member{"maximum", 32767}),
	"int32":   of("integer", member{"minimum", -2147483648}, member{"maximum", 2147483647}),
	"rune":    of("integer", member{"minimum", -2147483648}, member{"maximum", 2147483647}),
	"uint8":   of("integer", member{"minimum", 0}, member{"maximum", 255}),
	"byte":    of("integer", member{"minimum", 0}, member{"maximum", 255}),
	"uint16":  of("integer", member{"minimum", 0}, member{"maximum", 65535}),
	"uint32":  of("integer", member{"minimum", 0}, member{"maximum", 4294967295}),
}

var known = map[string]object{
	"time.Time": of("string", member{"format", "date-time"}), "time.Duration": of("integer", member{"description", "nanoseconds"}),
	"encoding/json.RawMessage": {}, "encoding/json.Number": of("number"), "math/big.Int": of("integer"), "math/big.Float": of("string"),
	"math/big.Rat": of("string"), "net/netip.Addr": of("string"), "net.IP": of("string"), "database/sql.NullString": {},
	"sabir.Context": of("object", member{"additionalProperties", of("string")}), "sabir.Message": object{{"type", "object"}, {"properties", object{
		{"role", of("string")}, {"content", of("string")}}}, {"required", []string{"role", "content"}}, {"additionalProperties", false}},
	"github.com/google/uuid.UUID": of("string", member{"format", "uuid"}),
}

type problem struct{ text string }

func (p *problem) Error() string { return p.text }

func refuse(format string, arguments ...any) error {
	return &problem{fmt.Sprintf(format, arguments...)}
}

// schema gives a type's JSON Schema, as encoding/json reads and writes it. Errors: what JSON cannot carry, or what is unknown.
func (r *reader) schema(expr ast.Expr, at scope) (object, error) {
	if len(r.open) > deepest {
		return object{}, nil
	}
	switch t := expr.(type) {
	case *ast.ParenExpr:
		return r.schema(t.X, at)
	case *ast.StarExpr:
		inner, err := r.schema(t.X, at)
		return nullable(inner), err
	case *ast.Ident:
		return r.named(t.Name, nil, at)
	case *ast.ArrayType:
		if r.isByte(t.Elt, at) && t.Len == nil {
			return of("string", member{"contentEncoding", "base64"}), nil
		}
		items, err := r.schema(t.Elt, at)
		if err != nil {
			return nil, err
		}
		out := of("array")
		if len(items) > 0 {
			out = append(out, member{"items", items})
		}
		if t.Len != nil {
			length, _ := constant(t.Len, 0)
			number, ok := length.(int64)
			if !ok {
				return nil, refuse("the length of %s is no plain number", r.w.source(t))
			}
			out = append(out, member{"minItems", number}, member{"maxItems", number})
		}
		return out, nil
	case *ast.MapType:
		return r.mapType(t, at)
	case *ast.InterfaceType:
		if t.Methods != nil && len(t.Methods.List) > 0 {
			return nil, refuse("an interface with methods says nothing of what it holds; use a struct or any")
		}
		return object{}, nil
	case *ast.StructType:
		return r.structType(t, at)
	case *ast.SelectorExpr:
		return r.selected(t, nil, at)
	case *ast.IndexExpr:
		return r.instance(t.X, []ast.Expr{t.Index}, at)
	case *ast.IndexListExpr:
		return r.instance(t.X, t.Indices, at)
	case *ast.FuncType:
		return nil, refuse("a function cannot be carried as JSON")
	case *ast.ChanType:
		return nil, refuse("a channel can only be a result")
	}
	return nil, refuse("the type %s is not understood", r.w.source(expr))
}

func (r *reader) isByte(expr ast.Expr, at scope) bool {
	name, ok := expr.(*ast.Ident)
	return ok && (name.Name == "byte" || name.Name == "uint8") && at.pkg.types[name.Name] == nil
}

func (r *reader) mapType(t *ast.MapType, at scope) (object, error) {
	key, err := r.schema(t.Key, at)
	if err != nil {
		return nil, err
	}
	values, err := r.schema(t.Value, at)
	if err != nil {
		return nil, err
	}
	out := of("object")
	switch key.get("type") {
	case "string":
		if options := key.get("enum"); options != nil {
			out = append(out, member{"propertyNames", object{{"enum", options}}})
		}
	case "integer":
		out = append(out, member{"propertyNames", object{{"pattern", "^-?[0-9]+$"}}})
	default:
		return nil, refuse("the keys of %s are neither strings nor integers", r.w.source(t))
	}
	if len(values) > 0 {
		out = append(out, member{"additionalProperties", values})
	}
	return out, nil
}

func (r *reader) instance(x ast.Expr, indices []ast.Expr, at scope) (object, error) {
	arguments := make([]bound, len(indices))
	for i, index := range indices {
		arguments[i] = bound{index, at}
	}
	switch t := x.(type) {
	case *ast.Ident:
		return r.named(t.Name, arguments, at)
	case *ast.SelectorExpr:
		return r.selected(t, arguments, at)
	}
	return nil, refuse("the type %s is not understood", r.w.source(x))
}

func (r *reader) named(name string, arguments []bound, at scope) (object, error) {
	if argument, ok := at.arguments[name]; ok {
		return r.schema(argument.expr, argument.scope)
	}
	if declared := at.pkg.types[name]; declared != nil {
		return r.declared(declared, arguments)
	}
	if schema, ok := integers[name]; ok {
		return schema, nil
	}
	switch name {
	case "string":
		return of("string"), nil
	case "bool":
		return of("boolean"), nil
	case "float64", "float32":
		return of("number"), nil
	case "any":
		return object{}, nil
	case "error":
		return nil, refuse("error can only be the last result")
	case "complex64", "complex128":
		return nil, refuse("JSON has no complex numbers")
	}
	return nil, refuse("the type %s is not declared in this package", name)
}

func (r *reader) selected(t *ast.SelectorExpr, arguments []bound, at scope) (object, error) {
	qualifier, ok := t.X.(*ast.Ident)
	if !ok {
		return nil, refuse("the type %s is not understood", r.w.source(t))
	}
	p, importPath := r.w.imported(qualifier.Name, at.file, at.pkg)
	if importPath == "" {
		return nil, refuse("the package %s is not imported", qualifier.Name)
	}
	full := importPath + "." + t.Sel.Name
	if schema, ok := known[full]; ok {
		return schema, nil
	}
	if full == "context.Context" {
		return nil, refuse("context.Context can only be the first parameter")
	}
	if p == nil {
		r.warnings = append(r.warnings, "the sources of "+importPath+" are not at hand, so "+qualifier.Name+"."+t.Sel.Name+
			" accepts anything here; the function refuses what does not fit")
		return object{}, nil
	}
	declared := p.types[t.Sel.Name]
	if declared == nil {
		return nil, refuse("%s has no type %s", importPath, t.Sel.Name)
	}
	return r.declared(declared, arguments)
}

func (r *reader) declared(d *typeDecl, arguments []bound) (object, error) {
	id := d.pkg.dir + "." + d.spec.Name.Name
	for _, one := range r.open {
		if one == id {
			return object{}, nil
		}
	}
	r.open = append(r.open, id)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	methods := d.pkg.methods[d.spec.Name.Name]
	switch {
	case methods["MarshalJSON"] || methods["UnmarshalJSON"]:
		return object{}, nil
	case methods["MarshalText"] || methods["UnmarshalText"]:
		return of("string"), nil
	}
	inner := scope{d.pkg, d.file, map[string]bound{}}
	if d.spec.TypeParams != nil {
		i := 0
		for _, field := range d.spec.TypeParams.List {
			for _, name := range field.Names {
				if i >= len(arguments) {
					return nil, refuse("%s needs type arguments", d.spec.Name.Name)
				}
				inner.arguments[name.Name] = arguments[i]
				i++
			}
		}
	}
	schema, err := r.schema(d.spec.Type, inner)
	if err != nil {
		return nil, err
	}
	if values := d.pkg.consts[d.spec.Name.Name]; len(values) > 0 && !d.spec.Assign.IsValid() {
		if kind := schema.get("type"); kind == "string" || kind == "integer" {
			schema = object{{"type", kind}, {"enum", values}}
		}
	}
	if d.doc != "" && schema.get("description") == nil && len(schema) > 0 {
		schema = append(append(object{}, schema...), member{"description", firstParagraph(d.doc)})
	}
	return schema, nil
}

type field struct {
	name     string
	schema   object
	required bool
	depth    int
}

func (r *reader) structType(t *ast.StructType, at scope) (object, error) {
	fields, err := r.fields(t, at, 0)
	if err != nil {
		return nil, err
	}
	properties, required := object{}, []string{}
	for i, f := range fields {
		hidden := false
		for j, other := range fields {
			// An outer field hides an embedded one of its name.
			hidden = hidden || i != j && other.name == f.name && (other.depth < f.depth || other.depth == f.depth && j < i)
		}
		if hidden {
			continue
		}
		properties = append(properties, member{f.name, f.schema})
		if f.required {
			required = append(required, f.name)
		}
	}
	out := of("object", member{"properties", properties})
	if len(required) > 0 {
		out = append(out, member{"required", required})
	}
	return append(out, member{"additionalProperties", false}), nil
}

func (r *reader) fields(t *ast.StructType, at scope, depth int) ([]field, error) {
	var out []field
	for _, f := range t.Fields.List {
		tag := ""
		if f.Tag != nil {
			tag, _ = strconv.Unquote(f.Tag.Value)
		}
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name == "-" && options == "" {
			continue
		}
		if len(f.Names) == 0 && name == "" {
			embedded, err := r.embedded(f.Type, at, depth)
			if err != nil {
				return nil, err
			}
			out = append(out, embedded...)
			continue
		}
		names := f.Names
		if len(names) == 0 {
			names = []*ast.Ident{{Name: "X"}}
		}
		for _, declared := range names {
			if !declared.IsExported() {
				continue
			}
			schema, err := r.schema(f.Type, at)
			if err != nil {
				return nil, refuse("its field %s: %s", declared.Name, err.Error())
			}
			one := field{name: name, schema: append(object{}, schema...), required: true, depth: depth}
			if one.name == "" {
				one.name = declared.Name
			}
			for _, option := range strings.Split(options, ",") {
				switch option {
				case "omitempty", "omitzero":
					one.required = false
				case "string":
					one.schema = of("string")
				}
			}
			if _, pointer := f.Type.(*ast.StarExpr); pointer {
				one.required = false
			}
			doc := strings.TrimSpace(f.Doc.Text())
			if doc == "" {
				doc = strings.TrimSpace(f.Comment.Text())
			}
			if doc != "" {
				one.schema = described(one.schema, doc)
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// described puts a description in place of the type's own.
func described(schema object, doc string) object {
	var out object
	for _, m := range schema {
		if m.name != "description" {
			out = append(out, m)
		}
	}
	return append(out, member{"description", oneLine(doc)})
}

// The fields of an embedded struct are the outer one's.
func (r *reader) embedded(expr ast.Expr, at scope, depth int) ([]field, error) {
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	var declared *typeDecl
	switch t := expr.(type) {
	case *ast.Ident:
		declared = at.pkg.types[t.Name]
	case *ast.SelectorExpr:
		if qualifier, ok := t.X.(*ast.Ident); ok {
			if p, _ := r.w.imported(qualifier.Name, at.file, at.pkg); p != nil {
				declared = p.types[t.Sel.Name]
			}
		}
	}
	if declared == nil {
		return nil, refuse("the embedded %s is not at hand", r.w.source(expr))
	}
	inner, ok := declared.spec.Type.(*ast.StructType)
	if !ok {
		schema, err := r.schema(expr, at)
		return []field{{declared.spec.Name.Name, schema, true, depth}}, err
	}
	if depth > deepest {
		return nil, refuse("%s embeds itself", declared.spec.Name.Name)
	}
	return r.fields(inner, scope{declared.pkg, declared.file, nil}, depth+1)
}

func firstParagraph(doc string) string {
	paragraph, _, _ := strings.Cut(strings.TrimSpace(doc), "\n\n")
	return oneLine(paragraph)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
