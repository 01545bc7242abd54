// Definitions of text_access.hpp.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>

#include "sabir/json_access_inline.hpp"
#include "sabir/text_access.hpp"

namespace sabir::worker {

namespace detail_text {

using Kind = TextValue::Kind;
constexpr int kMostDepth = 256;

// The bytes at the beginning of `text` that a JSON string holds as they are: ASCII without quotes, backslashes and control
// characters. Eight at a time.
inline std::size_t plain_bytes(const char* text, std::size_t size) {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kHigh = 0x8080808080808080U;
  std::size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text + at, 8);
    const std::uint64_t quote = word ^ (kOnes * '"');
    const std::uint64_t backslash = word ^ (kOnes * '\\');
    if (((word | (word - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes)) & kHigh) != 0) break;
  }
  for (; at < size; ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
  }
  return at;
}

// The length of the UTF-8 sequence at `at`; 0 when there is none.
inline std::size_t sequence(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool fits = (first != 0xe0 || byte(1) >= 0xa0) && (first != 0xed || byte(1) <= 0x9f);
    return fits && follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool fits = (first != 0xf0 || byte(1) >= 0x90) && (first != 0xf4 || byte(1) <= 0x8f);
    return fits && follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

inline void append_utf8(std::string& out, std::uint32_t point) {
  const auto follow = [&](unsigned shift) { out += static_cast<char>(0x80U | ((point >> shift) & 0x3fU)); };
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0U | (point >> 6U));
    follow(0);
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0U | (point >> 12U));
    follow(6);
    follow(0);
  } else {
    out += static_cast<char>(0xf0U | (point >> 18U));
    follow(12);
    follow(6);
    follow(0);
  }
}

inline std::uint32_t hex4(const char* text) {
  std::uint32_t out = 0;
  std::from_chars(text, text + 4, out, 16);
  return out;
}

// A string without its escapes. Errors: InvalidArgument for half of a surrogate pair.
inline std::string unescaped(const TextValue& value) {
  if (!value.escaped) return std::string(value.view());
  std::string out;
  out.reserve(value.size);
  const char* at = value.text;
  const char* const end = at + value.size;
  while (at < end) {
    if (*at != '\\') {
      out += *at++;
      continue;
    }
    const char escape = at[1];
    at += 2;
    switch (escape) {
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'u': {
        std::uint32_t point = hex4(at);
        at += 4;
        if (point >= 0xd800 && point <= 0xdbff && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
          const std::uint32_t low = hex4(at + 2);
          if (low >= 0xdc00 && low <= 0xdfff) {
            point = 0x10000 + ((point - 0xd800) << 10U) + (low - 0xdc00);
            at += 6;
          }
        }
        if (point >= 0xd800 && point <= 0xdfff) throw InvalidArgument("the arguments have half of a surrogate pair");
        append_utf8(out, point);
        break;
      }
      default: out += escape;
    }
  }
  return out;
}

inline bool is_name(const TextValue& key, std::string_view name) { return key.escaped ? unescaped(key) == name : key.view() == name; }

#ifdef __cpp_lib_to_chars
inline bool double_of(std::string_view text, double& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc()) return true;
  // Out of range: too large, or too small to be told from 0.
  const std::size_t exponent = text.find_first_of("eE");
  out = 0;
  return exponent != std::string_view::npos && text.substr(exponent + 1).starts_with('-');
}
#else
// Before GCC 11 the standard library reads and writes no floats in this way.
inline bool double_of(std::string_view text, double& out) {
  const Json value = Json::parse(text, nullptr, false);
  if (!value.is_number()) return false;
  out = value.get<double>();
  return true;
}
#endif

}  // namespace detail_text

// All values of a text, each in front of what it consists of.
class TextDocument {
 public:
  // Errors: InvalidArgument, naming the byte, when it is not one JSON value, in UTF-8 and at most 256 deep.
  explicit TextDocument(std::string_view text) : text_(text) {
    if (text.size() > 0xffffffffU) throw InvalidArgument("the arguments are larger than 4 GB");
    blanks();
    value(0);
    blanks();
    if (at_ != text_.size()) malformed();
  }
  TextDocument(const TextDocument&) = delete;
  TextDocument& operator=(const TextDocument&) = delete;

