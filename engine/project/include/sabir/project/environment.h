// What language.yml says of a language's environment: how packages are installed, which version a project asks for and
// who installs that.
//
// Threads: plain values.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace sabir::project {

// One step of `sabir setup`: runs when one of `files` exists in the project, and again when their contents change.
struct SetupStep {
  std::string what;
  std::vector<std::string> files;
  std::vector<std::string> run;    // argv; {interpreter} {resources} {project}
  std::string choice;              // of the steps with one choice, the first whose files are there runs
  std::string unless;              // a variable of the environment; where it is set, what is active is used as it is
  std::vector<std::string> makes;  // globs of what it makes; it runs again where none is there
  std::string missing_hint;        // said when run[0] is not installed
  std::map<std::string, std::string> environment;
};

// A file that names the version which a project wants.
struct Pin {
  std::string file;  // ".ruby-version", ".tool-versions"
  std::string key;   // the tool's name in a file that names several; "" = the file's first line is the version
};

// A version manager, by the folders in which it keeps what it has installed.
struct VersionManager {
  std::string name;                   // "rbenv"
  std::vector<std::string> folders;   // "$RBENV_ROOT/versions", "~/.rbenv/versions"
  std::string program;                // of one version: "bin/ruby"
  std::vector<std::string> prefixes;  // that a version's folder may have before the number: "v", "ruby-"
  std::string install;                // "rbenv install {version}"
};

}  // namespace sabir::project
