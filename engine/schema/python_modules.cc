#include "python_modules.h"

#include <algorithm>
#include <set>

#include "python_literals.h"
#include "sabir/base/text.h"
#include "sabir/schema/parsed_files.h"

namespace sabir::schema {
namespace {

constexpr int kMaxDepth = 24;               // of imports that lead to imports
constexpr std::size_t kMostFiles = 200;     // that one file's types may come from
constexpr std::size_t kMostText = 1U << 22U;
constexpr std::size_t kMostParsed = 500;

// By path, with the text that was parsed.
using Parsed = std::map<std::string, std::pair<std::string, std::shared_ptr<const PythonModule>>>;
thread_local std::unique_ptr<Parsed> parsed_files;

// Modules that are never the project's own, so that no file is looked for. Others are tried and not found.
bool is_outside(std::string_view module) {
  static const std::set<std::string_view> kKnown = {
      "__future__", "abc", "annotated_types", "asyncio", "collections", "contextlib", "contextvars", "dataclasses", "datetime", "decimal", "enum",
      "functools", "io", "ipaddress", "itertools", "json", "math", "numbers", "os", "pathlib", "pydantic", "re", "sabir", "sys", "types", "typing",
      "typing_extensions", "uuid", "zoneinfo"};
  return kKnown.contains(module.substr(0, module.find('.')));
}

std::vector<std::string> split_dots(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t dot = std::min(text.find('.'), text.size());
    if (dot > 0) out.emplace_back(text.substr(0, dot));
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return out;
}

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? std::string_view() : path.substr(0, slash));
}

std::string below(const std::string& folder, const std::string& name) {
  return folder.empty() || name.empty() ? folder + name : folder + "/" + name;
}

bool makes_a_class(std::string_view function) {
  function = function.substr(function.rfind('.') == std::string_view::npos ? 0 : function.rfind('.') + 1);
  return function == "TypedDict" || function == "NamedTuple" || function == "Enum" || function == "IntEnum" || function == "StrEnum";
}

}  // namespace

ParsedFiles::ParsedFiles() { parsed_files = std::make_unique<Parsed>(); }
ParsedFiles::~ParsedFiles() { parsed_files.reset(); }

PythonModules::PythonModules(const Node& root, std::string path, const ReadOther& read_other) : read_other_(read_other) {
  own_.path = std::move(path);
  learn(own_, root, 0);
}

void PythonModules::learn(PythonModule& module, const Node& block, int depth) {
  if (depth > 8) return;
  for (const auto& statement : block.children()) {
    const Node definition = statement.is("decorated_definition") ? statement.child("definition") : statement;
    if (depth == 0 && definition.is("class_definition")) {
      module.classes[std::string(definition.child("name").text())] = definition;
    } else if (depth == 0 && statement.is("type_alias_statement")) {
      const auto parts = statement.children();
      if (parts.size() == 2) {
        const std::string_view name = parts[0].text();
        module.aliases[std::string(trim(name.substr(0, name.find('['))))] = parts[1].text();
      }
    } else if (depth == 0 && statement.is("expression_statement")) {
      for (const auto& assignment : statement.children()) {
        if (assignment.is("assignment")) learn_assignment(module, assignment);
      }
    } else if (statement.is("import_statement") || statement.is("import_from_statement")) {
      learn_import(module, statement);
    } else if (statement.is("if_statement") || statement.is("try_statement") || statement.is("else_clause") || statement.is("elif_clause") ||
               statement.is("except_clause") || statement.is("block")) {
      // `if TYPE_CHECKING:` and imports that have a substitute: the first one counts.
      learn(module, statement, depth + 1);
    }
  }
}

void PythonModules::learn_assignment(PythonModule& module, const Node& assignment) {
  const Node left = assignment.child("left");
  const Node right = assignment.child("right");
  if (!left.is("identifier") || !right) return;
  const std::string name(left.text());
  if (right.is("subscript") || right.is("identifier") || right.is("attribute") || right.is("binary_operator")) {
    module.aliases[name] = right.text();
  } else if (right.is("string") && assignment.child("type").text().ends_with("TypeAlias")) {
    module.aliases[name] = python_string(right.text()).value_or("Any");
  } else if (right.is("call")) {
    const std::string_view function = right.child("function").text();
    const auto arguments = right.child("arguments").children();
    if (function.ends_with("NewType") && arguments.size() == 2) module.aliases[name] = arguments[1].text();
    if (function.ends_with("TypeAliasType") && arguments.size() >= 2) module.aliases[name] = arguments[1].text();
    if (function.ends_with("TypeVar")) module.aliases[name] = "Any";
    if (makes_a_class(function)) module.calls[name] = right;
    // conint(ge=1) and their like
    if (!module.aliases.contains(name) && !module.calls.contains(name)) module.aliases[name] = right.text();
  }
}

void PythonModules::learn_import(PythonModule& module, const Node& statement) {
  if (statement.is("import_statement")) {
    for (const auto& one : statement.children_of("name")) {
      if (one.is("aliased_import")) {
        module.imports.try_emplace(std::string(one.child("alias").text()), PythonImport{std::string(one.child("name").text()), 0, ""});
      } else {
        // `import a.b` binds a.
        const std::string_view name = one.text();
        const std::string first(name.substr(0, name.find('.')));
        module.imports.try_emplace(first, PythonImport{first, 0, ""});
      }
    }
    return;
  }
  const Node from = statement.child("module_name");
  std::string_view text = from.text();
  PythonImport import;
  while (!text.empty() && text.front() == '.') {
    ++import.level;
    text.remove_prefix(1);
  }
  import.module = trim(text);
  if (statement.first("wildcard_import")) {
    module.stars.push_back(import);
    return;
  }
  for (const auto& one : statement.children_of("name")) {
    const bool renamed = one.is("aliased_import");
    import.name = renamed ? one.child("name").text() : one.text();
    module.imports.try_emplace(std::string(renamed ? one.child("alias").text() : one.text()), import);
  }
}

