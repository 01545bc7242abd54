// What `sabir check` looks at, area by area. Nothing of the project is run.
//
// Threads: the main thread.
#pragma once

#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/completions/renderer.h"
#include "sabir/functions/registry.h"
#include "sabir/project/configuration.h"
#include "sabir/project/project.h"

namespace sabir::cli {

enum class Level { kError, kWarning };

struct CheckFinding {
  Level level = Level::kWarning;
  std::string area;     // "layout", "config", "functions", "prompts", "grants", "secrets", "exposure", "tests", "unused"
  std::string file;     // from the project's root
  int line = 0;
  int column = 0;
  std::string message;
  std::string hint;     // what to do
};

CheckFinding finding_of(Level level, std::string area, const Error& error);

// A file of the project that `check` has read.
struct ReadFile {
  std::string path;     // from the project's root
  std::string text;
};

struct CheckContext {
  const project::Project& project;
  const functions::Registry& registry;
  const std::vector<completions::PromptInfo>& prompts;
  std::vector<ReadFile> tests;  // every file of a tests/ folder, and those that are named as tests
};

// Of all configuration files, in the environment and in those that overlays are there for.
std::vector<CheckFinding> check_configuration(const std::filesystem::path& root, const std::string& environment);
// Entries of sabir.yml that lead nowhere.
std::vector<CheckFinding> check_references(const CheckContext& context);
// Grants for what is not there, of secrets that nobody has, and prompts that read what they are not granted.
std::vector<CheckFinding> check_grants(const CheckContext& context);
// Whether others can read what must be secret, and values that stand in the project's files.
std::vector<CheckFinding> check_secrets(const CheckContext& context);
std::vector<CheckFinding> check_tests(const CheckContext& context);
std::vector<CheckFinding> check_unused(const CheckContext& context);

std::vector<ReadFile> read_tests(const std::filesystem::path& root);

// Whether `word` stands in the text by itself: no letter, digit or _ beside it.
bool names_word(std::string_view text, std::string_view word);

}  // namespace sabir::cli
