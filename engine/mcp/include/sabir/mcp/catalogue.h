// Catalogue: what a server offers: tools, prompts, resources and templates of their addresses, in an order that does not
// change, each with its text as lists show it.
//
// Threads: immutable after finish(); share by std::shared_ptr<const Catalogue>.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/json.h"
#include "sabir/mcp/revision.h"

namespace sabir::mcp {

// A parameter that a client mirrors into the HTTP header Mcp-Param-<header>.
struct MirroredParameter {
  std::string header;
  std::vector<std::string> path;  // of members, from the arguments
  bool is_whole_number = false;
};

// Where a function's schema says that its value is bytes, which JSON carries as base64.
enum class Bytes { kNone, kValue, kItems };
Bytes bytes_in(const json::object& output_schema);

struct Tool {
  std::string name;              // [A-Za-z0-9_.-]{1,128}
  std::string address;           // of the function behind it
  std::string title;
  std::string description;
  json::object input_schema;     // "x-mcp-header" in a property makes it a mirrored parameter
  json::object output_schema;    // {} = unknown
  bool is_read_only = false;
  bool is_irreversible = false;
  bool is_idempotent = false;

  // By finish():
  std::vector<MirroredParameter> mirrored;
  bool has_output = false;       // its results have a promised structure
  Bytes bytes = Bytes::kNone;
  bool is_wrapped = false;       // which is no object, and stands as {"result": …} where revisions ask for one
  std::string listed;            // JSON, of the older era
  std::string listed_stateless;  // and of the newer
};

struct Argument {
  std::string name;
  std::string description;
  bool is_required = false;
  json::object schema;           // {} = text
};

struct Prompt {
  std::string name;
  std::string title;
  std::string description;
  std::vector<Argument> arguments;
  std::string address;           // of the function that gives its messages; "" = a prompt of completions/
  std::string listed;
};

struct Resource {
  std::string uri;
  std::string name;
  std::string title;
  std::string description;
  std::string media_type;        // "" = not known before it is read
  std::optional<std::uint64_t> size;
  std::string address;           // of the function that gives its contents; "" = something of the host's own
  bool is_bytes = false;         // which are base64 there
  std::string listed;
};

struct ResourceTemplate {
  std::string uri;               // with {variables}, as RFC 6570 has them at level 1, and {+variables}
  std::string name;
  std::string title;
  std::string description;
  std::string media_type;
  std::string address;
  bool is_bytes = false;
  std::vector<Argument> arguments;
  std::string listed;
};

struct Catalogue {
  std::vector<Tool> tools;
  std::vector<Prompt> prompts;
  std::vector<Resource> resources;
  std::vector<ResourceTemplate> templates;

  // Sorts the lists and makes the texts. Of entries with one name the first stays.
  void finish();
  const Tool* tool(std::string_view name) const;
  const Prompt* prompt(std::string_view name) const;
  const Resource* resource(std::string_view uri) const;
};

// As lists show it; finish() does it for the catalogue's own.
std::string listed(const Resource& resource);

using Variables = std::vector<std::pair<std::string, std::string>>;
// The variables with which `uri` is one of `pattern`'s, or nothing. A variable is never empty; only {+variable} takes "/".
std::optional<Variables> match_uri(std::string_view pattern, std::string_view uri);
// The names of a pattern's variables, in order; nothing where it is not well formed.
std::optional<std::vector<std::string>> variables_of(std::string_view pattern);
// For a variable's place in a URI: everything but unreserved characters as %XX.
std::string percent_encoded(std::string_view text);

// What an argument may be, as far as its schema says: enum, const, booleans, examples.
std::vector<std::string> choices_of(const json::object& schema);

}  // namespace sabir::mcp
