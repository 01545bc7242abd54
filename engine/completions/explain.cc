#include "explaining.h"

#include <algorithm>
#include <map>

#include "sabir/base/text.h"

namespace sabir::completions {
namespace {

SpanKind kind_of(std::string_view name) {
  if (name == "literal") return SpanKind::kLiteral;
  if (name == "value") return SpanKind::kValue;
  if (name == "heading") return SpanKind::kHeading;
  return SpanKind::kDerived;
}

std::size_t size_of(const json::object& object, std::string_view key) { return object.at(key).to_number<std::size_t>(); }

// Places in a text with headings' marks, and in the text without.
class Places {
 public:
  Places(const std::vector<RoleMarks::Heading>& headings, std::size_t mark_size) : headings_(headings), mark_size_(mark_size) {}

  std::size_t in_text(std::size_t at) const {
    const auto next = std::upper_bound(headings_.begin(), headings_.end(), at, [](std::size_t place, const auto& heading) { return place < heading.mark; });
    if (next == headings_.begin()) return at;
    const auto& last = *std::prev(next);
    const std::size_t after = at - last.mark;
    return after < mark_size_ ? last.from : last.to + after - mark_size_;
  }
  // The first heading at or after `at`; null where there is none before `end`.
  const RoleMarks::Heading* next(std::size_t at, std::size_t end) const {
    const auto found = std::lower_bound(headings_.begin(), headings_.end(), at, [](const auto& heading, std::size_t place) { return heading.mark < place; });
    return found == headings_.end() || found->mark >= end ? nullptr : &*found;
  }

 private:
  const std::vector<RoleMarks::Heading>& headings_;
  std::size_t mark_size_;
};

// Cuts `span` of the marked text at the headings in it.
void add_pieces(Span span, const Places& places, std::size_t mark_size, std::vector<Span>& spans) {
  const auto add = [&](std::size_t from, std::size_t to, SpanKind kind) {
    if (from == to) return;
    Span piece = span;
    piece.from = from;
    piece.to = to;
    piece.kind = kind;
    if (kind == SpanKind::kHeading) piece.expression.clear();
    spans.push_back(std::move(piece));
  };
  const std::size_t end = span.to;
  std::size_t at = span.from;
  while (const auto* heading = places.next(at, end)) {
    add(places.in_text(at), heading->from, span.kind);
    add(heading->from, heading->to, SpanKind::kHeading);
    at = heading->mark + mark_size;
  }
  if (at < end) add(places.in_text(at), places.in_text(end), span.kind);
}

void find_parts(Explanation& explanation) {
  const auto& parts = explanation.parts;
  std::vector<const WrittenPart*> open;
  std::size_t next = 0;
  for (auto& span : explanation.spans) {
    while (!open.empty() && open.back()->to <= span.from) open.pop_back();
    for (; next < parts.size() && parts[next].from <= span.from; ++next) {
      if (parts[next].to > span.from) open.push_back(&parts[next]);
    }
    if (!open.empty()) span.part = open.back()->name;
  }
}

void find_messages(Explanation& explanation) {
  const auto& messages = explanation.rendered.messages;
  std::size_t at = 0;
  for (auto& span : explanation.spans) {
    const auto end = [&] { return explanation.starts[at] + string_or(messages[at].as_object(), "content").size(); };
    while (at < messages.size() && end() <= span.from) ++at;
    if (at < messages.size() && explanation.starts[at] < span.to && span.kind != SpanKind::kHeading) span.message = at;
  }
}

// Totals of one declared part, or of what one file wrote outside of all.
struct Total {
  std::string name;
  bool is_declared = false;
  std::string file;
  int line = 0;
  int column = 0;
  std::size_t tokens = 0;
  std::size_t bytes = 0;
};

std::string name_of(std::string_view file) {
  if (file.starts_with("completions/")) file.remove_prefix(12);
  return std::string(file.substr(0, file.rfind('.')));
}

std::vector<Total> totals_of(const Explanation& explanation, const std::vector<std::size_t>& tokens) {
  std::vector<Total> totals;
  std::map<std::pair<bool, std::string>, std::size_t> known;
  const auto total = [&](bool is_declared, const std::string& key, const std::string& file, int line, int column) -> Total& {
    const auto [found, is_new] = known.emplace(std::pair(is_declared, key), totals.size());
    if (is_new) totals.push_back({is_declared ? key : name_of(file), is_declared, file, line, column, 0, 0});
    return totals[found->second];
  };
  auto part = explanation.parts.begin();
  for (std::size_t i = 0; i < explanation.spans.size(); ++i) {
    const auto& span = explanation.spans[i];
    for (; part != explanation.parts.end() && part->from <= span.from; ++part) total(true, part->name, part->file, part->line, part->column);
    Total& of = span.part.empty() ? total(false, span.file, span.file, span.line, span.column) : total(true, span.part, span.file, span.line, span.column);
    of.tokens += tokens[i];
    of.bytes += span.to - span.from;
  }
  for (; part != explanation.parts.end(); ++part) total(true, part->name, part->file, part->line, part->column);
  return totals;
}

}  // namespace

std::string_view to_text(SpanKind kind) {
  switch (kind) {
    case SpanKind::kLiteral: return "literal";
    case SpanKind::kValue: return "value";
    case SpanKind::kDerived: return "derived";
    case SpanKind::kHeading: return "heading";
  }
  return "";
}

Explanation explanation_of(Rendered rendered, const RoleMarks::Split& split, std::size_t mark_size, const json::object& told,
                           const std::function<TemplatePlace(std::string_view)>& place) {
  Explanation explanation;
  explanation.rendered = std::move(rendered);
  explanation.starts = split.starts;
  if (explanation.starts.empty()) explanation.starts.push_back(0);
  const Places places(split.headings, mark_size);
  const auto put = [&](const json::object& from, auto& into) {
    const TemplatePlace at = place(string_or(from, "template"));
    into.file = at.file;
    into.line = static_cast<int>(size_of(from, "line")) + at.lines_before;
    into.column = static_cast<int>(size_of(from, "column"));
    into.from = size_of(from, "from");
    into.to = size_of(from, "to");
  };
  for (const auto& value : told.at("spans").as_array()) {
    Span span;
    put(value.as_object(), span);
    span.kind = kind_of(string_or(value.as_object(), "kind"));
    span.expression = string_or(value.as_object(), "expression");
    add_pieces(std::move(span), places, mark_size, explanation.spans);
  }
  const auto* declared = explanation.rendered.front_matter.if_contains("parts");
  for (const auto& value : told.at("parts").as_array()) {
    WrittenPart part;
    put(value.as_object(), part);
    part.name = string_or(value.as_object(), "name");
    part.from = places.in_text(part.from);
    part.to = places.in_text(part.to);
    if (declared != nullptr && declared->as_object().contains(part.name)) explanation.parts.push_back(std::move(part));
  }
  find_parts(explanation);
  find_messages(explanation);
  return explanation;
}

std::vector<std::size_t> tokens_of_spans(const Explanation& explanation, const Tokens& tokens) {
  std::vector<std::size_t> counts(explanation.spans.size());
  std::size_t span = 0;
  const auto& messages = explanation.rendered.messages;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    for (const std::size_t end : tokens.ends(string_or(messages[i].as_object(), "content"))) {
      while (span < counts.size() && explanation.spans[span].to < explanation.starts[i] + end) ++span;
      if (span < counts.size()) ++counts[span];
    }
  }
  return counts;
}

