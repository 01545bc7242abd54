#include "sabir/aws/credentials.h"

#include <cstdlib>
#include <ctime>

#include "sabir/base/file.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/aws/xml.h"
#include "sabir/process/spawn.h"

namespace sabir::aws {
namespace {

using std::chrono::milliseconds;
using Time = std::chrono::system_clock::time_point;

constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
constexpr milliseconds kPatience{10'000};
constexpr milliseconds kInstance{1'000};               // an address that answers at once where it is there at all
constexpr std::chrono::minutes kBeforeTheEnd{5};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::filesystem::path file_of(const char* named, const char* usual) {
  if (const auto path = variable(named); !path.empty()) return path;
  return std::filesystem::path(variable("HOME")) / ".aws" / usual;
}

Profiles read_profiles(const std::filesystem::path& path) {
  auto text = read_file(path, kMostBytes);
  return text ? parse_profiles(*text) : Profiles{};
}

// "2026-11-28T12:00:00Z"; nothing that can be read = it lasts for an hour.
Time time_of(std::string_view text) {
  std::tm parts{};
  const std::string whole(text);
  if (::strptime(whole.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return std::chrono::system_clock::now() + std::chrono::hours(1);
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

struct Found {
  Credentials credentials;
  Time until = Time::max();
};

// Of a JSON object in one of AWS's spellings.
Result<Found> found_in(std::string_view text, const char* token_name, const std::string& where) {
  auto value = parse_json(text);
  if (!value || !value->is_object()) return fail(ErrorCode::kUnavailable, where + " gives no JSON with AWS credentials");
  const auto& object = value->get_object();
  Found out{{std::string(string_or(object, "AccessKeyId")), std::string(string_or(object, "SecretAccessKey")), std::string(string_or(object, token_name))}};
  if (out.credentials.key_id.empty() || out.credentials.secret_key.empty()) return fail(ErrorCode::kUnavailable, where + " gives no AccessKeyId and SecretAccessKey");
  if (const auto ends = string_or(object, "Expiration"); !ends.empty()) out.until = time_of(ends);
  return out;
}

Result<std::string> fetch(net::HttpClient& client, const std::string& method, const std::string& url, net::HttpHeaders headers, milliseconds patience) {
  net::HttpRequest request;
  request.method = method;
  request.url = url;
  request.headers = std::move(headers);
  request.connect_timeout = patience;
  request.total_timeout = patience;
  request.most_body_bytes = kMostBytes;
  auto response = client.send(request);
  if (!response) return fail(std::move(response.error()));
  if (response->status != 200) return fail(ErrorCode::kUnavailable, net::host_and_port(url) + " answered " + std::to_string(response->status));
  return std::move(response->body);
}

}  // namespace

Profiles parse_profiles(std::string_view text) {
  Profiles out;
  std::string section;
  for (const auto raw : split_lines(text)) {
    const auto line = trim(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      const auto end = line.find(']');
      if (end == std::string_view::npos) continue;
      auto name = trim(line.substr(1, end - 1));
      if (name.starts_with("profile ")) name = trim(name.substr(8));
      section = name;
      out[section];
      continue;
    }
    const auto equals = line.find('=');
    // An indented line belongs to a nested key.
    if (equals == std::string_view::npos || section.empty() || raw.front() == ' ' || raw.front() == '\t') continue;
    out[section][std::string(trim(line.substr(0, equals)))] = std::string(trim(line.substr(equals + 1)));
  }
  return out;
}

std::string CredentialSource::profile_name() const {
  if (!profile_.empty()) return profile_;
  if (auto named = variable("AWS_PROFILE"); !named.empty()) return named;
  return "default";
}

std::map<std::string, std::string> CredentialSource::profile() const {
  auto out = read_profiles(file_of("AWS_CONFIG_FILE", "config"))[profile_name()];
  auto keys = read_profiles(file_of("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
  for (auto& [key, value] : keys[profile_name()]) out[key] = std::move(value);
  return out;
}

std::string CredentialSource::region() const {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (auto value = variable(name); !value.empty()) return value;
  }
  const auto own = profile();
  const auto found = own.find("region");
  return found == own.end() ? std::string() : found->second;
}

Result<Credentials> CredentialSource::find(net::HttpClient& client) {
  if (!known_.key_id.empty() && std::chrono::system_clock::now() + kBeforeTheEnd < until_) return known_;
  return look(client);
}

Result<Credentials> CredentialSource::look(net::HttpClient& client) {
  const auto take = [&](Result<Found> found) -> Result<Credentials> {
    if (!found) return fail(std::move(found.error()));
    known_ = found->credentials;
    until_ = found->until;
    return known_;
  };
  if (profile_.empty()) {
    if (const auto id = variable("AWS_ACCESS_KEY_ID"), key = variable("AWS_SECRET_ACCESS_KEY"); !id.empty() && !key.empty()) {
      // The environment does not change while this runs, but its session may end: whoever asks then gets AWS's own word for it.
      return Credentials{id, key, variable("AWS_SESSION_TOKEN")};
    }
  }
  if (const auto file = variable("AWS_WEB_IDENTITY_TOKEN_FILE"), role = variable("AWS_ROLE_ARN"); !file.empty() && !role.empty()) {
    auto token = read_file(file, kMostBytes);
    if (!token) return fail(ErrorCode::kUnavailable, "AWS_WEB_IDENTITY_TOKEN_FILE cannot be read: " + token.error().message);
    auto endpoint = variable("AWS_ENDPOINT_URL_STS");
    if (endpoint.empty()) endpoint = variable("AWS_ENDPOINT_URL");
    if (endpoint.empty()) endpoint = "https://sts." + (region().empty() ? "" : region() + ".") + "amazonaws.com";
    net::HttpRequest request;
    request.method = "POST";
    request.url = endpoint + "/";
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    request.body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" + percent_encoded(role) + "&RoleSessionName=sabir&WebIdentityToken=" + percent_encoded(trim(*token));
    request.total_timeout = kPatience;
    request.most_body_bytes = kMostBytes;
    auto response = client.send(request);
    if (!response) return fail(std::move(response.error()));
    const auto answer = parse_xml(response->body);
    const auto said = [&answer](std::string_view name) { return answer ? std::string(answer->find(name)) : std::string(); };
    if (response->status != 200) return fail(ErrorCode::kUnavailable, "AWS STS refuses the web identity: " + said("Message"));
    Found found{{said("AccessKeyId"), said("SecretAccessKey"), said("SessionToken")}, time_of(said("Expiration"))};
    if (found.credentials.key_id.empty()) return fail(ErrorCode::kUnavailable, "AWS STS gives no credentials for the web identity");
    return take(std::move(found));
  }
  const auto own = profile();
  const auto of_profile = [&](const char* key) {
    const auto at = own.find(key);
    return at == own.end() ? std::string() : at->second;
  };
  if (const auto id = of_profile("aws_access_key_id"), key = of_profile("aws_secret_access_key"); !id.empty() && !key.empty()) {
    return Credentials{id, key, of_profile("aws_session_token")};
  }
  if (const auto command = of_profile("credential_process"); !command.empty()) {
    process::SpawnSpec spec;
    spec.argv = {"/bin/sh", "-c", command};
    spec.environment = process::environment_with({});
    spec.separate_errors = true;
    auto ran = process::run(std::move(spec), kPatience, kMostBytes);
    if (!ran) return fail(std::move(ran.error()));
    if (ran->timed_out || ran->status.code != 0) return fail(ErrorCode::kUnavailable, "credential_process of the AWS profile '" + profile_name() + "' failed: " + std::string(trim(ran->errors)));
    return take(found_in(ran->output, "SessionToken", "credential_process"));
  }
  if (!profile_.empty()) return fail(ErrorCode::kUnavailable, "the AWS profile '" + profile_ + "' has no keys and no credential_process", "See ~/.aws/credentials and ~/.aws/config.");
  auto container = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (const auto relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !relative.empty()) container = "http://169.254.170.2" + relative;
  if (!container.empty()) {
    net::HttpHeaders headers;
    auto token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (const auto file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
      if (auto text = read_file(file, kMostBytes)) token = std::string(trim(*text));
    }
    if (!token.empty()) headers.emplace_back("Authorization", token);
    auto text = fetch(client, "GET", container, std::move(headers), kPatience);
    if (!text) return fail(std::move(text.error()));
    return take(found_in(*text, "Token", "the container's address for credentials"));
  }
  if (variable("AWS_EC2_METADATA_DISABLED") != "true") {
    auto base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (base.empty()) base = "http://169.254.169.254";
    while (base.ends_with('/')) base.pop_back();
    if (auto token = fetch(client, "PUT", base + "/latest/api/token", {{"X-aws-ec2-metadata-token-ttl-seconds", "300"}, {"Content-Length", "0"}}, kInstance)) {
      const net::HttpHeaders with{{"X-aws-ec2-metadata-token", *token}};
      auto role = fetch(client, "GET", base + "/latest/meta-data/iam/security-credentials/", with, kInstance);
      if (!role) return fail(ErrorCode::kUnavailable, "this instance has no role for AWS: " + role.error().message);
      auto text = fetch(client, "GET", base + "/latest/meta-data/iam/security-credentials/" + std::string(trim(*role)), with, kInstance);
      if (!text) return fail(std::move(text.error()));
      return take(found_in(*text, "Token", "the instance's metadata"));
    }
  }
  return fail(ErrorCode::kUnavailable, "there are no AWS credentials: neither in the environment, nor in the profile '" + profile_name() + "', nor of a container or an instance",
              "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.");
}

}  // namespace sabir::aws
