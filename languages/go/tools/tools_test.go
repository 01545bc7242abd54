package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestModuleFilesAreRead(t *testing.T) {
	m := parseModule([]byte("module \"example.com/shop\" // the shop\n\ngo 1.21.3\n\nrequire github.com/a/b v1.2.3\n\nrequire (\n\tgithub.com/C/d v0.1.0 // indirect\n)\n"+
		"replace github.com/a/b => ../b\nreplace (\n\tx v1.0.0 => y v2.0.0\n)\n"), "/p/shop")
	if m.path != "example.com/shop" || m.goLine != "1.21.3" || m.requires["github.com/C/d"] != "v0.1.0" || len(m.replaces) != 2 ||
		m.replaces[0].path != "/p/b" || m.replaces[1] != (replacement{"x", "v1.0.0", "y", "v2.0.0"}) {
		t.Errorf("got %+v", m)
	}
	if escaped("github.com/BurntSushi") != "github.com/!burnt!sushi" {
		t.Error("upper case is not escaped")
	}
}

func TestVersionsAreCompared(t *testing.T) {
	if !versionLess("1.9", "1.22") || versionLess("1.22.3", "1.22") || !newer("v1.10.0", "v1.9.9") || newer("v1.0.0-rc1", "v1.0.0") || !newer("v1.0.0", "") {
		t.Error("versions are compared as text")
	}
}

func TestABuildConstraintLeavesAFileOut(t *testing.T) {
	for text, want := range map[string]bool{"//go:build ignore\n\npackage a": false, "//go:build linux || darwin\n\npackage a": true, "package a\n//go:build ignore\n": true} {
		if included("/x/a.go", []byte(text)) != want {
			t.Errorf("%q", text)
		}
	}
	if included("/x/a_windows.go", []byte("package a")) || !included("/x/a_thing.go", []byte("package a")) {
		t.Error("a file name's suffix was misread")
	}
}

// Types come from packages of the module, of its vendor folder and of local replacements, without running anything.
func TestTypesOfOtherPackagesAreRead(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{
		"go.mod":                             "module example.com/shop\n\ngo 1.19\n\nrequire example.com/far v1.0.0\n\nrequire example.com/kept v1.0.0\n\nreplace example.com/kept => ./kept\n",
		"internal/prices/p.go":               "package prices\n\n// Price in cents.\ntype Price struct{ Cents int `json:\"cents\"` }\n",
		"vendor/example.com/far/things/t.go": "package things\n\ntype Thing struct{ Name string }\n",
		"kept/go.mod":                        "module example.com/kept\n",
		"kept/k.go":                          "package kept\n\ntype Kind string\n\nconst (\n\tA Kind = \"a\"\n\tB Kind = \"b\"\n)\n",
		"functions/go/shop.go":               "",
	}
	source := "package functions\n\nimport (\n\t\"example.com/far/things\"\n\t\"example.com/gone\"\n\tk \"example.com/kept\"\n\t\"example.com/shop/internal/prices\"\n)\n\n" +
		"func Look(p prices.Price, t things.Thing, kind k.Kind) gone.Thing { return gone.Thing{} }\n"
	files["functions/go/shop.go"] = source
	for name, text := range files {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(root)
	asked := filepath.Join(root, "functions/go/shop.go")
	w.sources[asked] = []byte(source)
	told, failed := w.describe(asked)
	if failed != nil || len(told.Functions) != 1 {
		t.Fatalf("got %+v, %+v", told, failed)
	}
	var schemas []string
	for _, p := range told.Functions[0].Parameters {
		text, _ := p.Schema.MarshalJSON()
		schemas = append(schemas, string(text))
	}
	want := []string{`{"type":"object","properties":{"cents":{"type":"integer"}},"required":["cents"],"additionalProperties":false,"description":"Price in cents."}`,
		`{"type":"object","properties":{"Name":{"type":"string"}},"required":["Name"],"additionalProperties":false}`, `{"type":"string","enum":["a","b"]}`}
	if strings.Join(schemas, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %s", strings.Join(schemas, "\n"))
	}
	if len(told.Functions[0].Warnings) != 1 || !strings.Contains(told.Functions[0].Warnings[0], "example.com/gone") {
		t.Errorf("warnings: %v", told.Functions[0].Warnings)
	}
	others := strings.Join(w.others(asked), " ")
	for _, name := range []string{"go.mod", "internal/prices/p.go", "kept/k.go"} {
		if !strings.Contains(others, name) {
			t.Errorf("%s is not among %s", name, others)
		}
	}
}

func TestAssistantsAreConstants(t *testing.T) {
	full := filepath.Join(t.TempDir(), "guide.go")
	w := newWorld(filepath.Dir(full))
	w.sources[full] = []byte("package a\n\nimport \"sabir\"\n\nvar Guide = sabir.Assistant{Instructions: `Help.`, Functions: []string{\"a.b\"}, MaxSteps: 3, " +
		"Parameters: map[string]any{\"temperature\": 0.5}}\n\nfunc RespondGuide(message string) string { return message }\n")
	if err := os.WriteFile(full, w.sources[full], 0o644); err != nil {
		t.Fatal(err)
	}
	told, failed := w.describe(full)
	if failed != nil || told.Constants["instructions"] != "Help." || told.Constants["max_steps"] != int64(3) || len(told.Functions) != 1 || told.Functions[0].Name != "Respond" {
		t.Errorf("got %+v, %+v", told, failed)
	}
}
