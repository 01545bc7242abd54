// What the files of `sabir secrets` share.
//
// Threads: the main thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "sabir/secrets/secrets.h"

namespace sabir::cli {

struct SecretsOf {
  std::filesystem::path root;
  std::unique_ptr<secrets::Secrets> store;
  std::vector<std::string> names;  // that grants, models and config/secrets.example.json name; sorted
};
// The project's, for the environment that the command line says.
Result<SecretsOf> secrets_of(const Globals& globals);

void add_secret_checks(Command& secrets, Globals& globals);  // secrets scan | doctor

}  // namespace sabir::cli
