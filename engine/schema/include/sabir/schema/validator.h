// Validator: one compiled JSON Schema 2020-12.
//
// Threads: immutable; any number of threads may validate at once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::schema {

class Validator {
 public:
  // Errors: kInvalidArguments when `schema` itself is not a valid JSON Schema.
  static Result<Validator> compile(const json::object& schema);
  Validator(Validator&&) noexcept;
  Validator& operator=(Validator&&) noexcept;
  ~Validator();

  // The error's message names the JSON path, the expected type and what came; its hint says how to write it right, so
  // that a person or a model can act on it; data = {"violations": [{path, expected, got, message}]}. `code` is
  // kInvalidArguments or kInvalidResult. Unknown members of an object get the nearest known name.
  Result<void> check(std::string_view instance_json, ErrorCode code, std::string_view what) const;
  // true: well-formed JSON in UTF-8 that fits, and no object in it has a name of `properties` twice or with escapes. Costs one
  // pass over the text. false: check() knows.
  bool surely_fits(std::string_view instance_json) const;
  // Of an object that surely_fits(), the members that it has: a bit each, in the order of the schema's `properties`.
  std::optional<std::uint64_t> fitting_members(std::string_view instance_json) const;

 private:
  struct State;
  explicit Validator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sabir::schema
