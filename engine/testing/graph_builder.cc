#include "graph_builder.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <optional>

#include "sabir/base/text.h"

namespace sabir::testing {
namespace {

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}
std::string_view name_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}
std::string_view stem_of(std::string_view path) {
  const auto name = name_of(path);
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos || dot == 0 ? name : name.substr(0, dot);
}
std::string joined(const std::string& folder, std::string_view rest) { return folder.empty() ? std::string(rest) : folder + "/" + std::string(rest); }

// Without "." and ".."; nothing where it leaves the project.
std::optional<std::string> normal(std::string_view path) {
  std::vector<std::string_view> parts;
  std::size_t at = 0;
  while (at <= path.size()) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const auto part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (parts.empty()) {
      return std::nullopt;
    } else {
      parts.pop_back();
    }
  }
  std::string out;
  for (const auto part : parts) out = joined(out, part);
  return out;
}

// What is left of a path once the steps upward at its beginning are gone.
std::string tail_of(std::string_view path) {
  while (path.starts_with("/") || path.starts_with("./") || path.starts_with("../")) path.remove_prefix(path.starts_with("../") ? 3 : path.starts_with("./") ? 2 : 1);
  return std::string(path);
}

const char* word_of(Language language) {
  switch (language) {
    case Language::kPython: return "python";
    case Language::kRuby: return "ruby";
    case Language::kJavaScript: return "node";
    case Language::kGo: return "go";
    case Language::kRust: return "rust";
    case Language::kCpp: return "cpp";
    case Language::kJava: return "java";
    case Language::kPhp: return "php";
    case Language::kShell: return "shell";
    case Language::kTemplate: return "prompts";
    case Language::kData: return "data";
    default: return "other";
  }
}

