// Convert: C++ values from JSON and to JSON, with a path in every complaint. A type that is not here specialises
// sabir::worker::Convert<T> with `static T from(const Json&, const std::string& path)` and `static Json to(const T&)`.
//
// Threads: pure functions.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "sabir/value.hpp"

namespace sabir::worker {

// An argument that does not fit its parameter.
struct InvalidArgument : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A result that JSON cannot carry.
struct InvalidResult : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void bad_value(const std::string& path, const std::string& expected, const Json& got) {
  std::string shown = got.is_binary() ? "a byte sequence" : got.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (shown.size() > 60) shown = std::string("a value of type ") + got.type_name();
  throw InvalidArgument("argument " + path + ": expected " + expected + ", got " + shown);
}

template <class T>
struct Convert {
  static_assert(sizeof(T) == 0, "this type has no JSON form: specialise sabir::worker::Convert for it");
};

// Errors: InvalidArgument.
template <class T>
T from_json(const Json& value, const std::string& path) {
  return Convert<T>::from(value, path);
}

// Errors: InvalidResult.
template <class T>
Json to_json(const T& value) {
  return Convert<T>::to(value);
}

template <>
struct Convert<Json> {
  static Json from(const Json& value, const std::string&) { return value; }
  static Json to(const Json& value) { return value; }
};

template <>
struct Convert<bool> {
  static bool from(const Json& value, const std::string& path) {
    if (!value.is_boolean()) bad_value(path, "true or false", value);
    return value.get<bool>();
  }
  static Json to(bool value) { return value; }
};

template <std::integral T>
struct Convert<T> {
  static T from(const Json& value, const std::string& path) {
    if (value.is_number_unsigned()) {
      const auto number = value.get<std::uint64_t>();
      if (std::in_range<T>(number)) return static_cast<T>(number);
    } else if (value.is_number_integer()) {
      const auto number = value.get<std::int64_t>();
      if (std::in_range<T>(number)) return static_cast<T>(number);
    } else if (value.is_number_float()) {
      // 3.0 is an integer of JSON Schema.
      const auto number = value.get<double>();
      if (std::trunc(number) == number && std::abs(number) <= 9007199254740992.0 && std::in_range<T>(static_cast<std::int64_t>(number))) {
        return static_cast<T>(number);
      }
    }
    bad_value(path, "an integer from " + std::to_string(std::numeric_limits<T>::min()) + " to " + std::to_string(std::numeric_limits<T>::max()), value);
  }
  static Json to(T value) {
    if constexpr (std::is_signed_v<T>) return static_cast<std::int64_t>(value);
    else return static_cast<std::uint64_t>(value);
  }
};

template <>
struct Convert<char> {
  static char from(const Json& value, const std::string& path) {
    if (!value.is_string() || value.get_ref<const std::string&>().size() != 1) bad_value(path, "a string of one ASCII character", value);
    return value.get_ref<const std::string&>()[0];
  }
  static Json to(char value) { return std::string(1, value); }
};

template <std::floating_point T>
struct Convert<T> {
  static T from(const Json& value, const std::string& path) {
    if (!value.is_number()) bad_value(path, "a number", value);
    return value.get<T>();
  }
  static Json to(T value) {
    if (!std::isfinite(value)) throw InvalidResult(std::isnan(value) ? "NaN is not a JSON number" : "an infinity is not a JSON number");
    return static_cast<double>(value);
  }
};

template <>
struct Convert<std::string> {
  static std::string from(const Json& value, const std::string& path) {
    if (value.is_binary()) return {value.get_binary().begin(), value.get_binary().end()};
    if (!value.is_string()) bad_value(path, "a string", value);
    return value.get<std::string>();
  }
  static Json to(const std::string& value) { return value; }
};

template <>
struct Convert<std::string_view> {
  static Json to(std::string_view value) { return std::string(value); }
};

template <>
struct Convert<const char*> {
  static Json to(const char* value) { return value == nullptr ? Json() : Json(value); }
};

template <>
struct Convert<std::filesystem::path> {
  static std::filesystem::path from(const Json& value, const std::string& path) { return Convert<std::string>::from(value, path); }
  static Json to(const std::filesystem::path& value) { return value.string(); }
};

template <>
struct Convert<std::nullptr_t> {
  static std::nullptr_t from(const Json& value, const std::string& path) {
    if (!value.is_null()) bad_value(path, "null", value);
    return nullptr;
  }
  static Json to(std::nullptr_t) { return nullptr; }
};

template <>
struct Convert<std::monostate> {
  static std::monostate from(const Json& value, const std::string& path) {
    if (!value.is_null()) bad_value(path, "null", value);
    return {};
  }
  static Json to(std::monostate) { return nullptr; }
};

template <>
struct Convert<Bytes> {
  static Bytes from(const Json& value, const std::string& path) {
    std::vector<std::uint8_t> decoded;
    if (value.is_binary()) {
      decoded = value.get_binary();
    } else if (value.is_string()) {
      try {
        decoded = detail::from_base64(value.get_ref<const std::string&>());
      } catch (const std::invalid_argument&) {
        bad_value(path, "base64 text", value);
      }
    } else {
      bad_value(path, "base64 text", value);
    }
    Bytes bytes(decoded.size());
    for (std::size_t i = 0; i < decoded.size(); ++i) bytes[i] = static_cast<std::byte>(decoded[i]);
    return bytes;
  }
  static Json to(const Bytes& value) {
    std::vector<std::uint8_t> bytes(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) bytes[i] = static_cast<std::uint8_t>(value[i]);
    return Json::binary(std::move(bytes));
  }
};

template <class T>
struct Convert<std::optional<T>> {
  static std::optional<T> from(const Json& value, const std::string& path) {
    if (value.is_null()) return std::nullopt;
    return from_json<T>(value, path);
  }
  static Json to(const std::optional<T>& value) { return value ? to_json<T>(*value) : Json(); }
};

// The containers that are JSON arrays. `put` adds one element.
template <class C>
struct ConvertSequence {
  static C from(const Json& value, const std::string& path) {
    if (!value.is_array()) bad_value(path, "an array", value);
    C out;
    if constexpr (requires { out.reserve(value.size()); }) out.reserve(value.size());
    std::size_t index = 0;
    for (const auto& item : value) {
      auto element = from_json<typename C::value_type>(item, path + "/" + std::to_string(index++));
      if constexpr (requires { out.push_back(std::move(element)); }) {
        out.push_back(std::move(element));
      } else {
        out.insert(std::move(element));
      }
    }
    return out;
  }
  static Json to(const C& value) {
    Json out = Json::array();
    for (const auto& item : value) out.push_back(to_json<typename C::value_type>(item));
    return out;
  }
};

template <class T, class A>
struct Convert<std::vector<T, A>> : ConvertSequence<std::vector<T, A>> {};
template <class T, class A>
struct Convert<std::deque<T, A>> : ConvertSequence<std::deque<T, A>> {};
template <class T, class A>
struct Convert<std::list<T, A>> : ConvertSequence<std::list<T, A>> {};
template <class T, class L, class A>
struct Convert<std::set<T, L, A>> : ConvertSequence<std::set<T, L, A>> {};
template <class T, class H, class E, class A>
struct Convert<std::unordered_set<T, H, E, A>> : ConvertSequence<std::unordered_set<T, H, E, A>> {};

template <class T, std::size_t N>
struct Convert<std::array<T, N>> {
  static std::array<T, N> from(const Json& value, const std::string& path) {
    if (!value.is_array() || value.size() != N) bad_value(path, "an array of " + std::to_string(N) + " elements", value);
    std::array<T, N> out{};
    for (std::size_t i = 0; i < N; ++i) out[i] = from_json<T>(value[i], path + "/" + std::to_string(i));
    return out;
  }
  static Json to(const std::array<T, N>& value) {
    Json out = Json::array();
    for (const auto& item : value) out.push_back(to_json<T>(item));
    return out;
  }
};

// The containers that are JSON objects.
template <class C>
struct ConvertMap {
  static C from(const Json& value, const std::string& path) {
    if (!value.is_object()) bad_value(path, "an object", value);
    C out;
    for (const auto& [key, item] : value.items()) {
      out.emplace(key, from_json<typename C::mapped_type>(item, path + "/" + detail::pointer_key(key)));
    }
    return out;
  }
  static Json to(const C& value) {
    Json out = Json::object();
    for (const auto& [key, item] : value) out[key] = to_json<typename C::mapped_type>(item);
    return out;
  }
};

template <class T, class L, class A>
struct Convert<std::map<std::string, T, L, A>> : ConvertMap<std::map<std::string, T, L, A>> {};
template <class T, class H, class E, class A>
struct Convert<std::unordered_map<std::string, T, H, E, A>> : ConvertMap<std::unordered_map<std::string, T, H, E, A>> {};

template <class... Ts>
struct Convert<std::tuple<Ts...>> {
  static std::tuple<Ts...> from(const Json& value, const std::string& path) {
    if (!value.is_array() || value.size() != sizeof...(Ts)) bad_value(path, "an array of " + std::to_string(sizeof...(Ts)) + " elements", value);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::tuple<Ts...>{from_json<Ts>(value[I], path + "/" + std::to_string(I))...};
    }(std::index_sequence_for<Ts...>());
  }
  static Json to(const std::tuple<Ts...>& value) {
    Json out = Json::array();
    std::apply([&](const auto&... items) { (out.push_back(to_json(items)), ...); }, value);
    return out;
  }
};

