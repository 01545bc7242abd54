// What the engine knows of one callable function, read from its source without running it.
//
// Threads: plain values.
#pragma once

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
  bool is_context = false;  // filled in by the engine with the caller's context, absent from input_schema
  json::value default_value;  // null when there is none or it is not a literal
  std::string doc;
  std::string native_type;  // as written in the source, for glue: "std::vector<double>"
  std::string native_default;  // C++: the default argument as written
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
  bool is_async = false;
  bool is_generator = false;
  std::vector<Parameter> parameters;
  json::object input_schema;   // {"type":"object","properties":…,"required":[…],"additionalProperties":false}
  json::object output_schema;  // {} when unknown
  std::string return_doc;
  std::string native_return;
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
};

// Reads `source`. `grammar` is "python", "ruby" or "cpp". Errors: kLoadFailed with line and column at a syntax error,
// kUnavailable for an unknown grammar.
// A definition's canonical name is unique within its file.
Result<Description> describe(std::string_view grammar, std::string_view source, const std::string& file);

// As `sabir functions --json` shows it; what has its default value is left out.
json::object to_json(const FunctionSchema& function);
json::object to_json(const Description& description);

}  // namespace sabir::schema
