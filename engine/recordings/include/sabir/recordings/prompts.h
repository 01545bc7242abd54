// Prompts: which messages were rendered from which prompt, so that a recording can tell an edited prompt from another question.
//
// Threads: any.
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "sabir/recordings/recording.h"

namespace sabir::recordings {

class Prompts {
 public:
  // `text` was made from the prompt `name` and `variables`, a fingerprint. The last few thousand are known.
  void note(std::string_view text, const std::string& name, const std::string& variables);
  // The messages among `messages` that are known, by their content, blanks around it aside.
  std::vector<PromptUse> uses(const json::array& messages) const;

 private:
  struct Known {
    std::string name;
    std::string variables;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Known> known_;  // by the text's fingerprint
  std::deque<std::string> order_;
};

}  // namespace sabir::recordings
