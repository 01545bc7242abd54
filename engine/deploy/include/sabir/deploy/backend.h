// Backend: where everything about one environment lives that whoever deploys has to agree on: the ledger, the lock, bundles,
// engines, the state of infrastructure. It lives with the target, so that laptops and CI see the same. Objects are named
// bytes; a write may demand that nobody else has written since.
//
// Threads: one at a time, but for put() of the lock's object, which a heartbeat calls beside the others.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::deploy {

// Names are of [a-z0-9._-] with "/" between parts: "ledger/00000012.json", "bundles/<hash>.tar.gz".
class Backend {
 public:
  virtual ~Backend() = default;

  // For people: a folder's path, "s3://bucket/prefix".
  virtual std::string where() const = 0;

  struct Object {
    std::string bytes;
    std::string version;  // changes with each write
  };
  // Errors: kNotFound; kUnavailable, kTimeout, kNotGranted, kIo where the place cannot be asked.
  virtual Result<Object> get(const std::string& name) = 0;
  // Gives the new version, once it lasts (fsync or the service's word). `expected`: the version that must be there, "" = no such
  // object may be there, nullopt = whatever. Errors: kConflict when it is another.
  virtual Result<std::string> put(const std::string& name, std::string_view bytes, const std::optional<std::string>& expected) = 0;
  // Errors: kConflict as above. No such object is no error.
  virtual Result<void> remove(const std::string& name, const std::optional<std::string>& expected) = 0;
  // Names that begin with `prefix`, sorted.
  virtual Result<std::vector<std::string>> list(const std::string& prefix) = 0;

  // Large objects, whose names carry the hash of what is in them: one that is there already is left alone.
  virtual Result<void> put_file(const std::string& name, const std::filesystem::path& from, int mode = 0644) = 0;
  virtual Result<void> get_file(const std::string& name, const std::filesystem::path& to) = 0;
};

// In a folder of this machine, made when first written to; mode 0700.
std::unique_ptr<Backend> folder_backend(std::filesystem::path folder);

}  // namespace sabir::deploy
