// HashiCorp Vault's key-value store, version 2. Source: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2
#include <chrono>
#include <cstdlib>
#include <mutex>

#include "place.h"
#include "sabir/base/file.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/net/http_client.h"
#include "sabir/secrets/secrets.h"

namespace sabir::secrets {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPatience{10'000};
constexpr std::size_t kMostBytes = std::size_t{4} << 20U;
constexpr const char* kMember = "value";  // of a secret's data

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

class VaultPlace final : public Place {
 public:
  explicit VaultPlace(const Settings& settings) : settings_(settings.vault), prefix_(settings.vault.prefix.empty() ? settings.app + "/" + settings.environment : settings.vault.prefix) {
    while (prefix_.ends_with('/')) prefix_.pop_back();
  }

  std::string name() const override { return "Vault"; }
  bool is_remote() const override { return true; }

  Result<std::optional<std::string>> get(const std::string& secret) override {
    auto answer = ask("GET", "data/" + prefix_ + "/" + secret, {});
    if (!answer) {
      if (answer.error().code == ErrorCode::kNotFound) return std::nullopt;
      return fail(std::move(answer.error()));
    }
    const auto* outer = answer->if_contains("data");
    const auto* inner = outer && outer->is_object() ? outer->get_object().if_contains("data") : nullptr;
    const auto* value = inner && inner->is_object() ? inner->get_object().if_contains(kMember) : nullptr;
    if (inner && inner->is_object() && !inner->get_object().empty() && (!value || !value->is_string())) {
      return fail(ErrorCode::kConfig, name() + ", " + path_of(secret) + ": its data has no text named '" + kMember + "'", "Write it so: vault kv put " + path_of(secret) + " value=-");
    }
    if (!value) return std::nullopt;
    return std::optional(std::string(value->get_string()));
  }

  Result<std::vector<std::string>> names() override {
    std::vector<std::string> out;
    auto answer = ask("GET", "metadata/" + prefix_ + "?list=true", {});
    if (!answer) {
      if (answer.error().code == ErrorCode::kNotFound) return out;
      return fail(std::move(answer.error()));
    }
    const auto* data = answer->if_contains("data");
    const auto* keys = data && data->is_object() ? data->get_object().if_contains("keys") : nullptr;
    if (!keys || !keys->is_array()) return out;
    for (const auto& key : keys->get_array()) {
      if (key.is_string() && is_secret_name(std::string_view(key.get_string()))) out.emplace_back(key.get_string());
    }
    return out;
  }

  Result<void> set(const std::string& secret, const std::string& value) override {
    auto answer = ask("POST", "data/" + prefix_ + "/" + secret, json::object{{"data", json::object{{kMember, value}}}});
    if (!answer) return fail(std::move(answer.error()));
    return {};
  }

  Result<bool> remove(const std::string& secret) override {
    auto there = get(secret);
    if (!there) return fail(std::move(there.error()));
    if (!*there) return false;
    // The newest version alone, which `vault kv undelete` brings back.
    auto answer = ask("DELETE", "data/" + prefix_ + "/" + secret, {});
    if (!answer) return fail(std::move(answer.error()));
    return true;
  }

 private:
  std::string path_of(const std::string& secret) const { return settings_.mount + "/" + prefix_ + "/" + secret; }

  Result<std::string> address() const {
    std::string out = settings_.address.empty() ? variable("VAULT_ADDR") : settings_.address;
    while (out.ends_with('/')) out.pop_back();
    if (out.empty()) return fail(ErrorCode::kConfig, "no address of Vault is named", "Set vault: {address: https://…:8200} in config/secrets_config.yml, or VAULT_ADDR.");
    return out;
  }

  Result<net::HttpResponse> send(const std::string& method, const std::string& url, const std::optional<json::object>& body, const std::string& token) {
    net::HttpRequest request;
    request.method = method;
    request.url = url;
    request.headers = {{"X-Vault-Request", "true"}, {"Content-Type", "application/json"}};
    if (!token.empty()) request.headers.emplace_back("X-Vault-Token", token);
    if (const auto space = settings_.name_space.empty() ? variable("VAULT_NAMESPACE") : settings_.name_space; !space.empty()) request.headers.emplace_back("X-Vault-Namespace", space);
    if (body) request.body = compact_json(*body);
    request.total_timeout = kPatience;
    request.most_body_bytes = kMostBytes;
    auto response = client_.send(request);
    if (response) return response;
    Error error = std::move(response.error());
    error.message = name() + ": " + error.message;
    if (error.code == ErrorCode::kModelUnreachable) error.code = ErrorCode::kUnavailable;
    error.hint = "Look whether Vault runs at the address in config/secrets_config.yml, or VAULT_ADDR. SSL_CERT_FILE names a private authority's certificate.";
    return fail(std::move(error));
  }