// Files that say what a language's code is built and run with, beside it or above it.
const std::vector<std::string_view>& manifests(Language language) {
  static const std::map<Language, std::vector<std::string_view>> kFiles = {
      {Language::kPython, {"requirements.txt", "requirements-dev.txt", "pyproject.toml", "uv.lock", "poetry.lock", "Pipfile", "Pipfile.lock", "setup.py", "setup.cfg", ".python-version"}},
      {Language::kRuby, {"Gemfile", "Gemfile.lock", ".ruby-version"}},
      {Language::kJavaScript, {"package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "tsconfig.json", ".node-version", ".nvmrc"}},
      {Language::kGo, {"go.mod", "go.sum", "go.work"}},
      {Language::kRust, {"Cargo.toml", "Cargo.lock", "build.rs", "rust-toolchain.toml"}},
      {Language::kCpp, {"CMakeLists.txt", "conanfile.txt", "vcpkg.json"}},
      {Language::kJava, {"pom.xml", "build.gradle", "build.gradle.kts"}},
      {Language::kPhp, {"composer.json", "composer.lock"}}};
  static const std::vector<std::string_view> kNone;
  const auto found = kFiles.find(language);
  return found == kFiles.end() ? kNone : found->second;
}

// What its test runner reads besides.
const std::vector<std::string_view>& runner_files(Language language) {
  static const std::map<Language, std::vector<std::string_view>> kFiles = {
      {Language::kPython, {"pytest.ini", "tox.ini", "conftest.py"}},
      {Language::kRuby, {".rspec"}},
      {Language::kJavaScript, {"vitest.config.ts", "vitest.config.js", "vitest.config.mts", "vitest.config.mjs", "vite.config.ts", "vite.config.js"}},
      {Language::kPhp, {"phpunit.xml", "phpunit.xml.dist"}}};
  static const std::vector<std::string_view> kNone;
  const auto found = kFiles.find(language);
  return found == kFiles.end() ? kNone : found->second;
}

}  // namespace

void GraphBuilder::build() {
  index();
  edges.resize(files_.size());
  make_groups();
  for (Node node = 0; node < files_.size(); ++node) connect(node);
  for (auto& list : edges) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
}

void GraphBuilder::index() {
  by_path_.reserve(files_.size());
  languages_.reserve(files_.size());
  for (Node node = 0; node < files_.size(); ++node) {
    const std::string& path = files_[node].path;
    const Language language = language_of(path);
    languages_.push_back(language);
    by_path_.emplace(path, node);
    by_name_[std::string(name_of(path))].push_back(node);
    by_stem_[std::string(word_of(language)) + ":" + std::string(stem_of(path))].push_back(node);
    in_folder_[folder_of(path)].push_back(node);
    for (const auto& ref : *files_[node].refs) {
      if (ref.kind == RefKind::kDeclares) declared_[std::string(word_of(language)) + ":" + ref.text].push_back(node);
    }
    if (path.starts_with("completions/") && language == Language::kTemplate) {
      const auto add = [&](std::string_view name) {
        auto& nodes = prompts_[std::string(name)];
        if (nodes.empty() || nodes.back() != node) nodes.push_back(node);
      };
      std::string_view rest = std::string_view(path).substr(12);
      const auto both = [&](std::string_view name) {
        add(name);
        if (const std::size_t dot = name.rfind('.'); dot != std::string_view::npos && name.find('/', dot) == std::string_view::npos) add(name.substr(0, dot));
      };
      both(rest);
      if (rest.starts_with("prompt_parts/")) both(rest.substr(13));
    }
  }
  for (const auto& source : layout_.sources) {
    const auto found = by_path_.find(source.path);
    if (found == by_path_.end()) continue;
    auto& index = source.is_assistant ? assistants_ : modules_;
    index[source.module].push_back(found->second);
    index[source.language + "/" + source.module].push_back(found->second);
    if (!source.group.empty()) by_source_group_[source.group].push_back(found->second);
    // An assistant's file may hold functions, and is called by its address as well.
    if (source.is_assistant) {
      modules_[source.module].push_back(found->second);
      modules_[source.language + "/" + source.module].push_back(found->second);
    }
  }
}

GraphBuilder::Node GraphBuilder::group(const std::string& name) {
  const auto [at, is_new] = groups_.try_emplace(name, static_cast<Node>(edges.size()));
  if (is_new) {
    edges.emplace_back();
    group_names.push_back(name);
  }
  return at->second;
}

void GraphBuilder::make_groups() {
  const Node everything = group("everything");
  const Node functions = group("every function");
  const Node prompts = group("every prompt");
  const Node assistants = group("every assistant");
  const Node config = group("the configuration");
  for (Node node = 0; node < files_.size(); ++node) {
    const std::string& path = files_[node].path;
    edge(everything, node);
    if (languages_[node] == Language::kTemplate && path.starts_with("completions/")) edge(prompts, node);
    // What is deployed and granted in other environments changes no test; what a key is does not either.
    const bool is_config = path == "sabir.yml" || (path.starts_with("config/") && path.find('/', 7) == std::string::npos && !name_of(path).starts_with("secrets.") &&
                                                   !name_of(path).starts_with("deployment_config") && !name_of(path).starts_with("age_"));
    if (is_config) edge(config, node);
  }
  for (const auto& [module, nodes] : modules_) {
    for (const Node node : nodes) edge(functions, node);
  }
  for (const auto& [name, nodes] : assistants_) {
    for (const Node node : nodes) edge(assistants, node);
  }
  for (const auto& [name, nodes] : by_source_group_) {
    const Node whole = group("all that " + name + " loads");
    for (const Node node : nodes) edge(whole, node);
    if (const auto boot = by_path_.find(name); boot != by_path_.end()) edge(whole, boot->second);
  }
}

void GraphBuilder::connect(Node node) {
  surroundings(node);
  for (const auto& ref : *files_[node].refs) resolve(node, ref);
}

bool GraphBuilder::file_edge(Node from, const std::string& path) {
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return false;
  edge(from, found->second);
  return true;
}

bool GraphBuilder::folder_edge(Node from, const std::string& folder) {
  const std::string prefix = folder.empty() ? "" : folder + "/";
  auto at = std::lower_bound(files_.begin(), files_.end(), prefix, [](const FileNode& file, const std::string& other) { return file.path < other; });
  if (at == files_.end() || !at->path.starts_with(prefix)) return false;
  if (folder.empty()) {
    edge(from, group("everything"));
    return true;
  }
  const bool known = groups_.contains("everything in " + folder);
  const Node whole = group("everything in " + folder);
  for (; !known && at != files_.end() && at->path.starts_with(prefix); ++at) edge(whole, static_cast<Node>(at - files_.begin()));
  edge(from, whole);
  return true;
}

bool GraphBuilder::tail_edges(Node from, const std::string& tail) {
  const auto named = by_name_.find(std::string(name_of(tail)));
  if (named == by_name_.end()) return false;
  bool found = false;
  for (const Node node : named->second) {
    const std::string& path = files_[node].path;
    if (path != tail && !(path.size() > tail.size() && path.ends_with(tail) && path[path.size() - tail.size() - 1] == '/')) continue;
    edge(from, node);
    found = true;
  }
  return found;
}

void GraphBuilder::above(Node node, std::string_view name) {
  std::string folder = folder_of(files_[node].path);
  while (true) {
    file_edge(node, joined(folder, name));
    if (folder.empty()) return;
    folder = folder_of(folder);
  }
}

// What a file depends on by where it lies.
void GraphBuilder::surroundings(Node node) {
  const std::string& path = files_[node].path;
  const Language language = languages_[node];
  for (const auto name : manifests(language)) {
    if (name != name_of(path)) above(node, name);
  }
  const auto test = layout_.test_language.find(path);
  const bool is_test = test != layout_.test_language.end();
  if (language == Language::kPython) {
    above(node, "__init__.py");
    if (name_of(path) == "conftest.py") above(node, "conftest.py");
  }
  if (language == Language::kGo) {
    // A package is compiled as a whole.
    const bool has_tests = path.ends_with("_test.go");
    for (const Node other : in_folder_[folder_of(path)]) {
      if (languages_[other] == Language::kGo && (has_tests || !files_[other].path.ends_with("_test.go"))) edge(node, other);
    }
  }
  if (language == Language::kRust) {
    // So is a crate of the project's own.
    for (std::string folder = folder_of(path); !folder.empty(); folder = folder_of(folder)) {
      if (by_path_.contains(joined(folder, "Cargo.toml")) && in_folder_.contains(joined(folder, "src"))) folder_edge(node, joined(folder, "src"));
    }
  }
  if (path.ends_with(".bats")) file_edge(node, joined(folder_of(path), "setup_suite.bash"));
  if (const auto linked = layout_.linked.find(path); linked != layout_.linked.end()) {
    for (const auto& other : linked->second) {
      if (!file_edge(node, other)) folder_edge(node, other);
    }
  }
  for (const auto& source : layout_.sources) {
    if (!source.group.empty() && source.path == path) edge(node, group("all that " + source.group + " loads"));
  }
  if (!is_test) return;
  for (const auto name : runner_files(language)) above(node, name);
  // Recordings bear their test's name, or in languages without one for each test that of the language.
  std::string slug;
  for (const char c : path) slug += c == '/' ? '-' : c;
  for (const std::string folder : {"tests/recordings/", "tests/evals/recordings/"}) {
    const auto first = std::lower_bound(files_.begin(), files_.end(), folder, [](const FileNode& file, const std::string& other) { return file.path < other; });
    for (auto at = first; at != files_.end() && at->path.starts_with(folder); ++at) {
      const auto name = std::string_view(at->path).substr(folder.size());
      if (name.starts_with(slug + "-") || name.starts_with(test->second + ".json") || name.starts_with(test->second + "-")) edge(node, static_cast<Node>(at - files_.begin()));
    }
  }
}

void GraphBuilder::resolve(Node node, const Ref& ref) {
  switch (ref.kind) {
    case RefKind::kModule:
      switch (languages_[node]) {
        case Language::kPython: return python_module(node, ref.text);
        case Language::kRuby: return ruby_module(node, ref.text);
        case Language::kJavaScript: return javascript_module(node, ref.text);
        case Language::kRust: return rust_module(node, ref.text);
        default: return;
      }
    case RefKind::kFile: return file_reference(node, ref.text);
    case RefKind::kText: return text_reference(node, ref.text);
    case RefKind::kCall: call_reference(node, ref.text); return;
    case RefKind::kPrompt: prompt_reference(node, ref.text); return;
    case RefKind::kAssistant: assistant_reference(node, ref.text); return;
    case RefKind::kUses: {
      const auto found = declared_.find(std::string(word_of(languages_[node])) + ":" + ref.text);
      if (found == declared_.end()) return;
      for (const Node other : found->second) edge(node, other);
      return;
    }
    case RefKind::kAnyFile: {
      const std::string name = std::string("every file of ") + word_of(languages_[node]);
      const bool known = groups_.contains(name);
      const Node whole = group(name);
      for (Node other = 0; !known && other < files_.size(); ++other) {
        if (languages_[other] == languages_[node]) edge(whole, other);
      }
      edge(node, whole);
      return;
    }
    case RefKind::kAnyFunction: edge(node, group("every function")); return;
    case RefKind::kAnyPrompt: edge(node, group("every prompt")); return;
    case RefKind::kAnyAssistant: edge(node, group("every assistant")); return;
    case RefKind::kEverything: edge(node, group("everything")); return;
    case RefKind::kDepends: return said_reference(node, ref.text);
    case RefKind::kTalks: edge(node, group("the configuration")); return;
    case RefKind::kDeclares:
    case RefKind::kTests: return;
  }
}

// ---- Imports ---------------------------------------------------------------------------------------------------------

bool GraphBuilder::python_file(Node node, const std::string& folder, std::string_view dotted, std::string_view name) {
  std::string place = folder;
  std::vector<Node> packages;
  std::string_view rest = dotted;
  bool found = false;
  while (!rest.empty()) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    place = joined(place, rest.substr(0, dot));
    rest = rest.substr(std::min(dot + 1, rest.size()));
    if (const auto package = by_path_.find(place + "/__init__.py"); package != by_path_.end()) {
      packages.push_back(package->second);
      found = found || rest.empty();
    }
    // A module, and what follows is in it.
    if (const auto module = by_path_.find(place + ".py"); module != by_path_.end()) {
      packages.push_back(module->second);
      found = true;
      break;
    }
  }
  bool sub = false;
  if (!name.empty() && name != "*") {
    for (const auto& candidate : {joined(place, name) + ".py", joined(place, name) + "/__init__.py"}) sub = file_edge(node, candidate) || sub;
  }
  // A folder without __init__.py that is named as a whole: whatever is taken from it.
  const bool is_folder = in_folder_.contains(place);
  if (!found && !sub && is_folder && !place.empty() && (name.empty() || name == "*")) {
    folder_edge(node, place);
    sub = true;
  }
  if (name == "*" && found && is_folder) folder_edge(node, place);
  if (!found && !sub) return false;
  for (const Node package : packages) edge(node, package);
  return true;
}

