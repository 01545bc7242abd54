// Checking: from what the bridge finds in a prompt's templates, its front matter and its schemas to findings.
//
// Threads: a Checking belongs to one check.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "explaining.h"
#include "kept_files.h"
#include "sabir/completions/check.h"

namespace sabir::completions {

struct PromptFacts {
  std::shared_ptr<const TemplateFile> file;
  json::object facts;                                     // as sb_templates_facts_kept tells
  std::map<std::string, TemplatePlace, std::less<>> places;  // of its templates, by the names that the facts have
};

class Checking {
 public:
  // `mark` begins the mark of a heading in a template's text, `mark_size` is the whole of it.
  Checking(const CheckOptions& options, std::function<Tokens(const std::string& alias)> tokens_of, std::string mark, std::size_t mark_size);

  // Variables that are one of some texts by the prompt's schema: {"tone": ["kind", "brief"]}.
  static json::object choices_of(const TemplateFile& file);
  void add(const PromptInfo& info, const PromptFacts& facts);
  // A prompt that cannot be read.
  void add(const PromptInfo& info, const Error& error);
  // After all prompts: what none of them uses.
  void add_unused_parts(const std::vector<PromptInfo>& parts);
  CheckReport report(std::size_t prompts, std::size_t parts);

 private:
  struct Prompt;
  void check_front_matter(const Prompt& prompt);
  void check_budget(const Prompt& prompt);
  void check_problems(const Prompt& prompt);
  void check_read(const Prompt& prompt, const json::object& read);
  void check_path(const Prompt& prompt, const json::object& read, const std::string& name);
  void check_unused(const Prompt& prompt);
  void find(const std::string& prompt, Finding finding);
  void find_at(const Prompt& prompt, Finding finding, const json::object& place);
  void find_in_front_matter(const Prompt& prompt, Finding finding, const std::string& pointer);

  const CheckOptions& options_;
  std::function<Tokens(const std::string&)> tokens_of_;
  std::string mark_;
  std::size_t mark_size_;
  std::map<std::tuple<std::string, int, int, std::string, std::string>, Finding> findings_;
  std::set<std::pair<std::string, std::string>> told_optional_;  // a prompt and its variable
  std::set<std::string> used_files_;
  bool is_use_known_ = true;  // of parts
};

}  // namespace sabir::completions