template <class A, class B>
struct Convert<std::pair<A, B>> {
  static std::pair<A, B> from(const Json& value, const std::string& path) {
    auto both = from_json<std::tuple<A, B>>(value, path);
    return {std::move(std::get<0>(both)), std::move(std::get<1>(both))};
  }
  static Json to(const std::pair<A, B>& value) { return Json::array({to_json(value.first), to_json(value.second)}); }
};

// The first alternative that the value converts to.
template <class... Ts>
struct Convert<std::variant<Ts...>> {
  static std::variant<Ts...> from(const Json& value, const std::string& path) {
    std::optional<std::variant<Ts...>> found;
    const auto attempt = [&]<class T>(std::type_identity<T>) {
      if (found) return;
      try {
        found.emplace(from_json<T>(value, path));
      } catch (const InvalidArgument&) {
        found.reset();
      }
    };
    (attempt(std::type_identity<Ts>{}), ...);
    if (!found) bad_value(path, "a value of one of " + std::to_string(sizeof...(Ts)) + " types", value);
    return *std::move(found);
  }
  static Json to(const std::variant<Ts...>& value) {
    return std::visit([](const auto& item) { return to_json(item); }, value);
  }
};

// Reads an object's members into a struct's.
class Members {
 public:
  // Errors: InvalidArgument when `value` is no object or has a member outside `names`.
  Members(const Json& value, const std::string& path, std::initializer_list<const char*> names) : value_(value), path_(path) {
    if (!value.is_object()) bad_value(path, "an object", value);
    for (const auto& member : value.items()) {
      bool known = false;
      for (const char* name : names) known = known || member.key() == name;
      if (!known) throw InvalidArgument("argument " + path + " has no member " + member.key());
    }
  }

  template <class T>
  void read(const char* name, T& to) const {
    if (!value_.contains(name)) throw InvalidArgument("argument " + path_ + "/" + name + " is missing");
    read_optional(name, to);
  }
  // An absent member keeps its default.
  template <class T>
  void read_optional(const char* name, T& to) const {
    const auto found = value_.find(name);
    if (found != value_.end()) to = from_json<T>(*found, path_ + "/" + name);
  }

 private:
  const Json& value_;
  std::string path_;
};

}  // namespace sabir::worker
