// Renderer: prompts from the project's completions/ folder. docs/prompts.md is the page for their authors.
//
// Threads: any; calls run side by side.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::completions {

struct PromptInfo {
  std::string name;       // "support/refund": path under completions/ without extension
  std::string file;       // relative to the project: "completions/support/refund.prompt"
  bool is_part = false;   // lives under completions/prompt_parts
};

struct Rendered {
  std::string text;                  // the whole text, byte for byte
  json::array messages;              // [{"role","content"}] for .prompt files with roles; else one user message.
                                     // Contents are trimmed, and messages without content left out.
  json::object front_matter;         // model, parameters, …; {} for plain templates
};

class Renderer {
 public:
  // `root` is the project's root. Every call reads its templates from the disk, so edits show at once.
  explicit Renderer(std::filesystem::path root);
  ~Renderer();

  // `name` is "support/refund", with or without extension; parts are found as "prompt_parts/part1.txt" and "part1".
  // Errors: kNotFound (nearest names), kTemplate with the template's file, line and column: an undefined variable, a
  // syntax error, a missing include, fuel used up, a path outside completions/; kInvalidArguments (input.schema),
  // kLimit (a file over 1 MiB, a text over 4 MiB).
  Result<Rendered> render(const std::string& name, const json::object& variables) const;
  // Sorted by name.
  Result<std::vector<PromptInfo>> list() const;
  // Names that the template itself reads without setting them, sorted; those of included parts do not count.
  Result<std::vector<std::string>> variables(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sabir::completions
