// RefusedModel: stands for a model of another machine where none may be asked, as in tests. Every question is an error that says how
// to record it.
//
// Threads: any.
#pragma once

#include <memory>
#include <string>

#include "sabir/models/model.h"

namespace sabir::models {

std::shared_ptr<Model> make_refused_model(std::string alias, std::string description);

// Whether a server of that address is this machine, so that asking it costs nothing.
bool is_on_this_machine(const std::string& base_url);

}  // namespace sabir::models
