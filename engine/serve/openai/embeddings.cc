#include "openai/embeddings.h"

#include <bit>

#include "sabir/base/text.h"
#include "sabir/runtime/engine.h"

namespace sabir::serve::openai {

Result<models::EmbedRequest> read_embedding(const json::object& body) {
  models::EmbedRequest request;
  const auto* model = body.if_contains("model");
  if (!model || !model->is_string() || model->get_string().empty()) return wrong("model", "'model' is missing: an alias of a model that gives embeddings", "GET /v1/models lists them.");
  const auto* input = body.if_contains("input");
  if (input && input->is_string()) {
    request.texts.emplace_back(input->get_string());
  } else if (input && input->is_array()) {
    for (const auto& text : input->get_array()) {
      if (!text.is_string()) return wrong("input", "'input' has something else than texts", "Send texts; tokens are those of one model, and the server may use another.");
      request.texts.emplace_back(text.get_string());
    }
  } else {
    return wrong("input", "'input' is neither a text nor a list of texts");
  }
  if (auto fit = models::check_texts(request); !fit) return wrong("input", fit.error().message);
  for (const auto& member : body) {
    const auto name = member.key();
    if (member.value().is_null() || name == "model" || name == "input" || name == "user") continue;
    if (name == "dimensions") {
      if (!member.value().is_int64() || member.value().get_int64() < 1) return wrong("dimensions", "'dimensions' is not a number from 1 on");
      request.parameters["dimensions"] = member.value();
    } else if (name == "encoding_format") {
      if (member.value() != json::value("float") && member.value() != json::value("base64")) return wrong("encoding_format", "'encoding_format' is neither float nor base64");
    } else {
      return wrong(name, "Unknown parameter: '" + std::string(name) + "'.");
    }
  }
  return request;
}

json::object embeddings_object(const std::string& model, const models::Embeddings& embeddings, bool as_base64) {
  json::array data;
  const auto whole = as_base64 ? json::object() : runtime::to_json(embeddings);
  for (std::size_t i = 0; i < embeddings.vectors.size(); ++i) {
    json::object one{{"object", "embedding"}, {"index", i}};
    if (as_base64) {
      std::string bytes;
      bytes.reserve(embeddings.vectors[i].size() * 4);
      for (const float x : embeddings.vectors[i]) {
        const auto bits = std::bit_cast<std::uint32_t>(x);
        for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift & 0xffU);
      }
      one["embedding"] = base64_encode(bytes);
    } else {
      one["embedding"] = whole.at("vectors").as_array()[i];
    }
    data.push_back(std::move(one));
  }
  return {{"object", "list"}, {"data", std::move(data)}, {"model", model}, {"usage", {{"prompt_tokens", embeddings.usage.input_tokens}, {"total_tokens", embeddings.usage.input_tokens}}}};
}

}  // namespace sabir::serve::openai
