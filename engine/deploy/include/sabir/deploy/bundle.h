// Bundle: a project as it is deployed, in one archive: what git does not ignore, never secrets, and a manifest with each file's
// hash. The same tree and engine give the same bytes on any machine.
//
// Threads: plain functions that block for files and git.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::deploy {

inline constexpr const char* kManifest = "sabir-bundle.json";
inline constexpr int kBundleFormat = 1;

struct BundleFile {
  std::string path;        // from the project's root
  std::string sha256;
  std::uint64_t bytes = 0;
  bool executable = false;
  std::string link;        // where it is a symbolic link: its target
};

struct Bundle {
  std::string hash;        // SHA-256 of the archive before it was compressed
  std::filesystem::path file;  // the archive; "" where none was asked for
  std::uint64_t bytes = 0;
  std::string project;
  std::string engine_version;
  std::string engine_hash;
  std::vector<std::string> languages;
  std::vector<BundleFile> files;  // sorted by path
};

struct BundleOptions {
  std::filesystem::path root;
  std::string project;
  std::vector<std::string> languages;
  std::filesystem::path engine;    // the binary that serves it
  std::filesystem::path output;    // where the archive is written
  // Values that must not be in it. Values and shapes of keys that are found refuse the bundle.
  std::vector<std::pair<std::string, std::string>> secrets;
};

// Files that belong into a bundle, sorted. Errors: kIo, kLimit.
Result<std::vector<std::string>> files_to_deploy(const std::filesystem::path& root);

// Errors: kNotGranted where a secret stands in a file (each is named with file:line), kLimit, kIo, kStorageFull.
Result<Bundle> make_bundle(const BundleOptions& options);

// What a bundle's manifest says; the archive is not unpacked. Errors: kInvalidArguments for what is none, kStoreNewer.
Result<Bundle> read_bundle(const std::filesystem::path& file);

// Into a folder that is made. Errors: kConflict where the contents are not those of `hash`, kInvalidArguments, kIo.
Result<void> unpack_bundle(const std::filesystem::path& file, const std::string& hash, const std::filesystem::path& folder);

}  // namespace sabir::deploy
