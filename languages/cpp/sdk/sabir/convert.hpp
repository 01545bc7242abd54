// Convert: C++ values from JSON and to JSON, with a path in every complaint. A type that is not here specialises
// sabir::worker::Convert<T> with `static T from(const Json&, const Path&)` and `static void to(const T&, Json&)`.
//
// What is here converts from and to every kind of value J that has the functions of json_access.hpp: Json in a worker, JSON
// text as it stands inside the engine (text_access.hpp).
//
// The standard's containers are known by their shape, so that only those are compiled that the user's file includes.
//
// Threads: pure functions.
#pragma once

#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>

#include "sabir/json_access.hpp"

namespace sabir::worker {

template <class T>
struct Convert {
  static_assert(sizeof(T) == 0, "this type has no JSON form: specialise sabir::worker::Convert for it");
};

// Errors: InvalidArgument.
template <class T>
T from_json(const Json& value, const Path& path) {
  return Convert<T>::from(value, path);
}

// From any kind of value; a conversion that somebody else wrote knows Json alone. Errors: InvalidArgument.
template <class T, class J>
T read(const J& value, const Path& path) {
  if constexpr (requires { Convert<T>::from(value, path); }) return Convert<T>::from(value, path);
  else return read_as_json<T>(value, path);
}

// Errors: InvalidResult.
template <class T, class J = Json>
J to_json(const T& value) {
  J out;
  Convert<T>::to(value, out);
  return out;
}

template <class T, class J>
void write(J& out, const T& value) {
  if constexpr (requires { Convert<T>::to(value, out); }) Convert<T>::to(value, out);
  else write_as_json(out, value);
}

// nlohmann::json itself, where its header is included, and ordered_json.
template <class J>
concept JsonValue = std::same_as<J, Json> || std::same_as<J, nlohmann::ordered_json>;

template <JsonValue T>
struct Convert<T> {
  template <class J>
  static T from(const J& value, const Path&) {
    if constexpr (JsonValue<J>) return T(value);
    else return T::parse(raw_text(value));
  }
  template <class J>
  static void to(const T& value, J& out) {
    if constexpr (JsonValue<J>) out = J(value);
    else write_json(out, Json(value));
  }
};

template <>
struct Convert<bool> {
  template <class J>
  static bool from(const J& value, const Path& path) { return read_boolean(value, path); }
  template <class J>
  static void to(bool value, J& out) { write_boolean(out, value); }
};

template <std::integral T>
struct Convert<T> {
  using Limits = std::numeric_limits<T>;
  template <class J>
  static T from(const J& value, const Path& path) {
    if constexpr (std::is_signed_v<T>) return static_cast<T>(read_integer(value, path, Limits::min(), Limits::max()));
    else return static_cast<T>(read_natural(value, path, Limits::max()));
  }
  template <class J>
  static void to(T value, J& out) {
    if constexpr (std::is_signed_v<T>) write_integer(out, value);
    else write_natural(out, value);
  }
};

template <std::floating_point T>
struct Convert<T> {
  template <class J>
  static T from(const J& value, const Path& path) {
    const double number = read_number(value, path);
    if (number > static_cast<double>(Limits::max()) || number < static_cast<double>(Limits::lowest())) bad_value(path, "a number that fits into a float", value);
    return static_cast<T>(number);
  }
  template <class J>
  static void to(T value, J& out) { write_number(out, static_cast<double>(value)); }
  using Limits = std::numeric_limits<T>;
};

template <>
struct Convert<std::string> {
  template <class J>
  static std::string from(const J& value, const Path& path) { return read_text(value, path); }
  template <class J>
  static void to(const std::string& value, J& out) { write_text(out, value); }
};

template <>
struct Convert<std::string_view> {
  template <class J>
  static void to(std::string_view value, J& out) { write_text(out, value); }
};

template <>
struct Convert<const char*> {
  template <class J>
  static void to(const char* value, J& out) {
    if (value != nullptr) write_text(out, value);
    else write_null(out);
  }
};

// std::nullptr_t and std::monostate.
template <class T>
concept Nothing = std::same_as<T, std::nullptr_t> || (std::is_empty_v<T> && std::is_trivial_v<T>);

template <Nothing T>
struct Convert<T> {
  template <class J>
  static T from(const J& value, const Path& path) {
    if (!is_null(value)) bad_value(path, "null", value);
    return T{};
  }
  template <class J>
  static void to(const T&, J& out) {
    write_null(out);
  }
};

template <class T>
concept PathLike = requires(const T& value) { typename T::string_type; value.lexically_normal(); value.string(); };

template <PathLike T>
struct Convert<T> {
  template <class J>
  static T from(const J& value, const Path& path) { return T(read_text(value, path)); }
  template <class J>
  static void to(const T& value, J& out) { write_text(out, value.string()); }
};

template <class T>
concept OptionalLike = requires(T value) { typename T::value_type; value.has_value(); *value; value.reset(); };

template <OptionalLike T>
struct Convert<T> {
  template <class J>
  static T from(const J& value, const Path& path) {
    if (is_null(value)) return T();
    return T(read<typename T::value_type>(value, path));
  }
  template <class J>
  static void to(const T& value, J& out) {
    if (value.has_value()) write(out, *value);
    else write_null(out);
  }
};

template <class T>
concept BytesLike = requires(T value) { value.data(); value.resize(1); } && std::same_as<typename T::value_type, std::byte>;

template <BytesLike T>
struct Convert<T> {
  template <class J>
  static T from(const J& value, const Path& path) {
    T out;
    read_bytes(value, path, &out, [](void* to, std::size_t size) {
      static_cast<T*>(to)->resize(size);
      return static_cast<T*>(to)->data();
    });
    return out;
  }
  template <class J>
  static void to(const T& value, J& out) { write_bytes(out, value.data(), value.size()); }
};

template <class T>
concept ListLike = requires(T value, typename T::value_type item) { value.push_back(std::move(item)); value.begin(); } && !BytesLike<T> &&
                   !std::same_as<T, std::string> && !JsonValue<T>;
template <class T>
concept SetLike = requires(T value, typename T::key_type key) { value.insert(std::move(key)); } && !requires { typename T::mapped_type; } && !JsonValue<T>;
template <class T>
concept MapLike = requires { typename T::key_type; typename T::mapped_type; } && std::same_as<typename T::key_type, std::string> && !JsonValue<T>;
template <class T>
concept TupleLike = requires { std::tuple_size<T>::value; };
template <class T>
concept ArrayLike = TupleLike<T> && requires(T value) { typename T::value_type; value[0]; };

template <class T>
  requires ListLike<T> || SetLike<T>
struct Convert<T> {
  using Item = typename T::value_type;
  template <class J>
  static T from(const J& value, const Path& path) {
    T out;
    const std::size_t count = read_array(value, path);
    if constexpr (requires { out.reserve(count); }) out.reserve(count);
    const J* item = nullptr;
    for (std::size_t i = 0; i < count; ++i) {
      const Path inner{&path, {}, i};
      item = &element(value, item, i);
      if constexpr (ListLike<T>) out.push_back(read<Item>(*item, inner));
      else out.insert(read<Item>(*item, inner));
    }
    return out;
  }
  template <class J>
  static void to(const T& value, J& out) {
    write_array(out);
    for (const auto& item : value) write<Item>(add_element(out), item);
    end_array(out);
  }
};

template <ArrayLike T>
struct Convert<T> {
  using Item = typename T::value_type;
  static constexpr std::size_t kSize = std::tuple_size<T>::value;
  template <class J>
  static T from(const J& value, const Path& path) {
    if (read_array(value, path) != kSize) bad_value(path, "an array of " + std::to_string(kSize) + " elements", value);
    T out{};
    const J* item = nullptr;
    for (std::size_t i = 0; i < kSize; ++i) {
      item = &element(value, item, i);
      out[i] = read<Item>(*item, Path{&path, {}, i});
    }
    return out;
  }
  template <class J>
  static void to(const T& value, J& out) {
    write_array(out);
    for (const auto& item : value) write<Item>(add_element(out), item);
    end_array(out);
  }
};

template <MapLike T>
struct Convert<T> {
  using Item = typename T::mapped_type;
  template <class J>
  static T from(const J& value, const Path& path) {
    struct Filling {
      T out;
      const Path& path;
    } filling{{}, path};
    read_object(value, path, &filling, [](void* to, const std::string& name, const J& item) {
      auto& [out, at] = *static_cast<Filling*>(to);
      const Path inner{&at, name, 0};
      if constexpr (requires(Item one) { out.insert_or_assign(name, std::move(one)); }) out.insert_or_assign(name, read<Item>(item, inner));
      else out.emplace(name, read<Item>(item, inner));
    });
    return std::move(filling.out);
  }
  template <class J>
  static void to(const T& value, J& out) {
    write_object(out);
    for (auto at = value.begin(); at != value.end();) {
      const auto here = at++;
      // An object has a name once; of a multimap's equal keys, which stand together, the last counts.
      if constexpr (!requires { value.at(here->first); }) {
        if (at != value.end() && at->first == here->first) continue;
      }
      write<Item>(add_member(out, here->first), here->second);
    }
    end_object(out);
  }
};

// std::pair and std::tuple.
template <TupleLike T>
  requires(!ArrayLike<T>)
struct Convert<T> {
  static constexpr std::size_t kSize = std::tuple_size<T>::value;
  template <std::size_t I>
  using Item = std::remove_cvref_t<std::tuple_element_t<I, T>>;
  template <class J>
  static T from(const J& value, const Path& path) {
    if (read_array(value, path) != kSize) bad_value(path, "an array of " + std::to_string(kSize) + " elements", value);
    const J* item = nullptr;
    const auto next = [&](std::size_t index) -> const J& { return *(item = &element(value, item, index)); };
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return T{read<Item<I>>(next(I), Path{&path, {}, I})...};
    }(std::make_index_sequence<kSize>());
  }
  template <class J>
  static void to(const T& value, J& out) {
    write_array(out);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      using std::get;
      (write<Item<I>>(add_element(out), get<I>(value)), ...);
    }(std::make_index_sequence<kSize>());
    end_array(out);
  }
};

