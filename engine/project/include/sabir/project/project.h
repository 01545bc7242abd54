// Project: what the folder on disk is, as one immutable value. The only room that reads YAML and the tree's shape.
//
// Threads: immutable after load(); share by std::shared_ptr<const Project>. The functions may be called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/inputs.h"
#include "sabir/base/json.h"
#include "sabir/project/environment.h"
#include "sabir/project/mcp_servers.h"
#include "sabir/project/mcp_settings.h"
#include "sabir/project/origin.h"
#include "sabir/project/serving.h"

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
  std::string relative;          // "functions/python/function1.py": what errors show; absolute where it lies elsewhere
  std::shared_ptr<const Origin> origin = nullptr;  // null in the project's own folders

  // The workers that serve it; "ruby", or with what they need in common: "ruby:config/environment.rb".
  const std::string& pool() const { return origin ? origin->pool : language; }
};

// languages/<name>/language.yml, as far as the engine reads it. The keys are the members' names.
struct Language {
  std::string name;
  std::vector<std::string> extensions;       // with the dot
  std::vector<std::string> interpreters;     // candidates in order: ".venv/bin/python" (from the project's root),
                                             // "$VIRTUAL_ENV/bin/python", "python3" (from PATH)
  std::string missing_hint;                  // what to install, said when no candidate runs
  std::vector<std::string> launch;           // argv; {interpreter} {worker} {sdk} {project} {program} are filled in
  std::vector<std::string> visible;          // argv of a program that prints what a sandbox has to show (spec/language.md)
  std::string library;                       // of what runs inside the engine: its main file in the resources; "" = cannot
  std::vector<std::string> library_build;    // argv as `build`, for a library
  std::vector<std::string> library_link;     // argv as `link`, for a library
  std::vector<std::string> debug;            // argv that starts it for `sabir call --debug`; empty = `launch`
  std::string worker;                        // the worker's file inside the language's resources; "" with `builder`
  std::string adapter;                       // "exec": the engine speaks for it (spec/exec-adapter.md); "" = the worker itself does
  std::vector<std::string> call;             // of an adapter: argv that runs one call
  std::vector<std::string> call_debug;       // the same for `sabir call --debug`; empty = `call`
  bool pipes = false;                        // the worker gets two pipes instead of one socket
  std::string glue;                          // Jinja2 template of the glue for compiled languages; "" = interpreted
  std::vector<std::string> build;            // argv that compiles one file; {interpreter} {source} {out} {sdk} {resources} {project}
  std::vector<std::string> builder;          // argv of the program that builds all sources (spec/build.md); {interpreter} {resources}
  std::vector<std::string> link;             // argv that makes the worker; {interpreter} {objects} {out} {project}
  std::string sdk = "sdk";                   // the folder of the SDK inside the language's resources
  std::string minimum;                       // oldest version that works: "3.8"
  std::vector<std::string> version;          // argv that prints the version
  json::object tests;                        // how testing/ runs the language's own tests (spec/language.md)
  std::vector<SetupStep> setup;              // how the project's packages are installed
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> templates;  // "function" -> (target, template), both Jinja2
  std::string grammar;                       // the grammar by which the engine reads sources itself; "" = `describe` does
  std::vector<std::string> introspect;       // argv of the program that tells what sources alone do not (spec/introspect.md)
  std::vector<std::string> introspect_files; // whose contents say which packages there are
  std::vector<std::string> describe;         // argv of the program that reads sources (spec/describe.md); {interpreter} {resources}
  std::string plain;                         // the reader of files that need no `describe` (sabir/schema/plain.h); "" = none
  // What serves existing code (`sources` in sabir.yml).
  std::vector<std::string> headers;          // more extensions that count there: ".h"
  std::vector<std::string> packages;         // where `package: NAME` is looked for: globs of folders, as in `interpreters`
  bool loads_boot = false;                   // each worker loads a source's boot file itself
  std::vector<std::string> boot;             // argv of a process that loads it once and forks the workers; {boot}
  std::vector<std::string> link_library;     // argv that builds the library of a source; {source} {target} {folder} {flags} {link}
  bool module_is_folder = false;             // a module is a folder, not a file
  std::vector<AdoptRule> adopt;              // what `sabir init` proposes
  std::vector<Pin> pins;                     // which version a project asks for
  std::vector<VersionManager> managers;      // what installs the versions that are asked for
  std::filesystem::path resources;           // unpacked folder with worker, sdk and glue
  bool compiled() const { return !glue.empty() || !builder.empty(); }
};