void GraphBuilder::python_module(Node node, std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto name = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  std::string_view base = text.substr(0, colon);
  // `from x import y` is told by its names; by the module alone it would be the whole folder of a package without __init__.py.
  const bool alone = colon != std::string_view::npos && name.empty();
  std::size_t dots = 0;
  while (dots < base.size() && base[dots] == '.') ++dots;
  base.remove_prefix(dots);
  if (base.find('/') != std::string_view::npos) return file_reference(node, base);
  std::string folder = folder_of(files_[node].path);
  const auto attempt = [&](const std::string& from) {
    if (!alone) return python_file(node, from, base, name);
    if (base.empty()) return file_edge(node, joined(from, "__init__.py"));
    std::string place = from;
    for (std::string_view rest = base; !rest.empty();) {
      const std::size_t dot = std::min(rest.find('.'), rest.size());
      place = joined(place, rest.substr(0, dot));
      rest = rest.substr(std::min(dot + 1, rest.size()));
    }
    return by_path_.contains(place + ".py") || by_path_.contains(place + "/__init__.py") ? python_file(node, from, base, {}) : in_folder_.contains(place);
  };
  if (dots > 0) {
    for (std::size_t up = 1; up < dots; ++up) folder = folder_of(folder);
    attempt(folder);
    return;
  }
  bool found = attempt("") || attempt("src");
  // Python finds modules beside a script, and where conftest.py or a test's folder was put on the path.
  for (std::string place = folder; !place.empty(); place = folder_of(place)) found = attempt(place) || found;
  if (found || alone) return;
  const std::size_t dot = base.rfind('.');
  const auto last = dot == std::string_view::npos ? base : base.substr(dot + 1);
  std::string tail(base);
  std::replace(tail.begin(), tail.end(), '.', '/');
  if (const auto same = by_stem_.find("python:" + std::string(last)); same != by_stem_.end()) tail_edges(node, tail + ".py");
}

