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

  Result<models::Embeddings> embed(const models::EmbedRequest& request) override {
    const auto id = recorder_->begin(asked_.parent);
    auto out = inner_->embed(request);
    Entry entry;
    entry.caller = asked_.caller;
    entry.ask = ask_of(asked_, request);
    if (out) {
      static_cast<models::Answered&>(entry.reply) = *out;
      entry.vectors = out->vectors;
    } else if (is_answer(out.error())) {
      entry.error = to_json(out.error());
    } else {
      return out;
    }
    recorder_->finish(id, std::move(entry));
    return out;
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
    json::object again{{"messages", request.messages}, {"tools", request.tools}, {"parameters", request.parameters}};
    if (request.output_schema) again["output_schema"] = *request.output_schema;
    auto entry = player_->model(ask_of(asked_, request), prompts_->uses(request.messages), std::move(again));
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

  Result<models::Embeddings> embed(const models::EmbedRequest& request) override {
    auto ask = ask_of(asked_, request);
    json::object again{{"texts", ask.at("texts")}, {"parameters", request.parameters}};
    auto entry = player_->model(ask, {}, std::move(again));
    if (!entry) return fail(std::move(entry.error()));
    if ((*entry)->error) return fail(error_from_json(*(*entry)->error));
    models::Embeddings out;
    static_cast<models::Answered&>(out) = (*entry)->reply;
    out.vectors = (*entry)->vectors;
    return out;
  }

 private:
  const Asked asked_;
  const std::shared_ptr<Player> player_;
  const std::shared_ptr<const Prompts> prompts_;
};

}  // namespace

namespace {
json::object begun_ask(const Asked& asked, const json::object& own) {
  json::object ask{{"alias", asked.alias}, {"model", asked.model}};
  json::object parameters = asked.parameters;
  for (const auto& member : own) parameters[member.key()] = member.value();
  if (!parameters.empty()) ask["parameters"] = std::move(parameters);
  return ask;
}
}  // namespace

json::object ask_of(const Asked& asked, const models::EmbedRequest& request) {
  json::object ask = begun_ask(asked, request.parameters);
  json::array texts;
  for (const auto& text : request.texts) texts.push_back(json::value(text));
  ask["texts"] = std::move(texts);
  return ask;
}

json::object ask_of(const Asked& asked, const models::Request& request) {
  json::object ask = begun_ask(asked, request.parameters);
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
