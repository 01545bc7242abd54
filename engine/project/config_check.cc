// What a configuration's schema allows, and what it does not.
#include <algorithm>
#include <cmath>

#include "sabir/base/text.h"
#include "sabir/project/configuration.h"
#include "sabir/secrets/secrets.h"
#include "shape.h"

namespace sabir::project {
namespace {

constexpr std::size_t kMostProblems = 100;  // of one file

bool is_map(ConfigKind kind) { return kind == ConfigKind::kMap || kind == ConfigKind::kTable || kind == ConfigKind::kVariant; }

// "1", "0.5", "1000000".
std::string number_text(double number) { return number == std::floor(number) && std::abs(number) < 1e15 ? std::to_string(static_cast<std::int64_t>(number)) : compact_json(json::value(number)); }

class Checker {
 public:
  Checker(const std::string& file, const Positions& positions) : file_(file), positions_(positions) {}

  void check(const json::value& value, const ConfigType& type, const std::string& at, const std::string& example) {
    if (problems.size() >= kMostProblems) return;
    switch (type.kind) {
      case ConfigKind::kAny: return check_any(value, at);
      case ConfigKind::kText: return check_text(value, type, at);
      case ConfigKind::kVersion:
        if (!value.is_string() || value.get_string().empty()) wrong(at, " must be a version such as " SABIR_VERSION ", not " + kind_of(value));
        return;
      case ConfigKind::kBool:
        if (!value.is_bool()) wrong(at, " must be true or false, not " + kind_of(value));
        return;
      case ConfigKind::kInteger:
        if (!value.is_int64() || static_cast<double>(value.get_int64()) < type.least || static_cast<double>(value.get_int64()) > type.most) {
          wrong(at, " must be a whole number from " + number_text(type.least) + " to " + number_text(type.most) + ", not " + kind_of(value));
        }
        return;
      case ConfigKind::kNumber:
        if (!value.is_number() || value.to_number<double>() < type.least || value.to_number<double>() > type.most) {
          wrong(at, " must be a number from " + number_text(type.least) + " to " + number_text(type.most) + ", not " + kind_of(value));
        }
        return;
      case ConfigKind::kDuration: {
        // Fractions of a second are good in some places and mean the same in all.
        const bool fraction = value.is_double() && value.get_double() > 0 && value.get_double() < 86400;
        if (!fraction && !parse_duration_ms(scalar(value))) wrong(at, " must be a time such as 30s or 5m, not " + kind_of(value), "Units are ms, s, m and h; a bare number is seconds; a day is the most.");
        return;
      }
      case ConfigKind::kSpan:
        if (!parse_span_ms(scalar(value))) wrong(at, " must be a time such as 24h or 7d, not " + kind_of(value), "Units are ms, s, m, h and d; a bare number is seconds; ten years are the most.");
        return;
      case ConfigKind::kSize:
        if (!parse_bytes(scalar(value))) wrong(at, " must be a size such as 512MB or 2GB, not " + kind_of(value), "Units are KB, MB and GB; 1 MB is the least.");
        return;
      case ConfigKind::kRate:
        if (!value.is_string() || !parse_rate(std::string_view(value.get_string()))) wrong(at, " must be a number of requests in a time, not " + kind_of(value), "Write 10/s, 600/min or 5000/h.");
        return;
      case ConfigKind::kChoice: return check_choice(value, type, at);
      case ConfigKind::kList: return check_list(value, type, at);
      case ConfigKind::kMap: return check_map(value, type.keys, "", at, example);
      case ConfigKind::kTable: return check_table(value, type, at, example);
      case ConfigKind::kVariant: return check_variant(value, type, at, example);
      case ConfigKind::kEither: return check_either(value, type, at, example);
    }
  }

  std::vector<Error> problems;

 private:
  static std::string scalar(const json::value& value) { return value.is_string() ? std::string(value.get_string()) : value.is_number() ? json::serialize(value) : std::string(); }

  void complain(const std::string& at, std::string message, std::string hint) {
    problems.push_back(at_position(Error(ErrorCode::kConfig, std::move(message), std::move(hint)), positions_, at, file_));
  }
  void wrong(const std::string& at, const std::string& what, std::string hint = {}) { complain(at, dotted(at) + what, std::move(hint)); }

  void check_secrets(std::string_view text, const ConfigType& type, const std::string& at) {
    if (secrets::find_reference(text) == std::string_view::npos) return;
    if (!type.takes_secrets) {
      return complain(at, "a secret cannot stand in " + dotted(at) + ": its value would end up where it can be read",
                      type.names_secret ? "Write the secret's name alone." : "`${secret:NAME}` may stand in headers, in a server's env and in auth; docs/config.md says where.");
    }
    if (auto names = secrets_in(text); !names) complain(at, names.error().message, names.error().hint);
  }

  // What has no schema may still not have a secret in it.
  void check_any(const json::value& value, const std::string& at) {
    if (value.is_string()) return check_secrets(std::string_view(value.get_string()), {}, at);
    if (value.is_array()) {
      std::size_t index = 0;
      for (const auto& item : value.get_array()) check_any(item, at + "/" + std::to_string(index++));
    } else if (value.is_object()) {
      for (const auto& member : value.get_object()) check_any(member.value(), at + "/" + escape_pointer(member.key()));
    }
  }

