#include "local_model.h"

namespace sabir::models {
namespace {

class LocalModel final : public Model {
 public:
  LocalModel(LocalSpec spec, json::object parameters, std::shared_ptr<LocalRuntime> runtime)
      : spec_(std::move(spec)), parameters_(std::move(parameters)), runtime_(std::move(runtime)) {}

  std::string description() const override {
    return std::filesystem::path(spec_.name).filename().string() + " (local)";
  }

  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    if (!runtime_) {
      return fail(ErrorCode::kUnavailable, "local models are not available in this program",
                  "Choose another model with SABIR_MODEL or config/openai_config.yml.");
    }
    for (const auto& message : request.messages) {
      const auto* content = message.is_object() ? message.get_object().if_contains("content") : nullptr;
      if (content == nullptr || !content->is_array()) continue;
      for (const auto& part : content->get_array()) {
        const auto type = part.is_object() ? string_or(part.get_object(), "type") : std::string_view();
        if (type == "text") continue;
        return fail(ErrorCode::kInvalidArguments,
                    description() + " takes text only, and a message has a part of type '" + std::string(type) + "'",
                    "Ask a model that takes pictures: provider openai or anthropic in config/openai_config.yml.");
      }
    }
    Request own = request;
    own.parameters = parameters_;
    for (const auto& member : request.parameters) own.parameters[member.key()] = member.value();
    auto reply = runtime_->complete(spec_, own, on_event);
    if (reply) reply->provider = "local";
    return reply;
  }

  Result<Embeddings> embed(const EmbedRequest& request) override {
    if (!runtime_) {
      return fail(ErrorCode::kUnavailable, "local models are not available in this program",
                  "Choose another model with SABIR_MODEL or config/openai_config.yml.");
    }
    if (auto fit = check_texts(request); !fit) return fail(std::move(fit.error()));
    if (const auto* dimensions = request.parameters.if_contains("dimensions")) {
      return fail(ErrorCode::kInvalidArguments, description() + " gives vectors of its own length, and " + compact_json(*dimensions) + " dimensions were asked for",
                  "Leave `dimensions` out.");
    }
    return runtime_->embed(spec_, request);
  }

 private:
  LocalSpec spec_;
  json::object parameters_;
  std::shared_ptr<LocalRuntime> runtime_;
};

}  // namespace

std::shared_ptr<Model> make_local_model(LocalSpec spec, json::object parameters, std::shared_ptr<LocalRuntime> runtime) {
  return std::make_shared<LocalModel>(std::move(spec), std::move(parameters), std::move(runtime));
}

}  // namespace sabir::models
