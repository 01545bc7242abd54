#include "sabir/secrets/grants.h"

#include <algorithm>

#include "sabir/base/text.h"
#include "sabir/secrets/secrets.h"

namespace sabir::secrets {
namespace {

std::string_view without_language(std::string_view address) {
  const std::size_t slash = address.rfind('/');
  return slash == std::string_view::npos ? address : address.substr(slash + 1);
}

// "python/weather.current" -> "python/weather.*"; a bare name has no file to grant to.
std::string whole_file(std::string_view address) {
  const std::size_t dot = address.rfind('.');
  return dot == std::string_view::npos ? std::string{} : std::string(address.substr(0, dot)) + ".*";
}

}  // namespace

Result<Grants> Grants::from_config(const json::object& config, const std::string& file) {
  Grants grants;
  for (const auto& member : config) {
    if (member.key() != "functions") {
      return fail(Error(ErrorCode::kConfig, file + ": unknown key '" + std::string(member.key()) + "'",
                        "The file has one key, functions: a map from address to a list of secret names.")
                      .at(file));
    }
  }
  const json::value* functions = config.if_contains("functions");
  if (functions == nullptr || functions->is_null()) return grants;
  if (!functions->is_object()) {
    return fail(Error(ErrorCode::kConfig, file + ": functions is not a map from address to a list of secret names",
                      "Write it so: functions: {weather.current: [weather_api_key]}")
                    .at(file));
  }
  for (const auto& member : functions->get_object()) {
    const std::string address(member.key());
    const auto wrong = [&](const std::string& what) {
      return fail(Error(ErrorCode::kConfig, file + ": functions: " + address + ": " + what,
                        "Write it so: " + address + ": [weather_api_key]")
                      .at(file));
    };
    if (!member.value().is_array()) return wrong("not a list of secret names");
    auto& names = grants.functions_[address];
    for (const auto& name : member.value().get_array()) {
      if (!name.is_string() || !is_secret_name(std::string_view(name.get_string()))) {
        return wrong("'" + (name.is_string() ? std::string(name.get_string()) : json::serialize(name)) +
                     "' is not a secret's name (lower-case letters, digits and _)");
      }
      names.emplace_back(name.get_string());
    }
  }
  return grants;
}

bool Grants::allowed(std::string_view address, std::string_view secret,
                     const std::vector<std::string>& declared) const {
  if (std::find(declared.begin(), declared.end(), secret) != declared.end()) return true;
  const std::string_view bare = without_language(address);
  std::vector<std::string> keys = {std::string(address), std::string(bare), whole_file(address), whole_file(bare)};
  // A function named like its file may be granted by that one word.
  if (const std::size_t dot = bare.find('.'); dot != std::string_view::npos && bare.substr(0, dot) == bare.substr(dot + 1)) {
    keys.emplace_back(bare.substr(0, dot));
  }
  for (const auto& key : keys) {
    const auto found = functions_.find(key);
    if (found == functions_.end()) continue;
    if (std::find(found->second.begin(), found->second.end(), secret) != found->second.end()) return true;
  }
  return false;
}

std::vector<std::string> Grants::names() const {
  std::vector<std::string> out;
  for (const auto& [function, granted] : functions_) out.insert(out.end(), granted.begin(), granted.end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Error Grants::refusal(std::string_view address, std::string_view secret) {
  const std::string name(secret);
  return Error(ErrorCode::kNotGranted, "function " + std::string(address) + " is not granted the secret '" + name + "'",
               "Add `Secrets: " + name + "` to its doc comment, or `" + std::string(without_language(address)) + ": [" +
                   name + "]` under functions in config/grants.yml.");
}

}  // namespace sabir::secrets
