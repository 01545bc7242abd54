// What the engine knows of one callable function, read from its source without running it.
//
// Threads: plain values.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::schema {

// What a call may do to the world. Tag in the doc comment: `Effect: read` / `@effect read`. Default: write.
enum class Effect { kRead, kWrite, kIrreversible };
std::string_view effect_name(Effect effect);

enum class ParameterKind { kPositional, kKeyword, kVariadic, kKeywordVariadic };

struct Parameter {
  std::string name;         // as written
  std::string canonical;    // snake_case
  ParameterKind kind = ParameterKind::kPositional;
  json::object schema;      // {} accepts anything
  bool required = true;
  bool unresolved = false;  // the sources do not tell the whole of its type; the language's own means may
  bool is_context = false;  // filled in by the engine with the caller's context, absent from input_schema
  json::value default_value;  // null when there is none or it is not a literal
  std::string doc;
  std::string native_type;  // as written in the source, for glue: "std::vector<double>"
  std::string native_default;  // C++: the default argument as written
  json::value build;        // how the worker makes the parameter's own value from JSON's (spec/worker-protocol.md §5); null = not at all
  std::string filled_with;  // C++, where is_context: "stop" (a std::stop_token) or "yield" (a sabir::Yield); "" = the context
};

struct FunctionSchema {
  std::string name;         // as written: "do_something", "lookupOrder"
  std::string canonical;    // snake_case
  std::string receiver;     // module or class path to call it on, for Ruby modules and C++ namespaces; may be ""
  int line = 0;             // 1-based
  std::string summary;      // first paragraph of the doc comment
  std::string doc;          // the whole comment, tags removed
  Effect effect = Effect::kWrite;
  bool idempotent = false;  // `Idempotent: yes` / @idempotent
  std::vector<std::string> secrets;  // `Secrets: a, b` / @secret a
  int timeout_ms = 0;       // `Timeout: 5s` / @timeout 5s; 0 = the engine's default
  int concurrency = 0;      // `Concurrency: 2`: at most so many calls at once; 0 = no bound of its own
  int retries = 0;          // `Retries: 3`: calls more after a failure; effect read alone
  bool is_async = false;
  bool is_generator = false;
  std::vector<Parameter> parameters;
  json::object input_schema;   // {"type":"object","properties":…,"required":[…],"additionalProperties":false}
  json::object output_schema;  // {} when unknown
  std::string return_doc;
  std::string native_return;
  bool result_unresolved = false;  // as Parameter::unresolved
  bool introspected = false;   // a schema in it comes from the language's own means
  std::vector<std::string> warnings;  // "parameter 'x' has no type: anything is accepted"
};

// A definition that looks public but cannot be served; listed, never dropped in silence.
struct Unavailable {
  std::string name;
  int line = 0;
  std::string reason;
};

struct Description {
  std::vector<FunctionSchema> functions;
  std::vector<Unavailable> unavailable;
  std::string module_doc;
  // Top-level literal assignments of the file (assistants: model, instructions, functions, …), by name, as JSON.
  json::object constants;
  // C++ structs and enumerations of the file that the functions' types name, for the glue: {"kind": "struct" | "enum",
  // "name": "::shop::Item", "members": [{"name", "required"}]}, each after those that it uses.
  json::array types;
  // Other files that this was read from, from the project's root.
  std::vector<std::string> depends;
  // C++: what the file and its headers define inline, {"name": "4Item", "file": "functions/cpp/models.h"}, with the name as
  // it stands in mangled symbols.
  json::array defines;
};

// Existing code was not written to be called: methods of classes without a constructor count there, names are unique
// within their class or namespace alone, and a C++ header's declarations are functions.
enum class Written { kForTheProject, kBefore };

// Gives the text of another file of the project by its path from the project's root; nothing where there is none.
// For a folder, whose path ends with '/', the names of the files in it and below, one a line.
using ReadOther = std::function<std::optional<std::string>(const std::string& relative)>;

// Reads `source`. `grammar` is "python", "ruby" or "cpp". Errors: kLoadFailed with line and column at a syntax error,
// kUnavailable for an unknown grammar.
// A definition's canonical name is unique within its file. Types that `source` imports from other files of the project are
// read there, where `read_other` is given.
Result<Description> describe(std::string_view grammar, std::string_view source, const std::string& file, const ReadOther& read_other = {},
                             Written written = Written::kForTheProject);

// Fills input_schema from the parameters, in their order.
void make_input_schema(FunctionSchema& function);

// As `sabir functions --json` shows it; what has its default value is left out.
json::object to_json(const FunctionSchema& function);
json::object to_json(const Description& description);

}  // namespace sabir::schema
