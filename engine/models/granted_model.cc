#include "granted_model.h"

#include "sabir/secrets/scrubber.h"

namespace sabir::models {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;  // "[secret:account_id]" and its value

void fill_in(std::string_view text, const Values& values, std::string& out) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t mark = text.find("[secret:", at);
    out.append(text.substr(at, mark == std::string_view::npos ? mark : mark - at));
    if (mark == std::string_view::npos) return;
    at = mark;
    const std::pair<std::string, std::string>* found = nullptr;
    for (const auto& one : values) {
      if (text.substr(mark).starts_with(one.first)) found = &one;
    }
    // A value that looks like another's mark is not looked at again.
    out += found != nullptr ? std::string_view(found->second) : text.substr(mark, 1);
    at += found != nullptr ? found->first.size() : 1;
  }
}

void fill_in(json::value& value, const Values& values) {
  if (value.is_string()) {
    if (value.get_string().find("[secret:") == std::string_view::npos) return;
    std::string out;
    fill_in(std::string_view(value.get_string()), values, out);
    value = json::value(out);
  } else if (value.is_array()) {
    for (auto& item : value.get_array()) fill_in(item, values);
  } else if (value.is_object()) {
    for (auto& member : value.get_object()) fill_in(member.value(), values);
  }
}

class GrantedModel final : public Model {
 public:
  GrantedModel(std::shared_ptr<Model> inner, std::shared_ptr<const secrets::Secrets> secrets) : inner_(std::move(inner)), secrets_(std::move(secrets)) {}

  std::string description() const override { return inner_->description(); }
  Result<Embeddings> embed(const EmbedRequest& request) override { return inner_->embed(request); }

  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    if (request.secrets.empty()) return inner_->complete(request, on_event);
    if (!secrets_) return fail(ErrorCode::kSecretMissing, "the secret '" + request.secrets.front() + "' cannot be read here");
    Values values;
    for (const auto& name : request.secrets) {
      auto value = secrets_->resolve(name);
      if (!value) return fail(std::move(value.error()));
      values.emplace_back("[secret:" + name + "]", std::move(*value));
    }
    Request own = request;
    own.secrets.clear();
    for (auto& message : own.messages) fill_in(message, values);
    // The model may say the value, in pieces as small as it likes: its words are shown once they are whole.
    OnEvent held;
    if (on_event) {
      held = [&](const Event& event) {
        if (event.content.empty() && event.reasoning.empty()) on_event(event);
      };
    }
    auto reply = inner_->complete(own, held);
    const secrets::Scrubber scrubber(secrets_->redactor());
    const auto& redactor = *secrets_->redactor();
    if (!reply) {
      Error& error = reply.error();
      for (auto* text : {&error.message, &error.hint, &error.detail}) *text = redactor.redact_pieces(*text);
      if (!error.data.empty()) error.data = scrubber.json_text(std::move(error.data));
      return reply;
    }
    reply->content = redactor.redact_pieces(reply->content);
    reply->reasoning = redactor.redact_pieces(reply->reasoning);
    json::value details(std::move(reply->reasoning_details));
    [[maybe_unused]] const bool changed = scrubber.value(details);
    reply->reasoning_details = std::move(details.get_array());
    for (auto& call : reply->tool_calls) call.arguments_json = scrubber.json_text(redactor.redact_pieces(call.arguments_json));
    if (on_event) {
      if (!reply->reasoning.empty()) on_event(Event{.reasoning = reply->reasoning});
      if (!reply->content.empty()) on_event(Event{.content = reply->content});
    }
    return reply;
  }

 private:
  std::shared_ptr<Model> inner_;
  std::shared_ptr<const secrets::Secrets> secrets_;
};

}  // namespace

std::shared_ptr<Model> make_granted_model(std::shared_ptr<Model> inner, std::shared_ptr<const secrets::Secrets> secrets) {
  return std::make_shared<GrantedModel>(std::move(inner), std::move(secrets));
}

}  // namespace sabir::models
