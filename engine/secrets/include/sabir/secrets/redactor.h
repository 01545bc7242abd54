// Redactor: replaces known secret values, plain or in their usual encodings, by [secret:name].
//
// Threads: any; redact() runs concurrently with itself.
#pragma once

#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sabir::secrets {

class Redactor {
 public:
  // Shorter values would turn ordinary words into noise; they are not redacted.
  static constexpr std::size_t kLeastBytes = 6;

  // How `value` may stand in a text: plain, as a JSON string's inside, percent-encoded, hexadecimal, and base64 (standard and
  // URL alphabet, also when it is part of a longer encoded text such as "user:value").
  static std::vector<std::string> forms(std::string_view value);
  // Knows all forms of `value` from now on. Adding twice is harmless.
  void add(std::string_view name, std::string_view value);

  std::string redact(std::string_view text) const;
  // The same, and pieces of values: half of one or more, but six bytes at least.
  std::string redact_pieces(std::string_view text) const;
  // `text`, which was cut off somewhere, without the beginning of a secret at its end: redact() knows whole ones alone.
  std::string_view without_begun(std::string_view text) const;

 private:
  struct Pattern {
    std::string text;
    std::string name;
    bool plain = false;  // the value itself, not a form of it
  };
  mutable std::shared_mutex mutex_;
  std::vector<Pattern> patterns_;  // longest first
};

}  // namespace sabir::secrets
