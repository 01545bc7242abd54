// Renderer: prompts from the project's completions/ folder. docs/prompts.md is the page for their authors.
//
// Threads: any; calls run side by side.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/completions/function_caller.h"
#include "sabir/completions/tokens.h"

namespace sabir::completions {

struct PromptInfo {
  std::string name;       // "support/refund": path under completions/ without extension
  std::string file;       // relative to the project: "completions/support/refund.prompt"
  bool is_part = false;   // lives under completions/prompt_parts
};

// What a budget cost a part.
struct PartCut {
  std::string part;
  bool is_dropped = false;  // else it was shortened
  std::size_t before = 0;   // tokens of its text
  std::size_t after = 0;
};

struct BudgetUse {
  std::size_t limit = 0;
  std::size_t used = 0;   // as count_chat() counts
  bool is_exact = false;  // Tokens::is_exact()
  std::vector<PartCut> cuts;
};
json::object to_json(const BudgetUse& use);

// A file that a prompt was made from.
struct PromptSource {
  std::string file;  // "completions/support/refund.prompt"
  std::string hash;  // fingerprint() of its bytes
};

struct Rendered {
  std::string name;                  // as PromptInfo's
  std::string text;                  // the whole text, byte for byte
  json::array messages;              // [{"role","content"}] for .prompt files with roles; else one user message.
                                     // Contents are trimmed, and messages without content left out.
  json::object front_matter;         // model, parameters, …; {} for plain templates
  std::optional<BudgetUse> budget;   // of a prompt with a budget
  std::vector<std::string> secrets;  // names that stand in it as [secret:NAME]: whoever asks a model fills in their values
  std::vector<PromptSource> sources; // its own file first; of an observed rendering alone
};

// What a prompt's front matter says, read from its file alone; {} of a plain template. Errors: kNotFound, kTemplate, kLimit.
Result<json::object> read_front_matter(const std::filesystem::path& root, const std::string& name);
// What a prompt's `functions` offers to a model: addresses and patterns, as an assistant's.
std::vector<std::string> functions_of(const json::object& front_matter);
struct Explanation;   // explain.h
struct CheckOptions;  // check.h
struct CheckReport;

class Renderer {
 public:
  // `root` is the project's root. Templates stay parsed until their files change; every call looks, so edits show at once.
  // `tokens_of` gives what an alias' budgets count by. May be null.
  using TokensOf = std::function<Tokens(const std::string& alias)>;
  explicit Renderer(std::filesystem::path root, TokensOf tokens_of = {});
  ~Renderer();

  // `name` is "support/refund", with or without extension; parts are found as "prompt_parts/part1.txt" and "part1".
  // Errors: kNotFound (nearest names), kTemplate with the template's file, line and column: an undefined variable, a
  // syntax error, a missing include, fuel used up, a path outside completions/; kInvalidArguments (input.schema),
  // kLimit (a file over 1 MiB, a text over 4 MiB, more tokens than the budget has without the parts that may be left out).
  // `functions` makes the calls that the prompt's `calls` grants; null: such a call is an error. What fails in a function is
  // kTemplate with {"cause"}, where it was called.
  Result<Rendered> render(const std::string& name, const json::object& variables, FunctionCaller* functions = nullptr) const;
  // `variables` is the text of a JSON object.
  Result<Rendered> render_json(const std::string& name, std::string_view variables, FunctionCaller* functions = nullptr) const;
  // The same prompt, and what each piece of it came from. Errors: as render().
  Result<Explanation> explain(const std::string& name, std::string_view variables, FunctionCaller* functions = nullptr) const;
  // What is wrong with the prompts, found without rendering. Errors: kNotFound for a name that there is not.
  Result<CheckReport> check(const CheckOptions& options) const;
  // Whether rendering it may wait for functions.
  bool calls_functions(const std::string& name) const;
  // `observer` sees every rendering; it may ask, once, for the variables, with the defaults filled in and what functions gave as further
  // ones. REQUIRES: set before the first.
  using Observer = std::function<void(const std::string& name, const std::function<json::object()>& variables, const Rendered& rendered)>;
  void observe(Observer observer);
  // Sorted by name.
  Result<std::vector<PromptInfo>> list() const;
  // Names that the template itself reads without setting them, sorted; those of included parts do not count.
  Result<std::vector<std::string>> variables(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sabir::completions
