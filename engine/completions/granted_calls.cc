#include "granted_calls.h"

#include <algorithm>

#include "sabir/completions/renderer.h"
#include "sabir/secrets/secrets.h"

namespace sabir::completions {
namespace {

constexpr std::size_t kMostFunctions = 100;  // in one list
constexpr std::size_t kMostCalls = 100;      // in one rendering
const std::string kSecret = "secret";

bool is_word(std::string_view word) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !word.empty() && is_letter(word.front()) &&
         std::all_of(word.begin(), word.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// The address without its language: "stats.mean" of "ruby/stats.mean".
std::string_view name_of(std::string_view address) { return address.substr(address.rfind('/') + 1); }

bool is_name(std::string_view name) {
  while (true) {
    const std::size_t dot = name.find('.');
    if (!is_word(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

Result<void> check_functions(const json::object& front_matter, const std::string& file, const project::Positions& positions) {
  for (const std::string key : {"functions", "calls"}) {
    const auto* list = front_matter.if_contains(key);
    if (list == nullptr) continue;
    const bool may_match = key == "functions";  // "stats.*", as an assistant's
    const auto refused = [&](const std::string& pointer, std::string message) {
      const auto [line, column] = project::position_of(positions, pointer);
      return fail(Error(ErrorCode::kTemplate, std::move(message), "Write for instance `" + key + ": [stats.mean, ruby/slugify]`.").at(file, line, column));
    };
    if (!list->is_array() || list->get_array().size() > kMostFunctions) {
      return refused("/" + key, "'" + key + "' must be a list of at most " + std::to_string(kMostFunctions) + " functions' addresses");
    }
    for (std::size_t i = 0; i < list->get_array().size(); ++i) {
      const auto& entry = list->get_array()[i];
      const std::string_view address = entry.is_string() ? std::string_view(entry.get_string()) : std::string_view();
      const std::string_view language = address.substr(0, address.find('/'));
      const std::string_view name = name_of(address);
      const bool matches = may_match && (name == "*" || (name.ends_with(".*") && is_name(name.substr(0, name.size() - 2))));
      const bool has_language = address.find('/') != std::string_view::npos;
      if ((!is_name(name) && !matches) || (has_language && (!is_word(language) || language.size() + 1 + name.size() != address.size()))) {
        const std::string pointer = "/" + key + "/" + std::to_string(i);
        return refused(pointer, "an entry of '" + key + "' is no function's address" + (may_match ? "" : ", which a template could write"));
      }
    }
  }
  return {};
}

Result<void> check_secrets(const json::object& front_matter, const std::string& file, const project::Positions& positions) {
  const auto* list = front_matter.if_contains("secrets");
  if (list == nullptr) return {};
  const auto refused = [&](const std::string& pointer, std::string message) {
    const auto [line, column] = project::position_of(positions, pointer);
    return fail(Error(ErrorCode::kTemplate, std::move(message), "Write for instance `secrets: [account_id]`.").at(file, line, column));
  };
  if (!list->is_array() || list->get_array().size() > kMostFunctions) return refused("/secrets", "'secrets' must be a list of at most " + std::to_string(kMostFunctions) + " secrets' names");
  for (std::size_t i = 0; i < list->get_array().size(); ++i) {
    const auto& entry = list->get_array()[i];
    if (!entry.is_string() || !secrets::is_secret_name(std::string_view(entry.get_string()))) return refused("/secrets/" + std::to_string(i), "an entry of 'secrets' is no secret's name");
  }
  return {};
}

std::vector<std::string> functions_of(const json::object& front_matter) {
  std::vector<std::string> functions;
  if (const auto* list = front_matter.if_contains("functions")) {
    for (const auto& entry : list->get_array()) functions.emplace_back(entry.get_string());
  }
  return functions;
}

void GrantedCalls::grant(const json::object& front_matter, std::string prompt, std::string file, bool reads_secrets) {
  prompt_ = std::move(prompt);
  file_ = std::move(file);
  if (const auto* own = front_matter.if_contains("secrets")) {
    for (const auto& entry : own->get_array()) declared_.emplace_back(entry.get_string());
  }
  if (reads_secrets || !declared_.empty()) addresses_.emplace(kSecret, "");
  const auto names = [this] {
    for (const auto& [name, address] : addresses_) names_ += (names_.empty() ? "" : "\n") + name;
  };
  const auto* list = front_matter.if_contains("calls");
  if (list == nullptr) return names();
  for (const auto& entry : list->get_array()) {
    const std::string address(entry.get_string());
    addresses_.insert_or_assign(std::string(name_of(address)), address);
  }
  names();
}

bool GrantedCalls::begins_name(std::string_view name) const {
  return std::any_of(addresses_.begin(), addresses_.end(), [&](const auto& one) {
    return one.first.starts_with(name) && (one.first.size() == name.size() || one.first[name.size()] == '.');
  });
}

const std::string* GrantedCalls::call(const std::string& name, std::string_view positional, std::string_view named) {
  std::string key = name + "(" + std::string(positional) + "," + std::string(named) + ")";
  if (const auto known = values_.find(key); known != values_.end()) return &known->second;
  auto value = name == kSecret && addresses_.at(name).empty() ? secret(positional, named) : make(name, positional, named);
  if (value) return &values_.emplace(std::move(key), std::move(*value)).first->second;
  error_ = std::move(value.error());
  return nullptr;
}

Result<std::string> GrantedCalls::secret(std::string_view positional, std::string_view named) {
  const auto given = parse_json(positional);
  const bool is_one = given && given->is_array() && given->get_array().size() == 1 && given->get_array().front().is_string() && named == "{}";
  const std::string name(is_one ? std::string_view(given->get_array().front().get_string()) : std::string_view());
  if (!secrets::is_secret_name(name)) {
    return fail(ErrorCode::kTemplate, "secret() takes one text: a secret's name, of lower-case letters, digits and _", "Write it so: {{ secret(\"account_id\") }}");
  }
  // Where prompts are compared without an engine nobody may be asked, and no value stands there either way.
  if (caller_ != nullptr) {
    if (auto allowed = caller_->allow_secret(prompt_, file_, name, declared_); !allowed) return fail(std::move(allowed.error()));
  }
  if (std::find(secrets_.begin(), secrets_.end(), name) == secrets_.end()) secrets_.push_back(name);
  return "\"[secret:" + name + "]\"";
}

Result<std::string> GrantedCalls::make(const std::string& name, std::string_view positional, std::string_view named) {
  if (caller_ == nullptr) {
    return fail(ErrorCode::kUnavailable, name + "(): functions are not called here", "`sabir prompt render` calls them.");
  }
  if (values_.size() >= kMostCalls) {
    return fail(ErrorCode::kLimit, name + "(): one prompt makes at most " + std::to_string(kMostCalls) + " different calls of functions",
                "Let one function do for the whole list what several calls do.");
  }
  auto value = caller_->call(prompt_, addresses_.at(name), positional, named);
  if (value) return value;
  const Error& cause = value.error();
  std::string where = cause.file;
  if (!where.empty() && cause.line > 0) where += ":" + std::to_string(cause.line);
  Error error(ErrorCode::kTemplate, name + "(): " + (where.empty() ? "" : where + ": ") + cause.message, cause.hint);
  // What fails everything around it keeps its name.
  for (const auto code : {ErrorCode::kCancelled, ErrorCode::kDepthExceeded, ErrorCode::kRecordingMissing, ErrorCode::kRecordingStale}) {
    if (cause.code == code) error.code = code;
  }
  error.data = cause.code == ErrorCode::kTemplate ? cause.data : json::serialize(json::object{{"cause", to_json(cause)}});
  return fail(std::move(error).with_detail(cause.detail));
}

std::string GrantedCalls::hint_for(const std::string& path, bool is_prompt_file) const {
  if (path == kSecret) {
    return is_prompt_file ? "If a secret is meant, add `secrets: [NAME]` to the front matter of " + file_ + "." : "If a secret is meant, grant it to " + prompt_ + " under prompts in config/grants.yml, and read it in " + file_ + " itself.";
  }
  if (caller_ == nullptr || !is_name(path) || !caller_->has(path)) return {};
  const std::string line = "`calls: [" + path + "]`";
  return "If the project's function of that name is meant, " +
         (is_prompt_file ? "add " + line + " to the front matter: a template calls what its prompt names there." : "call it in a .prompt file, with " + line + " in its front matter.");
}

json::object GrantedCalls::made() const {
  json::object calls;
  for (const auto& [call, value] : values_) calls[call] = value;
  return calls;
}

}  // namespace sabir::completions
