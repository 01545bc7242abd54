// Embeddings (POST /v1/embeddings). No I/O.
//
// Threads: pure functions.
#pragma once

#include <string>

#include "openai/asked.h"

namespace sabir::serve::openai {

// Errors: kInvalidArguments, with the member's name.
Result<models::EmbedRequest> read_embedding(const json::object& body);
// `as_base64`: each vector as 32-bit floats, little-endian, in base64.
json::object embeddings_object(const std::string& model, const models::Embeddings& embeddings, bool as_base64);

}  // namespace sabir::serve::openai