template <class T>
concept VariantLike = requires(const T& value) { value.valueless_by_exception(); value.index(); };

// std::variant: the first alternative that the value converts to.
template <template <class...> class V, class... Ts>
  requires VariantLike<V<Ts...>>
struct Convert<V<Ts...>> {
  using T = V<Ts...>;
  template <class J>
  static T from(const J& value, const Path& path) { return attempt<J, 0, Ts...>(value, path); }
  template <class J>
  static void to(const T& value, J& out) { give<J, 0, Ts...>(value, out); }

 private:
  template <class J, std::size_t I, class First, class... Rest>
  static T attempt(const J& value, const Path& path) {
    try {
      return T(std::in_place_index<I>, read<First>(value, path));
    } catch (const InvalidArgument&) {
      if constexpr (sizeof...(Rest) == 0) bad_value(path, "a value of one of " + std::to_string(sizeof...(Ts)) + " types", value);
      else return attempt<J, I + 1, Rest...>(value, path);
    }
  }
  template <class J, std::size_t I, class First, class... Rest>
  static void give(const T& value, J& out) {
    using std::get;
    if (value.index() == I) return write<First>(out, get<I>(value));
    if constexpr (sizeof...(Rest) > 0) give<J, I + 1, Rest...>(value, out);
  }
};

