// AWS Signature Version 4, for requests with a body and no query.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
//
// Threads: pure functions.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sabir::secrets::aws {

struct Credentials {
  std::string key_id;
  std::string secret_key;
  std::string session_token;  // "" = of a user, for good
};

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Unsigned {
  std::string method = "POST";
  std::string host;            // with its port where that is not the scheme's own
  std::string path = "/";
  Headers headers;             // those that are signed beside host, x-amz-date and x-amz-security-token; names in lower case
  std::string_view body;
};

// `request.headers` with x-amz-date, x-amz-security-token and authorization.
Headers sign(const Unsigned& request, const Credentials& credentials, const std::string& region, const std::string& service, std::time_t now);

}  // namespace sabir::secrets::aws
