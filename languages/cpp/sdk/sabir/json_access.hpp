// What the glue does with JSON values, without their library: its header takes longer to compile than a user's file.
// json_access_inline.hpp has the definitions.
//
// Threads: pure functions. Lifetime: references last as long as the value they came from is not changed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#ifdef SABIR_WORKER
#define SABIR_API
#else
#define SABIR_API inline
#endif

namespace sabir {

using Json = nlohmann::json;

namespace worker {

// An argument that does not fit its parameter.
struct InvalidArgument : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A result that JSON cannot carry.
struct InvalidResult : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Where a value stands in the arguments; written out only for a complaint.
struct Path {
  const Path* up = nullptr;
  std::string_view name;  // of a member, or "" for an element
  std::size_t index = 0;
};

[[noreturn]] SABIR_API void bad_value(const Path& path, const std::string& expected, const Json& got);
[[noreturn]] SABIR_API void bad_argument(const Path& path, const std::string& what);

struct Date {
  int year = 1970;
  unsigned month = 1;
  unsigned day = 1;
};
SABIR_API std::int64_t days_of(const Date& date);  // since 1970
SABIR_API Date date_of(std::int64_t days);

// Reading. Errors of all that take a path: InvalidArgument.
SABIR_API bool is_null(const Json& value);
SABIR_API bool is_text(const Json& value);
SABIR_API bool read_boolean(const Json& value, const Path& path);
// From `least` to `most`; a float without a fraction is an integer, as in JSON Schema.
SABIR_API std::int64_t read_integer(const Json& value, const Path& path, std::int64_t least, std::int64_t most);
SABIR_API std::uint64_t read_natural(const Json& value, const Path& path, std::uint64_t most);
SABIR_API double read_number(const Json& value, const Path& path);
SABIR_API std::string read_text(const Json& value, const Path& path);
// Writes `size` bytes to what `room(to, size)` returns.
SABIR_API void read_bytes(const Json& value, const Path& path, void* to, std::byte* (*room)(void* to, std::size_t size));
// Nanoseconds since 1970 of RFC 3339 text.
SABIR_API std::int64_t read_time(const Json& value, const Path& path);
SABIR_API Date read_date(const Json& value, const Path& path);  // of YYYY-MM-DD
SABIR_API std::size_t read_array(const Json& value, const Path& path);  // its size
// The element at `index`; `before` is the one in front of it, which text needs to find it.
SABIR_API const Json& element(const Json& array, const Json* before, std::size_t index);
SABIR_API void read_object(const Json& value, const Path& path, void* to, void (*each)(void* to, const std::string& name, const Json& value));
SABIR_API std::size_t member_count(const Json& object);
// nullptr when there is none.
SABIR_API const Json* member(const Json& object, const char* name);
// Refuses what is no object and members outside `names`.
SABIR_API void check_members(const Json& value, const Path& path, const char* const* names, std::size_t count);

// Writing, over null. What begins with write_array() or write_object() ends with end_array() or end_object().
SABIR_API void write_null(Json& out);
SABIR_API void write_boolean(Json& out, bool value);
SABIR_API void write_integer(Json& out, std::int64_t value);
SABIR_API void write_natural(Json& out, std::uint64_t value);
SABIR_API void write_number(Json& out, double value);  // Errors: InvalidResult for NaN and the infinities
SABIR_API void write_text(Json& out, std::string_view value);
SABIR_API void write_bytes(Json& out, const std::byte* data, std::size_t size);
SABIR_API void write_time(Json& out, std::int64_t nanoseconds);
SABIR_API void write_date(Json& out, const Date& date);  // Errors: InvalidResult outside the years 0 to 9999
SABIR_API void write_array(Json& out);
SABIR_API void write_object(Json& out);
SABIR_API Json& add_element(Json& array);                            // null; until the next is added
SABIR_API Json& add_member(Json& object, std::string_view name);     // null
inline void end_array(Json&) {}
inline void end_object(Json&) {}

}  // namespace worker
}  // namespace sabir
