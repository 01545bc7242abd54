// Origin: one entry of sabir.yml's `sources`: existing code that is served where it stands.
//
// Threads: immutable after load(). Lifetimes: shared by the source files that come from it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/json.h"

namespace sabir::project {

struct Origin {
  std::string language;
  std::filesystem::path path;          // absolute, a file or a folder
  std::string relative;                // from the project's root, or absolute: what errors show
  std::filesystem::path boot;          // loaded once before its first file; "" = none
  std::vector<std::string> include;    // globs below `path`; empty = every file with one of the language's extensions
  std::vector<std::string> expose;     // names of functions, `*` for any text; empty = every public one
  std::vector<std::string> pass;       // variables of the engine's environment that its workers see too
  std::string prefix;                  // in front of the addresses: "billing"
  std::string library;                 // target of the user's own build that its functions are linked with
  std::filesystem::path library_folder;  // where that build's project file lies
  std::string pool;                    // SourceFile::pool()
  int line = 0;                        // in sabir.yml
};

// Whether a path, of parts with '/' between them, matches a glob: `**` is any number of folders, `*` any text within one
// name, `?` one character.
bool path_matches(std::string_view glob, std::string_view path);

// Whether a name matches a pattern in which `*` is any text.
bool name_matches(std::string_view pattern, std::string_view name);

// One proposal of language.yml for `sabir init`: which files tell that a repository has something to serve.
struct AdoptRule {
  std::string what;                // "a Rails application"; {folder}, {1}
  std::vector<std::string> files;  // globs from the repository's root; each match is looked at
  std::string content;             // a regular expression that one of the file's lines must match; "" = any
  std::vector<std::string> also;   // paths that must be there too; {folder}, {1}
  json::object source;             // the entry of `sources`; {folder} is the matching file's, {1} what `content` captured
};

}  // namespace sabir::project
