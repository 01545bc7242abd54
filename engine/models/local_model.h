// LocalModel: a GGUF file of this machine as a Model, run by a LocalRuntime.
//
// Threads: complete() from any thread.
#pragma once

#include <memory>

#include "sabir/base/json.h"
#include "sabir/models/local_runtime.h"
#include "sabir/models/model.h"

namespace sabir::models {

// `runtime` may be null: the model is unavailable then.
std::shared_ptr<Model> make_local_model(LocalSpec spec, json::object parameters, std::shared_ptr<LocalRuntime> runtime);

}  // namespace sabir::models
