// Secrets: named values that functions and model providers may be given. A name resolves from the environment
// (openai_api_key -> OPENAI_API_KEY), then from config/secrets.json. Every value seen is handed to the redactor.
//
// Threads: any. The file is read afresh when it has changed.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/secrets/redactor.h"

namespace sabir::secrets {

enum class Source { kNone, kEnvironment, kFile };
std::string_view source_name(Source source);  // "missing", "environment", "config/secrets.json"

struct SecretInfo {
  std::string name;
  Source source = Source::kNone;  // where resolve() would take it from; kNone = placeholder or empty
};

// Lower-case letters, digits and _, starting with a letter, at most 100 bytes.
bool is_secret_name(std::string_view name);
// The environment variable of a secret: upper case.
std::string variable_name(std::string_view name);
// "YOUR_OPENAI_API_KEY" and the like: a value that stands for "fill me in".
bool is_placeholder(std::string_view value);

class Secrets {
 public:
  // `root` is the project's root.
  explicit Secrets(std::filesystem::path root);
  ~Secrets();
  Secrets(const Secrets&) = delete;
  Secrets& operator=(const Secrets&) = delete;

  // Errors: kSecretMissing (says where to put it), kInvalidArguments for a bad name, kConfig for a file that is readable
  // by others, tracked by git, no regular file, or not a JSON object of strings.
  Result<std::string> resolve(const std::string& name) const;

  // Names in the file, and of `also` those that the environment has; sorted, each once. Never values.
  Result<std::vector<SecretInfo>> list(const std::vector<std::string>& also = {}) const;

  // Writes config/secrets.json at mode 0600, whole or not at all. Errors: as above; kStorageFull, kIo.
  Result<void> set(const std::string& name, std::string_view value);
  // False when the file had no such name.
  Result<bool> remove(const std::string& name);

  const std::shared_ptr<Redactor>& redactor() const { return redactor_; }
  // Hands every value of the file to the redactor and makes it the log's (set_log_redactor). A file that cannot be read
  // is no error here: resolve() reports it to whoever needs a value.
  void install_redactor() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::shared_ptr<Redactor> redactor_;
};

}  // namespace sabir::secrets
