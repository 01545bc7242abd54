// Where AWS credentials come from, in the order of AWS's own programs: environment, a web identity, the profile of ~/.aws (its keys or
// its credential_process), a container's address, an instance's. Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
//
// Threads: find() of one object from one thread at a time; it blocks for a request or a program, 10 s at most each.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "sabir/aws/signature.h"
#include "sabir/base/error.h"
#include "sabir/net/http_client.h"

namespace sabir::aws {

// [section] with key = value lines, as ~/.aws/config and ~/.aws/credentials are; lines that are neither are left out.
using Profiles = std::map<std::string, std::map<std::string, std::string>>;
Profiles parse_profiles(std::string_view text);

class CredentialSource {
 public:
  explicit CredentialSource(std::string profile) : profile_(std::move(profile)) {}

  // Those found last while they last. Errors: kUnavailable (says where was looked), kConfig.
  Result<Credentials> find(net::HttpClient& client);
  void forget() { known_ = {}; }
  // AWS_REGION, AWS_DEFAULT_REGION, or the profile's; "" = none says.
  std::string region() const;

 private:
  Result<Credentials> look(net::HttpClient& client);
  std::string profile_name() const;
  std::map<std::string, std::string> profile() const;

  const std::string profile_;
  Credentials known_;
  std::chrono::system_clock::time_point until_{};
};

}  // namespace sabir::aws