// Bounds of one language's worker pool; unset ones are the engine's to choose.
struct PoolLimits {
  std::optional<int> min;
  std::optional<int> max;
  std::optional<int> queue;                  // calls that may wait
  std::optional<int> idle_ms;                // until a worker beyond min leaves
  std::optional<int> max_calls;              // of one worker, until it is renewed
  std::optional<int> max_age_ms;
  std::optional<std::uint64_t> max_memory;   // bytes resident
};

// How far a function is kept from the engine, the project and the machine (docs/isolation.md).
enum class Isolation {
  kProcess,    // a process of its own
  kSandbox,    // a process that sees and may do little
  kInProcess,  // none: inside the engine's process
};

// One entry of sabir.yml's `isolation`.
struct IsolationRule {
  std::string where;                         // "" = everything, "python" = a language, "functions/python/uploads" = a file or folder
  Isolation level = Isolation::kProcess;
  std::vector<std::string> read;             // what a sandbox shows besides the project: absolute, or below the project's root
  std::vector<std::string> write;
  bool network = false;
  std::vector<std::string> environment;      // names of variables that it sees
  std::optional<std::uint64_t> memory;       // bytes
  std::optional<std::uint64_t> tmp;
  std::optional<int> cores;
  std::optional<int> processes;
};

// Of which runs the texts are kept beside their structure: what was asked, given and answered (docs/tracing.md).
enum class Capture { kNone, kErrors, kSample, kAll };

// sabir.yml's `tracing`, as it holds for the environment.
struct Tracing {
  Capture capture = Capture::kErrors;
  double sample = 0.1;                       // of kSample: the part of runs, 0 to 1
  int keep_days = 14;
  int keep_mb = 256;
  std::string endpoint;                      // of an OTLP/HTTP server; "" = nothing is exported
  std::vector<std::pair<std::string, std::string>> headers;  // sent there: name, and the secret that is its value
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
  std::vector<std::shared_ptr<const Origin>> origins;  // the entries of sabir.yml's `sources`
  std::vector<UnsupportedFolder> unsupported;
  std::vector<std::string> warnings;         // "functions/python/x.py: a link that leaves the project; ignored"
  std::map<std::string, PoolLimits> pools;   // by language
  std::vector<IsolationRule> isolation;      // the most specific first
  Tracing tracing;
  McpSettings mcp;
  std::vector<McpServer> mcp_servers;         // of config/mcp.yml, in its order
  Serving serving;
  Exposure exposure;
  std::chrono::milliseconds approval_time{std::chrono::hours(24)};  // sabir.yml's `approvals.expire`: how long a call waits for a person's word
  int timeout_ms = 0;                        // of one call; 0 = the engine's default
  int test_timeout_ms = 0;                   // of one suite of `sabir test`; 0 = its default
  json::object config;                       // sabir.yml as JSON, after checks
  Inputs inputs;                             // what load() looked at, but for the languages
  std::filesystem::path state_dir() const { return root / ".sabir" / environment; }
};

// The rule for a source; null where sabir.yml has none, which is kProcess.
const IsolationRule* isolation_of(const Project& project, const SourceFile& source);
// Whether a sandbox hides `name`, an entry of the project's root, whatever is granted: hidden ones but for those that
// interpreters read.
bool hidden_in_sandbox(std::string_view name);
// The same for an entry of the folder config/: secrets and keys.
bool hidden_in_sandbox_config(std::string_view name);

