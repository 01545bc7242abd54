#include "http/embeddings.h"

#include "http/codec.h"

namespace sabir::models {
namespace {

std::unexpected<Error> wrong(const std::string& what) {
  return fail(ErrorCode::kModel, "the answer is no list of embeddings: " + what, "Check that `model` names an embedding model, and that base_url serves /embeddings.");
}

}  // namespace

Result<json::object> embeddings_body(const EmbedRequest& request, const Endpoint& endpoint) {
  if (auto fit = check_texts(request); !fit) return fail(std::move(fit.error()));
  json::array input;
  for (const auto& text : request.texts) input.push_back(json::value(text));
  json::object body{{"model", endpoint.model}, {"input", std::move(input)}, {"encoding_format", "float"}};
  for (const auto& member : endpoint.parameters) body[member.key()] = member.value();
  for (const auto& member : request.parameters) body[member.key()] = member.value();
  return body;
}

Result<Embeddings> read_embeddings(const json::object& answer, std::size_t texts) {
  const auto* data = answer.if_contains("data");
  if (data == nullptr || !data->is_array()) return wrong("it has no data");
  Embeddings out;
  out.vectors.resize(texts);
  for (const auto& item : data->get_array()) {
    if (!item.is_object()) return wrong("an entry is no object");
    const auto* vector = item.get_object().if_contains("embedding");
    const std::int64_t index = int_or(item.get_object(), "index", &item - data->get_array().data());
    if (vector == nullptr || !vector->is_array() || vector->get_array().empty()) return wrong("an entry has no embedding");
    if (index < 0 || static_cast<std::size_t>(index) >= texts || !out.vectors[static_cast<std::size_t>(index)].empty()) return wrong("an entry's index is wrong");
    auto& into = out.vectors[static_cast<std::size_t>(index)];
    into.reserve(vector->get_array().size());
    for (const auto& number : vector->get_array()) {
      if (!number.is_number()) return wrong("an embedding has something else than numbers");
      into.push_back(number.to_number<float>());
    }
  }
  for (const auto& vector : out.vectors) {
    if (vector.empty()) return wrong("it has " + std::to_string(data->get_array().size()) + " embeddings for " + std::to_string(texts) + " texts");
    if (vector.size() != out.vectors.front().size()) return wrong("they differ in length");
  }
  out.model = string_or(answer, "model");
  if (const auto* usage = answer.if_contains("usage"); usage != nullptr && usage->is_object()) {
    out.usage.input_tokens = int_or(usage->get_object(), "prompt_tokens", 0);
  }
  return out;
}

}  // namespace sabir::models