json::object to_json(const Explanation& explanation, const Tokens& tokens) {
  const auto& rendered = explanation.rendered;
  const auto counts = tokens_of_spans(explanation, tokens);
  const auto chat = count_chat(tokens, rendered.messages);
  json::array spans;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto& span = explanation.spans[i];
    json::object out{{"from", span.from}, {"to", span.to}, {"kind", to_text(span.kind)}, {"file", span.file}, {"line", span.line}, {"column", span.column},
                     {"expression", span.expression}, {"part", span.part}, {"message", nullptr}, {"tokens", counts[i]}};
    if (span.message) out["message"] = *span.message;
    spans.push_back(std::move(out));
  }
  json::array parts;
  for (const auto& total : totals_of(explanation, counts)) {
    json::object out{{"part", total.name}, {"declared", total.is_declared}, {"file", total.file}, {"line", total.line}, {"column", total.column},
                     {"bytes", total.bytes}, {"tokens", total.tokens},
                     {"share", chat.text == 0 ? 0.0 : static_cast<double>(total.tokens) / static_cast<double>(chat.text)}};
    if (rendered.budget && total.is_declared) {
      for (const auto& cut : rendered.budget->cuts) {
        if (cut.part != total.name) continue;
        out["action"] = cut.is_dropped ? "dropped" : "shortened";
        out["tokens_before"] = cut.before;
      }
    }
    parts.push_back(std::move(out));
  }
  json::object out{{"text", rendered.text}, {"messages", rendered.messages}, {"tokens", chat.total()}, {"overhead", chat.overhead},
                   {"exact", tokens.is_exact()}, {"encoding", tokens.encoding()}, {"spans", std::move(spans)}, {"parts", std::move(parts)}};
  if (rendered.budget) out["budget"] = to_json(*rendered.budget);
  return out;
}

}  // namespace sabir::completions