  const TextValue& root() const { return values_[0]; }

 private:
  using Kind = TextValue::Kind;

  [[noreturn]] void malformed() const { throw InvalidArgument("the arguments are no JSON: byte " + std::to_string(at_)); }

  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }

  char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  // The index of a new value that begins here.
  std::size_t add(Kind kind) {
    if (used_ == room_) grow();
    values_[used_] = {text_.data() + at_, 0, 0, 1, kind, false};
    return used_++;
  }

  void grow() {
    auto more = std::make_unique<TextValue[]>(room_ * 2);
    std::copy(values_, values_ + used_, more.get());
    far_ = std::move(more);
    values_ = far_.get();
    room_ *= 2;
  }

  void value(int depth) {
    if (depth > detail_text::kMostDepth) malformed();
    switch (here()) {
      case '{': return container(Kind::kObject, '}', depth);
      case '[': return container(Kind::kArray, ']', depth);
      case '"': return string();
      case 't': return word(Kind::kTrue, "true");
      case 'f': return word(Kind::kFalse, "false");
      case 'n': return word(Kind::kNull, "null");
      default: return number();
    }
  }

  void word(Kind kind, std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) malformed();
    const std::size_t index = add(kind);
    values_[index].size = static_cast<std::uint32_t>(expected.size());
    at_ += expected.size();
  }

  void digits() {
    const std::size_t from = at_;
    while (here() >= '0' && here() <= '9') ++at_;
    if (at_ == from) malformed();
  }

  void number() {
    const std::size_t from = at_;
    const std::size_t index = add(Kind::kNumber);
    if (here() == '-') ++at_;
    if (here() == '0') ++at_;
    else digits();
    if (here() == '.') {
      ++at_;
      digits();
    }
    if (here() == 'e' || here() == 'E') {
      ++at_;
      if (here() == '+' || here() == '-') ++at_;
      digits();
    }
    values_[index].size = static_cast<std::uint32_t>(at_ - from);
  }

  void string() {
    ++at_;
    const std::size_t from = at_;
    const std::size_t index = add(Kind::kString);
    bool escaped = false;
    while (true) {
      at_ += detail_text::plain_bytes(text_.data() + at_, text_.size() - at_);
      if (at_ >= text_.size()) malformed();
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') break;
      if (c < 0x20) malformed();
      if (c == '\\') {
        escaped = true;
        ++at_;
        if (here() == 'u') {
          for (int i = 0; i < 4; ++i) {
            ++at_;
            const char digit = static_cast<char>(here() | 0x20);
            if (!((here() >= '0' && here() <= '9') || (digit >= 'a' && digit <= 'f'))) malformed();
          }
        } else if (here() == '\0' || std::string_view("\"\\/bfnrt").find(here()) == std::string_view::npos) {
          malformed();
        }
        ++at_;
        continue;
      }
      const std::size_t length = detail_text::sequence(text_, at_);
      if (length == 0) malformed();
      at_ += length;
    }
    values_[index].size = static_cast<std::uint32_t>(at_ - from);
    values_[index].escaped = escaped;
    ++at_;
  }

  void container(Kind kind, char close, int depth) {
    const std::size_t from = at_;
    const std::size_t index = add(kind);
    std::uint32_t count = 0;
    ++at_;
    blanks();
    if (here() != close) {
      while (true) {
        if (kind == Kind::kObject) {
          if (here() != '"') malformed();
          string();
          blanks();
          if (here() != ':') malformed();
          ++at_;
          blanks();
        }
        value(depth + 1);
        ++count;
        blanks();
        if (here() == close) break;
        if (here() != ',') malformed();
        ++at_;
        blanks();
      }
    }
    ++at_;
    TextValue& made = values_[index];
    made.size = static_cast<std::uint32_t>(at_ - from);
    made.count = count;
    made.skip = static_cast<std::uint32_t>(used_ - index);
  }

  static constexpr std::size_t kNear = 32;

  std::string_view text_;
  std::size_t at_ = 0;
  TextValue near_[kNear];  // most arguments need no other memory
  std::unique_ptr<TextValue[]> far_;
  TextValue* values_ = near_;
  std::size_t used_ = 0;
  std::size_t room_ = kNear;
};

