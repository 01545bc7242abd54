// OpenAI's two APIs. Field names: OpenAI's published OpenAPI document, Chat Completions (createChatCompletion) and
// Responses (createResponse).
//
// Threads: as Codec.
#pragma once

#include <memory>

#include "http/codec.h"
#include "openai/openai_options.h"

namespace sabir::models {

std::unique_ptr<Codec> make_chat_codec();
std::unique_ptr<Codec> make_responses_codec();
std::unique_ptr<Codec> make_codec(OpenAiApi api);

// Whether `schema` fits OpenAI's strict mode: every object closed and every property required.
bool fits_strict_mode(const json::value& schema);

}  // namespace sabir::models
