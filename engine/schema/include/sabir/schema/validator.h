// Validator: one compiled JSON Schema 2020-12.
//
// Threads: immutable; any number of threads may validate at once.
#pragma once

#include <memory>
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

 private:
  struct State;
  explicit Validator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sabir::schema