SABIR_API char* TextWriter::room(std::size_t size) {
  if (output_.capacity - output_.size < size) {
    if (size > static_cast<std::size_t>(-1) / 4 || output_.grow(&output_, std::max(output_.size + size, output_.capacity * 2)) != 0) throw std::bad_alloc();
  }
  return output_.data + output_.size;
}

SABIR_API void TextWriter::put(std::string_view text) {
  std::memcpy(room(text.size()), text.data(), text.size());
  wrote(text.size());
}

SABIR_API void TextWriter::separate() {
  const char last = output_.data[output_.size - 1];
  if (last != '[' && last != '{') put(',');
}

SABIR_API void bad_value(const Path& path, const std::string& expected, const TextValue& got) {
  static constexpr const char* kNames[] = {"null", "boolean", "boolean", "number", "string", "array", "object"};
  std::string shown(raw_text(got));
  if (shown.size() > 60) shown = std::string("a value of type ") + kNames[static_cast<std::size_t>(got.kind)];
  throw InvalidArgument("argument " + detail_access::text_of(&path) + ": expected " + expected + ", got " + shown);
}

SABIR_API bool is_null(const TextValue& value) { return value.kind == TextValue::Kind::kNull; }
SABIR_API bool is_text(const TextValue& value) { return value.kind == TextValue::Kind::kString; }

SABIR_API bool read_boolean(const TextValue& value, const Path& path) {
  if (value.kind != TextValue::Kind::kTrue && value.kind != TextValue::Kind::kFalse) bad_value(path, "true or false", value);
  return value.kind == TextValue::Kind::kTrue;
}

namespace detail_text {

// A number without fraction, as digits or as a float that is exact. False when it does not fit into T.
template <class T>
bool whole_of(const TextValue& value, T& out) {
  if (value.kind != Kind::kNumber) return false;
  const char* const end = value.text + value.size;
  const auto [stopped, error] = std::from_chars(value.text, end, out);
  if (error == std::errc() && stopped == end) return true;
  if (value.view() == "-0") {
    out = 0;
    return true;
  }
  if (value.view().find_first_of(".eE") == std::string_view::npos) return false;
  double real = 0;
  if (!double_of(value.view(), real) || std::trunc(real) != real || std::abs(real) > 9007199254740992.0) return false;
  if (std::is_unsigned_v<T> && real < 0) return false;
  out = static_cast<T>(real);
  return true;
}

}  // namespace detail_text

SABIR_API std::int64_t read_integer(const TextValue& value, const Path& path, std::int64_t least, std::int64_t most) {
  std::int64_t number = 0;
  if (!detail_text::whole_of(value, number) || number < least || number > most) {
    bad_value(path, "an integer from " + std::to_string(least) + " to " + std::to_string(most), value);
  }
  return number;
}

SABIR_API std::uint64_t read_natural(const TextValue& value, const Path& path, std::uint64_t most) {
  std::uint64_t number = 0;
  if (!detail_text::whole_of(value, number) || number > most) bad_value(path, "an integer from 0 to " + std::to_string(most), value);
  return number;
}

SABIR_API double read_number(const TextValue& value, const Path& path) {
  double number = 0;
  if (value.kind != TextValue::Kind::kNumber || !detail_text::double_of(value.view(), number)) bad_value(path, "a number", value);
  return number;
}

SABIR_API std::string read_text(const TextValue& value, const Path& path) {
  if (value.kind != TextValue::Kind::kString) bad_value(path, "a string", value);
  return detail_text::unescaped(value);
}

