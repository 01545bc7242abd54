// Recipients of config/secrets.json.age: whose keys can read it.
//
// Threads: plain functions; each runs the program age and blocks for it, 10 s at most.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/secrets/settings.h"

namespace sabir::secrets {

// The file with this user's private key, whether it is there or not.
std::filesystem::path identity_file(const std::filesystem::path& root, const AgeSettings& settings);
// Makes the private key, mode 0600, unless there is one; its public half. Errors: kUnavailable without age, kConfig, kIo.
Result<std::string> make_identity(const std::filesystem::path& root, const AgeSettings& settings);

// Public keys, in order. Errors: kConfig with the line.
Result<std::vector<std::string>> read_recipients(const std::filesystem::path& root, const AgeSettings& settings);
// False: it was (not) there. What is encrypted is encrypted anew for those that remain; who was removed may have kept a copy of what
// they could read. Errors: kInvalidArguments, kConfig when this user cannot read the file, kUnavailable, kIo.
Result<bool> add_recipient(const std::filesystem::path& root, const AgeSettings& settings, const std::string& key, const std::string& comment);
Result<bool> remove_recipient(const std::filesystem::path& root, const AgeSettings& settings, const std::string& key);
// `text` becomes the list. True.
Result<bool> changed_recipients(const std::filesystem::path& root, const AgeSettings& settings, const std::string& text);

}  // namespace sabir::secrets
