// Secrets: named values that functions and model providers may be given. A name is looked up in one place after the other, as the
// settings say: the environment (openai_api_key -> OPENAI_API_KEY), config/secrets.json, config/secrets.json.age, AWS Secrets
// Manager, Vault. Every value seen is handed to the redactor.
//
// Threads: any; what asks another machine blocks for it, 10 s at most. Files are read afresh when they have changed; what another
// machine said holds for Settings::refresh, and for a day where it cannot be asked again.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/secrets/redactor.h"
#include "sabir/secrets/settings.h"

namespace sabir::secrets {

struct SecretInfo {
  std::string name;
  // Where resolve() would take it from: "environment", "config/secrets.json", "config/secrets.json.age", "AWS Secrets Manager",
  // "Vault"; "missing" = nowhere, or a placeholder or empty there.
  std::string source = "missing";
};

// Lower-case letters, digits and _, starting with a letter, at most 100 bytes.
bool is_secret_name(std::string_view name);
// The environment variable of a secret: upper case.
std::string variable_name(std::string_view name);
// "YOUR_OPENAI_API_KEY" and the like: a value that stands for "fill me in".
bool is_placeholder(std::string_view value);

// Where the next ${secret:NAME} begins at or after `from`; npos where there is none. $${secret: stands for its own text.
std::size_t find_reference(std::string_view text, std::size_t from = 0);

class Secrets {
 public:
  // `root` is the project's root.
  explicit Secrets(std::filesystem::path root, Settings settings = {});
  ~Secrets();
  Secrets(const Secrets&) = delete;
  Secrets& operator=(const Secrets&) = delete;

  // Errors: kSecretMissing (says where to put it), kInvalidArguments for a bad name, kConfig for a file that is readable
  // by others, tracked by git, no regular file, or not a JSON object of strings; a place's own (kUnavailable, kTimeout, kNotGranted).
  Result<std::string> resolve(const std::string& name) const;
  // A text of a configuration file with its ${secret:NAME} filled in. Errors: as resolve().
  Result<std::string> fill_in(std::string_view text) const;
  // Whether resolve() may have to wait for a program or another machine.
  bool may_wait() const;
  // What other machines said is forgotten: the next resolve() asks again.
  void refresh() const;

  // Names that any place has, and `also`; sorted, each once. Never values.
  Result<std::vector<SecretInfo>> list(const std::vector<std::string>& also = {}) const;
  // The values of each place but the environment, by name, for those who search for them. Errors: a place's own.
  Result<std::vector<std::pair<std::string, std::string>>> values() const;
  const Settings& settings() const;

  // Where set() writes: the settings' last place that is on another machine, else config/secrets.json.age where it is there, else
  // config/secrets.json. With a `place`: that one's name.
  std::string written_to(const std::string& place = {}) const;
  // A file is written whole or not at all, config/secrets.json at mode 0600. `place` is "file", "age", "aws", "vault"; "" = where
  // written_to() says. Errors: as above; kStorageFull, kIo, kInvalidArguments for a place that the settings do not name.
  Result<void> set(const std::string& name, std::string_view value, const std::string& place = {});
  // False when the place had no such name.
  Result<bool> remove(const std::string& name, const std::string& place = {});

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
