// Bucket: objects of one S3 bucket. Writes may carry a condition, which makes an object a lock: two that create it cannot both succeed.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API
//
// Threads: any; each method blocks for its requests.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sabir/aws/client.h"

namespace sabir::aws {

struct Object {
  std::string body;
  std::string etag;  // with its quotes
};

// Of a write.
struct Condition {
  bool absent = false;  // nothing of that key is there
  std::string etag;     // what is there is this; "" = whatever
};

// 3 to 63 lower-case letters, digits, - and ., as AWS has it.
bool is_bucket_name(std::string_view name);

class Bucket {
 public:
  // REQUIRES: is_bucket_name(name).
  Bucket(std::string name, ClientSettings settings, std::string configured_in);

  const std::string& name() const { return name_; }
  std::string region() const { return client_.region(); }

  // Nothing = it is not there. At most 16 MiB. Errors: Client's.
  Result<std::optional<Object>> get(const std::string& key);
  // To a file, whole or not at all. With `sha256` (64 digits) it must have that: kConflict. Errors: kNotFound, kIo.
  Result<void> get_file(const std::string& key, const std::filesystem::path& file, const std::string& sha256 = {});
  // Its ETag. Errors: kConflict: the condition does not hold.
  Result<std::string> put(const std::string& key, std::string body, const Condition& condition = {}, const std::string& type = "application/json");
  Result<bool> has(const std::string& key);
  // False: it was not there. Errors: kConflict.
  Result<bool> remove(const std::string& key, const std::string& etag = {});
  // Keys that begin so, sorted; at most 10,000.
  Result<std::vector<std::string>> list(const std::string& prefix);

  // Whether the bucket itself is there, and this identity may look into it.
  Result<bool> is_there();
  // Makes it: private, versioned, encrypted, with TLS alone. Errors: kExists: it is somebody's already.
  Result<void> create();

 private:
  Call call(std::string method, std::string action, const std::string& key) const;
  Result<void> configure(const std::string& what, const std::string& action, std::string body, const std::string& type);

  const std::string name_;
  Client client_;
};

}  // namespace sabir::aws
