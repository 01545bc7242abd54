// Explain: what each piece of a rendered prompt came from, and the tokens it takes.
//
// Threads: pure values and functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/json.h"
#include "sabir/completions/renderer.h"
#include "sabir/completions/tokens.h"

namespace sabir::completions {

enum class SpanKind {
  kLiteral,  // text of a template, or a constant in it
  kValue,    // what a variable holds
  kDerived,  // made on the way: by a filter, an operator, a macro, a captured block
  kHeading,
};
std::string_view to_text(SpanKind kind);

struct Span {
  std::size_t from = 0;  // bytes of Rendered::text
  std::size_t to = 0;
  SpanKind kind = SpanKind::kLiteral;
  std::string file;  // relative to the project
  int line = 0;
  int column = 0;
  std::string expression;              // of a value and of what is derived, as it is written
  std::string part;                    // of a prompt with a budget: the innermost declared part around it
  std::optional<std::size_t> message;  // index in Rendered::messages
};

// A declared part as it was written once, and where it stands.
struct WrittenPart {
  std::string name;
  std::size_t from = 0;
  std::size_t to = 0;
  std::string file;
  int line = 0;
  int column = 0;
};

struct Explanation {
  Rendered rendered;
  std::vector<Span> spans;  // one after the other, the whole of rendered.text
  std::vector<WrittenPart> parts;
  std::vector<std::size_t> starts;  // of each message's content in rendered.text
};

// The tokens of each span, counted as count_chat() counts those of the messages' texts: a token belongs to the span in which it
// ends. Their sum is ChatTokens::text.
std::vector<std::size_t> tokens_of_spans(const Explanation& explanation, const Tokens& tokens);

// {"text", "messages", "tokens", "overhead", "exact", "encoding", "spans", "parts", "budget"?}; "parts" has the totals of each
// declared part and of what each file wrote outside of these.
json::object to_json(const Explanation& explanation, const Tokens& tokens);

}  // namespace sabir::completions