void GraphBuilder::ruby_module(Node node, std::string_view text) {
  const std::string folder = folder_of(files_[node].path);
  const auto attempt = [&](const std::string& from) {
    const auto place = normal(joined(from, text));
    return place && (file_edge(node, *place) || file_edge(node, *place + ".rb"));
  };
  if (text.starts_with(".")) {
    attempt(folder);
    return;
  }
  bool found = false;
  for (const char* from : {"", "lib", "spec", "tests", "test"}) found = attempt(from) || found;
  if (!found) found = attempt(folder);
  if (!found) tail_edges(node, std::string(text) + (text.ends_with(".rb") ? "" : ".rb"));
}

void GraphBuilder::javascript_module(Node node, std::string_view text) {
  if (const std::size_t query = text.find_first_of("?"); query != std::string_view::npos) text = text.substr(0, query);
  static const std::vector<std::string> kEndings = {"", ".ts", ".js", ".mjs", ".cjs", ".mts", ".cts", ".tsx", ".jsx", ".json", "/index.ts", "/index.js", "/index.mjs", "/index.cjs", "/index.tsx"};
  const auto attempt = [&](const std::string& place) {
    for (const auto& ending : kEndings) {
      if (file_edge(node, place + ending)) return true;
    }
    // ./models.js stands for ./models.ts, as TypeScript has it.
    for (const auto& [written, meant] : {std::pair(".js", ".ts"), std::pair(".mjs", ".mts"), std::pair(".cjs", ".cts"), std::pair(".jsx", ".tsx"), std::pair(".js", ".tsx")}) {
      if (place.ends_with(written) && file_edge(node, place.substr(0, place.size() - std::string_view(written).size()) + meant)) return true;
    }
    return false;
  };
  if (text.starts_with(".")) {
    const auto place = normal(joined(folder_of(files_[node].path), text));
    if (place && !attempt(*place)) {
      // A template's beginning, as in `./cases/${name}.json`, or a folder.
      if (!folder_edge(node, *place) && text.ends_with("/")) folder_edge(node, folder_of(*place));
    }
    return;
  }
  // What tsconfig's paths, a bundler's aliases and package.json's imports call files: by the path's end.
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || slash + 1 >= text.size()) return;
  const std::string rest(text.substr(slash + 1));
  for (const auto& ending : kEndings) {
    const std::string whole = std::string(text) + ending;
    if (file_edge(node, whole) || file_edge(node, "src/" + whole)) return;
  }
  for (const auto& ending : kEndings) {
    if ((!ending.empty() || rest.find('.') != std::string::npos) && tail_edges(node, rest + ending)) return;
  }
}

