#include "anthropic/anthropic_model.h"

#include "http/http_model.h"

namespace sabir::models {
namespace {

class AnthropicDialect final : public Dialect {
 public:
  explicit AnthropicDialect(std::string version) : version_(std::move(version)) {}

  std::string provider() const override { return "anthropic"; }
  std::unique_ptr<Codec> codec() const override { return make_messages_codec(version_); }
  net::HttpHeaders headers(const std::string& key) const override {
    net::HttpHeaders headers{{"anthropic-version", version_}};
    if (!key.empty()) headers.emplace_back("x-api-key", key);
    return headers;
  }
  std::string when_not_found(const Endpoint& endpoint) const override {
    return "Check model ('" + endpoint.model + "') and base_url of '" + endpoint.alias + "'; Anthropic's model names look like claude-sonnet-4-5.";
  }
  std::string when_not_this_api() const override { return "Check that base_url is a server of Anthropic's Messages API; it ends in /v1."; }

 private:
  std::string version_;
};

}  // namespace

bool is_anthropic_host(const std::string& base_url) { return net::host_and_port(base_url) == "api.anthropic.com:443"; }

std::shared_ptr<Model> make_anthropic_model(AnthropicOptions options, std::shared_ptr<net::HttpClient> client,
                                            std::shared_ptr<const secrets::Secrets> secrets) {
  auto dialect = std::make_unique<AnthropicDialect>(options.version);
  return make_http_model(std::move(options), std::move(dialect), std::move(client), std::move(secrets));
}

}  // namespace sabir::models
