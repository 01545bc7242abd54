#include "sabir/recordings/recorded_model.h"

#include "sabir/base/text.h"

namespace sabir::recordings {
namespace {

class RecordingModel final : public models::Model {
 public:
  RecordingModel(std::shared_ptr<models::Model> inner, Asked asked, std::shared_ptr<Recorder> recorder, std::shared_ptr<const Prompts> prompts)
      : inner_(std::move(inner)), asked_(std::move(asked)), recorder_(std::move(recorder)), prompts_(std::move(prompts)) {}

  std::string description() const override { return inner_->description(); }

  Result<models::Reply> complete(const models::Request& request, const models::OnEvent& on_event) override {
    const auto id = recorder_->begin(asked_.parent);
    Entry entry;
    entry.caller = asked_.caller;
    entry.ask = ask_of(asked_, request);
    entry.prompts = prompts_->uses(request.messages);
    // A model may answer otherwise where nobody listens, so it is not asked for a stream that nobody wants.
    models::OnEvent listen;
    if (on_event) {
      listen = [&](const models::Event& event) {
        if (!event.content.empty()) entry.pieces.push_back(event.content);
        on_event(event);
      };
    }
    auto reply = inner_->complete(request, listen);
    if (reply) {
      entry.reply = *reply;
    } else if (is_answer(reply.error())) {
      entry.error = to_json(reply.error());
    } else {
      return reply;
    }
    recorder_->finish(id, std::move(entry));
    return reply;
  }

 private:
  const std::shared_ptr<models::Model> inner_;
  const Asked asked_;
  const std::shared_ptr<Recorder> recorder_;
  const std::shared_ptr<const Prompts> prompts_;
};

class ReplayingModel final : public models::Model {
 public:
  ReplayingModel(Asked asked, std::shared_ptr<Player> player, std::shared_ptr<const Prompts> prompts)
      : asked_(std::move(asked)), player_(std::move(player)), prompts_(std::move(prompts)) {}

  std::string description() const override { return asked_.alias + " (recorded)"; }

  Result<models::Reply> complete(const models::Request& request, const models::OnEvent& on_event) override {
    auto entry = player_->model(ask_of(asked_, request), prompts_->uses(request.messages), request);
    if (!entry) return fail(std::move(entry.error()));
    const auto cancelled = [&] { return request.cancelled && request.cancelled->load(std::memory_order_relaxed); };
    if (on_event) {
      for (const auto& piece : (*entry)->pieces) {
        if (cancelled()) return fail(ErrorCode::kCancelled, "the replay was cancelled");
        on_event(models::Event{.content = piece});
      }
    }
    if ((*entry)->error) return fail(error_from_json(*(*entry)->error));
    return (*entry)->reply;
  }

 private:
  const Asked asked_;
  const std::shared_ptr<Player> player_;
  const std::shared_ptr<const Prompts> prompts_;
};

}  // namespace

json::object ask_of(const Asked& asked, const models::Request& request) {
  json::object ask{{"alias", asked.alias}, {"model", asked.model}};
  json::object parameters = asked.parameters;
  for (const auto& member : request.parameters) parameters[member.key()] = member.value();
  if (!parameters.empty()) ask["parameters"] = std::move(parameters);
  if (request.output_schema) ask["output_schema"] = *request.output_schema;
  if (!request.tools.empty()) {
    json::array tools;
    for (const auto& tool : request.tools) {
      const auto* function = tool.is_object() ? tool.get_object().if_contains("function") : nullptr;
      const std::string name(function && function->is_object() ? string_or(function->get_object(), "name") : "");
      tools.push_back({{"name", name}, {"hash", fingerprint(canonical_json(tool))}});
    }
    ask["tools"] = std::move(tools);
  }
  ask["messages"] = request.messages;
  return ask;
}

std::shared_ptr<models::Model> make_recording_model(std::shared_ptr<models::Model> inner, Asked asked, std::shared_ptr<Recorder> recorder,
                                                    std::shared_ptr<const Prompts> prompts) {
  return std::make_shared<RecordingModel>(std::move(inner), std::move(asked), std::move(recorder), std::move(prompts));
}

std::shared_ptr<models::Model> make_replaying_model(Asked asked, std::shared_ptr<Player> player, std::shared_ptr<const Prompts> prompts) {
  return std::make_shared<ReplayingModel>(std::move(asked), std::move(player), std::move(prompts));
}

bool is_answer(const Error& error) {
  switch (error.code) {
    case ErrorCode::kCancelled:      // the caller gave up
    case ErrorCode::kSecretMissing:  // never asked
    case ErrorCode::kConfig:
    case ErrorCode::kBusy:
    case ErrorCode::kUnavailable:
    case ErrorCode::kBuildFailed:
    case ErrorCode::kUnknownFunction:
    case ErrorCode::kInternal:
    case ErrorCode::kStorageFull:
      return false;
    default: return true;
  }
}

}  // namespace sabir::recordings