void GraphBuilder::rust_module(Node node, std::string_view text) {
  std::vector<Node> found;
  if (const auto files = by_stem_.find("rust:" + std::string(text)); files != by_stem_.end()) found = files->second;
  if (const auto files = by_stem_.find("rust:mod"); files != by_stem_.end()) {
    for (const Node other : files->second) {
      if (name_of(folder_of(files_[other].path)) == text) found.push_back(other);
    }
  }
  // Those of the same folder of the project, if there are any: memory/rust and functions/rust may have a module of one name.
  const auto& path = files_[node].path;
  const auto top = std::string_view(path).substr(0, std::min(path.find('/'), path.size()));
  const bool near = std::any_of(found.begin(), found.end(), [&](Node other) { return other != node && files_[other].path.starts_with(top); });
  for (const Node other : found) {
    if (!near || files_[other].path.starts_with(top)) edge(node, other);
  }
}

// ---- Paths and names -------------------------------------------------------------------------------------------------

void GraphBuilder::file_reference(Node node, std::string_view text) {
  const std::string folder = folder_of(files_[node].path);
  const auto attempt = [&](const std::string& from, std::string_view rest) {
    const auto place = normal(joined(from, rest));
    if (!place) return false;
    return file_edge(node, *place) || (languages_[node] == Language::kShell && (file_edge(node, *place + ".bash") || file_edge(node, *place + ".sh"))) ||
           (place->size() > 0 && !name_of(*place).empty() && in_folder_.contains(*place) && folder_edge(node, *place));
  };
  while (text.starts_with("/")) text.remove_prefix(1);
  if (attempt(folder, text) || attempt("", text)) return;
  const std::string tail = tail_of(text);
  if (tail.empty()) return;
  if (!tail_edges(node, tail) && languages_[node] == Language::kShell) {
    if (!tail_edges(node, tail + ".sh")) tail_edges(node, tail + ".bash");
  }
}

