// Definitions of json_access.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "sabir/json_access.hpp"
#include "sabir/value.hpp"

namespace sabir::worker {

namespace detail_access {

inline std::string text_of(const Path* path) {
  std::string out;
  for (; path != nullptr; path = path->up) {
    out = "/" + (path->name.empty() ? std::to_string(path->index) : sabir::detail::pointer_key(std::string(path->name))) + out;
  }
  return out;
}

// Reads exactly `count` digits at `at`; -1 when there are others.
inline int digits(std::string_view text, std::size_t at, std::size_t count) {
  int out = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
    out = out * 10 + (text[i] - '0');
  }
  return out;
}

inline bool is_day(const Date& date) {
  static constexpr std::array<unsigned, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (date.month < 1 || date.month > 12 || date.day < 1) return false;
  const bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
  return date.day <= kDays[date.month - 1] + (date.month == 2 && leap ? 1U : 0U);
}

// YYYY-MM-DD at the beginning of `text`.
inline bool day_in(std::string_view text, Date& date) {
  const int year = digits(text, 0, 4);
  const int month = digits(text, 5, 2);
  const int day = digits(text, 8, 2);
  if (year < 0 || month < 0 || day < 0 || text[4] != '-' || text[7] != '-') return false;
  date = {year, static_cast<unsigned>(month), static_cast<unsigned>(day)};
  return is_day(date);
}

inline bool time_in(std::string_view text, std::int64_t& nanoseconds) {
  Date date;
  if (text.size() < 20 || !day_in(text, date)) return false;
  const char between = text[10];
  const int hour = digits(text, 11, 2);
  const int minute = digits(text, 14, 2);
  const int second = digits(text, 17, 2);
  if ((between != 'T' && between != 't' && between != ' ') || text[13] != ':' || text[16] != ':') return false;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false;
  std::size_t at = 19;
  std::int64_t fraction = 0;
  if (text[at] == '.') {
    std::int64_t unit = 100'000'000;
    const std::size_t from = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) fraction += (text[at] - '0') * unit;
    if (at == from) return false;
  }
  int offset = 0;
  if (at + 1 == text.size() && (text[at] == 'Z' || text[at] == 'z')) {
    offset = 0;
  } else if (at + 6 == text.size() && (text[at] == '+' || text[at] == '-') && text[at + 3] == ':') {
    const int hours = digits(text, at + 1, 2);
    const int minutes = digits(text, at + 4, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return false;
    offset = (hours * 60 + minutes) * (text[at] == '-' ? -1 : 1);
  } else {
    return false;
  }
  const std::int64_t seconds = days_of(date) * 86400 + hour * 3600 + minute * 60 + second - offset * 60;
  // From 1677 to 2262, as 64 bits of nanoseconds reach.
  if (seconds < -9'223'372'036 || seconds > 9'223'372'035) return false;
  nanoseconds = seconds * 1'000'000'000 + fraction;
  return true;
}

}  // namespace detail_access

SABIR_API void bad_value(const Path& path, const std::string& expected, const Json& got) {
  std::string shown = got.is_binary() ? "a byte sequence" : got.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (shown.size() > 60) shown = std::string("a value of type ") + got.type_name();
  throw InvalidArgument("argument " + detail_access::text_of(&path) + ": expected " + expected + ", got " + shown);
}

SABIR_API void bad_argument(const Path& path, const std::string& what) {
  throw InvalidArgument("argument " + detail_access::text_of(&path) + " " + what);
}

SABIR_API bool is_null(const Json& value) { return value.is_null(); }
SABIR_API bool is_text(const Json& value) { return value.is_string(); }

SABIR_API bool read_boolean(const Json& value, const Path& path) {
  if (!value.is_boolean()) bad_value(path, "true or false", value);
  return value.get<bool>();
}

