#include "sabir/recordings/prompts.h"

#include "sabir/base/text.h"

namespace sabir::recordings {
namespace {
constexpr std::size_t kMostKnown = 4096;
}

void Prompts::note(std::string_view text, const std::string& name, const std::string& variables) {
  const auto bare = trim(text);
  if (bare.empty()) return;
  std::string key = fingerprint(bare);
  const std::lock_guard hold(mutex_);
  if (!known_.insert_or_assign(key, Known{name, variables}).second) return;
  order_.push_back(std::move(key));
  if (order_.size() <= kMostKnown) return;
  known_.erase(order_.front());
  order_.pop_front();
}

std::vector<PromptUse> Prompts::uses(const json::array& messages) const {
  std::vector<PromptUse> out;
  const std::lock_guard hold(mutex_);
  if (known_.empty()) return out;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto* object = messages[i].if_object();
    const auto* content = object ? object->if_contains("content") : nullptr;
    if (!content || !content->is_string()) continue;
    const std::string text = fingerprint(trim(std::string_view(content->get_string())));
    const auto found = known_.find(text);
    if (found != known_.end()) out.push_back({found->second.name, i, text, found->second.variables});
  }
  return out;
}

}  // namespace sabir::recordings
