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

Result<Embeddings> Model::embed(const EmbedRequest& /*request*/) {
  return fail(ErrorCode::kInvalidArguments, description() + " gives no embeddings",
              "Name a model of provider openai that does, like text-embedding-3-small, or one of a compatible server.");
}

}  // namespace sabir::models
