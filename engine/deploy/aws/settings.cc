#include "aws/settings.h"

#include <algorithm>
#include <set>

#include "sabir/aws/s3.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/project/secret_settings.h"

namespace sabir::deploy {
namespace {

constexpr std::size_t kMostTokens = std::size_t{1} << 20U;

std::string prefix_of(const secrets::Settings& settings) {
  std::string out = settings.aws.prefix.empty() ? settings.app + "/" + settings.environment : settings.aws.prefix;
  while (out.ends_with('/')) out.pop_back();
  return out;
}

bool asks_aws(const secrets::Settings& settings) { return std::find(settings.order.begin(), settings.order.end(), "aws") != settings.order.end(); }

}  // namespace

Result<AwsPlace> aws_place(const TargetContext& context) {
  const auto& settings = context.settings;
  AwsPlace out{{}, context.app + "/" + context.environment + "/", {}, settings.file};
  for (auto& [key, into] : std::initializer_list<std::pair<const char*, std::string*>>{{"bucket", &out.bucket}, {"region", &out.client.region}, {"profile", &out.client.profile}, {"endpoint", &out.client.endpoint}}) {
    auto text = settings.text(key);
    if (!text) return fail(std::move(text.error()));
    *into = std::move(*text);
  }
  if (out.bucket.empty()) return fail(settings.wrong("/bucket", "the environment " + context.environment + " names no bucket", "Write bucket: NAME, of your own and not taken by anybody; `sabir deploy apply` makes it: private, versioned, encrypted. Releases and the ledger are kept in it."));
  if (!aws::is_bucket_name(out.bucket)) return fail(settings.wrong("/bucket", "'" + out.bucket + "' is no bucket's name", "3 to 63 lower-case letters, digits, - and ."));
  return out;
}

Result<std::vector<std::string>> secret_ids(const TargetContext& context) {
  auto settings = project::read_secret_settings(context.root, context.environment);
  if (!settings) return fail(std::move(settings.error()));
  std::vector<std::string> out;
  if (!asks_aws(*settings)) return out;
  for (const auto& name : context.secret_names) out.push_back(prefix_of(*settings) + "/" + name);
  return out;
}

Result<SecretArns> secret_arns(const TargetContext& context, const AwsPlace& place) {
  auto settings = project::read_secret_settings(context.root, context.environment);
  if (!settings) return fail(std::move(settings.error()));
  SecretArns out;
  if (!asks_aws(*settings)) return out;
  aws::ClientSettings from{settings->aws.region, settings->aws.endpoint, settings->aws.profile};
  if (from.region.empty()) from.region = place.client.region;
  if (from.profile.empty()) from.profile = place.client.profile;
  if (from.endpoint.empty()) from.endpoint = place.client.endpoint;
  aws::Client client({"secretsmanager", "AWS Secrets Manager", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "config/secrets_config.yml"}, from);
  for (const auto& name : context.secret_names) {
    aws::Call call;
    call.action = "secretsmanager:DescribeSecret";
    call.what = prefix_of(*settings) + "/" + name;
    call.headers = {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "secretsmanager.DescribeSecret"}};
    call.body = compact_json(json::object{{"SecretId", call.what}});
    call.tries = 5;
    auto answer = client.send(call);
    if (!answer) {
      if (answer.error().code != ErrorCode::kNotFound) return fail(std::move(answer.error()));
      out.missing.push_back(name);
      continue;
    }
    auto value = parse_json(answer->body);
    const auto arn = value && value->is_object() ? string_or(value->get_object(), "ARN") : std::string_view();
    const auto* gone = value && value->is_object() ? value->get_object().if_contains("DeletedDate") : nullptr;
    if (arn.empty() || (gone && !gone->is_null())) out.missing.push_back(name);
    else out.arns.emplace_back(arn);
  }
  std::sort(out.arns.begin(), out.arns.end());
  return out;
}

json::object secrets_policy(const std::vector<std::string>& arns) {
  return {{"Version", "2012-10-17"},
          {"Statement", json::array{json::object{{"Sid", "ReadWhatIsGranted"}, {"Effect", "Allow"}, {"Action", "secretsmanager:GetSecretValue"}, {"Resource", json::array(arns.begin(), arns.end())}}}}};
}

Result<void> send_tokens(const TargetContext& context, Backend& backend, const Say& say) {
  const auto text = read_file(context.root / ".sabir" / context.environment / "tokens.json", kMostTokens);
  if (!text) {
    auto there = backend.get("tokens.json");
    if (there) return {};
    if (there.error().code != ErrorCode::kNotFound) return fail(std::move(there.error()));
    say("no token is known yet, and nobody can ask without one: sabir tokens add web --scopes functions --env " + context.environment + " (or serve.jwt in sabir.yml)");
    return {};
  }
  auto sent = backend.put("tokens.json", *text, std::nullopt);
  if (!sent) return fail(std::move(sent.error()));
  return {};
}

Result<void> drop_old_objects(Backend& backend, const std::vector<Release>& kept, const Say& say) {
  std::set<std::string> needed;
  for (const auto& release : kept) {
    needed.insert(release.bundle_object());
    needed.insert(release.engine_object());
  }
  for (const char* folder : {"bundles/", "engines/"}) {
    auto names = backend.list(folder);
    if (!names) return fail(std::move(names.error()));
    for (const auto& name : *names) {
      if (needed.contains(name)) continue;
      if (auto gone = backend.remove(name, std::nullopt); !gone) return fail(std::move(gone.error()));
      say("dropped " + name + ", which no release needs");
    }
  }
  return {};
}

}  // namespace sabir::deploy