void GraphBuilder::text_reference(Node node, std::string_view text) {
  const std::string folder = folder_of(files_[node].path);
  const bool has_slash = text.find('/') != std::string_view::npos;
  const bool has_dot = text.find('.') != std::string_view::npos;
  const bool prose = text.find(' ') != std::string_view::npos;
  if (!has_slash && !has_dot) {
    // A single word: a folder beside the file, or one of the project's that holds no code of its own; an assistant's prompt.
    if (prose) return;
    const std::string word(text);
    static const std::vector<std::string_view> kCode = {"functions", "assistants", "memory", "completions", "tests", "scripts", "config", "test"};
    const std::string beside = joined(folder, word);
    if (in_folder_.contains(beside) && std::find(kCode.begin(), kCode.end(), beside) == kCode.end()) {
      folder_edge(node, beside);
    } else if (in_folder_.contains(word) && std::find(kCode.begin(), kCode.end(), word) == kCode.end()) {
      folder_edge(node, word);
    }
    if (files_[node].path.starts_with("assistants/")) prompt_reference(node, word);
    return;
  }
  std::string_view path = text;
  while (path.starts_with("/")) path.remove_prefix(1);
  if (path.empty()) return;
  for (const auto& from : {folder, std::string()}) {
    const auto place = normal(joined(from, path));
    if (!place || place->empty()) continue;
    if (file_edge(node, *place)) return;
    // A folder that is named; tests/recordings is told apart by its files' names.
    if (has_slash && *place != "tests/recordings" && *place != folder && in_folder_.contains(*place) && folder_edge(node, *place)) return;
  }
  if (path.find('*') != std::string_view::npos) {
    // A pattern: what lies below its fixed part.
    const auto fixed = path.substr(0, path.find('*'));
    const std::size_t slash = fixed.rfind('/');
    const auto place = normal(joined(folder, slash == std::string_view::npos ? std::string_view() : fixed.substr(0, slash)));
    const auto other = normal(slash == std::string_view::npos ? std::string_view() : fixed.substr(0, slash));
    if (slash != std::string_view::npos) {
      if (!(place && folder_edge(node, *place)) && other && !other->empty()) folder_edge(node, *other);
    } else if (has_dot && path.rfind('.') > path.find('*')) {
      folder_edge(node, folder);
    }
    if (!has_slash) call_reference(node, path);
    return;
  }
  if (languages_[node] == Language::kGo && has_slash) {
    // A package's path ends in the folder that it lies in.
    for (std::string_view rest = path; !rest.empty();) {
      if (const auto found = in_folder_.find(std::string(rest)); found != in_folder_.end()) {
        for (const Node other : found->second) {
          if (languages_[other] == Language::kGo && !files_[other].path.ends_with("_test.go")) edge(node, other);
        }
        return;
      }
      const std::size_t slash = rest.find('/');
      if (slash == std::string_view::npos) break;
      rest = rest.substr(slash + 1);
    }
  }
  if (!prose && call_reference(node, text)) return;
  if (languages_[node] == Language::kPython && !has_slash && !prose && text.find('.') > 0) {
    // "functions.python.weather.urlopen", as mocks name it.
    std::string_view dotted = text;
    while (!dotted.empty()) {
      std::string place(dotted);
      std::replace(place.begin(), place.end(), '.', '/');
      if (file_edge(node, place + ".py") || file_edge(node, place + "/__init__.py")) return;
      const std::size_t dot = dotted.rfind('.');
      dotted = dotted.substr(0, dot == std::string_view::npos ? 0 : dot);
    }
  }
  // By its name alone, wherever it lies: what a path is put together from is not known.
  const auto name = name_of(path);
  if (const std::size_t dot = name.rfind('.'); dot == std::string_view::npos || dot == 0 || dot + 1 == name.size()) return;
  const std::string tail = tail_of(path);
  const auto prefix = folder.empty() ? std::string() : folder + "/";
  bool near = false;
  if (const auto named = by_name_.find(std::string(name)); named != by_name_.end()) {
    for (const Node other : named->second) {
      const std::string& there = files_[other].path;
      if (!there.starts_with(prefix) || !(there == tail || there.ends_with("/" + tail))) continue;
      edge(node, other);
      near = true;
    }
  }
  if (!near) tail_edges(node, tail);
}

