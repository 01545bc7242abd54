#include "local_model.h"

namespace sabir::models {
namespace {

class LocalModel final : public Model {
 public:
  LocalModel(LocalSpec spec, json::object parameters, std::chrono::milliseconds timeout, std::shared_ptr<LocalRuntime> runtime)
      : spec_(std::move(spec)), parameters_(std::move(parameters)), timeout_(timeout), runtime_(std::move(runtime)) {}

  std::string description() const override {
    return std::filesystem::path(spec_.name).filename().string() + " (local)";
  }

  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    if (!runtime_) {
      return fail(ErrorCode::kUnavailable, "local models are not available in this program",
                  "Choose another model with SABIR_MODEL or config/openai_config.yml.");
    }
    Request own = request;
    own.parameters = parameters_;
    for (const auto& member : request.parameters) own.parameters[member.key()] = member.value();
    if (timeout_.count() > 0) own.timeout = std::min(timeout_, request.timeout);
    auto reply = runtime_->complete(spec_, own, on_event);
    if (reply) reply->provider = "local";
    return reply;
  }

 private:
  LocalSpec spec_;
  json::object parameters_;
  std::chrono::milliseconds timeout_;
  std::shared_ptr<LocalRuntime> runtime_;
};

}  // namespace

std::shared_ptr<Model> make_local_model(LocalSpec spec, json::object parameters, std::chrono::milliseconds timeout,
                                        std::shared_ptr<LocalRuntime> runtime) {
  return std::make_shared<LocalModel>(std::move(spec), std::move(parameters), timeout, std::move(runtime));
}

}  // namespace sabir::models
