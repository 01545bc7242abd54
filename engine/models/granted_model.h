// GrantedModel: the one place where a secret that a prompt is granted has its value. Everything before it (traces, recordings, the
// journal, the cache) sees [secret:NAME]; here the value goes into what is sent, and comes out of what is answered.
//
// Threads: complete() from any thread.
#pragma once

#include <memory>

#include "sabir/models/model.h"
#include "sabir/secrets/secrets.h"

namespace sabir::models {

// `secrets` may be null: a request that has some is an error then.
std::shared_ptr<Model> make_granted_model(std::shared_ptr<Model> inner, std::shared_ptr<const secrets::Secrets> secrets);

}  // namespace sabir::models
