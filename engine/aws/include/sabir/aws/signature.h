// AWS Signature Version 4, in the Authorization header.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
//
// Threads: pure functions.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sabir::aws {

struct Credentials {
  std::string key_id;
  std::string secret_key;
  std::string session_token;  // "" = of a user, for good
};

using Headers = std::vector<std::pair<std::string, std::string>>;
using Query = std::vector<std::pair<std::string, std::string>>;

struct Unsigned {
  std::string method = "POST";
  std::string host;            // with its port where that is not the scheme's own
  std::string path = "/";      // as it is sent: percent-encoded
  Query query;                 // names and values as they are, in any order
  Headers headers;             // those that are signed beside host, x-amz-date and x-amz-security-token; names in lower case
  std::string_view body;
};

// `request.headers` with x-amz-date, x-amz-security-token and authorization; for the service "s3" x-amz-content-sha256 too.
Headers sign(const Unsigned& request, const Credentials& credentials, const std::string& region, const std::string& service, std::time_t now);

// The query in the order in which it is signed: "a=1&b=%20"; "" = none.
std::string query_text(Query query);
// RFC 3986's unreserved characters stay, and '/' where `keep_slash`.
enum class Slash { kEncoded, kKept };
std::string percent_encoded(std::string_view text, Slash slash = Slash::kEncoded);

// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

}  // namespace sabir::aws