// Walks up from `start` to the folder that has sabir.yml. Errors: kNoProject (names `sabir new`).
Result<std::filesystem::path> find_root(const std::filesystem::path& start);

// Lower-case letters, digits, '-' and '_', a letter first, at most 32.
bool is_environment_name(std::string_view name);

// Reads sabir.yml and walks functions/, assistants/ and memory/. A language folder's files with one of the language's
// extensions are sources; tests, `_…`, `.…`, `test_*` and `*_test.*` are not. With no `languages` every file counts as
// a source and no folder as unsupported. Errors: kNoProject, kConfig with file:line:column, kLimit above 10,000 sources.
Result<Project> load(const std::filesystem::path& root, const std::string& environment,
                     const std::vector<Language>& languages = {});

// Reads <resources_dir>/<name>/language.yml of every folder that has one, sorted by name, then those of the project's own
// languages/ folder, which add to them and replace those of the same name. Errors: kConfig, kIo.
Result<std::vector<Language>> load_languages(const std::filesystem::path& resources_dir,
                                             const std::filesystem::path& project_root = {});

// One of them, from its own folder. Errors: kConfig, kIo, kNotFound.
Result<Language> load_language(const std::filesystem::path& folder);

// "250ms", "30s", "5m", "1h" or a bare number of seconds, in milliseconds; nullopt for anything else, for zero and for
// more than a day.
std::optional<int> parse_duration_ms(std::string_view text);
// The same, or days: "90d", up to ten years.
std::optional<std::int64_t> parse_span_ms(std::string_view text);

// "512MB", "1.5GB", "64KB" (powers of 1024) or a bare number of bytes; nullopt for anything else and below 1 MB.
std::optional<std::uint64_t> parse_bytes(std::string_view text);

struct Position {
  int line = 0;    // 1-based
  int column = 0;
  std::shared_ptr<const std::string> file = nullptr;  // where it is another than the one that is read: an overlay
  std::vector<std::string> variables = {};            // of the environment that are filled in: "NAME", or "NAME:-" where its default is
};

// JSON Pointer -> position; a member's is its key's. What an alias or a merge brought in has the position of the entry
// that brought it.
using Positions = std::map<std::string, Position>;

// One YAML document as JSON: quoted scalars are strings, plain ones follow YAML 1.2's core schema, and ${NAME} or
// ${NAME:-default} is filled in from the process's environment before a plain scalar's type is decided ($${ is a literal
// ${). Anchors, aliases and merge keys work, with bounds on depth (64), size (1 MiB) and what aliases may grow it to.
// Errors: kConfig at file:line:column.
enum class SecretNames { kRefused, kKept };  // whether ${secret:NAME} stays as it is, for whoever knows secrets
Result<json::value> parse_yaml(std::string_view text, const std::string& file, Positions* positions = nullptr, SecretNames secrets = SecretNames::kRefused);

// parse_yaml of a file; errors show its path from the project's root where it lies in one. Errors: kNotFound, kIo, kConfig.
Result<json::value> read_yaml(const std::filesystem::path& path, Positions* positions = nullptr, SecretNames secrets = SecretNames::kRefused);

// (line, column) of `pointer` or of its nearest ancestor that has one; (0, 0) when there is none.
std::pair<int, int> position_of(const Positions& positions, std::string pointer);
// The error there, in `file` where the position names no other.
Error at_position(Error error, const Positions& positions, const std::string& pointer, const std::string& file);
// A key as a token of a JSON Pointer: "a/b" -> "a~1b".
std::string escape_pointer(std::string_view key);

// Refuses keys outside `known` (same depth) with the nearest one, at its position in `file`. `pointer` is the object's
// own: "" for the document, "/pools" for its member.
Result<void> refuse_unknown_keys(const json::object& object, const std::vector<std::string>& known,
                                 const std::string& file, const Positions& positions, const std::string& pointer);

}  // namespace sabir::project