SABIR_API std::int64_t read_integer(const Json& value, const Path& path, std::int64_t least, std::int64_t most) {
  std::int64_t number = 0;
  bool fits = false;
  if (value.is_number_unsigned()) {
    fits = std::in_range<std::int64_t>(value.get<std::uint64_t>());
    if (fits) number = static_cast<std::int64_t>(value.get<std::uint64_t>());
  } else if (value.is_number_integer()) {
    fits = true;
    number = value.get<std::int64_t>();
  } else if (value.is_number_float()) {
    const auto real = value.get<double>();
    fits = std::trunc(real) == real && std::abs(real) <= 9007199254740992.0;
    if (fits) number = static_cast<std::int64_t>(real);
  }
  if (!fits || number < least || number > most) {
    bad_value(path, "an integer from " + std::to_string(least) + " to " + std::to_string(most), value);
  }
  return number;
}

SABIR_API std::uint64_t read_natural(const Json& value, const Path& path, std::uint64_t most) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= most) return value.get<std::uint64_t>();
  if (value.is_number_integer() && !value.is_number_unsigned() && value.get<std::int64_t>() >= 0 &&
      static_cast<std::uint64_t>(value.get<std::int64_t>()) <= most) {
    return static_cast<std::uint64_t>(value.get<std::int64_t>());
  }
  if (value.is_number_float()) {
    const auto real = value.get<double>();
    if (std::trunc(real) == real && real >= 0 && real <= 9007199254740992.0 && static_cast<std::uint64_t>(real) <= most) {
      return static_cast<std::uint64_t>(real);
    }
  }
  bad_value(path, "an integer from 0 to " + std::to_string(most), value);
}

SABIR_API double read_number(const Json& value, const Path& path) {
  if (!value.is_number()) bad_value(path, "a number", value);
  return value.get<double>();
}

SABIR_API std::string read_text(const Json& value, const Path& path) {
  if (value.is_binary()) return {value.get_binary().begin(), value.get_binary().end()};
  if (!value.is_string()) bad_value(path, "a string", value);
  return value.get<std::string>();
}

SABIR_API void read_bytes(const Json& value, const Path& path, void* to, std::byte* (*room)(void* to, std::size_t size)) {
  std::vector<std::uint8_t> decoded;
  if (value.is_string()) {
    try {
      decoded = sabir::detail::from_base64(value.get_ref<const std::string&>());
    } catch (const std::invalid_argument&) {
      bad_value(path, "base64 text", value);
    }
  } else if (!value.is_binary()) {
    bad_value(path, "base64 text", value);
  }
  const auto* const bytes = value.is_binary() ? static_cast<const std::vector<std::uint8_t>*>(&value.get_binary()) : &decoded;
  std::byte* const begin = room(to, bytes->size());
  std::transform(bytes->begin(), bytes->end(), begin, [](std::uint8_t byte) { return static_cast<std::byte>(byte); });
}

SABIR_API std::int64_t read_time(const Json& value, const Path& path) {
  std::int64_t out = 0;
  if (!value.is_string() || !detail_access::time_in(value.get_ref<const std::string&>(), out)) {
    bad_value(path, R"(a time such as "2024-05-01T12:30:00Z")", value);
  }
  return out;
}

SABIR_API Date read_date(const Json& value, const Path& path) {
  Date out;
  if (!value.is_string() || value.get_ref<const std::string&>().size() != 10 || !detail_access::day_in(value.get_ref<const std::string&>(), out)) {
    bad_value(path, R"(a date such as "2024-05-01")", value);
  }
  return out;
}

