// Scan: what one file of a project refers to, read from its text alone. It errs on the side of more: a reference too many runs a test
// too many, one too few would leave a test out. What the text does not tell (a name that is put together at run time) is a reference
// to everything of its kind.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sabir::testing {

enum class RefKind : std::uint8_t {
  kModule = 1,    // an import: Python's "a.b", ".a", "a:name"; Ruby's, JavaScript's, Go's as written; a Rust module's name
  kFile,          // #include, source, load: a path from the file's folder, or from a root
  kText,          // a literal: a path, an address, a module, a prompt, if there is one of that name
  kCall,          // a function's address
  kPrompt,        // a prompt's name
  kAssistant,     // an assistant's name
  kDeclares,      // a type that other files of the language name
  kUses,          // a word that may be such a type
  kAnyFile,       // any file of the same language
  kAnyFunction,
  kAnyPrompt,
  kAnyAssistant,
  kEverything,
  kDepends,       // "sabir depends: PATH": said by the author
  kTalks,         // it asks the engine, so that the configuration counts
  kTests,         // a Rust file with tests in it
};
inline constexpr std::uint8_t kLastRefKind = static_cast<std::uint8_t>(RefKind::kTests);

struct Ref {
  RefKind kind = RefKind::kText;
  std::string text;
  bool operator==(const Ref&) const = default;
  auto operator<=>(const Ref&) const = default;
};

enum class Language : std::uint8_t { kNone, kPython, kRuby, kJavaScript, kGo, kRust, kCpp, kJava, kPhp, kShell, kTemplate, kData };

// By the file's name, and for prompts by its folder.
Language language_of(std::string_view path);

// Above it a file counts as referring to everything.
inline constexpr std::size_t kMostRefs = 20'000;
inline constexpr std::size_t kMostRefBytes = 300;

// `path` is the file's from the project's root. Sorted, each once, at most kMostRefs of at most kMostRefBytes.
std::vector<Ref> scan(std::string_view path, std::string_view text);

}  // namespace sabir::testing