SABIR_API void read_bytes(const TextValue& value, const Path& path, void* to, std::byte* (*room)(void* to, std::size_t size)) {
  std::vector<std::uint8_t> bytes;
  if (value.kind != TextValue::Kind::kString) bad_value(path, "base64 text", value);
  try {
    bytes = value.escaped ? sabir::detail::from_base64(detail_text::unescaped(value)) : sabir::detail::from_base64(value.view());
  } catch (const std::invalid_argument&) {
    bad_value(path, "base64 text", value);
  }
  std::byte* const begin = room(to, bytes.size());
  std::transform(bytes.begin(), bytes.end(), begin, [](std::uint8_t byte) { return static_cast<std::byte>(byte); });
}

SABIR_API std::int64_t read_time(const TextValue& value, const Path& path) {
  std::int64_t out = 0;
  if (value.kind != TextValue::Kind::kString || !detail_access::time_in(detail_text::unescaped(value), out)) {
    bad_value(path, R"(a time such as "2024-05-01T12:30:00Z")", value);
  }
  return out;
}

SABIR_API Date read_date(const TextValue& value, const Path& path) {
  Date out;
  const std::string text = value.kind == TextValue::Kind::kString ? detail_text::unescaped(value) : std::string();
  if (text.size() != 10 || !detail_access::day_in(text, out)) bad_value(path, R"(a date such as "2024-05-01")", value);
  return out;
}

SABIR_API std::size_t read_array(const TextValue& value, const Path& path) {
  if (value.kind != TextValue::Kind::kArray) bad_value(path, "an array", value);
  return value.count;
}

SABIR_API const TextValue& element(const TextValue& array, const TextValue* before, std::size_t) { return before == nullptr ? *array.first() : *before->next(); }

SABIR_API void read_object(const TextValue& value, const Path& path, void* to, void (*each)(void* to, const std::string& name, const TextValue& value)) {
  if (value.kind != TextValue::Kind::kObject) bad_value(path, "an object", value);
  const TextValue* key = value.first();
  for (std::uint32_t i = 0; i < value.count; ++i, key = key[1].next()) {
    each(to, detail_text::unescaped(*key), key[1]);
  }
}

SABIR_API std::size_t member_count(const TextValue& object) { return object.count; }

SABIR_API const TextValue* member(const TextValue& object, const char* name) {
  const std::string_view wanted(name);
  const TextValue* found = nullptr;
  const TextValue* key = object.first();
  if (object.kind != TextValue::Kind::kObject) return nullptr;
  for (std::uint32_t i = 0; i < object.count; ++i, key = key[1].next()) {
    if (detail_text::is_name(*key, wanted)) found = key + 1;
  }
  return found;
}

SABIR_API void check_members(const TextValue& value, const Path& path, const char* const* names, std::size_t count) {
  if (value.kind != TextValue::Kind::kObject) bad_value(path, "an object", value);
  const TextValue* key = value.first();
  for (std::uint32_t i = 0; i < value.count; ++i, key = key[1].next()) {
    const auto is_it = [&](const char* name) { return detail_text::is_name(*key, name); };
    if (std::none_of(names, names + count, is_it)) bad_argument(path, "has no member " + detail_text::unescaped(*key));
  }
}

SABIR_API std::string_view raw_text(const TextValue& value) {
  // A string has its quotes around it.
  if (value.kind == TextValue::Kind::kString) return {value.text - 1, value.size + std::size_t{2}};
  return value.view();
}

SABIR_API void write_null(TextWriter& out) { out.put("null"); }
SABIR_API void write_boolean(TextWriter& out, bool value) { out.put(value ? std::string_view("true") : std::string_view("false")); }

SABIR_API void write_integer(TextWriter& out, std::int64_t value) {
  char* const at = out.room(24);
  out.wrote(static_cast<std::size_t>(std::to_chars(at, at + 24, value).ptr - at));
}

SABIR_API void write_natural(TextWriter& out, std::uint64_t value) {
  char* const at = out.room(24);
  out.wrote(static_cast<std::size_t>(std::to_chars(at, at + 24, value).ptr - at));
}

SABIR_API void write_number(TextWriter& out, double value) {
  if (!std::isfinite(value)) throw InvalidResult(std::isnan(value) ? "NaN is not a JSON number" : "an infinity is not a JSON number");
#ifdef __cpp_lib_to_chars
  char* const at = out.room(40);
  const auto size = static_cast<std::size_t>(std::to_chars(at, at + 32, value).ptr - at);
  out.wrote(size);
  // A float stays one: 3.0, not 3.
  if (std::string_view(at, size).find_first_of(".e") == std::string_view::npos) out.put(".0");
#else
  out.put(Json(value).dump());
#endif
}

