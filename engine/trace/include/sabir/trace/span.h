// Span: one piece of work with its beginning, its end and what is known of it, in OpenTelemetry's sense; docs/tracing.md names
// the attributes.
//
// Threads: a span belongs to one thread at a time, until it is given to Tracer::end(). Lifetimes: names and keys are string
// literals.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sabir/base/context.h"
#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/trace/ids.h"

namespace sabir::trace {

using Value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

struct Attribute {
  std::string_view key;
  Value value;
};

struct Event {
  std::string_view name;
  std::int64_t at_ns = 0;  // Unix time
  std::vector<Attribute> attributes;
};

// Text of a user's or of a model's, kept by policy alone.
struct Text {
  std::string_view key;
  std::string text;        // at most the bytes that were asked for
  std::size_t whole = 0;   // bytes that there were
};

enum class Kind { kInternal = 1, kClient = 3 };  // OTLP's numbers

// What is the same for each call of a function.
struct Subject {
  std::string name;
  std::vector<Attribute> attributes;
};

inline constexpr std::size_t kMostCallText = std::size_t{16} << 10U;     // of a call's arguments, and of its result
inline constexpr std::size_t kMostMessageText = std::size_t{128} << 10U;  // of what a model is asked, and what it answers
inline constexpr std::size_t kMostEvents = 128;                           // of one span; what comes then is left out

// "call" for a function's that no model asked for, else a value of gen_ai.operation.name, or "render".
inline constexpr std::string_view kCall = "call";

struct Span {
  SpanContext context;
  SpanId parent = 0;
  bool root = false;             // the first one of its trace in this engine: a run
  bool keeps_text = false;
  Kind kind = Kind::kInternal;
  std::int64_t begun_ns = 0;     // Unix time
  std::int64_t ended_ns = 0;
  std::string_view operation = kCall;
  std::string name;              // "" = the subject's
  std::shared_ptr<const Subject> subject;  // may be null
  std::string_view error;        // an error code's name; "" = none
  std::string message;           // of the error
  std::unique_ptr<const CallContext> who;  // of a root; null = nobody in particular
  std::vector<Attribute> attributes;
  std::vector<Event> events;
  std::vector<Text> texts;

  void add(std::string_view key, Value value) { attributes.push_back({key, std::move(value)}); }
  // In place of an attribute of the same key.
  void set(std::string_view key, Value value);
  // Of what may be empty.
  void add_if(std::string_view key, std::string_view text) {
    if (!text.empty()) add(key, std::string(text));
  }
  // Now.
  void event(std::string_view event_name, std::vector<Attribute> with = {});
  void text(std::string_view key, std::string_view content, std::size_t most = kMostMessageText);
  void fail(const Error& with);
  const std::string& shown_name() const { return name.empty() && subject ? subject->name : name; }
};

// Attributes by name, the subject's among them; later ones win.
json::object attributes_json(const Span& span);
// [{"name", "at_us" (since the span began), "attributes"}]
json::array events_json(const Span& span);

// The span that this thread or fiber works for, while a Scope is there: what is asked of models, memory and prompts in between becomes
// its child. Scopes nest.
class Scope {
 public:
  explicit Scope(Span& span) : Scope(span.context, &span) {}
  // Of a span that another thread has.
  explicit Scope(const SpanContext& context) : Scope(context, nullptr) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

 private:
  friend SpanContext current();
  friend Span* current_span();
  Scope(const SpanContext& context, Span* span);
  const SpanContext context_;
  Span* const span_;
  const void* const before_;
};

SpanContext current();
// Null where there is none, or another thread has it.
Span* current_span();

}  // namespace sabir::trace
