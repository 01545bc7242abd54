// Arguments of `sabir call` and `sabir prompt render`: name=value read by a schema, name:=JSON taken as it is.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::cli {

struct Word {
  std::string name;
  std::string value;
  bool raw = false;  // name:=JSON
};

// Errors: kUsage for a word that is neither name=value nor name:=JSON.
Result<Word> split_word(const std::string& text);

// What `text` means where `schema` is expected; what fits nothing stays a string, for the validator to refuse.
json::value read_by_schema(const std::string& text, const json::object& schema);

// `properties` is the input schema's member of that name; empty = every value is JSON where it parses, else a string.
// `whole` is the value of --args: JSON, @file, or - for standard input; may be empty. Errors: kUsage.
Result<json::object> read_arguments(const std::vector<std::string>& words, const std::string& whole, const json::object& properties);
// The same as JSON text, in which integers of any length stand as they were written.
Result<std::string> read_arguments_text(const std::vector<std::string>& words, const std::string& whole, const json::object& properties);
// A prompt's variables as JSON text, read by the input.schema of its front matter where it has one.
Result<std::string> read_variables(const std::vector<std::string>& words, const std::string& whole, const json::object& front_matter);

}  // namespace sabir::cli
