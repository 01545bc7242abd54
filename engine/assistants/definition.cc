#include "sabir/assistants/definition.h"

#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/secrets/secrets.h"

namespace sabir::assistants {
namespace {

const std::vector<std::string>& known_names() {
  static const std::vector<std::string> names = {"model",     "instructions", "prompt",      "functions",
                                                 "parameters", "max_steps",    "max_seconds", "history", "approve", "secrets"};
  return names;
}

Result<std::string> text(const json::object& constants, const std::string& key, const std::string& file) {
  const auto* value = constants.if_contains(key);
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_string()) return fail(Error(ErrorCode::kConfig, "`" + key + "` must be a text literal").at(file));
  return std::string(value->get_string());
}

Result<int> number(const json::object& constants, const std::string& key, int otherwise, int least, int most,
                   const std::string& file) {
  const auto* value = constants.if_contains(key);
  if (value == nullptr || value->is_null()) return otherwise;
  if (!value->is_int64() || value->get_int64() < least || value->get_int64() > most) {
    return fail(Error(ErrorCode::kConfig, "`" + key + "` must be a whole number from " + std::to_string(least) + " to " +
                                              std::to_string(most))
                    .at(file));
  }
  return static_cast<int>(value->get_int64());
}

}  // namespace

Result<std::chrono::milliseconds> max_time(const json::object& constants, const std::string& file) {
  const auto seconds = number(constants, "max_seconds", 120, 1, 3600, file);
  if (!seconds) return fail(seconds.error());
  return std::chrono::seconds(*seconds);
}

Result<std::vector<std::string>> declared_secrets(const json::object& constants, const std::string& file) {
  std::vector<std::string> out;
  const json::value* list = constants.if_contains("secrets");
  if (list == nullptr) list = constants.if_contains("SECRETS");
  if (list == nullptr || list->is_null()) return out;
  const auto wrong = [&] { return fail(Error(ErrorCode::kConfig, "`secrets` must be a list of secrets' names", "Write it so: secrets = [\"archive_key\"]").at(file)); };
  if (!list->is_array()) return wrong();
  for (const auto& entry : list->get_array()) {
    if (!entry.is_string() || !secrets::is_secret_name(std::string_view(entry.get_string()))) return wrong();
    out.emplace_back(entry.get_string());
  }
  return out;
}

Result<Definition> parse_definition(const std::string& name, const json::object& constants, const std::string& file) {
  Definition definition;
  definition.name = name;
  for (auto [key, target] : {std::pair("model", &definition.model), std::pair("instructions", &definition.instructions),
                             std::pair("prompt", &definition.prompt)}) {
    auto value = text(constants, key, file);
    if (!value) return fail(std::move(value.error()));
    *target = std::string(trim(*value));
  }
  if (const auto* functions = constants.if_contains("functions"); functions != nullptr && !functions->is_null()) {
    bool good = functions->is_array();
    if (good) {
      for (const auto& entry : functions->get_array()) {
        good = good && entry.is_string();
        if (good) definition.functions.emplace_back(entry.get_string());
      }
    }
    if (!good) {
      return fail(Error(ErrorCode::kConfig, "`functions` must be a list of addresses",
                        R"(Write for instance functions = ["text.slugify", "ruby/text.*"].)")
                      .at(file));
    }
  }
  if (const auto* parameters = constants.if_contains("parameters"); parameters != nullptr && !parameters->is_null()) {
    if (!parameters->is_object()) {
      return fail(Error(ErrorCode::kConfig, "`parameters` must be a mapping, for instance {\"temperature\": 0}").at(file));
    }
    definition.parameters = parameters->get_object();
  }
  if (const auto* approve = constants.if_contains("approve"); approve != nullptr && !approve->is_null()) {
    const auto wrong = [&](const std::string& what) {
      return fail(Error(ErrorCode::kConfig, "`approve` " + what, R"(Write for instance approve = {"bank.refund": "amount > 100", "bank.close": true}.)").at(file));
    };
    if (!approve->is_object()) return wrong("must be a mapping of functions to when their calls need approval");
    for (const auto& member : approve->get_object()) {
      const std::string address(member.key());
      if (member.value() == json::value(true)) {
        definition.approve.emplace_back(address, "");
      } else if (member.value().is_string()) {
        const std::string rule(trim(std::string_view(member.value().get_string())));
        sb_buf why{nullptr, 0};
        if (rule.empty() || sb_expression_check({rule.data(), rule.size()}, &why) != 0) {
          const std::string said(why.data, why.size);
          sb_free(why);
          return wrong("of '" + address + "' is no expression: " + (rule.empty() ? "it is empty" : said));
        }
        definition.approve.emplace_back(address, rule);
      } else {
        return wrong("of '" + address + "' is neither true nor an expression");
      }
    }
  }
  const auto steps = number(constants, "max_steps", definition.max_steps, 1, 100, file);
  if (!steps) return fail(steps.error());
  definition.max_steps = *steps;
  const auto time = max_time(constants, file);
  if (!time) return fail(time.error());
  definition.max_time = *time;
  const auto history = number(constants, "history", definition.history, 0, 1000, file);
  if (!history) return fail(history.error());
  definition.history = *history;

  if (definition.instructions.empty() == definition.prompt.empty()) {
    std::string hint = "Write either instructions = \"…\" or prompt = \"name of a template in completions/\".";
    for (const auto& member : constants) {
      const std::string key(member.key());
      for (const char* wanted : {"instructions", "prompt"}) {
        if (key != wanted && !nearest_names(key, {wanted}).empty()) hint += " Is `" + key + "` meant as `" + wanted + "`?";
      }
    }
    return fail(Error(ErrorCode::kConfig,
                      definition.prompt.empty() ? "the assistant '" + name + "' has no instructions"
                                                : "the assistant '" + name + "' has both instructions and a prompt",
                      std::move(hint))
                    .at(file));
  }
  for (const auto& member : constants) {
    const std::string key(member.key());
    bool known = false;
    for (const auto& one : known_names()) known = known || one == key;
    if (known) continue;
    // Only a slip of the pen: `function`, `max_step`.
    for (const auto& one : known_names()) {
      if (!constants.contains(one) && (key + "s" == one || key == one + "s" || "max_" + key == one)) {
        return fail(Error(ErrorCode::kConfig, "`" + key + "` is not read", "Did you mean " + one + "?").at(file));
      }
    }
  }
  return definition;
}

}  // namespace sabir::assistants
