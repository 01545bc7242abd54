// JSON texts taken apart without building values, so that arguments and results pass through the engine as they came.
//
// Threads: pure functions. Lifetimes: every view points into the text that was given.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::protocol {

struct RawMember {
  std::string_view key;    // between the quotes, escapes as written
  std::string_view value;  // one JSON text without surrounding blanks
};

// The members of one JSON object. The whole text is checked: RFC 8259 grammar, valid UTF-8, depth up to 256.
// Errors: kProtocol naming the byte.
Result<std::vector<RawMember>> raw_members(std::string_view object_text);

// The same for a text already known to be valid.
std::optional<std::string_view> find_member(const std::vector<RawMember>& members, std::string_view key);

// The elements of an array. REQUIRES: `array_text` is valid JSON and an array.
std::vector<std::string_view> raw_elements(std::string_view array_text);

// The value that a JSON Pointer (RFC 6901) leads to; an empty view where it leads nowhere. REQUIRES: `text` is valid JSON.
std::string_view raw_at(std::string_view text, std::string_view pointer);

// One token of a pointer, between its slashes, without escapes; a member's key without its escapes.
std::string pointer_token(std::string_view token);
std::string unquote_key(std::string_view key);

// Checks one JSON text of any kind. Errors: kProtocol naming the byte.
Result<void> check_json(std::string_view text);

// Whether an integer stands in it that 64 bits may not hold: reading it into a value would round it.
// REQUIRES: `text` is valid JSON.
bool has_long_integer(std::string_view text);

// The same text with each member and item on a line of its own, indented by two spaces. REQUIRES: `text` is valid JSON.
std::string indented(std::string_view text);

// A JSON string literal's value. REQUIRES: `text` is a valid JSON string with its quotes. Lone surrogates become U+FFFD.
std::string unquote(std::string_view text);

// A JSON string literal with its quotes. Invalid UTF-8 becomes U+FFFD.
std::string quote(std::string_view value);
void append_quoted(std::string& out, std::string_view value);

}  // namespace sabir::protocol
