// Project: what the folder on disk is, as one immutable value. The only room that reads YAML and the tree's shape.
//
// Threads: immutable after load(); share by std::shared_ptr<const Project>. The functions may be called from any thread.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::project {

// Which folder a source file lives in; each kind is served by the same workers.
enum class SourceKind { kFunction, kAssistant, kMemory };

// "functions", "assistants" or "memory".
std::string_view folder_of(SourceKind kind);

struct SourceFile {
  SourceKind kind = SourceKind::kFunction;
  std::string language;          // "python", "ruby", "cpp", …: the folder's name
  std::string module;            // path below the language's folder, snake_case, dots for folders: "billing.invoice"
  std::filesystem::path path;    // absolute
  std::string relative;          // "functions/python/function1.py": what errors show
};

// languages/<name>/language.yml, as far as the engine reads it. The keys are the members' names.
struct Language {
  std::string name;
  std::vector<std::string> extensions;       // with the dot
  std::vector<std::string> interpreters;     // candidates in order: ".venv/bin/python" (from the project's root),
                                             // "$VIRTUAL_ENV/bin/python", "python3" (from PATH)
  std::string missing_hint;                  // what to install, said when no candidate runs
  std::vector<std::string> launch;           // argv; {interpreter} {worker} {sdk} {project} {program} are filled in
  std::string worker;                        // the worker's file inside the language's resources
  std::string glue;                          // Jinja2 template of the glue for compiled languages; "" = interpreted
  std::vector<std::string> build;            // argv that compiles one file; {interpreter} {source} {out} {sdk} {resources} {project}
  std::vector<std::string> link;             // argv that makes the worker; {interpreter} {objects} {out} {project}
  std::string sdk = "sdk";                   // the folder of the SDK inside the language's resources
  std::string minimum;                       // oldest version that works: "3.8"
  std::vector<std::string> version;          // argv that prints the version
  json::object tests;                        // how testing/ runs the language's own tests
  std::string grammar;                       // the grammar by which the engine reads sources itself; "" = `describe` does
  std::vector<std::string> describe;         // argv of the program that reads sources (spec/describe.md); {interpreter} {resources}
  std::filesystem::path resources;           // unpacked folder with worker, sdk and glue
};

// Bounds of one language's worker pool; unset ones are the engine's to choose.
struct PoolLimits {
  std::optional<int> min;
  std::optional<int> max;
};

// A language folder that no installed language serves: listed, never dropped in silence.
struct UnsupportedFolder {
  std::string language;  // the folder's name
  std::string relative;  // "functions/other_languages"
};

struct Project {
  std::filesystem::path root;
  std::string name;
  std::string environment;                   // "development" by default
  std::vector<std::string> preference;       // every language the tree has or sabir.yml lists, most preferred first
  std::vector<SourceFile> sources;           // sorted by relative path
  std::vector<UnsupportedFolder> unsupported;
  std::vector<std::string> warnings;         // "functions/python/x.py: a link that leaves the project; ignored"
  std::map<std::string, PoolLimits> pools;   // by language
  int timeout_ms = 0;                        // of one call; 0 = the engine's default
  int test_timeout_ms = 0;                   // of one suite of `sabir test`; 0 = its default
  json::object config;                       // sabir.yml as JSON, after checks
  std::filesystem::path state_dir() const { return root / ".sabir" / environment; }
};

// Walks up from `start` to the folder that has sabir.yml. Errors: kNoProject (names `sabir new`).
Result<std::filesystem::path> find_root(const std::filesystem::path& start);

// Reads sabir.yml and walks functions/, assistants/ and memory/. A language folder's files with one of the language's
// extensions are sources; tests, `_…`, `.…`, `test_*` and `*_test.*` are not. With no `languages` every file counts as
// a source and no folder as unsupported. Errors: kNoProject, kConfig with file:line:column, kLimit above 10,000 sources.
Result<Project> load(const std::filesystem::path& root, const std::string& environment,
                     const std::vector<Language>& languages = {});

// Reads <resources_dir>/<name>/language.yml of every folder that has one, sorted by name, then those of the project's own
// languages/ folder, which add to them and replace those of the same name. Errors: kConfig, kIo.
Result<std::vector<Language>> load_languages(const std::filesystem::path& resources_dir,
                                             const std::filesystem::path& project_root = {});

// "250ms", "30s", "5m", "1h" or a bare number of seconds, in milliseconds; nullopt for anything else, for zero and for
// more than a day.
std::optional<int> parse_duration_ms(std::string_view text);

// JSON Pointer -> (line, column), 1-based; a member's position is its key's. What an alias or a merge brought in has the
// position of the entry that brought it.
using Positions = std::map<std::string, std::pair<int, int>>;

// One YAML document as JSON: quoted scalars are strings, plain ones follow YAML 1.2's core schema, and ${NAME} or
// ${NAME:-default} is filled in from the process's environment before a plain scalar's type is decided ($${ is a literal
// ${). Anchors, aliases and merge keys work, with bounds on depth (64), size (1 MiB) and what aliases may grow it to.
// Errors: kConfig at file:line:column.
Result<json::value> parse_yaml(std::string_view text, const std::string& file, Positions* positions = nullptr);

// parse_yaml of a file; errors show its path from the project's root where it lies in one. Errors: kNotFound, kIo, kConfig.
Result<json::value> read_yaml(const std::filesystem::path& path, Positions* positions = nullptr);

// (line, column) of `pointer` or of its nearest ancestor that has one; (0, 0) when there is none.
std::pair<int, int> position_of(const Positions& positions, std::string pointer);

// Refuses keys outside `known` (same depth) with the nearest one, at its position in `file`. `pointer` is the object's
// own: "" for the document, "/pools" for its member.
Result<void> refuse_unknown_keys(const json::object& object, const std::vector<std::string>& known,
                                 const std::string& file, const Positions& positions, const std::string& pointer);

}  // namespace sabir::project