SABIR_API void write_text(TextWriter& out, std::string_view value) {
  static constexpr char kHex[] = "0123456789abcdef";
  // As if nothing had to be escaped; what has takes more room when it comes.
  (void)out.room(value.size() + 2);
  out.put('"');
  for (std::size_t at = 0; at < value.size();) {
    const std::size_t plain = detail_text::plain_bytes(value.data() + at, value.size() - at);
    if (plain > 0) out.put(value.substr(at, plain));
    at += plain;
    if (at == value.size()) break;
    const char c = value[at];
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) {
      const std::size_t length = detail_text::sequence(value, at);
      if (length == 0) throw InvalidResult("text that is no UTF-8, at byte " + std::to_string(at));
      out.put(value.substr(at, length));
      at += length;
      continue;
    }
    switch (c) {
      case '"': out.put("\\\""); break;
      case '\\': out.put("\\\\"); break;
      case '\b': out.put("\\b"); break;
      case '\f': out.put("\\f"); break;
      case '\n': out.put("\\n"); break;
      case '\r': out.put("\\r"); break;
      case '\t': out.put("\\t"); break;
      default:
        out.put("\\u00");
        out.put(kHex[byte >> 4U]);
        out.put(kHex[byte & 15U]);
    }
    ++at;
  }
  out.put('"');
}

SABIR_API void write_bytes(TextWriter& out, const std::byte* data, std::size_t size) {
  out.put('"');
  out.put(sabir::detail::base64(reinterpret_cast<const std::uint8_t*>(data), size));
  out.put('"');
}

SABIR_API void write_time(TextWriter& out, std::int64_t nanoseconds) { write_text(out, detail_access::time_text(nanoseconds)); }
SABIR_API void write_date(TextWriter& out, const Date& date) { write_text(out, detail_access::date_text(date)); }

SABIR_API void write_json(TextWriter& out, const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return write_null(out);
    case Json::value_t::boolean: return write_boolean(out, value.get<bool>());
    case Json::value_t::number_integer: return write_integer(out, value.get<std::int64_t>());
    case Json::value_t::number_unsigned: return write_natural(out, value.get<std::uint64_t>());
    case Json::value_t::number_float: return write_number(out, value.get<double>());
    case Json::value_t::string: return write_text(out, value.get_ref<const std::string&>());
    case Json::value_t::binary: return write_bytes(out, reinterpret_cast<const std::byte*>(value.get_binary().data()), value.get_binary().size());
    case Json::value_t::array:
      write_array(out);
      for (const auto& item : value) write_json(add_element(out), item);
      return end_array(out);
    case Json::value_t::object:
      write_object(out);
      for (const auto& [name, item] : value.get_ref<const Json::object_t&>()) write_json(add_member(out, name), item);
      return end_object(out);
    case Json::value_t::discarded: throw InvalidResult("a discarded value has no JSON form");
  }
}

SABIR_API void write_array(TextWriter& out) { out.put('['); }
SABIR_API void write_object(TextWriter& out) { out.put('{'); }
SABIR_API void end_array(TextWriter& out) { out.put(']'); }
SABIR_API void end_object(TextWriter& out) { out.put('}'); }

SABIR_API TextWriter& add_element(TextWriter& array) {
  array.separate();
  return array;
}

SABIR_API TextWriter& add_member(TextWriter& object, std::string_view name) {
  object.separate();
  write_text(object, name);
  object.put(':');
  return object;
}

SABIR_API void with_json(const TextValue& value, void* to, void (*then)(void* to, const Json& value)) {
  const Json json = Json::parse(raw_text(value));
  then(to, json);
}

SABIR_API void fill_json(TextWriter& out, const void* from, void (*fill)(const void* from, Json& out)) {
  Json json;
  fill(from, json);
  write_json(out, json);
}

}  // namespace sabir::worker
