// OpenAI's embeddings API (POST /embeddings), which compatible servers have too. No I/O.
//
// Threads: pure functions.
#pragma once

#include "http/endpoint.h"
#include "sabir/base/error.h"
#include "sabir/models/model.h"

namespace sabir::models {

// Errors: kInvalidArguments for none or too many texts.
Result<json::object> embeddings_body(const EmbedRequest& request, const Endpoint& endpoint);
// Errors: kModel for an answer that has not one vector of one length for each of `texts`.
Result<Embeddings> read_embeddings(const json::object& answer, std::size_t texts);

}  // namespace sabir::models
