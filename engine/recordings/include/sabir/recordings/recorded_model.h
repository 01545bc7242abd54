// Models that write down what they are asked and answer, and models that answer from a recording.
//
// Threads: complete() from any, as of every model.
#pragma once

#include <memory>
#include <string>

#include "sabir/models/model.h"
#include "sabir/recordings/player.h"
#include "sabir/recordings/prompts.h"
#include "sabir/recordings/recorder.h"

namespace sabir::recordings {

// A model as the configuration has it.
struct Asked {
  std::string alias;        // resolved: never ""
  std::string model;        // the name that its server knows
  json::object parameters;  // of the configuration; a request's own come on top
  std::string caller;
  std::uint64_t parent = 0;  // the recording's entry of the call that asks
};

// The ask of a request (recording.h).
json::object ask_of(const Asked& asked, const models::Request& request);
json::object ask_of(const Asked& asked, const models::EmbedRequest& request);

// Asks `inner` and finishes one entry of `recorder`, whatever comes of it but a cancellation or a question that was never put.
std::shared_ptr<models::Model> make_recording_model(std::shared_ptr<models::Model> inner, Asked asked, std::shared_ptr<Recorder> recorder,
                                                    std::shared_ptr<const Prompts> prompts);

// Opens no socket and needs no key.
std::shared_ptr<models::Model> make_replaying_model(Asked asked, std::shared_ptr<Player> player, std::shared_ptr<const Prompts> prompts);

// Whether an error is part of what a model or a function answers, and belongs into a recording.
bool is_answer(const Error& error);

}  // namespace sabir::recordings
