// What the targets in AWS share: where an environment's bucket is, which secrets its instance may read, who may ask it.
//
// Threads: plain functions; those that ask AWS block for it.
#pragma once

#include <string>
#include <vector>

#include "sabir/aws/client.h"
#include "sabir/deploy/target.h"

namespace sabir::deploy {

struct AwsPlace {
  std::string bucket;
  std::string prefix;          // "APP/ENVIRONMENT/"
  aws::ClientSettings client;
  std::string file;            // that says so, for hints
};

// Of `bucket`, `region`, `profile` and `endpoint` in the environment's settings. Errors: kConfig at the file's line.
Result<AwsPlace> aws_place(const TargetContext& context);

// What the project names, as AWS Secrets Manager calls it: "notes/staging/openai_api_key"; none where the environment does not ask there.
Result<std::vector<std::string>> secret_ids(const TargetContext& context);

struct SecretArns {
  std::vector<std::string> arns;     // whole, with AWS's own letters at the end
  std::vector<std::string> missing;  // names that are not there
};
Result<SecretArns> secret_arns(const TargetContext& context, const AwsPlace& place);

// The policy of an identity that may read these secrets and nothing else: exact ARNs, without wildcards. REQUIRES: there is one.
json::object secrets_policy(const std::vector<std::string>& arns);

// Digests of tokens that `sabir tokens add --env` made here go to the instance; without any, those that are there stay.
Result<void> send_tokens(const TargetContext& context, Backend& backend, const Say& say);

// Bundles and engines that no release of `kept` needs.
Result<void> drop_old_objects(Backend& backend, const std::vector<Release>& kept, const Say& say);

}  // namespace sabir::deploy
