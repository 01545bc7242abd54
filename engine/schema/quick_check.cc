#include "quick_check.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sabir/base/text.h"

namespace sabir::schema {
namespace {

constexpr std::uint8_t kNull = 1;
constexpr std::uint8_t kBoolean = 2;
constexpr std::uint8_t kInteger = 4;
constexpr std::uint8_t kNumber = 8;
constexpr std::uint8_t kString = 16;
constexpr std::uint8_t kArray = 32;
constexpr std::uint8_t kObject = 64;
constexpr int kMostDepth = 32;
constexpr std::size_t kMostNodes = 500;
constexpr std::size_t kMostDigits = 15;  // exact in a double whatever reads it

std::uint8_t bit_of(std::string_view name) {
  if (name == "null") return kNull;
  if (name == "boolean") return kBoolean;
  if (name == "integer") return kInteger;
  if (name == "number") return kInteger | kNumber;
  if (name == "string") return kString;
  if (name == "array") return kArray;
  if (name == "object") return kObject;
  return 0;
}

// Whether a keyword means nothing for what fits, and its value is one that it may have.
bool says_nothing(std::string_view keyword, const json::value& value) {
  if (keyword == "title" || keyword == "description" || keyword == "$comment") return value.is_string();
  if (keyword == "examples") return value.is_array();
  if (keyword == "deprecated") return value.is_bool();
  return keyword == "default";
}

// A bound of numbers of at most kMostDigits digits, as an integer that is as strict or stricter; nothing when there is none.
constexpr std::int64_t kLarge = 1'000'000'000'000'000;

std::optional<std::int64_t> least_of(const json::value& bound) {
  if (bound.is_int64()) return bound.get_int64();
  if (bound.is_uint64()) return static_cast<std::int64_t>(std::min<std::uint64_t>(bound.get_uint64(), kLarge));
  if (!bound.is_double() || !(bound.get_double() <= static_cast<double>(kLarge))) return std::nullopt;
  return static_cast<std::int64_t>(std::ceil(std::max(bound.get_double(), -static_cast<double>(kLarge))));
}

std::optional<std::int64_t> most_of(const json::value& bound) {
  if (bound.is_int64()) return bound.get_int64();
  if (bound.is_uint64()) return static_cast<std::int64_t>(std::min<std::uint64_t>(bound.get_uint64(), kLarge));
  if (!bound.is_double() || !(bound.get_double() >= -static_cast<double>(kLarge))) return std::nullopt;
  return static_cast<std::int64_t>(std::floor(std::min(bound.get_double(), static_cast<double>(kLarge))));
}

}  // namespace

std::optional<QuickCheck> QuickCheck::compile(const json::object& schema) {
  QuickCheck check;
  if (check.add(json::value(schema), 0) < 0) return std::nullopt;
  return check;
}

int QuickCheck::add(const json::value& schema, int depth) {
  if (depth > kMostDepth || nodes_.size() >= kMostNodes || !schema.is_object()) return -1;
  const int at = static_cast<int>(nodes_.size());
  nodes_.emplace_back();
  Node node;
  for (const auto& [key, value] : schema.get_object()) {
    if (says_nothing(key, value)) continue;
    if (key == "type") {
      node.types = 0;
      if (value.is_string()) node.types = bit_of(value.get_string());
      if (value.is_array()) {
        std::vector<std::string_view> names;
        for (const auto& one : value.get_array()) {
          const auto bit = one.is_string() ? bit_of(one.get_string()) : std::uint8_t{0};
          if (bit == 0 || std::find(names.begin(), names.end(), one.get_string()) != names.end()) return -1;
          names.emplace_back(one.get_string());
          node.types |= bit;
        }
      }
      if (node.types == 0) return -1;
    } else if (key == "properties") {
      if (!value.is_object() || value.get_object().size() > 64) return -1;
      for (const auto& [name, inner] : value.get_object()) {
        const int child = add(inner, depth + 1);
        if (child < 0) return -1;
        node.properties.push_back({std::string(name), child, false});
      }
    } else if (key == "required") {
      continue;  // below, once the properties are known
    } else if (key == "additionalProperties") {
      if (value.is_bool()) {
        node.closed = !value.get_bool();
      } else if ((node.extra = add(value, depth + 1)) < 0) {
        return -1;
      }
    } else if (key == "items") {
      if ((node.items = add(value, depth + 1)) < 0) return -1;
    } else if (key == "minimum") {
      const auto least = least_of(value);
      if (!least) return -1;
      node.least = *least;
    } else if (key == "maximum") {
      const auto most = most_of(value);
      if (!most) return -1;
      node.most = *most;
    } else if (key == "enum") {
      if (!value.is_array() || value.get_array().empty()) return -1;
      for (const auto& one : value.get_array()) {
        if (!one.is_string()) return -1;
        node.choices.emplace_back(one.get_string());
      }
    } else if (key == "anyOf") {
      if (!value.is_array() || value.get_array().empty()) return -1;
      for (const auto& one : value.get_array()) {
        const int child = add(one, depth + 1);
        if (child < 0) return -1;
        node.any_of.push_back(child);
      }
    } else {
      return -1;
    }
  }
  if (const auto* required = schema.get_object().if_contains("required")) {
    if (!required->is_array()) return -1;
    for (const auto& name : required->get_array()) {
      if (!name.is_string()) return -1;
      const auto found = std::find_if(node.properties.begin(), node.properties.end(), [&](const auto& p) { return p.name == std::string_view(name.get_string()); });
      if (found == node.properties.end()) return -1;
      const auto bit = std::uint64_t{1} << (found - node.properties.begin());
      if ((node.required & bit) != 0) return -1;
      node.required |= bit;
    }
  }
  // A choice among strings says nothing of other types, so that the type has to be said.
  if (!node.choices.empty() && node.types != kString) return -1;
  nodes_[static_cast<std::size_t>(at)] = std::move(node);
  return at;
}

// One pass; every function leaves `at_` behind what it has read.
class QuickCheck::Reader {
 public:
  Reader(const std::vector<Node>& nodes, std::string_view text) : nodes_(nodes), text_(text) {}

