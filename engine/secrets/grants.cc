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

// The keys of a table that mean `name`.
std::vector<std::string> keys_of(Holder holder, std::string_view name) {
  if (holder == Holder::kPrompt) {
    std::vector<std::string> keys = {std::string(name)};
    for (std::size_t slash = name.rfind('/'); slash != std::string_view::npos; slash = slash == 0 ? std::string_view::npos : name.rfind('/', slash - 1)) {
      keys.push_back(std::string(name.substr(0, slash)) + "/*");
    }
    return keys;
  }
  const std::string_view bare = without_language(name);
  std::vector<std::string> keys = {std::string(name), std::string(bare)};
  if (holder == Holder::kAssistant) return keys;
  keys.push_back(whole_file(name));
  keys.push_back(whole_file(bare));
  // A function named like its file may be granted by that one word.
  if (const std::size_t dot = bare.find('.'); dot != std::string_view::npos && bare.substr(0, dot) == bare.substr(dot + 1)) {
    keys.emplace_back(bare.substr(0, dot));
  }
  return keys;
}

struct Section {
  Holder holder;
  const char* key;
  const char* example;
};
constexpr Section kSections[] = {{Holder::kFunction, "functions", "weather.current: [weather_api_key]"},
                                 {Holder::kAssistant, "assistants", "archivist: [archive_key]"},
                                 {Holder::kPrompt, "prompts", "support/refund: [account_id]"}};

}  // namespace

Result<Grants> Grants::from_config(const json::object& config, const std::string& file) {
  Grants grants;
  for (const auto& member : config) {
    if (std::none_of(std::begin(kSections), std::end(kSections), [&](const auto& one) { return member.key() == one.key; })) {
      return fail(Error(ErrorCode::kConfig, file + ": unknown key '" + std::string(member.key()) + "'", "The file has functions, assistants and prompts: maps from a name to a list of secrets' names.").at(file));
    }
  }
  for (const auto& section : kSections) {
    const json::value* list = config.if_contains(section.key);
    if (list == nullptr || list->is_null()) continue;
    const std::string key = section.key;
    if (!list->is_object()) {
      return fail(Error(ErrorCode::kConfig, file + ": " + key + " is not a map to lists of secret names", "Write it so: " + key + ": {" + section.example + "}").at(file));
    }
    for (const auto& member : list->get_object()) {
      const std::string name(member.key());
      const auto wrong = [&](const std::string& what) {
        return fail(Error(ErrorCode::kConfig, file + ": " + key + ": " + name + ": " + what, std::string("Write it so: ") + section.example).at(file));
      };
      if (!member.value().is_array()) return wrong("not a list of secret names");
      auto& names = grants.tables_[section.holder][name];
      for (const auto& secret : member.value().get_array()) {
        if (!secret.is_string() || !is_secret_name(std::string_view(secret.get_string()))) {
          return wrong("'" + (secret.is_string() ? std::string(secret.get_string()) : json::serialize(secret)) + "' is not a secret's name (lower-case letters, digits and _)");
        }
        names.emplace_back(secret.get_string());
      }
    }
  }
  return grants;
}

bool Grants::allowed(Holder holder, std::string_view name, std::string_view secret, const std::vector<std::string>& declared) const {
  if (std::find(declared.begin(), declared.end(), secret) != declared.end()) return true;
  const auto table = tables_.find(holder);
  if (table == tables_.end()) return false;
  for (const auto& key : keys_of(holder, name)) {
    const auto found = table->second.find(key);
    if (found == table->second.end()) continue;
    if (std::find(found->second.begin(), found->second.end(), secret) != found->second.end()) return true;
  }
  return false;
}

std::vector<std::string> Grants::names() const {
  std::vector<std::string> out;
  for (const auto& [holder, table] : tables_) {
    for (const auto& [name, granted] : table) out.insert(out.end(), granted.begin(), granted.end());
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Error Grants::refusal(Holder holder, std::string_view name, std::string_view secret, std::string_view file) {
  const std::string wanted(secret);
  const std::string who(name);
  const std::string where = file.empty() ? std::string() : " (" + std::string(file) + ")";
  switch (holder) {
    case Holder::kAssistant:
      return Error(ErrorCode::kNotGranted, "assistant " + who + " is not granted the secret '" + wanted + "'",
                   "Add `" + std::string(without_language(name)) + ": [" + wanted + "]` under assistants in config/grants.yml, or `secrets = [\"" + wanted + "\"]` to its file" + where + ".");
    case Holder::kPrompt:
      return Error(ErrorCode::kNotGranted, "prompt " + who + " is not granted the secret '" + wanted + "'",
                   "Add `" + who + ": [" + wanted + "]` under prompts in config/grants.yml" + (file.ends_with(".prompt") ? ", or `secrets: [" + wanted + "]` to its front matter" + where : "") + ".");
    default:
      return Error(ErrorCode::kNotGranted, "function " + who + " is not granted the secret '" + wanted + "'",
                   "Add `Secrets: " + wanted + "` to its doc comment" + where + ", or `" + std::string(without_language(name)) + ": [" + wanted + "]` under functions in config/grants.yml.");
  }
}

}  // namespace sabir::secrets
