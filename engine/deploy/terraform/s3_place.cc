// A Terraform environment in AWS: ledger and state in a bucket, the log in CloudWatch.
#include <memory>

#include "aws/logs.h"
#include "aws/s3_backend.h"
#include "aws/settings.h"
#include "place.h"
#include "sabir/base/text.h"
#include "sabir/deploy/packages.h"

namespace sabir::deploy {
namespace {

// A bucket that lives as long as what is kept in it is asked for.
class OwnBucket final : public Backend {
 public:
  explicit OwnBucket(const AwsPlace& place) : bucket_(place.bucket, place.client, place.file), inner_(s3_backend(bucket_, place.prefix)) {}
  std::string where() const override { return inner_->where(); }
  Result<Object> get(const std::string& name) override { return inner_->get(name); }
  Result<std::string> put(const std::string& name, std::string_view bytes, const std::optional<std::string>& expected) override { return inner_->put(name, bytes, expected); }
  Result<void> remove(const std::string& name, const std::optional<std::string>& expected) override { return inner_->remove(name, expected); }
  Result<std::vector<std::string>> list(const std::string& prefix) override { return inner_->list(prefix); }
  Result<void> put_file(const std::string& name, const std::filesystem::path& from, int mode) override { return inner_->put_file(name, from, mode); }
  Result<void> get_file(const std::string& name, const std::filesystem::path& to) override { return inner_->get_file(name, to); }
  std::string region() const { return bucket_.region(); }

 private:
  aws::Bucket bucket_;
  std::unique_ptr<Backend> inner_;
};

}  // namespace

std::string text_variable(std::string_view tfvars, std::string_view name) {
  for (const auto raw : split_lines(tfvars)) {
    auto line = trim(raw);
    if (!line.starts_with(name)) continue;
    line = trim(line.substr(name.size()));
    if (!line.starts_with('=')) continue;
    line = trim(line.substr(1));
    const auto end = line.starts_with('"') ? line.find('"', 1) : std::string_view::npos;
    if (end != std::string_view::npos) return std::string(line.substr(1, end - 1));
  }
  return {};
}

Result<TerraformPlace> s3_place(const TargetContext& context, std::string_view tfvars) {
  auto place = aws_place(context);
  if (!place) return fail(std::move(place.error()));
  // Said once, in the module's variables, unless the environment says otherwise.
  if (place->client.region.empty()) place->client.region = text_variable(tfvars, "region");
  auto backend = std::make_shared<OwnBucket>(*place);
  const std::string region = backend->region();
  if (region.empty()) return fail(context.settings.wrong("/region", "the environment " + context.environment + " names no region of AWS", "Write region: eu-central-1, or set AWS_REGION."));
  TerraformPlace out;
  out.backend = backend;
  out.work = context.work;
  out.state = {{"bucket", place->bucket}, {"key", place->prefix + "terraform.tfstate"}, {"region", region}, {"encrypt", "true"}, {"use_lockfile", "true"}};
  if (!place->client.profile.empty()) {
    out.state["profile"] = place->client.profile;
    out.environment["AWS_PROFILE"] = place->client.profile;
  }
  out.variables = [context, place = *place, region](const Release&) -> Result<json::object> {
    auto ids = secret_ids(context);
    if (!ids) return fail(std::move(ids.error()));
    const auto packages = ubuntu_packages(context.root);
    json::object variables{{"bucket", place.bucket}, {"prefix", place.prefix}, {"secret_ids", json::array(ids->begin(), ids->end())}, {"packages", json::array(packages.begin(), packages.end())}};
    return variables;
  };
  out.logs = [place = *place, region](const json::object& outputs, const LogOptions& options, const Say& say) -> Result<void> {
    const auto group = string_or(outputs, "log_group");
    if (group.empty()) return fail(ErrorCode::kNotFound, "the module has no output `log_group`, a group of CloudWatch");
    AwsPlace with = place;
    with.client.region = region;
    return cloudwatch_logs(with, std::string(group), options, say);
  };
  out.before_apply = [context, backend](const Say& say) { return send_tokens(context, *backend, say); };
  return out;
}

}  // namespace sabir::deploy
