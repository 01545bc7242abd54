// Which interpreter or compiler serves a project, and why that one: what is active, what lies in the project, what a file
// asks for and a version manager has installed, or what PATH has.
//
// Threads: plain functions, each may block for as long as a program takes to print its version.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "sabir/base/error.h"
#include "sabir/project/project.h"

namespace sabir::languages {

// The version that a file of the project asks for.
struct AskedVersion {
  std::string version;  // "3.3.0"; "" where the file says what only its version manager understands: "lts/*"
  std::string file;     // ".ruby-version"
  int line = 1;
  std::string text;     // as written
};
std::optional<AskedVersion> asked_version(const project::Language& language, const std::filesystem::path& root);

struct Environment {
  std::string program;
  std::string why;                    // "the project's .venv", ".ruby-version asks for 3.3.0; installed by rbenv"
  std::optional<AskedVersion> asked;  // also where it was not what decided
};

// With an empty root what lies in a project, and what its files ask for, does not count.
// Errors: kUnavailable; its hint is the command that fixes it.
Result<Environment> find_environment(const project::Language& language, const std::filesystem::path& root);

// The first line that a program prints of its version; "" when it says none within ten seconds.
std::string version_of(const project::Language& language, const std::string& program, const std::filesystem::path& root);

// Whether `version` is what was asked for: 3.3 is answered by 3.3.6, and 22 by v22.7.0.
bool answers(const std::string& asked, std::string_view version);

}  // namespace sabir::languages
