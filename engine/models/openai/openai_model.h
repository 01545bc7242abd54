// OpenAiModel: one model behind an OpenAI-compatible HTTP server. Sends, streams, retries; codec.h knows the formats.
//
// Threads: complete() from any thread, any number at once. Retries follow Retry-After or a doubling pause with jitter,
// and happen only while nothing of the answer has been handed to `on_event`.
#pragma once

#include <memory>

#include "openai/options.h"
#include "sabir/models/model.h"
#include "sabir/net/http_client.h"
#include "sabir/secrets/secrets.h"

namespace sabir::models {

// `secrets` may be null when options.key is empty.
std::shared_ptr<Model> make_openai_model(OpenAiOptions options, std::shared_ptr<net::HttpClient> client,
                                         std::shared_ptr<const secrets::Secrets> secrets);

}  // namespace sabir::models
