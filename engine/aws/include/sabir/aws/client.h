// Client: signed requests to AWS's services. What throttling and passing failures answer is asked again, with growing pauses.
//
// Threads: one request of one object at a time (send() locks); it blocks, at most `patience` for each try.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "sabir/aws/credentials.h"
#include "sabir/aws/signature.h"
#include "sabir/base/error.h"
#include "sabir/net/http_client.h"

namespace sabir::aws {

struct ClientSettings {
  std::string region;    // "" = AWS_REGION, AWS_DEFAULT_REGION, the profile's
  std::string endpoint;  // "" = AWS_ENDPOINT_URL_<service>, AWS_ENDPOINT_URL, the region's own
  std::string profile;   // of ~/.aws; "" = AWS_PROFILE, else default
};

struct Service {
  std::string name;               // as signed, and as its host begins: "secretsmanager"
  std::string shown;              // as errors call it: "AWS Secrets Manager"
  std::string endpoint_variable;  // "AWS_ENDPOINT_URL_SECRETS_MANAGER"
  std::string configured_in;      // what a hint names: "config/secrets_config.yml"
};

struct Call {
  std::string method = "POST";
  std::string action;        // as IAM calls it: "s3:PutObject"
  std::string what;          // which resource, for errors
  std::string host_prefix;   // before the host of AWS's own endpoint: "bucket."
  std::string path = "/";    // percent-encoded
  std::string other_path;    // with another endpoint, where `host_prefix` cannot be: "/bucket/key"; "" = `path`
  Query query;
  Headers headers;           // names in lower case
  std::string body;
  std::chrono::milliseconds patience{10'000};
  std::size_t most_bytes = std::size_t{4} << 20U;
  int tries = 1;             // REQUIRES for more than one: the request may be made twice
};

// The code and message with which a service refused, from JSON or XML.
struct Refusal {
  int status = 0;
  std::string code;
  std::string message;
};
Refusal refusal_of(int status, std::string_view body);

class Client {
 public:
  Client(Service service, ClientSettings settings) : service_(std::move(service)), settings_(std::move(settings)), credentials_(settings_.profile) {}

  // "" = none says.
  std::string region() const { return settings_.region.empty() ? credentials_.region() : settings_.region; }
  // False with an endpoint of http://: something on this machine, or in a test, that behaves as AWS.
  bool uses_tls() const { return !endpoint().starts_with("http://"); }
  // Whatever below 300 is answered. `on_body` takes pieces of a 2xx answer's body instead.
  // Errors: kConfig (no region), kNotFound, kExists (it is there already), kConflict (a condition did not hold), kNotGranted (names the action),
  // kBusy (throttled to the end), kUnavailable, kTimeout, kInvalidArguments; `data` has {"code", "message", "status"} as AWS said them.
  Result<net::HttpResponse> send(const Call& call, const net::OnBody& on_body = {});

 private:
  std::string endpoint() const;  // "" = AWS's own
  Result<net::HttpResponse> send_once(const Call& call, const net::OnBody& on_body);
  Error error_of(const Call& call, const Refusal& refusal);

  const Service service_;
  const ClientSettings settings_;
  std::mutex mutex_;
  net::HttpClient http_;
  CredentialSource credentials_;
};

// AWS's own code of an error that send() gave; "" = it is none of AWS.
std::string code_of(const Error& error);

}  // namespace sabir::aws
