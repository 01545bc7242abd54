#include "granted_calls.h"

#include <algorithm>

#include "sabir/completions/renderer.h"

namespace sabir::completions {
namespace {

constexpr std::size_t kMostFunctions = 100;  // in one list
constexpr std::size_t kMostCalls = 100;      // in one rendering

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

std::vector<std::string> functions_of(const json::object& front_matter) {
  std::vector<std::string> functions;
  if (const auto* list = front_matter.if_contains("functions")) {
    for (const auto& entry : list->get_array()) functions.emplace_back(entry.get_string());
  }
  return functions;
}

void GrantedCalls::grant(const json::object& front_matter, std::string prompt) {
  prompt_ = std::move(prompt);
  const auto* list = front_matter.if_contains("calls");
  if (list == nullptr) return;
  for (const auto& entry : list->get_array()) {
    const std::string address(entry.get_string());
    addresses_.insert_or_assign(std::string(name_of(address)), address);
  }
  for (const auto& [name, address] : addresses_) names_ += (names_.empty() ? "" : "\n") + name;
}

bool GrantedCalls::begins_name(std::string_view name) const {
  return std::any_of(addresses_.begin(), addresses_.end(), [&](const auto& one) {
    return one.first.starts_with(name) && (one.first.size() == name.size() || one.first[name.size()] == '.');
  });
}

const std::string* GrantedCalls::call(const std::string& name, std::string_view positional, std::string_view named) {
  std::string key = name + "(" + std::string(positional) + "," + std::string(named) + ")";
  if (const auto known = values_.find(key); known != values_.end()) return &known->second;
  auto value = make(name, positional, named);
  if (value) return &values_.emplace(std::move(key), std::move(*value)).first->second;
  error_ = std::move(value.error());
  return nullptr;
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
