#include "sabir/aws/s3.h"

#include <algorithm>
#include <fstream>
#include <tuple>

#include "sabir/aws/xml.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"

namespace sabir::aws {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMostBytes = std::size_t{16} << 20U;
constexpr std::size_t kMostFileBytes = std::size_t{4} << 30U;
constexpr std::size_t kMostKeys = 10'000;
constexpr std::chrono::minutes kTransfer{10};
constexpr int kTries = 5;

// Of a bucket in which nobody may read what is not theirs, nor write without TLS.
std::string policy_of(const std::string& bucket, const std::string& region) {
  const std::string partition = region.starts_with("cn-") ? "aws-cn" : region.starts_with("us-gov-") ? "aws-us-gov" : "aws";
  const std::string arn = "arn:" + partition + ":s3:::" + bucket;
  return compact_json(json::object{{"Version", "2012-10-17"},
                                   {"Statement", json::array{json::object{{"Sid", "TlsOnly"},
                                                                          {"Effect", "Deny"},
                                                                          {"Principal", "*"},
                                                                          {"Action", "s3:*"},
                                                                          {"Resource", json::array{arn, arn + "/*"}},
                                                                          {"Condition", {{"Bool", {{"aws:SecureTransport", "false"}}}}}}}}});
}

}  // namespace

bool is_bucket_name(std::string_view name) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.size() < 3 || name.size() > 63 || !is_plain(name.front()) || !is_plain(name.back()) || name.find("..") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) { return is_plain(c) || c == '-' || c == '.'; });
}

Bucket::Bucket(std::string name, ClientSettings settings, std::string configured_in)
    : name_(std::move(name)), client_({"s3", "S3", "AWS_ENDPOINT_URL_S3", std::move(configured_in)}, std::move(settings)) {}

Call Bucket::call(std::string method, std::string action, const std::string& key) const {
  Call out;
  out.method = std::move(method);
  out.action = "s3:" + action;
  out.what = "s3://" + name_ + (key.empty() ? "" : "/" + key);
  const std::string path = "/" + percent_encoded(key, Slash::kKept);
  out.other_path = "/" + name_ + (key.empty() ? "" : path);
  // No certificate of AWS is for a name with more dots.
  const bool in_host = name_.find('.') == std::string::npos;
  out.host_prefix = in_host ? name_ + "." : "";
  out.path = in_host ? path : out.other_path;
  out.tries = kTries;
  out.most_bytes = kMostBytes;
  return out;
}

Result<std::optional<Object>> Bucket::get(const std::string& key) {
  auto answer = client_.send(call("GET", "GetObject", key));
  if (answer) return Object{std::move(answer->body), std::string(answer->header("etag"))};
  if (answer.error().code == ErrorCode::kNotFound && code_of(answer.error()) != "NoSuchBucket") return std::nullopt;
  return fail(std::move(answer.error()));
}

Result<void> Bucket::get_file(const std::string& key, const fs::path& file, const std::string& sha256) {
  const fs::path part = file.string() + ".part";
  std::error_code ec;
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  if (!out) return fail(ErrorCode::kIo, "cannot write " + part.string());
  auto request = call("GET", "GetObject", key);
  // What has been written would be written twice.
  request.tries = 1;
  request.patience = kTransfer;
  request.most_bytes = kMostFileBytes;
  sb_sha256* digest = sb_sha256_new();
  auto answer = client_.send(request, [&](const net::HttpResponse&, std::string_view piece) {
    sb_sha256_update(digest, {piece.data(), piece.size()});
    out.write(piece.data(), static_cast<std::streamsize>(piece.size()));
    return static_cast<bool>(out);
  });
  char hex[64];
  sb_sha256_finish(digest, hex);
  out.close();
  const auto refuse = [&](Error error) {
    fs::remove(part, ec);
    return fail(std::move(error));
  };
  if (!answer) return refuse(std::move(answer.error()));
  if (!out) return refuse(Error(ErrorCode::kIo, "cannot write " + part.string()));
  if (const std::string is(hex, sizeof hex); !sha256.empty() && is != sha256) {
    return refuse(Error(ErrorCode::kConflict, "s3://" + name_ + "/" + key + " has the SHA-256 " + is + ", not " + sha256, "Somebody has changed the object, or it was cut off; deploy anew."));
  }
  fs::rename(part, file, ec);
  if (ec) return refuse(Error(ErrorCode::kIo, "cannot write " + file.string() + ": " + ec.message()));
  return {};
}

