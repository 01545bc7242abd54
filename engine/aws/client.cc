#include "sabir/aws/client.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <random>
#include <thread>

#include "sabir/aws/xml.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"

namespace sabir::aws {
namespace {

constexpr std::chrono::milliseconds kFirstPause{200};
constexpr std::chrono::milliseconds kLongestPause{5'000};

template <std::size_t N>
bool is_one_of(std::string_view code, const std::array<std::string_view, N>& codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

constexpr std::array<std::string_view, 8> kThrottled{"Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown", "RequestThrottled", "PriorRequestNotComplete"};
constexpr std::array<std::string_view, 9> kSignInAnew{"ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException", "SignatureDoesNotMatch", "InvalidClientTokenId", "InvalidAccessKeyId", "RequestExpired", "IncompleteSignature"};
constexpr std::array<std::string_view, 4> kDenied{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"};
constexpr std::array<std::string_view, 6> kMissing{"ResourceNotFoundException", "NoSuchKey", "NoSuchBucket", "NotFound", "ChangeSetNotFound", "NoSuchUpload"};
constexpr std::array<std::string_view, 4> kThere{"AlreadyExistsException", "BucketAlreadyExists", "BucketAlreadyOwnedByYou", "ResourceExistsException"};
constexpr std::array<std::string_view, 2> kCondition{"PreconditionFailed", "ConditionalRequestConflict"};

bool is_passing(const Error& error) {
  if (error.code == ErrorCode::kBusy || error.code == ErrorCode::kTimeout) return true;
  if (error.code != ErrorCode::kUnavailable) return false;
  auto data = parse_json(error.data.empty() ? "{}" : error.data);
  if (!data || !data->is_object()) return false;
  const auto* status = data->get_object().if_contains("status");
  // None: the machine could not be reached.
  return status == nullptr ? string_or(data->get_object(), "reason") == "unreachable" : status->is_int64() && status->get_int64() >= 500;
}

}  // namespace

Refusal refusal_of(int status, std::string_view body) {
  Refusal out{status, {}, {}};
  if (body.starts_with('{')) {
    if (auto value = parse_json(body); value && value->is_object()) {
      const auto& object = value->get_object();
      out.code = string_or(object, "__type", string_or(object, "code"));
      out.code = out.code.substr(out.code.find('#') == std::string::npos ? 0 : out.code.find('#') + 1);
      out.message = string_or(object, "message", string_or(object, "Message"));
    }
  } else if (!body.empty()) {
    if (auto answer = parse_xml(body)) {
      out.code = answer->find("Code");
      out.message = answer->find("Message");
    }
  }
  return out;
}

std::string code_of(const Error& error) {
  auto data = parse_json(error.data.empty() ? "{}" : error.data);
  return data && data->is_object() ? std::string(string_or(data->get_object(), "code")) : std::string();
}

Error Client::error_of(const Call& call, const Refusal& refusal) {
  std::string whole = service_.shown + ", " + call.what + ": " + (refusal.code.empty() ? "status " + std::to_string(refusal.status) : refusal.code);
  if (!refusal.message.empty()) whole += ": " + refusal.message;
  const auto made = [&](ErrorCode code, std::string hint = {}) {
    return Error(code, whole, std::move(hint)).with_data(compact_json(json::object{{"code", refusal.code}, {"message", refusal.message}, {"status", refusal.status}}));
  };
  if (is_one_of(refusal.code, kThrottled) || refusal.status == 429) return made(ErrorCode::kBusy, "AWS limits how often it is asked; try again in a minute.");
  if (is_one_of(refusal.code, kSignInAnew)) {
    credentials_.forget();
    return made(ErrorCode::kUnavailable, "The credentials of AWS have ended or are wrong; sign in anew.");
  }
  if (is_one_of(refusal.code, kMissing)) return made(ErrorCode::kNotFound);
  if (is_one_of(refusal.code, kThere)) return made(ErrorCode::kExists);
  if (is_one_of(refusal.code, kCondition) || refusal.status == 412) return made(ErrorCode::kConflict);
  if (is_one_of(refusal.code, kDenied) || refusal.status == 403) {
    credentials_.forget();
    return made(ErrorCode::kNotGranted, "This identity needs " + call.action + " for " + call.what + ".");
  }
  if (refusal.status == 404) return made(ErrorCode::kNotFound);
  if (refusal.status == 400) return made(ErrorCode::kInvalidArguments);
  return made(ErrorCode::kUnavailable);
}

std::string Client::endpoint() const {
  std::string url = settings_.endpoint;
  for (const auto& name : {service_.endpoint_variable, std::string("AWS_ENDPOINT_URL")}) {
    if (const char* value = std::getenv(name.c_str()); url.empty() && value) url = value;
  }
  return url;
}

Result<net::HttpResponse> Client::send_once(const Call& call, const net::OnBody& on_body) {
  const std::string region = this->region();
  if (region.empty()) return fail(ErrorCode::kConfig, "no region of AWS is named", "Set aws: {region: …} in " + service_.configured_in + ", or AWS_REGION.");
  std::string url = endpoint();
  const bool own = url.empty();
  if (own) url = "https://" + call.host_prefix + service_.name + "." + region + ".amazonaws.com" + (region.starts_with("cn-") ? ".cn" : "");
  while (url.ends_with('/')) url.pop_back();
  auto credentials = credentials_.find(http_);
  if (!credentials) return fail(std::move(credentials.error()));
  std::string host = url.substr(url.find("://") == std::string::npos ? 0 : url.find("://") + 3);
  host = host.substr(0, host.find('/'));
  const std::string& path = own || call.other_path.empty() ? call.path : call.other_path;
  const auto headers = sign({call.method, host, path, call.query, call.headers, call.body}, *credentials, region, service_.name, std::time(nullptr));
  net::HttpRequest request;
  request.method = call.method;
  request.url = url + path;
  if (const auto query = query_text(call.query); !query.empty()) request.url += "?" + query;
  for (const auto& header : headers) request.headers.push_back(header);
  // Else a body without a length would be announced.
  if (call.method == "PUT" && call.body.empty()) request.headers.emplace_back("Content-Length", "0");
  request.body = call.body;
  request.first_byte_timeout = call.patience;
  request.total_timeout = call.patience;
  request.most_body_bytes = call.most_bytes;
  auto response = http_.send(request, on_body);
  if (!response) {
    Error error = std::move(response.error());
    error.message = service_.shown + ", " + call.what + ": " + error.message;
    if (error.code == ErrorCode::kModelUnreachable) error.code = ErrorCode::kUnavailable;
    error.hint = "Look at this machine's network, and at the region and endpoint in " + service_.configured_in + ".";
    return fail(std::move(error));
  }
  if (response->status >= 300) return fail(error_of(call, refusal_of(response->status, response->body)));
  return response;
}

Result<net::HttpResponse> Client::send(const Call& call, const net::OnBody& on_body) {
  const std::lock_guard lock(mutex_);
  static thread_local std::mt19937 random{std::random_device{}()};
  auto pause = kFirstPause;
  for (int attempt = 1;; ++attempt) {
    auto answer = send_once(call, on_body);
    if (answer || attempt >= call.tries || !is_passing(answer.error())) return answer;
    // Some come a little earlier than others that were throttled with them.
    std::this_thread::sleep_for(pause * std::uniform_int_distribution<int>(50, 100)(random) / 100);
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace sabir::aws