  bool whole() {
    space();
    if (!value(0, 0)) return false;
    space();
    return at_ == text_.size();
  }

  // Of the outermost object, after whole().
  std::uint64_t members() const { return members_; }

 private:
  bool value(int index, int depth) {
    if (depth > kMostDepth || at_ >= text_.size()) return false;
    static const Node kAnything;
    const Node& node = index < 0 ? kAnything : nodes_[static_cast<std::size_t>(index)];
    if (!node.any_of.empty()) {
      const std::size_t begin = at_;
      bool fits = false;
      for (const int choice : node.any_of) {
        at_ = begin;
        if ((fits = value(choice, depth + 1))) break;
      }
      if (!fits) return false;
      at_ = begin;  // the node's own keywords hold besides
    }
    switch (text_[at_]) {
      case '"': return (node.types & kString) != 0 && string(node);
      case '{': return (node.types & kObject) != 0 && object(node, depth);
      case '[': return (node.types & kArray) != 0 && array(node, depth);
      case 't': return (node.types & kBoolean) != 0 && word("true");
      case 'f': return (node.types & kBoolean) != 0 && word("false");
      case 'n': return (node.types & kNull) != 0 && word("null");
      default: return number(node);
    }
  }

  bool word(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  bool number(const Node& node) {
    const std::size_t begin = at_;
    if (at_ < text_.size() && text_[at_] == '-') ++at_;
    const std::size_t digits = at_;
    skip_digits();
    const std::size_t whole = at_ - digits;
    if (whole == 0 || whole > kMostDigits || (whole > 1 && text_[digits] == '0')) return false;
    bool integer = true;
    if (at_ < text_.size() && text_[at_] == '.') {
      integer = false;
      const std::size_t fraction = ++at_;
      skip_digits();
      if (at_ == fraction || at_ - begin > 40) return false;
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) return false;
    if ((node.types & (integer ? kInteger : kNumber)) == 0) return false;
    // The number lies between the integers `low` and `high`.
    std::int64_t low = 0;
    for (std::size_t i = digits; i < digits + whole; ++i) low = low * 10 + (text_[i] - '0');
    std::int64_t high = low + (integer ? 0 : 1);
    if (digits > begin) low = -std::exchange(high, -low);
    return low >= node.least && high <= node.most;
  }

  void skip_digits() {
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
  }

  // The text between the quotes; nullopt for what has escapes that are not plain or is no UTF-8.
  std::optional<std::string_view> quoted(bool& escaped) {
    if (at_ >= text_.size() || text_[at_] != '"') return std::nullopt;
    const std::size_t begin = ++at_;
    bool ascii = true;
    escaped = false;
    for (; at_ < text_.size(); ++at_) {
      if ((at_ - begin) % 8 == 0) at_ += plain_json_bytes(text_.substr(at_));
      if (at_ == text_.size()) break;
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        const auto inner = text_.substr(begin, at_ - begin);
        if (!ascii && find_invalid_utf8(inner) != std::string_view::npos) return std::nullopt;
        ++at_;
        return inner;
      }
      if (c < 0x20) return std::nullopt;
      if (c >= 0x80) ascii = false;
      if (c == '\\') {
        escaped = true;
        if (++at_ >= text_.size() || std::string_view("\"\\/bfnrt").find(text_[at_]) == std::string_view::npos) return std::nullopt;
      }
    }
    return std::nullopt;
  }

