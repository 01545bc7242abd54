// Cleaner: makes spans fit to be kept: secrets taken out, UTF-8 alone, long texts marked as cut. Private to the room.
//
// Threads: one at a time.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "sabir/secrets/scrubber.h"
#include "sabir/trace/span.h"

namespace sabir::telemetry {

class Cleaner {
 public:
  explicit Cleaner(std::shared_ptr<const secrets::Redactor> redactor) : redactor_(redactor), scrubber_(std::move(redactor)) {}

  void clean(trace::Span& span);
  // What was learned about secrets since holds for functions too.
  void forget() { subjects_.clear(); }

 private:
  std::string text(std::string_view text) const;
  // Of what is no text by policy: names, ids.
  std::string word(std::string_view text) const;
  // Of `kept`, the first bytes of a text of `whole` bytes.
  std::string begun(std::string_view kept, std::size_t whole) const;
  void value(trace::Value& value) const;

  const std::shared_ptr<const secrets::Redactor> redactor_;
  const secrets::Scrubber scrubber_;
  // By the one that is not clean, which stays alive so that its address stays its own.
  std::unordered_map<std::shared_ptr<const trace::Subject>, std::shared_ptr<const trace::Subject>> subjects_;
};

}  // namespace sabir::telemetry
