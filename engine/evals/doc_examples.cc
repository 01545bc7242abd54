// Calls that a doc comment shows: `slugify("Été")`, `mean(values=[1, 2])`, `Mean([]float64{…})` is none.
#include <algorithm>
#include <charconv>

#include "sabir/evals/inputs.h"

namespace sabir::evals {
namespace {

constexpr std::size_t kMostExamples = 20;
constexpr int kMostNesting = 16;

// Literals as most languages write them: JSON's, with single quotes, True, None, nil, `=>` and names before values.
class LiteralReader {
 public:
  explicit LiteralReader(std::string_view text) : text_(text) {}

  // From behind the opening parenthesis to the closing one.
  std::optional<json::object> arguments(const std::vector<std::string>& parameters) {
    json::object out;
    std::size_t position = 0;
    blanks();
    if (take(')')) return out;
    while (true) {
      std::string name = argument_name();
      auto value = literal(0);
      if (!value) return std::nullopt;
      if (name.empty()) {
        if (position >= parameters.size()) return std::nullopt;
        name = parameters[position++];
      } else if (std::find(parameters.begin(), parameters.end(), name) == parameters.end()) {
        return std::nullopt;
      }
      if (out.contains(name)) return std::nullopt;
      out[name] = std::move(*value);
      blanks();
      if (take(')')) return out;
      if (!take(',')) return std::nullopt;
      blanks();
    }
  }

 private:
  bool more() const { return at_ < text_.size(); }
  bool take(char c) {
    if (!more() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void blanks() {
    while (more() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

  // "name=" or "name:" before a value; "" and nothing read where there is none.
  std::string argument_name() {
    std::size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    if (end == at_ || end >= text_.size() || (text_[at_] >= '0' && text_[at_] <= '9')) return "";
    std::string name(text_.substr(at_, end - at_));
    std::size_t after = end;
    while (after < text_.size() && text_[after] == ' ') ++after;
    if (after >= text_.size() || (text_[after] != '=' && text_[after] != ':')) return "";
    at_ = after + 1;
    blanks();
    return name;
  }

  std::optional<json::value> literal(int depth) {
    blanks();
    if (!more() || depth > kMostNesting) return std::nullopt;
    const char c = text_[at_];
    if (c == '"' || c == '\'') return quoted(c);
    if (c == '[' || c == '(') return list(c == '[' ? ']' : ')', depth);
    if (c == '{') return mapping(depth);
    if (c == '-' || (c >= '0' && c <= '9')) return number();
    std::size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    const auto word = text_.substr(at_, end - at_);
    at_ = end;
    if (word == "true" || word == "True") return true;
    if (word == "false" || word == "False") return false;
    if (word == "null" || word == "None" || word == "nil" || word == "nullptr") return nullptr;
    return std::nullopt;
  }

  std::optional<json::value> quoted(char quote) {
    ++at_;
    std::string out;
    while (more() && text_[at_] != quote) {
      char c = text_[at_++];
      if (c == '\n') return std::nullopt;
      if (c == '\\') {
        if (!more()) return std::nullopt;
        c = text_[at_++];
        if (c == 'n') c = '\n';
        else if (c == 't') c = '\t';
        else if (c != '\\' && c != '"' && c != '\'') return std::nullopt;
      }
      out += c;
    }
    if (!take(quote)) return std::nullopt;
    return json::value(out);
  }

  std::optional<json::value> number() {
    std::size_t end = at_ + 1;
    while (end < text_.size() && ((text_[end] >= '0' && text_[end] <= '9') || text_[end] == '.' || text_[end] == 'e' || text_[end] == 'E' ||
                                  ((text_[end] == '-' || text_[end] == '+') && (text_[end - 1] == 'e' || text_[end - 1] == 'E')))) {
      ++end;
    }
    auto value = parse_json(text_.substr(at_, end - at_));
    if (!value || !value->is_number()) return std::nullopt;
    at_ = end;
    // A name or an operator behind it makes it no literal.
    if (more() && is_word(text_[at_])) return std::nullopt;
    return std::move(*value);
  }

  std::optional<json::value> list(char close, int depth) {
    ++at_;
    json::array out;
    blanks();
    if (take(close)) return out;
    while (true) {
      auto one = literal(depth + 1);
      if (!one) return std::nullopt;
      out.push_back(std::move(*one));
      blanks();
      if (take(close)) return out;
      if (!take(',')) return std::nullopt;
      blanks();
      if (take(close)) return out;
    }
  }

  // {"a": 1}, {a: 1}, {"a" => 1}; and C++'s {1, 2}, which is a list.
  std::optional<json::value> mapping(int depth) {
    const std::size_t begin = at_;
    ++at_;
    json::object out;
    blanks();
    if (take('}')) return out;
    while (true) {
      std::string key = argument_name();
      if (key.empty()) {
        auto name = literal(depth + 1);
        blanks();
        if (!name || (!take("=>") && !take(':'))) {
          at_ = begin;
          return list('}', depth);
        }
        if (!name->is_string()) return std::nullopt;
        key = std::string(name->get_string());
      }
      auto one = literal(depth + 1);
      if (!one || out.size() > 1000) return std::nullopt;
      out[key] = std::move(*one);
      blanks();
      if (take('}')) return out;
      if (!take(',')) return std::nullopt;
      blanks();
      if (take('}')) return out;
    }
  }

  const std::string_view text_;
  std::size_t at_ = 0;
};

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

}  // namespace

std::vector<json::object> parse_doc_examples(std::string_view doc, const std::vector<std::string>& names, const std::vector<std::string>& parameters) {
  std::vector<json::object> out;
  doc = doc.substr(0, 20'000);
  int tried = 0;
  for (std::size_t at = 0; (at = doc.find('(', at)) != std::string_view::npos && out.size() < kMostExamples && tried < 200; ++at) {
    std::size_t begin = at;
    while (begin > 0 && is_word(doc[begin - 1])) --begin;
    if (std::find(names.begin(), names.end(), doc.substr(begin, at - begin)) == names.end()) continue;
    ++tried;
    auto example = LiteralReader(doc.substr(at + 1)).arguments(parameters);
    if (example && std::find(out.begin(), out.end(), *example) == out.end()) out.push_back(std::move(*example));
  }
  return out;
}

}  // namespace sabir::evals
