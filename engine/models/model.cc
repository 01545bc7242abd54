#include "sabir/models/model.h"

namespace sabir::models {

Usage& Usage::operator+=(const Usage& other) {
  input_tokens += other.input_tokens;
  output_tokens += other.output_tokens;
  cached_tokens += other.cached_tokens;
  cache_write_tokens += other.cache_write_tokens;
  reasoning_tokens += other.reasoning_tokens;
  return *this;
}

json::object to_json(const Usage& usage) {
  json::object out{{"input_tokens", usage.input_tokens}, {"output_tokens", usage.output_tokens}};
  const auto add = [&](const char* key, std::int64_t value) {
    if (value != 0) out[key] = value;
  };
  add("cached_tokens", usage.cached_tokens);
  add("cache_write_tokens", usage.cache_write_tokens);
  add("reasoning_tokens", usage.reasoning_tokens);
  return out;
}

Result<void> check_texts(const EmbedRequest& request) {
  if (request.texts.empty() || request.texts.size() > kMostTexts) {
    return fail(ErrorCode::kInvalidArguments, std::to_string(request.texts.size()) + " texts to embed; it is 1 to " + std::to_string(kMostTexts) + " at once");
  }
  for (std::size_t i = 0; i < request.texts.size(); ++i) {
    if (request.texts[i].empty()) return fail(ErrorCode::kInvalidArguments, "text " + std::to_string(i + 1) + " of those to embed is empty");
  }
  return {};
}

Result<Embeddings> Model::embed(const EmbedRequest& /*request*/) {
  return fail(ErrorCode::kInvalidArguments, description() + " gives no embeddings",
              "Name a model that does: of provider openai, like text-embedding-3-small, of a compatible server, or of provider local.");
}

}  // namespace sabir::models