  bool string(const Node& node) {
    bool escaped = false;
    const auto inner = quoted(escaped);
    if (!inner) return false;
    if (node.choices.empty()) return true;
    return !escaped && std::find(node.choices.begin(), node.choices.end(), *inner) != node.choices.end();
  }

  bool array(const Node& node, int depth) {
    ++at_;
    space();
    if (at_ < text_.size() && text_[at_] == ']') return ++at_, true;
    while (true) {
      if (!value(node.items, depth + 1)) return false;
      space();
      if (at_ >= text_.size()) return false;
      if (text_[at_] == ']') return ++at_, true;
      if (text_[at_++] != ',') return false;
      space();
    }
  }

  bool object(const Node& node, int depth) {
    std::uint64_t seen = 0;
    ++at_;
    space();
    if (at_ < text_.size() && text_[at_] == '}') {
      ++at_;
      return node.required == 0;
    }
    while (true) {
      bool escaped = false;
      const auto key = quoted(escaped);
      if (!key || escaped) return false;
      space();
      if (at_ >= text_.size() || text_[at_++] != ':') return false;
      space();
      const auto found = std::find_if(node.properties.begin(), node.properties.end(), [&](const auto& p) { return p.name == *key; });
      if (found == node.properties.end()) {
        if (node.closed || !value(node.extra, depth + 1)) return false;
      } else {
        const auto bit = std::uint64_t{1} << (found - node.properties.begin());
        // Given twice: which of them counts is the full validator's to say.
        if ((seen & bit) != 0) return false;
        seen |= bit;
        if (!value(found->node, depth + 1)) return false;
      }
      space();
      if (at_ >= text_.size()) return false;
      if (text_[at_] == '}') {
        ++at_;
        if (depth == 0) members_ = seen;
        return (seen & node.required) == node.required;
      }
      if (text_[at_++] != ',') return false;
      space();
    }
  }

  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }

  const std::vector<Node>& nodes_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::uint64_t members_ = 0;
};

bool QuickCheck::accepts(std::string_view text) const { return Reader(nodes_, text).whole(); }

std::optional<std::uint64_t> QuickCheck::members(std::string_view text) const {
  Reader reader(nodes_, text);
  if ((nodes_.front().types & kObject) == 0 || !reader.whole() || trim(text).front() != '{') return std::nullopt;
  return reader.members();
}

}  // namespace sabir::schema
