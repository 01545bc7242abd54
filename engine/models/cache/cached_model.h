// CachedModel: a model whose answers are kept and given again to the very same question.
//
// Threads: complete() from any thread.
#pragma once

#include <memory>

#include "sabir/models/answer_cache.h"
#include "sabir/models/ledger.h"
#include "sabir/models/model.h"

namespace sabir::models {

struct Caching {
  std::shared_ptr<AnswerCache> cache;
  std::chrono::milliseconds ttl{0};  // of the configuration; 0 = only where a request asks for it
  CallFacts facts;                   // alias, provider and model, for the ledger
  json::object settings;             // of the configuration: all that determines an answer but `parameters`
  json::object parameters;           // of the configuration; a request's own come on top
  std::shared_ptr<Ledger> ledger;    // may be null
};

// `inner` is a model with all of its fallbacks; what a fallback answered is not kept.
std::shared_ptr<Model> make_cached_model(std::shared_ptr<Model> inner, Caching caching);

// SHA-256 of the compact JSON of {"format": 1, "settings", "parameters", "messages", "tools", "output_schema"}, members in their
// order: what is sent in another order may be answered otherwise. Pictures are in it with their bytes, or by their address.
std::string answer_key(const Caching& caching, const Request& request);

}  // namespace sabir::models
