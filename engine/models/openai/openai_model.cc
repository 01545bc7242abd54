#include "openai/openai_model.h"

#include "http/http_model.h"
#include "openai/openai_codec.h"

namespace sabir::models {
namespace {

class OpenAiDialect final : public Dialect {
 public:
  explicit OpenAiDialect(const OpenAiOptions& options)
      : api_(options.api), organization_(options.organization), project_(options.project) {}

  std::string provider() const override { return "openai"; }
  std::unique_ptr<Codec> codec() const override { return make_codec(api_); }
  net::HttpHeaders headers(const std::string& key) const override {
    net::HttpHeaders headers;
    if (!key.empty()) headers.emplace_back("Authorization", "Bearer " + key);
    if (!organization_.empty()) headers.emplace_back("OpenAI-Organization", organization_);
    if (!project_.empty()) headers.emplace_back("OpenAI-Project", project_);
    return headers;
  }
  std::string when_not_found(const Endpoint& endpoint) const override {
    return "Check model ('" + endpoint.model + "'), base_url and api (" + (api_ == OpenAiApi::kChat ? "chat" : "responses") + ") of '" +
           endpoint.alias + "'; servers without the Responses API take api: chat.";
  }
  std::string when_not_this_api() const override { return "Check that base_url is an OpenAI-compatible server; most end in /v1."; }
  bool embeds() const override { return true; }

 private:
  OpenAiApi api_;
  std::string organization_;
  std::string project_;
};

}  // namespace

std::shared_ptr<Model> make_openai_model(OpenAiOptions options, std::shared_ptr<net::HttpClient> client,
                                         std::shared_ptr<const secrets::Secrets> secrets) {
  auto dialect = std::make_unique<OpenAiDialect>(options);
  return make_http_model(std::move(options), std::move(dialect), std::move(client), std::move(secrets));
}

}  // namespace sabir::models
