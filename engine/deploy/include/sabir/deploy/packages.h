// What a machine needs to run a project's languages, beside the engine: packages of Debian and Ubuntu.
//
// Threads: plain functions.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sabir::deploy {

// The languages that have a folder in functions/, assistants/ or memory/, or stand in sabir.yml; sorted.
std::vector<std::string> languages_of(const std::filesystem::path& root);
// Packages of Ubuntu 26.04 for them; sorted.
std::vector<std::string> ubuntu_packages(const std::filesystem::path& root);
// Of Debian 12; what it has too old (Node.js) is not in it.
std::vector<std::string> debian_packages(const std::vector<std::string>& languages);

}  // namespace sabir::deploy
