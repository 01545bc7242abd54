// AWS Secrets Manager. Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference
#include "place.h"
#include "sabir/aws/client.h"
#include "sabir/base/ids.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/secrets/secrets.h"

namespace sabir::secrets {
namespace {

constexpr std::size_t kMostBytes = std::size_t{4} << 20U;
constexpr int kMostPages = 100;

class AwsPlace final : public Place {
 public:
  explicit AwsPlace(const Settings& settings) : prefix_(settings.aws.prefix.empty() ? settings.app + "/" + settings.environment : settings.aws.prefix),
        client_({"secretsmanager", "AWS Secrets Manager", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "config/secrets_config.yml"}, {settings.aws.region, settings.aws.endpoint, settings.aws.profile}) {
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
    aws::Call call;
    call.action = "secretsmanager:" + action;
    call.what = what;
    call.headers = {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "secretsmanager." + action}};
    call.body = compact_json(asked);
    call.most_bytes = kMostBytes;
    auto response = client_.send(call);
    if (!response) {
      Error& error = response.error();
      // What is deleted, and kept for a while, is not there either.
      if (aws::code_of(error) == "InvalidRequestException" && (error.message.find("deleted") != std::string::npos || error.message.find("deletion") != std::string::npos)) error.code = ErrorCode::kNotFound;
      if (error.code == ErrorCode::kInvalidArguments || error.code == ErrorCode::kBusy) error.code = ErrorCode::kUnavailable;
      return fail(std::move(error));
    }
    auto value = parse_json(response->body);
    if (!value || !value->is_object()) return fail(ErrorCode::kUnavailable, name() + ", " + what + ": the answer is no JSON object");
    return std::move(value->get_object());
  }

  std::string prefix_;
  aws::Client client_;
};

}  // namespace

std::unique_ptr<Place> make_aws_place(const Settings& settings) { return std::make_unique<AwsPlace>(settings); }

}  // namespace sabir::secrets