// std::chrono::duration: a number of seconds.
template <class T>
concept DurationLike = requires(const T& value) { typename T::rep; typename T::period; value.count(); };

template <DurationLike T>
struct Convert<T> {
  using Rep = typename T::rep;
  static constexpr double kTicks = static_cast<double>(T::period::den) / static_cast<double>(T::period::num);  // in a second
  template <class J>
  static T from(const J& value, const Path& path) {
    const double ticks = read_number(value, path) * kTicks;
    if constexpr (std::floating_point<Rep>) {
      return T(static_cast<Rep>(ticks));
    } else {
      if (!(ticks > -9.2e18 && ticks < 9.2e18)) bad_value(path, "a number of seconds that the duration can hold", value);
      const auto whole = static_cast<std::int64_t>(ticks + (ticks < 0 ? -0.5 : 0.5));
      const double off = ticks - static_cast<double>(whole);
      if (!std::in_range<Rep>(whole) || off > 1e-3 || off < -1e-3) bad_value(path, "a whole number of " + unit(), value);
      return T(static_cast<Rep>(whole));
    }
  }
  template <class J>
  static void to(const T& value, J& out) {
    if constexpr (std::integral<Rep> && T::period::den == 1) write_integer(out, static_cast<std::int64_t>(value.count()) * T::period::num);
    else write_number(out, static_cast<double>(value.count()) / kTicks);
  }

