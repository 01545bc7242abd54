// Tokens: how many of them a text and a chat have for a model. Exact where the model's encoding is one of OpenAI's, or the model
// is one of this machine and here, else an estimate that says so.
//
// Threads: any. The first use of an encoding takes some 0.2 s, while its ranks are read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/json.h"
#include "sabir/completions/local_tokenizer.h"

namespace sabir::completions {

// "o200k_base" or "cl100k_base" by a model's name, dated and fine-tuned ones included; "" for a model that is not OpenAI's.
std::string_view encoding_of(std::string_view model);

class Tokens {
 public:
  // `model` is the name its provider knows, or "".
  // `why_not` is why a model's own tokenizer is not at hand, for whoever wonders about an estimate.
  explicit Tokens(std::string_view model, std::string why_not = {}) : encoding_(encoding_of(model)), why_not_(std::move(why_not)) {}
  explicit Tokens(std::shared_ptr<const LocalTokenizer> local) : local_(std::move(local)), encoding_(local_->name()) {}

  bool is_exact() const { return !encoding_.empty(); }
  // Which counts: an estimate counts by that of the newest models.
  std::string_view encoding() const { return is_exact() ? encoding_ : "o200k_base"; }
  const std::string& why_not() const { return why_not_; }
  // Null where the model is none of this machine.
  const LocalTokenizer* local() const { return local_.get(); }

  // Where each token of a text ends, in bytes; what looks like a special token is text. REQUIRES: UTF-8, less than 4 GiB.
  std::vector<std::uint32_t> ends(std::string_view text) const;
  std::size_t count(std::string_view text) const { return ends(text).size(); }

 private:
  std::shared_ptr<const LocalTokenizer> local_;
  std::string_view encoding_;
  std::string why_not_;
};

// What a chat has beside its messages' texts, as OpenAI documents it for its chat models; a model of this machine has its own.
constexpr std::size_t kTokensPerMessage = 3;  // and those of the role's name
constexpr std::size_t kTokensBeforeReply = 3;

struct ChatTokens {
  std::vector<std::size_t> messages;  // of each message's text
  std::size_t text = 0;               // their sum
  std::size_t overhead = 0;           // roles, what parts the messages, what begins the reply
  std::size_t total() const { return text + overhead; }
};
// `messages` as Rendered has them.
ChatTokens count_chat(const Tokens& tokens, const json::array& messages);

}  // namespace sabir::completions
