// CheckedModel: structured output. Whatever a provider promises, an answer is checked against the schema here; one that
// does not fit goes back to the model once, with what is wrong about it.
//
// Threads: complete() from any thread.
#pragma once

#include <memory>

#include "sabir/models/model.h"

namespace sabir::models {

// `alias` is what errors call the model.
std::shared_ptr<Model> make_checked_model(std::shared_ptr<Model> inner, std::string alias);

}  // namespace sabir::models
