// Place: one of the places where secrets are kept, beside the environment and config/secrets.json.
//
// Threads: any; methods block for a program or a request, each with its own deadline.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "sabir/base/error.h"
#include "sabir/secrets/settings.h"

namespace sabir::secrets {

using Values = std::map<std::string, std::string, std::less<>>;

class Place {
 public:
  virtual ~Place() = default;
  virtual std::string name() const = 0;   // as `sabir secrets list` shows it
  // Of one secret; nothing = it is not there. Errors: kUnavailable, kTimeout, kConfig, kNotGranted.
  virtual Result<std::optional<std::string>> get(const std::string& secret) = 0;
  virtual Result<std::vector<std::string>> names() = 0;
  virtual Result<void> set(const std::string& secret, const std::string& value) = 0;
  virtual Result<bool> remove(const std::string& secret) = 0;  // false: it was not there
  virtual bool is_remote() const { return false; }
  // Changes whenever something may have changed that get() would see; "" = it cannot be told.
  virtual std::string stamp() { return {}; }
};

std::unique_ptr<Place> make_age_place(const std::filesystem::path& root, const AgeSettings& settings);
std::unique_ptr<Place> make_aws_place(const Settings& settings);
std::unique_ptr<Place> make_vault_place(const Settings& settings);

// {"name": "value", …} with values of text. `file` is what errors call it. Errors: kConfig.
Result<Values> parse_values(std::string_view text, const std::string& file);
std::string values_text(const Values& values);

}  // namespace sabir::secrets