  void check_text(const json::value& value, const ConfigType& type, const std::string& at) {
    if (!value.is_string()) return wrong(at, " must be text, not " + kind_of(value), value.is_number() || value.is_bool() ? "Put it in quotes." : "");
    if (value.get_string().empty() && !type.takes_secrets) return wrong(at, " must be text, not \"\"", "Leave the key out where there is none.");
    // What stands there may be the secret itself, and is not repeated.
    if (type.names_secret && !secrets::is_secret_name(std::string_view(value.get_string()))) {
      return wrong(at, " is not a secret's name", "Write a name like openai_api_key: lower-case letters, digits and _. The secret itself goes into config/secrets.json or the environment.");
    }
    check_secrets(std::string_view(value.get_string()), type, at);
  }

  void check_choice(const json::value& value, const ConfigType& type, const std::string& at) {
    const std::string_view text = value.is_string() ? std::string_view(value.get_string()) : std::string_view();
    if (value.is_string() && std::find(type.choices.begin(), type.choices.end(), text) != type.choices.end()) return;
    std::string hint = value.is_string() ? did_you_mean(text, type.choices) : std::string();
    if (hint.empty()) hint = "It is one of " + join(type.choices, ", ") + ".";
    if (value.is_number()) hint += " Put it in quotes.";
    wrong(at, " cannot be " + (value.is_string() ? "'" + std::string(text) + "'" : kind_of(value)), hint);
  }

  void check_list(const json::value& value, const ConfigType& type, const std::string& at) {
    if (!value.is_array()) {
      return wrong(at, " must be a list, not " + kind_of(value), value.is_string() ? "Write [" + std::string(value.get_string()) + "]." : "Write [a, b].");
    }
    std::size_t index = 0;
    for (const auto& item : value.get_array()) check(item, *type.item, at + "/" + std::to_string(index++), "");
  }

  static std::string write(const std::string& at, const std::string& example) {
    const std::size_t slash = at.rfind('/');
    return example.empty() || slash == std::string::npos ? std::string() : "Write, for example, " + dotted(at.substr(slash)) + ": " + example;
  }

  void check_map(const json::value& value, const std::vector<ConfigKey>& keys, const std::string& also, const std::string& at, const std::string& example) {
    if (!value.is_object()) return wrong(at, " must be a mapping, not " + kind_of(value), write(at, example));
    const auto& object = value.get_object();
    for (const auto& member : object) {
      if (!also.empty() && member.key() == also) continue;
      const auto known = std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return key.name == member.key(); });
      const std::string pointer = at + "/" + escape_pointer(member.key());
      if (known != keys.end()) {
        check(member.value(), known->type, pointer, known->example);
        continue;
      }
      std::vector<std::string> names;
      for (const auto& key : keys) names.push_back(key.name);
      if (!also.empty()) names.push_back(also);
      std::string hint = did_you_mean(member.key(), names);
      if (hint.empty()) hint = names.empty() ? "No keys are expected here." : "Known keys: " + join(names, ", ") + ".";
      complain(pointer, "unknown key '" + std::string(member.key()) + "'", hint);
    }
    for (const auto& key : keys) {
      if (key.is_required && !object.contains(key.name)) {
        complain(at, (at.empty() ? "the key '" : dotted(at) + ": the key '") + key.name + "' is missing", key.example.empty() ? "" : "Write, for example, " + key.name + ": " + key.example);
      }
    }
  }

  void check_table(const json::value& value, const ConfigType& type, const std::string& at, const std::string& example) {
    if (!value.is_object()) return wrong(at, " must be a mapping, not " + kind_of(value), write(at, example));
    for (const auto& member : value.get_object()) {
      if (type.keeps_null && member.value().is_null()) continue;
      check(member.value(), *type.item, at + "/" + escape_pointer(member.key()), "");
    }
  }

  void check_variant(const json::value& value, const ConfigType& type, const std::string& at, const std::string& example) {
    if (!value.is_object()) return wrong(at, " must be a mapping, not " + kind_of(value), write(at, example));
    std::vector<std::string> names;
    for (const auto& [name, keys] : type.cases) names.push_back(name);
    const auto* which = value.get_object().if_contains(type.name);
    if (which == nullptr) return complain(at, dotted(at) + ": the key '" + type.name + "' is missing", "It is one of " + join(names, ", ") + ".");
    for (const auto& [name, inner] : type.cases) {
      if (which->is_string() && which->get_string() == name) return check_map(value, inner.keys, type.name, at, example);
    }
    ConfigType known;
    known.choices = std::move(names);
    check_choice(*which, known, at + "/" + type.name);
  }

  // Of what fits none, the error of the one that is of the same shape tells most.
  void check_either(const json::value& value, const ConfigType& type, const std::string& at, const std::string& example) {
    const ConfigType* alike = nullptr;
    for (const auto& [name, one] : type.cases) {
      Checker trial(file_, positions_);
      trial.check(value, one, at, example);
      if (trial.problems.empty()) return;
      const bool same = is_map(one.kind) ? value.is_object() : one.kind == ConfigKind::kList ? value.is_array() : one.kind == ConfigKind::kBool ? value.is_bool() : value.is_string() && (one.kind == ConfigKind::kText || one.kind == ConfigKind::kChoice);
      if (same && alike == nullptr) alike = &one;
    }
    if (alike != nullptr) return check(value, *alike, at, example);
    wrong(at, " must be " + describe(type) + ", not " + kind_of(value), write(at, example));
  }

  const std::string& file_;
  const Positions& positions_;
};

}  // namespace

std::vector<Error> check_config(const json::value& value, const ConfigType& type, const std::string& file, const Positions& positions) {
  Checker checker(file, positions);
  checker.check(value, type, "", "");
  return std::move(checker.problems);
}

}  // namespace sabir::project
