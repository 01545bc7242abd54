#include "sabir/completions/tokens.h"

#include <algorithm>
#include <cstring>

#include "sabir/bridge/bridge.h"

namespace sabir::completions {
namespace {

struct Family {
  std::string_view name;  // the model's, or what a "-" or "." follows in it
  std::string_view encoding;
};

// The first that fits: gpt-4o before gpt-4.
constexpr Family kFamilies[] = {
    {"gpt-5", "o200k_base"},         {"gpt-4.1", "o200k_base"},     {"gpt-4.5", "o200k_base"},    {"gpt-4o", "o200k_base"},
    {"chatgpt-4o", "o200k_base"},    {"gpt-oss", "o200k_base"},     {"o1", "o200k_base"},         {"o3", "o200k_base"},
    {"o4", "o200k_base"},            {"codex-mini", "o200k_base"},  {"gpt-4", "cl100k_base"},     {"gpt-3.5", "cl100k_base"},
    {"gpt-35", "cl100k_base"},       {"davinci-002", "cl100k_base"}, {"babbage-002", "cl100k_base"},
    {"text-embedding-3", "cl100k_base"}, {"text-embedding-ada-002", "cl100k_base"},
};

}  // namespace

std::string_view encoding_of(std::string_view model) {
  // "ft:gpt-4o-mini:my-org::id"
  if (model.starts_with("ft:")) {
    model.remove_prefix(3);
    model = model.substr(0, model.find(':'));
  }
  for (const auto& family : kFamilies) {
    if (!model.starts_with(family.name)) continue;
    const auto rest = model.substr(family.name.size());
    if (rest.empty() || rest.front() == '-' || rest.front() == '.') return family.encoding;
  }
  return {};
}

std::vector<std::uint32_t> Tokens::ends(std::string_view text) const {
  if (local_) return local_->ends(text);
  std::vector<std::uint32_t> ends;
  sb_buf out{nullptr, 0};
  const auto name = encoding();
  if (sb_tokens({name.data(), name.size()}, {text.data(), text.size()}, &out) == 0 && out.size > 0) {
    ends.resize(out.size / sizeof(std::uint32_t));
    std::memcpy(ends.data(), out.data, ends.size() * sizeof(std::uint32_t));
  }
  sb_free(out);
  return ends;
}

ChatTokens count_chat(const Tokens& tokens, const json::array& messages) {
  ChatTokens chat;
  chat.overhead = kTokensBeforeReply;
  for (const auto& message : messages) {
    const auto& object = message.as_object();
    chat.messages.push_back(tokens.count(string_or(object, "content")));
    chat.text += chat.messages.back();
    if (!tokens.local()) chat.overhead += kTokensPerMessage + tokens.count(string_or(object, "role"));
  }
  // Instructions that are put together there may have fewer tokens than apart.
  if (tokens.local()) {
    const std::size_t total = tokens.local()->chat(messages);
    chat.text = std::min(chat.text, total);
    chat.overhead = total - chat.text;
  }
  return chat;
}

}  // namespace sabir::completions
