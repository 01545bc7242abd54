// What the glue does with arguments and results inside the engine: the functions of json_access.hpp for JSON text, which is
// read and written as it stands. text_access_inline.hpp has the definitions.
//
// Threads: pure functions. Lifetime: a TextValue lasts as long as the text and the TextDocument that it came from.
#pragma once

#include <utility>
#include <vector>

#include "sabir/in_process.h"
#include "sabir/json_access.hpp"

namespace sabir::worker {

// One value of a text, in an array of all of them, each in front of what it consists of (TextDocument).
struct TextValue {
  enum class Kind : std::uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

  const char* text;      // of a string, between its quotes
  std::uint32_t size;    // bytes
  std::uint32_t count;   // elements, or members: of each its name and its value
  std::uint32_t skip;    // the values that it consists of, itself included: so far behind is the next of its container
  Kind kind;
  bool escaped;          // a string with escapes

  std::string_view view() const { return {text, size}; }
  const TextValue* first() const { return this + 1; }
  const TextValue* next() const { return this + skip; }
};

// Writes one value into a buffer of the caller's. Errors: std::bad_alloc when it cannot grow.
class TextWriter {
 public:
  explicit TextWriter(sabir_output& output) : output_(output) {}

  bool empty() const { return output_.size == 0; }
  void clear() { output_.size = 0; }
  // Where `size` bytes may be written; wrote() says how many were.
  char* room(std::size_t size);
  void wrote(std::size_t size) { output_.size += size; }
  void put(std::string_view text);
  void put(char c) {
    *room(1) = c;
    wrote(1);
  }
  // In front of an element or a member: a comma, unless it is the first of its container.
  void separate();

 private:
  sabir_output& output_;
};

[[noreturn]] SABIR_API void bad_value(const Path& path, const std::string& expected, const TextValue& got);

// Reading: as json_access.hpp says of Json.
SABIR_API bool is_null(const TextValue& value);
SABIR_API bool is_text(const TextValue& value);
SABIR_API bool read_boolean(const TextValue& value, const Path& path);
SABIR_API std::int64_t read_integer(const TextValue& value, const Path& path, std::int64_t least, std::int64_t most);
SABIR_API std::uint64_t read_natural(const TextValue& value, const Path& path, std::uint64_t most);
SABIR_API double read_number(const TextValue& value, const Path& path);
SABIR_API std::string read_text(const TextValue& value, const Path& path);
SABIR_API void read_bytes(const TextValue& value, const Path& path, void* to, std::byte* (*room)(void* to, std::size_t size));
SABIR_API std::int64_t read_time(const TextValue& value, const Path& path);
SABIR_API Date read_date(const TextValue& value, const Path& path);
SABIR_API std::size_t read_array(const TextValue& value, const Path& path);
SABIR_API const TextValue& element(const TextValue& array, const TextValue* before, std::size_t index);
// A name that is given twice comes twice; the last counts.
SABIR_API void read_object(const TextValue& value, const Path& path, void* to, void (*each)(void* to, const std::string& name, const TextValue& value));
SABIR_API std::size_t member_count(const TextValue& object);  // one that is given twice counts twice
SABIR_API const TextValue* member(const TextValue& object, const char* name);
SABIR_API void check_members(const TextValue& value, const Path& path, const char* const* names, std::size_t count);
// The text of a value.
SABIR_API std::string_view raw_text(const TextValue& value);

// Writing. Errors of all: std::bad_alloc when the buffer cannot grow.
SABIR_API void write_null(TextWriter& out);
SABIR_API void write_boolean(TextWriter& out, bool value);
SABIR_API void write_integer(TextWriter& out, std::int64_t value);
SABIR_API void write_natural(TextWriter& out, std::uint64_t value);
SABIR_API void write_number(TextWriter& out, double value);          // Errors: InvalidResult for NaN and the infinities
SABIR_API void write_text(TextWriter& out, std::string_view value);  // Errors: InvalidResult for what is no UTF-8
SABIR_API void write_bytes(TextWriter& out, const std::byte* data, std::size_t size);
SABIR_API void write_time(TextWriter& out, std::int64_t nanoseconds);
SABIR_API void write_date(TextWriter& out, const Date& date);
SABIR_API void write_json(TextWriter& out, const Json& value);
SABIR_API void write_array(TextWriter& out);
SABIR_API void write_object(TextWriter& out);
SABIR_API TextWriter& add_element(TextWriter& array);
SABIR_API TextWriter& add_member(TextWriter& object, std::string_view name);
SABIR_API void end_array(TextWriter& out);
SABIR_API void end_object(TextWriter& out);

// For conversions that know Json alone: `then` gets the value as one; `fill` writes over null.
SABIR_API void with_json(const TextValue& value, void* to, void (*then)(void* to, const Json& value));
SABIR_API void fill_json(TextWriter& out, const void* from, void (*fill)(const void* from, Json& out));

template <class T>
struct Convert;

template <class T>
T read_as_json(const TextValue& value, const Path& path) {
  struct Taking {
    std::vector<T> out;
    const Path& path;
  } taking{{}, path};
  with_json(value, &taking, [](void* to, const Json& json) {
    auto& [out, at] = *static_cast<Taking*>(to);
    out.push_back(Convert<T>::from(json, at));
  });
  return std::move(taking.out.front());
}

template <class T>
void write_as_json(TextWriter& out, const T& value) {
  fill_json(out, &value, [](const void* from, Json& json) { Convert<T>::to(*static_cast<const T*>(from), json); });
}

}  // namespace sabir::worker