Result<std::string> Bucket::put(const std::string& key, std::string body, const Condition& condition, const std::string& type) {
  auto request = call("PUT", "PutObject", key);
  request.headers = {{"content-type", type}};
  if (condition.absent) request.headers.emplace_back("if-none-match", "*");
  if (!condition.etag.empty()) request.headers.emplace_back("if-match", condition.etag);
  // Sent again after an answer that was lost, a condition would refuse what this very write has made.
  if (condition.absent || !condition.etag.empty()) request.tries = 1;
  request.patience = body.size() > (std::size_t{1} << 20U) ? std::chrono::milliseconds(kTransfer) : request.patience;
  request.body = std::move(body);
  auto answer = client_.send(request);
  if (answer) return std::string(answer->header("etag"));
  // What an If-Match names is not there any more.
  if (!condition.etag.empty() && code_of(answer.error()) == "NoSuchKey") answer.error().code = ErrorCode::kConflict;
  return fail(std::move(answer.error()));
}

Result<bool> Bucket::has(const std::string& key) {
  auto answer = client_.send(call("HEAD", "GetObject", key));
  if (answer) return true;
  if (answer.error().code == ErrorCode::kNotFound) return false;
  return fail(std::move(answer.error()));
}

Result<bool> Bucket::remove(const std::string& key, const std::string& etag) {
  auto request = call("DELETE", "DeleteObject", key);
  if (!etag.empty()) request.headers = {{"if-match", etag}};
  auto answer = client_.send(request);
  if (answer) return true;
  if (answer.error().code == ErrorCode::kNotFound && code_of(answer.error()) != "NoSuchBucket") return false;
  return fail(std::move(answer.error()));
}

Result<std::vector<std::string>> Bucket::list(const std::string& prefix) {
  std::vector<std::string> out;
  std::string token;
  do {
    auto request = call("GET", "ListBucket", "");
    request.query = {{"list-type", "2"}, {"prefix", prefix}};
    if (!token.empty()) request.query.emplace_back("continuation-token", token);
    auto answer = client_.send(request);
    if (!answer) return fail(std::move(answer.error()));
    auto document = parse_xml(answer->body);
    if (!document) return fail(std::move(document.error()));
    for (const auto& one : document->children) {
      if (one.name == "Contents") out.emplace_back(one.said("Key"));
    }
    token = document->said("IsTruncated") == "true" ? std::string(document->said("NextContinuationToken")) : std::string();
  } while (!token.empty() && out.size() < kMostKeys);
  std::sort(out.begin(), out.end());
  return out;
}

Result<bool> Bucket::is_there() {
  auto answer = client_.send(call("HEAD", "ListBucket", ""));
  if (answer) return true;
  if (answer.error().code == ErrorCode::kNotFound) return false;
  return fail(std::move(answer.error()));
}

Result<void> Bucket::configure(const std::string& what, const std::string& action, std::string body, const std::string& type) {
  auto request = call("PUT", action, "");
  request.query = {{what, ""}};
  // AWS wants a digest of these bodies, so that none is half a configuration.
  request.headers = {{"content-type", type}, {"x-amz-checksum-sha256", [&body] {
    const std::string hex = sha256_hex(body);
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return base64_encode(bytes);
  }()}};
  request.body = std::move(body);
  auto answer = client_.send(request);
  if (!answer) return fail(std::move(answer.error()));
  return {};
}

Result<void> Bucket::create() {
  const std::string region = client_.region();
  auto request = call("PUT", "CreateBucket", "");
  request.headers = {{"content-type", "application/xml"}};
  if (region != "us-east-1") {
    request.body = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>" + region + "</LocationConstraint></CreateBucketConfiguration>";
  }
  if (auto made = client_.send(request); !made) {
    // One that was left half-made is finished.
    if (code_of(made.error()) != "BucketAlreadyOwnedByYou") return fail(std::move(made.error()));
  }
  const std::string space = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
  const std::tuple<const char*, const char*, std::string> parts[] = {
      {"publicAccessBlock", "PutBucketPublicAccessBlock",
       "<PublicAccessBlockConfiguration" + space + "><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>"
       "<RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>"},
      {"versioning", "PutBucketVersioning", "<VersioningConfiguration" + space + "><Status>Enabled</Status></VersioningConfiguration>"},
      {"encryption", "PutEncryptionConfiguration",
       "<ServerSideEncryptionConfiguration" + space + "><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"
       "</ServerSideEncryptionConfiguration>"}};
  for (const auto& [what, action, body] : parts) {
    if (auto done = configure(what, action, body, "application/xml"); !done) return done;
  }
  // It would shut out whoever asks without, and no real bucket is asked so.
  if (!client_.uses_tls()) return {};
  return configure("policy", "PutBucketPolicy", policy_of(name_, region), "application/json");
}

}  // namespace sabir::aws
