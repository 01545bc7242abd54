// ScriptedModel: replies written down beforehand, for tests and demonstrations without a model. docs/models.md has the
// file's format.
//
// Threads: complete() from any thread; replies given in order are handed out once each.
#pragma once

#include <filesystem>
#include <memory>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/model.h"

namespace sabir::models {

// Reads the script on the first call and again when it has changed; `shown` is what errors call it.
std::shared_ptr<Model> make_scripted_model(std::filesystem::path file, std::string shown, std::string alias);

// From values: a list of replies, or {"model", "piece_bytes", "replies"}. Errors: kConfig.
Result<std::shared_ptr<Model>> make_scripted_model(const json::value& script, std::string shown, std::string alias);

}  // namespace sabir::models
