#include "aws/s3_backend.h"

#include "sabir/base/file.h"

namespace sabir::deploy {
namespace {

constexpr std::size_t kMostFileBytes = std::size_t{1} << 30U;

class S3Backend final : public Backend {
 public:
  S3Backend(aws::Bucket& bucket, std::string prefix) : bucket_(bucket), prefix_(std::move(prefix)) {}

  std::string where() const override { return "s3://" + bucket_.name() + "/" + prefix_; }

  Result<Object> get(const std::string& name) override {
    auto found = bucket_.get(prefix_ + name);
    if (!found) {
      // Where the bucket itself is missing, so is all that would be in it.
      if (aws::code_of(found.error()) == "NoSuchBucket") found.error().code = ErrorCode::kNotFound;
      return fail(std::move(found.error()));
    }
    if (!*found) return fail(ErrorCode::kNotFound, where() + name + " is not there");
    return Object{std::move((*found)->body), std::move((*found)->etag)};
  }

  Result<std::string> put(const std::string& name, std::string_view bytes, const std::optional<std::string>& expected) override {
    aws::Condition condition;
    if (expected) condition = {expected->empty(), *expected};
    auto written = bucket_.put(prefix_ + name, std::string(bytes), condition);
    if (written || aws::code_of(written.error()) != "NoSuchBucket") return written;
    if (auto made = bucket_.create(); !made) return fail(std::move(made.error()));
    return bucket_.put(prefix_ + name, std::string(bytes), condition);
  }

  Result<void> remove(const std::string& name, const std::optional<std::string>& expected) override {
    if (auto gone = bucket_.remove(prefix_ + name, expected.value_or("")); !gone && aws::code_of(gone.error()) != "NoSuchBucket") return fail(std::move(gone.error()));
    return {};
  }

  Result<std::vector<std::string>> list(const std::string& prefix) override {
    auto keys = bucket_.list(prefix_ + prefix);
    if (!keys) {
      if (aws::code_of(keys.error()) == "NoSuchBucket") return std::vector<std::string>{};
      return fail(std::move(keys.error()));
    }
    for (auto& key : *keys) key.erase(0, prefix_.size());
    return keys;
  }

  Result<void> put_file(const std::string& name, const std::filesystem::path& from, int) override {
    auto there = bucket_.has(prefix_ + name);
    if (there && *there) return {};
    auto bytes = read_file(from, kMostFileBytes);
    if (!bytes) return fail(std::move(bytes.error()));
    auto written = bucket_.put(prefix_ + name, *bytes, {}, "application/octet-stream");
    if (!written && aws::code_of(written.error()) == "NoSuchBucket") {
      if (auto made = bucket_.create(); !made) return fail(std::move(made.error()));
      written = bucket_.put(prefix_ + name, std::move(*bytes), {}, "application/octet-stream");
    }
    if (!written) return fail(std::move(written.error()));
    return {};
  }

  Result<void> get_file(const std::string& name, const std::filesystem::path& to) override { return bucket_.get_file(prefix_ + name, to); }

 private:
  aws::Bucket& bucket_;
  const std::string prefix_;
};

}  // namespace

std::unique_ptr<Backend> s3_backend(aws::Bucket& bucket, std::string prefix) { return std::make_unique<S3Backend>(bucket, std::move(prefix)); }

}  // namespace sabir::deploy
