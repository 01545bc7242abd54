// What invopop/jsonschema says of functions' parameters and results.
//
// Standard input: {"module": folder, "cases": [{"id", "folder"}]}, Go packages on disk; standard output:
// {id: {function: {"input", "output"}}}. Go's own parser finds the functions; for each one a struct with its parameters as
// fields is written into its package, and a program that reflects these structs is run.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	_ "github.com/invopop/jsonschema" // what the program that is written needs
)

type oneCase struct {
	ID     string `json:"id"`
	Folder string `json:"folder"`
}

var asked struct {
	Module string    `json:"module"` // a folder with this go.mod and go.sum, in which packages may be written
	Cases  []oneCase `json:"cases"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run() error {
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	var imports, told strings.Builder
	for i, one := range asked.Cases {
		if err := describe(one.Folder); err != nil {
			return fmt.Errorf("%s: %w", one.ID, err)
		}
		fmt.Fprintf(&imports, "\tcase%d \"oracle/cases/%s\"\n", i, filepath.Base(one.Folder))
		fmt.Fprintf(&told, "\tout[%q] = reflected(case%d.OracleTypes())\n", one.ID, i)
	}
	program := fmt.Sprintf(`package main

import (
	"encoding/json"
	"os"

	"github.com/invopop/jsonschema"
%s)

func reflected(types map[string][2]any) map[string]map[string]any {
	reflector := jsonschema.Reflector{Anonymous: true}
	out := map[string]map[string]any{}
	for name, both := range types {
		out[name] = map[string]any{"input": reflector.Reflect(both[0])}
		if both[1] != nil {
			out[name]["output"] = reflector.Reflect(both[1])
		}
	}
	return out
}

func main() {
	out := map[string]any{}
%s	json.NewEncoder(os.Stdout).Encode(out)
}
`, imports.String(), told.String())
	if err := os.MkdirAll(filepath.Join(asked.Module, "reflect"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(asked.Module, "reflect", "main.go"), []byte(program), 0o644); err != nil {
		return err
	}
	command := exec.Command("go", "run", "-mod=mod", "./reflect")
	command.Dir = asked.Module
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return command.Run()
}

// Writes oracle_types.go into a package: a struct for each function's parameters, and its result.
func describe(folder string) error {
	files := token.NewFileSet()
	packages, err := parser.ParseDir(files, folder, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	for name, found := range packages {
		var structs, entries strings.Builder
		imports := map[string]string{}
		for _, file := range found.Files {
			for _, declaration := range file.Decls {
				function, ok := declaration.(*ast.FuncDecl)
				if !ok || function.Recv != nil || !function.Name.IsExported() || function.Type.TypeParams != nil {
					continue
				}
				input, output := typesOf(files, function, used{file, imports})
				fmt.Fprintf(&structs, "type Oracle%s struct {\n%s}\n", function.Name.Name, input)
				fmt.Fprintf(&entries, "\t\t%q: {Oracle%s{}, %s},\n", function.Name.Name, function.Name.Name, output)
			}
		}
		var lines strings.Builder
		for path, alias := range imports {
			fmt.Fprintf(&lines, "import %s %q\n", alias, path)
		}
		text := fmt.Sprintf("package %s\n\n%s\n%s\nfunc OracleTypes() map[string][2]any {\n\treturn map[string][2]any{\n%s\t}\n}\n",
			name, lines.String(), structs.String(), entries.String())
		if err := os.WriteFile(filepath.Join(folder, "oracle_types.go"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// The imports of a file that the types written so far need.
type used struct {
	file    *ast.File
	imports map[string]string
}

func (u used) note(expression ast.Expr) {
	ast.Inspect(expression, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, one := range u.file.Imports {
			path := strings.Trim(one.Path.Value, `"`)
			alias := path[strings.LastIndex(path, "/")+1:]
			if one.Name != nil {
				alias = one.Name.Name
			}
			if alias == name.Name {
				u.imports[path] = alias
			}
		}
		return true
	})
}

func typesOf(files *token.FileSet, function *ast.FuncDecl, imports used) (string, string) {
	var fields strings.Builder
	written := func(expression ast.Expr) string {
		var out bytes.Buffer
		if err := printer.Fprint(&out, files, expression); err != nil {
			panic(err)
		}
		return out.String()
	}
	for _, field := range function.Type.Params.List {
		kind := written(field.Type)
		if kind == "context.Context" || kind == "sabir.Context" {
			continue
		}
		imports.note(field.Type)
		variadic := strings.HasPrefix(kind, "...")
		if variadic {
			kind = "[]" + strings.TrimPrefix(kind, "...")
		}
		for _, name := range field.Names {
			tag := name.Name
			hasDefault := strings.Contains(function.Doc.Text(), "- "+name.Name+":") && strings.Contains(lineOf(function.Doc.Text(), name.Name), "(default ")
			if _, pointer := field.Type.(*ast.StarExpr); pointer || variadic || hasDefault {
				tag += ",omitempty"
			}
			fmt.Fprintf(&fields, "\tF_%s %s `json:%q`\n", name.Name, kind, tag)
		}
	}
	output := "nil"
	if results := function.Type.Results; results != nil && len(results.List) > 0 {
		first := results.List[0].Type
		only := len(results.List) == 1 || (len(results.List) == 2 && written(results.List[1].Type) == "error")
		if _, isFunction := first.(*ast.FuncType); only && !isFunction && written(first) != "error" {
			imports.note(first)
			if channel, isChannel := first.(*ast.ChanType); isChannel {
				output = "[]" + written(channel.Value) + "{}"
			} else {
				output = "*new(" + written(first) + ")"
			}
		}
	}
	return fields.String(), output
}

func lineOf(text, name string) string {
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(line, "- "+name+":") {
			return line
		}
	}
	return ""
}
