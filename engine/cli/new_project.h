// new_project: writes the folder of a new project from templates/project/ as its manifest template.yml lists it.
//
// Threads: any; two calls for one path race for the last rename, and the loser gets kExists. Lifetime: nothing is kept.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::cli {

struct NewProjectOptions {
  std::filesystem::path path;           // absent, or an empty folder; missing parents are made
  std::vector<std::string> languages;   // in order of preference; empty = every language of the manifest
  std::filesystem::path templates_dir;  // holds project/template.yml
  std::string engine_version;
};

struct NewProjectReport {
  std::filesystem::path root;          // absolute
  std::string name;                    // the folder's name
  std::vector<std::string> languages;  // as chosen, without repetitions
  std::vector<std::string> files;      // relative to the root, in the manifest's order
};

// Everything is written into a temporary folder first and moved into place at the end: after an error, or a kill, the
// path is as it was. Errors: kUsage for a name or a language that cannot be, kExists when the path is taken, kConfig for a
// broken manifest, kTemplate, kIo, kStorageFull.
Result<NewProjectReport> new_project(const NewProjectOptions& options);

}  // namespace sabir::cli
