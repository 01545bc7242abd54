// Scrubber: takes secrets out by their values, wherever they stand: in a text, in JSON inside a text, in a member's name, in a
// number.
//
// Threads: any.
#pragma once

#include <memory>
#include <string>

#include "sabir/base/json.h"
#include "sabir/secrets/redactor.h"

namespace sabir::secrets {

class Scrubber {
 public:
  // `redactor` may be null: nothing is a secret then.
  explicit Scrubber(std::shared_ptr<const Redactor> redactor) : redactor_(std::move(redactor)) {}

  std::string text(std::string_view text) const { return text_in(text, 0); }
  // One JSON text, unchanged to the byte when there is no secret in it.
  std::string json_text(std::string text) const;
  // False when nothing had to change.
  bool value(json::value& value) const { return value_in(value, 0); }
  json::object object(json::object object) const;

 protected:
  std::shared_ptr<const Redactor> redactor_;

 private:
  std::string text_in(std::string_view text, int depth) const;
  bool value_in(json::value& value, int depth) const;
};

}  // namespace sabir::secrets
