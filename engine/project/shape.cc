#include "shape.h"

#include <charconv>
#include <cmath>

#include "sabir/base/text.h"

namespace sabir::project {

std::string kind_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "nothing";
    case json::kind::bool_: return value.get_bool() ? "true" : "false";
    case json::kind::array: return "a list";
    case json::kind::object: return "a mapping";
    case json::kind::string: {
      const std::string text(value.get_string());
      return "\"" + (text.size() > 60 ? text.substr(0, 57) + "…" : text) + "\"";
    }
    default: return "the number " + json::serialize(value);
  }
}

Error Shape::wrong(const std::string& pointer, std::string message, std::string hint) const {
  return at_position(Error(ErrorCode::kConfig, std::move(message), std::move(hint)), positions, pointer, file);
}

std::string dotted(const std::string& pointer) {
  std::string out;
  for (std::size_t i = pointer.empty() ? 0 : 1; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      out += '.';
    } else if (pointer[i] == '~' && i + 1 < pointer.size()) {
      out += pointer[++i] == '1' ? '/' : '~';
    } else {
      out += pointer[i];
    }
  }
  return out.empty() ? "the file" : out;
}

Result<std::string> Shape::text(const json::value& value, const std::string& pointer) const {
  if (value.is_string() && !value.get_string().empty()) return std::string(value.get_string());
  return fail(wrong(pointer, dotted(pointer) + " must be text, not " + kind_of(value),
                    value.is_number() || value.is_bool() ? "Put it in quotes." : ""));
}

Result<std::vector<std::string>> Shape::texts(const json::value& value, const std::string& pointer) const {
  if (!value.is_array()) {
    return fail(wrong(pointer, dotted(pointer) + " must be a list, not " + kind_of(value),
                      value.is_string() ? "Write [" + std::string(value.get_string()) + "]." : "Write [a, b]."));
  }
  std::vector<std::string> out;
  for (const auto& item : value.get_array()) {
    auto entry = text(item, pointer + "/" + std::to_string(out.size()));
    if (!entry) return fail(std::move(entry.error()));
    out.push_back(std::move(*entry));
  }
  return out;
}

Result<int> Shape::whole(const json::value& value, const std::string& pointer, int least, int most) const {
  if (value.is_int64() && value.get_int64() >= least && value.get_int64() <= most) return static_cast<int>(value.get_int64());
  return fail(wrong(pointer, dotted(pointer) + " must be a whole number from " + std::to_string(least) + " to " +
                                 std::to_string(most) + ", not " + kind_of(value)));
}

Result<int> Shape::duration_ms(const json::value& value, const std::string& pointer) const {
  std::optional<int> ms;
  if (value.is_string()) {
    ms = parse_duration_ms(std::string_view(value.get_string()));
  } else if (value.is_int64()) {
    ms = parse_duration_ms(std::to_string(value.get_int64()));
  } else if (value.is_double() && value.get_double() > 0 && value.get_double() < 86400) {
    ms = static_cast<int>(std::lround(value.get_double() * 1000));
  }
  if (ms && *ms > 0) return *ms;
  return fail(wrong(pointer, dotted(pointer) + " must be a time such as 30s or 5m, not " + kind_of(value),
                    "Units are ms, s, m and h; a bare number is seconds; a day is the most."));
}

std::optional<std::int64_t> parse_span_ms(std::string_view text) {
  text = trim(text);
  if (!text.ends_with('d')) return parse_duration_ms(text);
  text.remove_suffix(1);
  std::int64_t days = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), days);
  if (ec != std::errc() || end != text.data() + text.size() || days < 1 || days > 3650) return std::nullopt;
  return days * 86'400'000;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  text = trim(text);
  double number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc() || !(number > 0)) return std::nullopt;
  const auto unit = trim(text.substr(static_cast<std::size_t>(end - text.data())));
  const double factor = unit.empty() || unit == "B" ? 1 : unit == "KB" ? 1024.0 : unit == "MB" ? 1024.0 * 1024 : unit == "GB" ? 1024.0 * 1024 * 1024 : 0;
  const double bytes = number * factor;
  if (!(bytes >= 1024 * 1024) || bytes > 1e15) return std::nullopt;
  return static_cast<std::uint64_t>(bytes);
}

std::optional<int> parse_duration_ms(std::string_view text) {
  text = trim(text);
  std::size_t digits = 0;
  std::int64_t number = 0;
  while (digits < text.size() && digits < 9 && text[digits] >= '0' && text[digits] <= '9') {
    number = number * 10 + (text[digits++] - '0');
  }
  const std::string_view unit = text.substr(digits);
  if (digits == 0) return std::nullopt;
  if (unit == "s" || unit.empty()) number *= 1000;
  else if (unit == "m") number *= 60'000;
  else if (unit == "h") number *= 3'600'000;
  else if (unit != "ms") return std::nullopt;
  constexpr std::int64_t kDay = 86'400'000;
  if (number <= 0 || number > kDay) return std::nullopt;
  return static_cast<int>(number);
}

}  // namespace sabir::project