// The civil calendar's days since 1970, as H. Hinnant's "chrono-Compatible Low-Level Date Algorithms" counts them: in eras
// of 400 years that begin in March.
SABIR_API std::int64_t days_of(const Date& date) {
  const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t of_era = year - era * 400;
  const std::int64_t of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

SABIR_API Date date_of(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const std::int64_t of_era = days - era * 146097;
  const std::int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::int64_t month = (5 * of_year + 2) / 153;
  const auto day = static_cast<unsigned>(of_year - (153 * month + 2) / 5 + 1);
  const auto named = static_cast<unsigned>(month < 10 ? month + 3 : month - 9);
  return {static_cast<int>(year + era * 400 + (named <= 2 ? 1 : 0)), named, day};
}

SABIR_API std::size_t read_array(const Json& value, const Path& path) {
  if (!value.is_array()) bad_value(path, "an array", value);
  return value.size();
}

SABIR_API const Json& element(const Json& array, const Json*, std::size_t index) { return array[index]; }

SABIR_API void read_object(const Json& value, const Path& path, void* to, void (*each)(void* to, const std::string& name, const Json& value)) {
  if (!value.is_object()) bad_value(path, "an object", value);
  for (const auto& [name, item] : value.get_ref<const Json::object_t&>()) each(to, name, item);
}

SABIR_API std::size_t member_count(const Json& object) { return object.size(); }

SABIR_API const Json* member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

SABIR_API void check_members(const Json& value, const Path& path, const char* const* names, std::size_t count) {
  if (!value.is_object()) bad_value(path, "an object", value);
  for (const auto& [name, item] : value.get_ref<const Json::object_t&>()) {
    if (std::find(names, names + count, name) == names + count) bad_argument(path, "has no member " + name);
  }
}

SABIR_API void write_null(Json& out) { out = nullptr; }
SABIR_API void write_boolean(Json& out, bool value) { out = value; }
SABIR_API void write_integer(Json& out, std::int64_t value) { out = value; }
SABIR_API void write_natural(Json& out, std::uint64_t value) { out = value; }
SABIR_API void write_number(Json& out, double value) {
  if (!std::isfinite(value)) throw InvalidResult(std::isnan(value) ? "NaN is not a JSON number" : "an infinity is not a JSON number");
  out = value;
}
SABIR_API void write_text(Json& out, std::string_view value) { out = value; }
SABIR_API void write_bytes(Json& out, const std::byte* data, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  std::transform(data, data + size, bytes.begin(), [](std::byte byte) { return static_cast<std::uint8_t>(byte); });
  out = Json::binary(std::move(bytes));
}

namespace detail_access {

inline std::string date_text(const Date& date) {
  if (date.year < 0 || date.year > 9999) throw InvalidResult("a date of the year " + std::to_string(date.year) + " has no ISO 8601 form");
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", date.year, date.month, date.day);
  return text.data();
}

// Fractions of a second in threes of digits, as far as there are any.
inline std::string time_text(std::int64_t nanoseconds) {
  std::int64_t seconds = nanoseconds / 1'000'000'000;
  std::int64_t fraction = nanoseconds % 1'000'000'000;
  if (fraction < 0) {
    fraction += 1'000'000'000;
    --seconds;
  }
  std::int64_t days = seconds / 86400;
  std::int64_t rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  const Date date = date_of(days);
  std::array<char, 64> text{};
  int used = std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", date.year, date.month, date.day, static_cast<int>(rest / 3600),
                           static_cast<int>(rest / 60 % 60), static_cast<int>(rest % 60));
  if (fraction != 0) {
    int digits = 9;
    while (digits > 3 && fraction % 1000 == 0) {
      fraction /= 1000;
      digits -= 3;
    }
    used += std::snprintf(text.data() + used, text.size() - static_cast<std::size_t>(used), ".%0*d", digits, static_cast<int>(fraction));
  }
  return std::string(text.data(), static_cast<std::size_t>(used)) + "Z";
}

}  // namespace detail_access

SABIR_API void write_date(Json& out, const Date& date) { out = detail_access::date_text(date); }
SABIR_API void write_time(Json& out, std::int64_t nanoseconds) { out = detail_access::time_text(nanoseconds); }

SABIR_API void write_array(Json& out) { out = Json::array(); }
SABIR_API void write_object(Json& out) { out = Json::object(); }
SABIR_API Json& add_element(Json& array) {
  array.push_back(nullptr);
  return array.back();
}
SABIR_API Json& add_member(Json& object, std::string_view name) { return object[std::string(name)]; }

}  // namespace sabir::worker
