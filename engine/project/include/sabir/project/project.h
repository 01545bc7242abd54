// Project: what the folder on disk is, as one immutable value. The only room that reads sabir.yml and the tree's shape.
//
// Threads: immutable after load(); share by std::shared_ptr<const Project>.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::project {

// Which folder a source file lives in; each kind is served by the same workers.
enum class SourceKind { kFunction, kAssistant, kMemory };

struct SourceFile {
  SourceKind kind = SourceKind::kFunction;
  std::string language;          // "python", "ruby", "cpp", …: the folder's name
  std::string module;            // file name without extension, snake_case: "function1"
  std::filesystem::path path;    // absolute
  std::string relative;          // "functions/python/function1.py": what errors show
};

// languages/<name>/language.yml, as far as the engine reads it.
struct Language {
  std::string name;
  std::vector<std::string> extensions;       // with the dot
  std::vector<std::string> interpreters;     // candidates in order, relative ones from the project's root: ".venv/bin/python", "python3"
  std::string missing_hint;                  // what to install, said when no candidate runs
  std::vector<std::string> launch;           // argv; {interpreter} {worker} {sdk} {project} {program} are filled in
  std::string worker;                        // the worker's file inside the language's resources
  std::string glue;                          // Jinja2 template of the glue for compiled languages; "" = interpreted
  std::vector<std::string> build;            // argv; {interpreter} {glue} {out} {sdk} {sources}
  std::string grammar;                       // tree-sitter grammar's name
  std::filesystem::path resources;           // unpacked folder with worker, sdk and glue
};

struct Project {
  std::filesystem::path root;
  std::string name;
  std::string environment;                   // "development" by default
  std::vector<std::string> preference;       // languages in order of preference (sabir.yml: languages)
  std::vector<SourceFile> sources;           // sorted by relative path
  json::object config;                       // sabir.yml as JSON, after checks
  std::filesystem::path state_dir() const { return root / ".sabir" / environment; }
};

// Walks up from `start` to the folder that has sabir.yml. Errors: kNoProject (names `sabir new`).
Result<std::filesystem::path> find_root(const std::filesystem::path& start);

// Errors: kNoProject, kConfig with file:line:column.
Result<Project> load(const std::filesystem::path& root, const std::string& environment);

// Reads one YAML file as JSON (strings stay strings when quoted; YAML 1.2 core schema otherwise), with
// ${NAME} / ${NAME:-default} filled in from the process's environment. `positions`, when given, receives
// JSON Pointer -> (line, column), 1-based. Errors: kNotFound, kConfig with file:line:column.
using Positions = std::map<std::string, std::pair<int, int>>;
Result<json::value> read_yaml(const std::filesystem::path& path, Positions* positions = nullptr);

// Refuses keys outside `known` (same depth) with the nearest one, at its position in `file`.
Result<void> refuse_unknown_keys(const json::object& object, const std::vector<std::string>& known, const std::string& file,
                                 const Positions& positions, const std::string& pointer);

}  // namespace sabir::project
