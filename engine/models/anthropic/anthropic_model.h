// AnthropicModel: one model behind Anthropic's Messages API; one try.
//
// Threads: as HttpModel.
#pragma once

#include <memory>
#include <string>

#include "http/codec.h"
#include "http/endpoint.h"
#include "sabir/models/model.h"
#include "sabir/net/http_client.h"
#include "sabir/secrets/secrets.h"

namespace sabir::models {

struct AnthropicOptions : Endpoint {
  AnthropicOptions() { base_url = "https://api.anthropic.com/v1"; }
  std::string version = "2023-06-01";  // the header anthropic-version; 2026-10-21 has no temperature, top_p and top_k
};

bool is_anthropic_host(const std::string& base_url);

// The Messages API (POST /messages) between models::Request / Reply and JSON.
std::unique_ptr<Codec> make_messages_codec(std::string version = AnthropicOptions().version);
// Whether the API takes `schema` as output_config.format: closed objects, none of the keywords it refuses.
bool fits_output_format(const json::value& schema);

// `secrets` may be null when options.key is empty.
std::shared_ptr<Model> make_anthropic_model(AnthropicOptions options, std::shared_ptr<net::HttpClient> client,
                                            std::shared_ptr<const secrets::Secrets> secrets);

}  // namespace sabir::models