PythonName PythonModules::find(const PythonModule& from, std::string_view name, int depth) {
  PythonName out;
  out.full = name;
  if (depth > kMaxDepth) return out;
  const std::size_t dot = std::min(name.find('.'), name.size());
  const std::string_view first = name.substr(0, dot);
  std::string_view rest = dot < name.size() ? name.substr(dot + 1) : std::string_view();
  if (const auto found = from.classes.find(first); found != from.classes.end()) {
    Node definition = found->second;
    for (const auto& part : split_dots(rest)) {  // Outer.Inner
      Node inner;
      for (const auto& statement : definition.child("body").children()) {
        const Node candidate = statement.is("decorated_definition") ? statement.child("definition") : statement;
        if (candidate.is("class_definition") && candidate.child("name").text() == part) inner = candidate;
      }
      if (!inner) return out;
      definition = inner;
    }
    out.module = &from;
    out.definition = definition;
    return out;
  }
  if (const auto found = from.calls.find(first); found != from.calls.end() && rest.empty()) {
    out.module = &from;
    out.definition = found->second;
    return out;
  }
  if (const auto found = from.aliases.find(first); found != from.aliases.end() && rest.empty()) {
    out.module = &from;
    out.alias = found->second;
    return out;
  }
  if (const auto found = from.imports.find(first); found != from.imports.end()) return follow(from, found->second, rest, depth);
  for (const auto& star : from.stars) {
    if (is_outside(star.module) && star.level == 0) continue;
    const auto parts = split_dots(star.module);
    const auto* other = load(from, star.level, parts, parts.size());
    if (!other || other == &from) continue;
    if (auto found = find(*other, name, depth + 1); found.module || found.imported) return found;
  }
  return out;
}

PythonName PythonModules::follow(const PythonModule& from, const PythonImport& import, std::string_view rest, int depth) {
  PythonName out;
  out.imported = true;
  out.full = import.module;
  for (const std::string_view part : {std::string_view(import.name), rest}) {
    if (!part.empty()) out.full += (out.full.empty() ? "" : ".") + std::string(part);
  }
  if (import.level == 0 && is_outside(import.module)) {
    out.known = true;
    return out;
  }
  auto parts = split_dots(import.module);
  if (!import.name.empty()) parts.push_back(import.name);
  for (auto& part : split_dots(rest)) parts.push_back(std::move(part));
  // As much of it as is a module; what is left is a name in there.
  for (std::size_t count = parts.size(); count-- > 0;) {
    if (count == 0 && import.level == 0) break;
    const auto* module = load(from, import.level, parts, count);
    if (!module) continue;
    std::string name;
    for (std::size_t i = count; i < parts.size(); ++i) name += (name.empty() ? "" : ".") + parts[i];
    if (auto found = find(*module, name, depth + 1); found.module || found.imported) {
      found.imported = true;
      return found;
    }
  }
  return out;
}

const PythonModule* PythonModules::load(const PythonModule& from, int level, const std::vector<std::string>& parts, std::size_t count) {
  if (!read_other_) return nullptr;
  std::string tail;
  for (std::size_t i = 0; i < count; ++i) tail = below(tail, parts[i]);
  std::vector<std::string> folders;
  if (level > 0) {
    std::string folder = folder_of(from.path);
    for (int up = 1; up < level; ++up) {
      if (folder.empty()) return nullptr;
      folder = folder_of(folder);
    }
    folders.push_back(folder);
  } else {
    // The worker's path: the project's root first, the folders of the files last.
    for (const auto& folder : {std::string(), folder_of(from.path), folder_of(own_.path)}) {
      if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.push_back(folder);
    }
  }
  for (const auto& folder : folders) {
    const std::string base = below(folder, tail);
    if (count > 0) {
      if (const auto* module = load_file(base + ".py")) return module;
    }
    if (const auto* module = load_file(below(base, "__init__.py"))) return module;
  }
  return nullptr;
}

const PythonModule* PythonModules::load_file(const std::string& path) {
  if (path == own_.path) return &own_;
  if (const auto found = others_.find(path); found != others_.end()) return found->second.get();
  if (others_.size() >= kMostFiles * 8 || path.find("..") != std::string::npos) return nullptr;
  auto& place = others_[path];
  const auto text = read_other_(path);
  if (!text) return nullptr;
  if (read_files_.size() >= kMostFiles || text->size() > kMostText) return nullptr;
  read_files_.push_back(path);
  if (parsed_files) {
    if (const auto found = parsed_files->find(path); found != parsed_files->end() && found->second.first == *text) {
      place = found->second.second;
      return place.get();
    }
  }
  auto syntax = Syntax::parse("python", *text, path);
  if (!syntax) return nullptr;
  auto module = std::make_shared<PythonModule>();
  module->path = path;
  module->syntax = std::move(*syntax);
  learn(*module, module->syntax->root(), 0);
  place = std::move(module);
  if (parsed_files && parsed_files->size() < kMostParsed) (*parsed_files)[path] = {*text, place};
  return place.get();
}

}  // namespace sabir::schema
