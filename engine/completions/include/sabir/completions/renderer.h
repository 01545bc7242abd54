// Renderer: prompts from the project's completions/ folder.
//
// Threads: render() may be called from any thread; calls on one Renderer are serialised inside.
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
  json::array messages;              // [{"role","content"}] for .prompt files with roles; else one user message
  json::object front_matter;         // model, parameters, …; {} for plain templates
};

class Renderer {
 public:
  // `root` is the project's root. Reads templates afresh on each render (by modification time), so edits show at once.
  explicit Renderer(std::filesystem::path root);
  ~Renderer();

  // Errors: kNotFound (nearest names), kTemplate with the template's file, line and column: an undefined variable, a
  // syntax error, a missing include, fuel used up, a path outside completions/.
  Result<Rendered> render(const std::string& name, const json::object& variables) const;
  Result<std::vector<PromptInfo>> list() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sabir::completions
