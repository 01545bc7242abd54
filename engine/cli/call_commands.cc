// sabir call, sabir functions, sabir check.
#include <algorithm>

#include "arguments.h"
#include "command.h"
#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::cli {
namespace {

struct CallOptions {
  std::string address;
  std::vector<std::string> words;
  std::string whole;
  int timeout_s = 0;
};

void call(Globals& globals, const CallOptions& options) {
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  json::object properties;
  if (!options.words.empty()) {
    // The schema says how to read name=value.
    auto function = (*session)->ask("functions.get", {{"address", options.address}});
    if (!function) return fail_with(globals, function.error());
    if (const auto* schema = function->if_contains("input_schema"); schema && schema->is_object()) {
      if (const auto* own = schema->get_object().if_contains("properties"); own && own->is_object()) properties = own->get_object();
    }
  }
  auto arguments = read_arguments(options.words, options.whole, properties);
  if (!arguments) return fail_with(globals, arguments.error());

  protocol::Payload value = protocol::deflate(json::serialize(*arguments));
  protocol::Payload params;
  params.json = "{\"address\":" + protocol::quote(options.address) + ",\"arguments\":" + value.json;
  if (options.timeout_s > 0) params.json += ",\"timeout_ms\":" + std::to_string(options.timeout_s * 1000);
  params.json += protocol::blob_list(value.blobs, "/arguments") + "}";
  params.blobs = std::move(value.blobs);
  auto answer = (*session)->request("functions.call", std::move(params), std::chrono::hours(1));
  if (!answer) return fail_with(globals, answer.error());
  auto text = protocol::inflate(*answer);
  auto result = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
  if (!result) return fail_with(globals, result.error());
  const auto& out = result->get_object()["value"];
  if (globals.json) {
    print_json(out);
  } else if (out.is_string()) {
    print(std::string_view(out.get_string().data(), out.get_string().size()));
  } else {
    print(pretty_json(out));
  }
}

std::string signature(const json::object& function) {
  std::string text;
  const auto* schema = function.if_contains("input_schema");
  const auto* properties = schema && schema->is_object() ? schema->get_object().if_contains("properties") : nullptr;
  const auto* required = schema && schema->is_object() ? schema->get_object().if_contains("required") : nullptr;
  if (!properties || !properties->is_object()) return text;
  for (const auto& member : properties->get_object()) {
    bool needed = false;
    if (required && required->is_array()) {
      for (const auto& name : required->get_array()) needed = needed || name.get_string() == member.key();
    }
    std::string type;
    if (member.value().is_object()) type = string_or(member.value().get_object(), "type");
    std::string word = std::string(member.key()) + "=" + (type.empty() ? "any" : type);
    text += " " + (needed ? word : "[" + word + "]");
  }
  return text;
}

void functions(Globals& globals, const std::string& address) {
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  if (!address.empty()) {
    auto function = (*session)->ask("functions.get", {{"address", address}});
    if (!function) return fail_with(globals, function.error());
    if (globals.json) return print_json(*function);
    print(styled(string_or(*function, "address"), "1") + signature(*function));
    print(std::string(string_or(*function, "file")) + ":" + json::serialize((*function)["line"]) + "  effect: " +
          std::string(string_or(*function, "effect")));
    if (!string_or(*function, "summary").empty()) print("\n" + std::string(string_or(*function, "summary")));
    print("\n" + pretty_json((*function)["input_schema"]));
    return;
  }
  auto answer = (*session)->ask("functions.list", {});
  if (!answer) return fail_with(globals, answer.error());
  if (globals.json) return print_json(*answer);
  std::size_t wide = 0;
  const auto& list = (*answer)["functions"].get_array();
  for (const auto& function : list) wide = std::max(wide, string_or(function.get_object(), "address").size());
  for (const auto& entry : list) {
    const auto& function = entry.get_object();
    std::string line = styled(string_or(function, "address"), "1");
    line += std::string(wide + 2 - string_or(function, "address").size(), ' ');
    std::string language(string_or(function, "language"));
    language.resize(std::max<std::size_t>(language.size(), 8), ' ');
    const auto summary = split_lines(string_or(function, "summary"));
    line += styled(language, "36") + " " + (summary.empty() ? std::string() : std::string(summary.front()));
    print(line);
  }
  if (const auto* missing = answer->if_contains("unavailable"); missing && missing->is_array() && !missing->get_array().empty()) {
    print("");
    for (const auto& entry : missing->get_array()) note(to_text(error_from_json(entry.get_object())));
  }
  if (list.empty()) note("There are no functions yet. Write one in functions/python/hello.py: def hello(name: str) -> str: …");
}

void check(Globals& globals) {
  globals.session.join_running = false;
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  const auto registry = (*session)->engine().registry();
  json::array problems;
  json::array warnings;
  for (const auto& missing : registry->unavailable()) problems.push_back(to_json(missing.error));
  for (const auto& function : registry->functions()) {
    for (const auto& warning : function.schema.warnings) {
      warnings.push_back({{"file", function.source.relative}, {"line", function.schema.line}, {"message", function.address + ": " + warning}});
    }
  }
  for (const auto& folder : (*session)->engine().project().unsupported) {
    warnings.push_back({{"file", folder.relative}, {"line", 0}, {"message", "no installed language serves this folder"}});
  }
  if (!problems.empty()) globals.exit_code = 1;
  if (globals.json) return print_json({{"functions", registry->functions().size()}, {"problems", problems}, {"warnings", warnings}});
  for (const auto& problem : problems) print(to_text(error_from_json(problem.get_object())));
  for (const auto& warning : warnings) {
    const auto& object = warning.get_object();
    print(styled("warning ", "2") + std::string(string_or(object, "file")) + ":" + json::serialize(object.at("line")) + ": " +
          std::string(string_or(object, "message")));
  }
  print(std::to_string(registry->functions().size()) + " functions, " + std::to_string(problems.size()) + " that cannot be called, " +
        std::to_string(warnings.size()) + " warnings");
}

}  // namespace

void add_call_commands(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("call", "Call a function by its address, in whatever language it is written.");
  auto options = std::make_shared<CallOptions>();
  add_common(*command, globals);
  command->add_option("ADDRESS", options->address, "module.function, language/module.function, or a function's name").required();
  command->add_option("ARGUMENTS", options->words, "name=value (read by the function's schema) or name:=JSON");
  command->add_option("--args", options->whole, "all arguments as one JSON object: the text, @file, or - for standard input");
  command->add_option("--timeout", options->timeout_s, "seconds to wait for it").between(1, 86400);
  command->footer("Examples:\n  sabir call slugify text=\"Été à Paris\"\n  sabir call stats.mean values:='[1, 2, 4]'\n  sabir call reports.build --args @report.json --json");
  command->callback([&globals, options] { call(globals, *options); });

  auto* const list = app.add_subcommand("functions", "List the project's functions, or show one with its schema.");
  auto address = std::make_shared<std::string>();
  add_common(*list, globals);
  list->add_option("ADDRESS", *address, "one function");
  list->callback([&globals, address] { functions(globals, *address); });

  auto* const checking = app.add_subcommand("check", "Read every source and say what cannot be called, and why.");
  add_common(*checking, globals);
  checking->callback([&globals] { check(globals); });
}

}  // namespace sabir::cli
