// GrantedCalls: what a prompt's `calls` lets its template call, and what was called in one rendering. A call is made once for each
// function and arguments, so that the passes of a budget see the same values.
//
// Threads: those of the rendering.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/completions/function_caller.h"
#include "sabir/project/project.h"

namespace sabir::completions {

// `functions` and `calls`: lists of addresses. Errors: kTemplate with file, line and column.
Result<void> check_functions(const json::object& front_matter, const std::string& file, const project::Positions& positions);

// `secrets`: a list of secrets' names. Errors: kTemplate likewise.
Result<void> check_secrets(const json::object& front_matter, const std::string& file, const project::Positions& positions);

class GrantedCalls {
 public:
  explicit GrantedCalls(FunctionCaller* caller) : caller_(caller) {}

  // REQUIRES: the front matter passed check_functions().
  // `file` is the prompt's, `reads_secrets` whether its text calls secret().
  void grant(const json::object& front_matter, std::string prompt, std::string file, bool reads_secrets);

  // As the template writes them, a line each.
  std::string_view names() const { return names_; }
  // Whether `name` is a function that may be called, or the module of one: no variable.
  bool begins_name(std::string_view name) const;
  // The value as JSON; null: error() tells why. A view of what stays until the rendering ends.
  const std::string* call(const std::string& name, std::string_view positional, std::string_view named);
  const std::optional<Error>& error() const { return error_; }

  // What to do about `path`, which is undefined; "" where it is no function.
  std::string hint_for(const std::string& path, bool is_prompt_file) const;
  // The secrets that were read; each once.
  const std::vector<std::string>& secrets() const { return secrets_; }
  // What was called and given, as members of one object.
  json::object made() const;

 private:
  Result<std::string> make(const std::string& name, std::string_view positional, std::string_view named);

  // The value of secret("name"): what stands for it until a model is asked.
  Result<std::string> secret(std::string_view positional, std::string_view named);

  FunctionCaller* caller_;
  std::string prompt_;
  std::string file_;
  std::vector<std::string> declared_;  // secrets of the front matter
  std::vector<std::string> secrets_;
  std::string names_;
  std::map<std::string, std::string, std::less<>> addresses_;  // by name: "ruby/slugify" by "slugify"
  std::map<std::string, std::string> values_;                  // by name and arguments
  std::optional<Error> error_;
};

}  // namespace sabir::completions