 private:
  static std::string unit() {
    if constexpr (T::period::num == 1) return T::period::den == 1 ? "seconds" : "1/" + std::to_string(T::period::den) + " seconds";
    else return std::to_string(T::period::num) + " seconds";
  }
};

// A time point of the system's clock: RFC 3339 text in UTC; with whole days alone a date.
template <class T>
concept TimeLike = requires(const T& value) { typename T::clock; typename T::duration; value.time_since_epoch(); };

template <TimeLike T>
struct Convert<T> {
  using Unit = typename T::duration;
  using Period = typename Unit::period;
  static constexpr bool kDay = Period::num == 86400 && Period::den == 1;
  static constexpr std::int64_t kBillion = 1'000'000'000;
  template <class J>
  static T from(const J& value, const Path& path) {
    if constexpr (kDay) {
      return T(Unit(static_cast<typename Unit::rep>(days_of(read_date(value, path)))));
    } else {
      // What is finer than the type can hold is cut off, towards the past.
      const std::int64_t nanoseconds = read_time(value, path);
      constexpr std::int64_t per = kBillion / Period::den * Period::num;
      std::int64_t ticks = nanoseconds / per;
      if (ticks * per > nanoseconds) --ticks;
      return T(Unit(static_cast<typename Unit::rep>(ticks)));
    }
  }
  template <class J>
  static void to(const T& value, J& out) {
    const auto ticks = static_cast<std::int64_t>(value.time_since_epoch().count());
    if constexpr (kDay) write_date(out, date_of(ticks));
    else write_time(out, ticks * (kBillion / Period::den * Period::num));
  }
};

// std::chrono::year_month_day.
template <class T>
concept DateLike = requires(const T& value) { value.year(); value.month(); value.day(); value.ok(); };

template <DateLike T>
struct Convert<T> {
  template <class J>
  static T from(const J& value, const Path& path) {
    const Date date = read_date(value, path);
    return T(decltype(T().year())(date.year), decltype(T().month())(date.month), decltype(T().day())(date.day));
  }
  template <class J>
  static void to(const T& value, J& out) {
    if (!value.ok()) throw InvalidResult("a date that is not in the calendar");
    write_date(out, Date{static_cast<int>(value.year()), static_cast<unsigned>(value.month()), static_cast<unsigned>(value.day())});
  }
};

// Reads an object's members into a struct's.
template <class J>
class Members {
 public:
  // Errors: InvalidArgument when `value` is no object or has a member outside `names`.
  template <std::size_t N>
  Members(const J& value, const Path& path, const char* const (&names)[N]) : value_(value), path_(path) {
    check_members(value, path, names, N);
  }

  template <class T>
  void read(const char* name, T& to) const {
    const Path inner{&path_, name, 0};
    const J* const found = member(value_, name);
    if (found == nullptr) bad_argument(inner, "is missing");
    to = worker::read<T>(*found, inner);
  }
  // An absent member keeps its default.
  template <class T>
  void read_optional(const char* name, T& to) const {
    if (const J* const found = member(value_, name)) to = worker::read<T>(*found, Path{&path_, name, 0});
  }

 private:
  const J& value_;
  const Path& path_;
};

}  // namespace sabir::worker