  static std::string problems(const net::HttpResponse& response) {
    auto value = parse_json(response.body);
    const auto* list = value && value->is_object() ? value->get_object().if_contains("errors") : nullptr;
    std::vector<std::string> out;
    if (list && list->is_array()) {
      for (const auto& one : list->get_array()) {
        if (one.is_string()) out.emplace_back(one.get_string());
      }
    }
    return "status " + std::to_string(response.status) + (out.empty() ? "" : ": " + join(out, "; "));
  }

  // The client's own, or one that a login gives.
  Result<std::string> token(const std::string& base) {
    if (settings_.auth == "token") {
      if (auto own = variable("VAULT_TOKEN"); !own.empty()) return own;
      auto kept = read_file(std::filesystem::path(variable("HOME")) / ".vault-token", kMostBytes);
      if (kept && !trim(*kept).empty()) return std::string(trim(*kept));
      return fail(ErrorCode::kUnavailable, "there is no token for Vault", "Run `vault login`, set VAULT_TOKEN, or choose vault: {auth: approle} or kubernetes in config/secrets_config.yml.");
    }
    if (!login_.empty() && Clock::now() < login_until_) return login_;
    json::object asked;
    if (settings_.auth == "approle") {
      const auto secret_id = variable("VAULT_SECRET_ID");
      if (secret_id.empty()) return fail(ErrorCode::kUnavailable, "VAULT_SECRET_ID is not set, which Vault's approle needs");
      asked = {{"role_id", settings_.role}, {"secret_id", secret_id}};
    } else {
      auto jwt = read_file("/var/run/secrets/kubernetes.io/serviceaccount/token", kMostBytes);
      if (!jwt) return fail(ErrorCode::kUnavailable, "Vault's kubernetes needs a service account's token: " + jwt.error().message);
      asked = {{"role", settings_.role}, {"jwt", trim(*jwt)}};
    }
    auto response = send("POST", base + "/v1/auth/" + settings_.auth + "/login", asked, {});
    if (!response) return fail(std::move(response.error()));
    auto value = parse_json(response->body);
    const auto* auth = response->status == 200 && value && value->is_object() ? value->get_object().if_contains("auth") : nullptr;
    if (!auth || !auth->is_object()) return fail(ErrorCode::kNotGranted, name() + " does not let '" + settings_.auth + "' in: " + problems(*response), "Look at vault.role in config/secrets_config.yml.");
    login_ = string_or(auth->get_object(), "client_token");
    const auto* lasts = auth->get_object().if_contains("lease_duration");
    login_until_ = Clock::now() + std::chrono::seconds(lasts && lasts->is_int64() ? std::max<std::int64_t>(lasts->get_int64() - 30, 1) : 60);
    return login_;
  }

  Result<json::object> ask(const std::string& method, const std::string& path, const std::optional<json::object>& body) {
    const std::lock_guard lock(mutex_);
    auto base = address();
    if (!base) return fail(std::move(base.error()));
    auto key = token(*base);
    if (!key) return fail(std::move(key.error()));
    auto response = send(method, *base + "/v1/" + settings_.mount + "/" + path, body, *key);
    if (!response) return fail(std::move(response.error()));
    if (response->status == 204) return json::object();
    auto value = parse_json(response->body);
    // A deleted version is 404 too, with its metadata.
    if (response->status == 404) return fail(ErrorCode::kNotFound, name() + ", " + settings_.mount + "/" + path + ": " + problems(*response));
    const std::string whole = name() + ", " + settings_.mount + "/" + path + ": " + problems(*response);
    if (response->status == 403) {
      login_.clear();
      return fail(ErrorCode::kNotGranted, whole, "The token is not valid here, or its policy does not allow this path.");
    }
    if (response->status != 200 || !value || !value->is_object()) return fail(ErrorCode::kUnavailable, whole);
    return std::move(value->get_object());
  }

  const VaultSettings settings_;
  std::string prefix_;
  std::mutex mutex_;
  net::HttpClient client_;
  std::string login_;
  Clock::time_point login_until_{};
};

}  // namespace

std::unique_ptr<Place> make_vault_place(const Settings& settings) { return std::make_unique<VaultPlace>(settings); }

}  // namespace sabir::secrets
