// LocalTokenizer: the tokenizer of a model of this machine, read from the head of its GGUF file, and the form in which the
// `local` provider puts a conversation (models/local/turns.json). Counts as llama.cpp does, without loading the weights.
//
// Threads: immutable, any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

struct sb_tokenizer;

namespace sabir::completions {

class LocalTokenizer {
 public:
  // Takes some 0.2 s. Errors: kIo, kConfig (`turns`), kUnavailable: what this file cuts texts by is not known here.
  static Result<std::shared_ptr<const LocalTokenizer>> open(const std::filesystem::path& gguf, const std::filesystem::path& turns);
  // The same from the file's first bytes and the parsed turns.json.
  static Result<std::shared_ptr<const LocalTokenizer>> read(std::string_view head, const json::value& turns, const std::string& shown);
  ~LocalTokenizer();
  LocalTokenizer(const LocalTokenizer&) = delete;
  LocalTokenizer& operator=(const LocalTokenizer&) = delete;

  // What llama.cpp calls the way it cuts texts: "qwen2".
  const std::string& name() const { return name_; }
  // Where each token ends, in bytes. `control`: what looks like a control token is one.
  std::vector<std::uint32_t> ends(std::string_view text, bool control = false) const;
  // Tokens of a whole conversation without functions, up to where the reply begins.
  std::size_t chat(const json::array& messages) const;

 private:
  LocalTokenizer() = default;
  std::size_t marks(std::string_view text) const { return ends(text, true).size(); }
  std::string opening(std::string_view role) const;

  sb_tokenizer* tokenizer_ = nullptr;
  std::string name_;
  std::string default_instructions_;
  std::string begin_;
  std::string open_;  // with {role} in it
  std::string close_;
  json::object roles_;
};

}  // namespace sabir::completions
