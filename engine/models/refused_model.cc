#include "refused_model.h"

namespace sabir::models {
namespace {

class RefusedModel final : public Model {
 public:
  RefusedModel(std::string alias, std::string description) : alias_(std::move(alias)), description_(std::move(description)) {}

  std::string description() const override { return description_; }
  Result<Reply> complete(const Request&, const OnEvent&) override { return fail(refusal()); }
  Result<Embeddings> embed(const EmbedRequest&) override { return fail(refusal()); }

 private:
  Error refusal() const {
    return Error(ErrorCode::kRecordingMissing, "a test asked the model '" + alias_ + "' (" + description_ + "), and tests ask no model that costs money",
                 "Record what it answers once, with its key: sabir test --record PATH; or write its replies in tests/scripted_replies.json and leave "
                 "SABIR_MODEL at `scripted`.");
  }
  std::string alias_;
  std::string description_;
};

}  // namespace

std::shared_ptr<Model> make_refused_model(std::string alias, std::string description) {
  return std::make_shared<RefusedModel>(std::move(alias), std::move(description));
}

bool is_on_this_machine(const std::string& base_url) {
  std::string_view rest = base_url;
  if (const auto scheme = rest.find("://"); scheme != std::string_view::npos) rest.remove_prefix(scheme + 3);
  rest = rest.substr(0, rest.find('/'));
  if (const auto user = rest.rfind('@'); user != std::string_view::npos) rest.remove_prefix(user + 1);
  if (rest.starts_with("[")) return rest.starts_with("[::1]");
  rest = rest.substr(0, rest.find(':'));
  // An address and not a name that begins like one.
  const bool numbers = rest.find_first_not_of("0123456789.") == std::string_view::npos;
  return rest == "localhost" || (numbers && rest.starts_with("127."));
}

}  // namespace sabir::models
