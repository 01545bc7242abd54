package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// workspace is a module in the engine's cache that stands beside the user's: it requires the SDK and each module of the
// project's Go files, by replacement, and honours their replacements and vendor folders. Files are changed by an overlay
// alone, so nothing is written into the project.
type workspace struct {
	gocmd   string
	root    string
	folder  string
	overlay map[string]string // absolute path -> the file that stands for it; "" = there is none
	modules map[string]*module
	goLine  string
}

const defaultGo = "1.19"

func newWorkspace(gocmd, root, folder, sdk string, w *world, dirs []string) (*workspace, error) {
	s := &workspace{gocmd: gocmd, root: root, folder: folder, overlay: map[string]string{}, modules: map[string]*module{}, goLine: defaultGo}
	if err := os.MkdirAll(filepath.Join(folder, "overlay"), 0o755); err != nil {
		return nil, err
	}
	var sums bytes.Buffer
	requires := map[string]string{"sabir": "v0.0.0"}
	replaces := map[string]string{"sabir": filepath.Join(sdk, "sabir")}
	for _, dir := range dirs {
		m := w.moduleOf(dir)
		if m == nil {
			m = w.modules[root]
			if m == nil {
				m = &module{dir: root, path: "project", requires: map[string]string{}}
				if err := s.put(filepath.Join(root, "go.mod"), "module project\n\ngo "+s.ownGo()+"\n"); err != nil {
					return nil, err
				}
				w.modules[root] = m
			}
			w.modules[dir] = m
		}
		if s.modules[m.path] != nil {
			continue
		}
		s.modules[m.path] = m
		if versionLess(s.goLine, m.goLine) {
			s.goLine = m.goLine
		}
		requires[m.path], replaces[m.path] = "v0.0.0", m.dir
		for path, version := range m.requires {
			if path != "sabir" && newer(version, requires[path]) {
				requires[path] = version
			}
		}
		for _, r := range m.replaces {
			old := r.old
			if r.old == "sabir" {
				continue
			}
			if r.oldVersion != "" {
				old += " " + r.oldVersion
			}
			replaces[old] = strings.TrimSpace(r.path + " " + r.version)
		}
		if text, err := os.ReadFile(filepath.Join(m.dir, "go.sum")); err == nil {
			sums.Write(text)
		}
		if err := s.vendored(m, requires, replaces); err != nil {
			return nil, err
		}
	}
	var mod strings.Builder
	mod.WriteString("module sabirworker\n\ngo " + s.goLine + "\n\n")
	for _, path := range sorted(requires) {
		mod.WriteString("require " + path + " " + requires[path] + "\n")
	}
	for _, old := range sorted(replaces) {
		to := replaces[old]
		if filepath.IsAbs(to) {
			to = strconv.Quote(to)
		}
		mod.WriteString("replace " + old + " => " + to + "\n")
	}
	if err := writeChanged(filepath.Join(folder, "go.mod"), mod.String()); err != nil {
		return nil, err
	}
	return s, writeChanged(filepath.Join(folder, "go.sum"), sums.String())
}

// Go's own version, for a project without a go.mod.
func (s *workspace) ownGo() string {
	out, err := exec.Command(s.gocmd, "env", "GOVERSION").Output()
	match := regexp.MustCompile(`^go(1\.[0-9]+)`).FindStringSubmatch(string(out))
	if err != nil || match == nil {
		return defaultGo
	}
	s.goLine = match[1]
	return match[1]
}

// A vendor folder holds packages without go.mod files, which an overlay gives them.
func (s *workspace) vendored(m *module, requires, replaces map[string]string) error {
	text, err := os.ReadFile(filepath.Join(m.dir, "vendor", "modules.txt"))
	if err != nil {
		return nil
	}
	for _, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "#" {
			continue
		}
		dir := filepath.Join(m.dir, "vendor", words[1])
		if !isDir(dir) {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			if err := s.put(filepath.Join(dir, "go.mod"), "module "+words[1]+"\n\ngo "+defaultGo+"\n"); err != nil {
				return err
			}
		}
		requires[words[1]] = words[2]
		for old := range replaces {
			if old == words[1] || strings.HasPrefix(old, words[1]+" ") {
				delete(replaces, old)
			}
		}
		replaces[words[1]] = dir
	}
	return nil
}

// put lets a text stand at a path.
func (s *workspace) put(path, text string) error {
	name := filepath.Join(s.folder, "overlay", strings.NewReplacer("/", "%", "%", "%%").Replace(path))
	s.overlay[path] = name
	return writeChanged(name, text)
}

func (s *workspace) hide(path string) { s.overlay[path] = "" }

func (s *workspace) importPath(dir string, m *module) string {
	relative, err := filepath.Rel(m.dir, dir)
	if err != nil || relative == "." {
		return m.path
	}
	return m.path + "/" + filepath.ToSlash(relative)
}

// run runs the go command in the workspace. GOWORK and -mod of the environment would lead elsewhere.
func (s *workspace) run(verb string, arguments ...string) (string, string, error) {
	overlay, err := json.Marshal(map[string]any{"Replace": s.overlay})
	if err == nil {
		err = writeChanged(filepath.Join(s.folder, "overlay.json"), string(overlay))
	}
	if err != nil {
		return "", "", err
	}
	try := func(mode string) (string, string, error) {
		command := exec.Command(s.gocmd, append([]string{verb, "-overlay", filepath.Join(s.folder, "overlay.json"), "-mod=" + mode}, arguments...)...)
		command.Dir = s.folder
		command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GO111MODULE=on")
		var out, errors bytes.Buffer
		command.Stdout, command.Stderr = &out, &errors
		err := command.Run()
		return out.String(), errors.String(), err
	}
	out, errors, err := try("readonly")
	if err != nil && (strings.Contains(errors, "updates to go.mod needed") || strings.Contains(errors, "missing go.sum entry")) {
		out, errors, err = try("mod")
	}
	return out, errors, err
}

func writeChanged(name, text string) error {
	if old, err := os.ReadFile(name); err == nil && string(old) == text {
		return nil
	}
	return os.WriteFile(name, []byte(text), 0o644)
}

func sorted(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for key := range m {
		out = append(out, key)
	}
	sort.Strings(out)
	return out
}

// versionLess compares go lines: 1.9 < 1.22 < 1.22.3.
func versionLess(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(x) || i < len(y); i++ {
		p, q := 0, 0
		if i < len(x) {
			p, _ = strconv.Atoi(x[i])
		}
		if i < len(y) {
			q, _ = strconv.Atoi(y[i])
		}
		if p != q {
			return p < q
		}
	}
	return false
}

// newer compares module versions: by number, and a pre-release before its release.
func newer(a, b string) bool {
	if b == "" {
		return true
	}
	split := func(v string) (string, string) {
		main, pre, _ := strings.Cut(strings.TrimPrefix(strings.SplitN(v, "+", 2)[0], "v"), "-")
		return main, pre
	}
	x, p := split(a)
	y, q := split(b)
	if x != y {
		return versionLess(y, x)
	}
	return q != "" && (p == "" || p > q)
}
