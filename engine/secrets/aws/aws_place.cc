// AWS Secrets Manager. Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference
#include <ctime>
#include <mutex>

#include "aws/credentials.h"
#include "place.h"
#include "sabir/base/ids.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/secrets/secrets.h"

namespace sabir::secrets {
namespace {

constexpr std::chrono::milliseconds kPatience{10'000};
constexpr std::size_t kMostBytes = std::size_t{4} << 20U;
constexpr int kMostPages = 100;

class AwsPlace final : public Place {
 public:
  explicit AwsPlace(const Settings& settings) : settings_(settings.aws), prefix_(settings.aws.prefix.empty() ? settings.app + "/" + settings.environment : settings.aws.prefix), credentials_(settings.aws.profile) {
    while (prefix_.ends_with('/')) prefix_.pop_back();
  }

  std::string name() const override { return "AWS Secrets Manager"; }
  bool is_remote() const override { return true; }

  Result<std::optional<std::string>> get(const std::string& secret) override {
    auto answer = ask("GetSecretValue", {{"SecretId", id(secret)}}, id(secret));
    if (!answer) {
      if (answer.error().code == ErrorCode::kNotFound) return std::nullopt;
      return fail(std::move(answer.error()));
    }
    const auto* text = answer->if_contains("SecretString");
    if (text && text->is_string()) return std::optional(std::string(text->get_string()));
    auto bytes = base64_decode(string_or(*answer, "SecretBinary"));
    if (!bytes || bytes->empty()) return std::nullopt;
    return std::optional(std::move(*bytes));
  }

  Result<std::vector<std::string>> names() override {
    std::vector<std::string> out;
    json::object asked{{"Filters", json::array{json::object{{"Key", "name"}, {"Values", json::array{prefix_ + "/"}}}}}, {"MaxResults", 100}};
    for (int page = 0; page < kMostPages; ++page) {
      auto answer = ask("ListSecrets", asked, prefix_ + "/*");
      if (!answer) return fail(std::move(answer.error()));
      if (const auto* list = answer->if_contains("SecretList"); list && list->is_array()) {
        for (const auto& one : list->get_array()) {
          const auto whole = one.is_object() ? string_or(one.get_object(), "Name") : std::string_view();
          if (!whole.starts_with(prefix_ + "/")) continue;
          const auto own = whole.substr(prefix_.size() + 1);
          if (is_secret_name(own)) out.emplace_back(own);
        }
      }
      const auto next = string_or(*answer, "NextToken");
      if (next.empty()) return out;
      asked["NextToken"] = next;
    }
    return out;
  }

  Result<void> set(const std::string& secret, const std::string& value) override {
    auto known = ask("DescribeSecret", {{"SecretId", id(secret)}}, id(secret));
    if (!known && known.error().code == ErrorCode::kNotFound) {
      auto made = ask("CreateSecret", {{"Name", id(secret)}, {"SecretString", value}, {"ClientRequestToken", token()}}, id(secret));
      if (!made) return fail(std::move(made.error()));
      return {};
    }
    if (!known) return fail(std::move(known.error()));
    // AWS keeps what was deleted for a while, under its name.
    if (const auto* gone = known->if_contains("DeletedDate"); gone && !gone->is_null()) {
      if (auto back = ask("RestoreSecret", {{"SecretId", id(secret)}}, id(secret)); !back) return fail(std::move(back.error()));
    }
    // A new version; the one before stays as AWSPREVIOUS.
    auto stored = ask("PutSecretValue", {{"SecretId", id(secret)}, {"SecretString", value}, {"ClientRequestToken", token()}}, id(secret));
    if (!stored) return fail(std::move(stored.error()));
    return {};
  }

  Result<bool> remove(const std::string& secret) override {
    // Kept by AWS for a week, within which it can be restored.
    auto answer = ask("DeleteSecret", {{"SecretId", id(secret)}, {"RecoveryWindowInDays", 7}}, id(secret));
    if (answer) return true;
    if (answer.error().code == ErrorCode::kNotFound) return false;
    return fail(std::move(answer.error()));
  }

 private:
  std::string id(const std::string& secret) const { return prefix_ + "/" + secret; }
  // A request that is sent again makes no second version.
  static std::string token() { return new_id() + new_id(); }

  Result<json::object> ask(const std::string& action, json::object asked, const std::string& what) {
    const std::lock_guard lock(mutex_);
    std::string region = settings_.region.empty() ? credentials_.region() : settings_.region;
    if (region.empty()) return fail(ErrorCode::kConfig, "no region of AWS is named", "Set aws: {region: …} in config/secrets_config.yml, or AWS_REGION.");
    std::string url = settings_.endpoint;
    for (const char* name : {"AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"}) {
      if (const char* value = std::getenv(name); url.empty() && value) url = value;
    }
    if (url.empty()) url = "https://secretsmanager." + region + ".amazonaws.com" + (region.starts_with("cn-") ? ".cn" : "");
    while (url.ends_with('/')) url.pop_back();
    auto credentials = credentials_.find(client_);
    if (!credentials) return fail(std::move(credentials.error()));
    const std::string body = compact_json(asked);
    std::string host = url.substr(url.find("://") == std::string::npos ? 0 : url.find("://") + 3);
    host = host.substr(0, host.find('/'));
    const auto headers = aws::sign({"POST", host, "/", {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "secretsmanager." + action}}, body}, *credentials,
                                   region, "secretsmanager", std::time(nullptr));
    net::HttpRequest request;
    request.method = "POST";
    request.url = url + "/";
    for (const auto& header : headers) request.headers.push_back(header);
    request.body = body;
    request.total_timeout = kPatience;
    request.most_body_bytes = kMostBytes;
    auto response = client_.send(request);
    if (!response) {
      Error error = std::move(response.error());
      error.message = name() + ", " + what + ": " + error.message;
      if (error.code == ErrorCode::kModelUnreachable) error.code = ErrorCode::kUnavailable;
      error.hint = "Look at this machine's network, and at the region and endpoint in config/secrets_config.yml.";
      return fail(std::move(error));
    }
    auto value = parse_json(response->body);
    if (response->status == 200 && value && value->is_object()) return std::move(value->get_object());
    std::string type;
    std::string message;
    if (value && value->is_object()) {
      type = string_or(value->get_object(), "__type");
      type = type.substr(type.find('#') == std::string::npos ? 0 : type.find('#') + 1);
      message = string_or(value->get_object(), "message", string_or(value->get_object(), "Message"));
    }
    const std::string whole = name() + ", " + what + ": " + (type.empty() ? "status " + std::to_string(response->status) : type) + (message.empty() ? "" : ": " + message);
    if (type == "ResourceNotFoundException") return fail(ErrorCode::kNotFound, whole);
    if (type == "InvalidRequestException" && (message.find("deleted") != std::string::npos || message.find("deletion") != std::string::npos)) return fail(ErrorCode::kNotFound, whole);
    if (type == "AccessDeniedException" || response->status == 403) {
      credentials_.forget();
      return fail(ErrorCode::kNotGranted, whole, "This identity needs secretsmanager:" + action + " for " + what + ".");
    }
    if (type == "ExpiredTokenException" || type == "UnrecognizedClientException" || type == "InvalidSignatureException") {
      credentials_.forget();
      return fail(ErrorCode::kUnavailable, whole, "The credentials of AWS have ended or are wrong; sign in anew.");
    }
    return fail(ErrorCode::kUnavailable, whole);
  }

  const AwsSettings settings_;
  std::string prefix_;
  std::mutex mutex_;
  net::HttpClient client_;
  aws::CredentialSource credentials_;
};

}  // namespace

std::unique_ptr<Place> make_aws_place(const Settings& settings) { return std::make_unique<AwsPlace>(settings); }

}  // namespace sabir::secrets
