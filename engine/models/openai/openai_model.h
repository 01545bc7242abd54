// OpenAiModel: one model behind an OpenAI-compatible HTTP server; one try.
//
// Threads: as HttpModel.
#pragma once

#include <memory>

#include "openai/openai_options.h"
#include "sabir/models/model.h"
#include "sabir/net/http_client.h"
#include "sabir/secrets/secrets.h"

namespace sabir::models {

// `secrets` may be null when options.key is empty.
std::shared_ptr<Model> make_openai_model(OpenAiOptions options, std::shared_ptr<net::HttpClient> client,
                                         std::shared_ptr<const secrets::Secrets> secrets);

}  // namespace sabir::models