bool GraphBuilder::call_reference(Node node, std::string_view text) {
  if (text == "*") {
    edge(node, group("every function"));
    return true;
  }
  const std::size_t slash = text.find('/');
  const std::string language = slash == std::string_view::npos ? std::string() : std::string(text.substr(0, slash + 1));
  std::string_view rest = slash == std::string_view::npos ? text : text.substr(slash + 1);
  if (rest.find('/') != std::string_view::npos || rest.find(' ') != std::string_view::npos) return false;
  if (const std::size_t star = rest.find('*'); star != std::string_view::npos) {
    // text_tools.*: every module whose name may begin so.
    const std::string prefix = to_snake_case(rest.substr(0, star));
    bool found = false;
    for (const auto& [module, nodes] : modules_) {
      const std::string own = module.substr(module.find('/') == std::string::npos ? 0 : module.find('/') + 1);
      if (!own.starts_with(prefix) && !(prefix.starts_with(own) && prefix.substr(own.size()).starts_with("."))) continue;
      for (const Node other : nodes) edge(node, other);
      found = true;
    }
    return found;
  }
  std::string module;
  for (std::size_t at = 0; at <= rest.size();) {
    const std::size_t dot = std::min(rest.find('.', at), rest.size());
    module += (module.empty() ? "" : ".") + to_snake_case(rest.substr(at, dot - at));
    at = dot + 1;
  }
  while (!module.empty()) {
    if (const auto found = modules_.find(language + module); found != modules_.end()) {
      for (const Node other : found->second) edge(node, other);
      return true;
    }
    const std::size_t dot = module.rfind('.');
    module.resize(dot == std::string::npos ? 0 : dot);
  }
  return false;
}

bool GraphBuilder::prompt_reference(Node node, std::string_view text) {
  const auto attempt = [&](std::string_view name) {
    const auto found = prompts_.find(std::string(name));
    if (found == prompts_.end()) return false;
    for (const Node other : found->second) edge(node, other);
    return true;
  };
  if (attempt(text)) return true;
  if (text.starts_with("completions/")) return attempt(text.substr(12));
  const std::size_t dot = text.rfind('.');
  return dot != std::string_view::npos && attempt(text.substr(0, dot));
}

bool GraphBuilder::assistant_reference(Node node, std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string language = slash == std::string_view::npos ? std::string() : std::string(text.substr(0, slash + 1));
  const auto found = assistants_.find(language + to_snake_case(slash == std::string_view::npos ? text : text.substr(slash + 1)));
  if (found == assistants_.end()) return false;
  for (const Node other : found->second) edge(node, other);
  return true;
}

void GraphBuilder::said_reference(Node node, std::string_view text) {
  if (text == "functions") return edge(node, group("every function"));
  if (text == "prompts") return edge(node, group("every prompt"));
  if (text == "assistants") return edge(node, group("every assistant"));
  if (text == "config") return edge(node, group("the configuration"));
  for (const auto& from : {std::string(), folder_of(files_[node].path)}) {
    const auto place = normal(joined(from, text));
    if (!place || place->empty()) continue;
    if (file_edge(node, *place) || folder_edge(node, *place)) return;
  }
  if (text.find('*') != std::string_view::npos) {
    const std::string pattern(text);
    for (Node other = 0; other < files_.size(); ++other) {
      if (::fnmatch(pattern.c_str(), files_[other].path.c_str(), 0) == 0) edge(node, other);
    }
    return;
  }
  if (!call_reference(node, text) && !assistant_reference(node, text)) prompt_reference(node, text);
}

}  // namespace sabir::testing
