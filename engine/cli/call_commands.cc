// sabir call, sabir functions.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "arguments.h"
#include "command.h"
#include "resources.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/completions/renderer.h"
#include "sabir/functions/kept_listing.h"
#include "sabir/protocol/raw_json.h"
#include "sabir/secrets/secrets.h"

namespace sabir::cli {
namespace {

struct CallOptions {
  std::string address;
  std::vector<std::string> words;
  std::string whole;
  int timeout_s = 0;
  bool stream = false;
  bool debug = false;
};

// One yielded value on a line of its own; progress on standard error.
void show_notice(std::string_view method, std::string_view members, bool as_json) {
  auto read = parse_json(members);
  if (!read || !read->is_object()) return;
  auto& object = read->get_object();
  if (method == "chunk") {
    const auto& value = object["value"];
    if (as_json || !value.is_string()) {
      print(json::serialize(value));
    } else {
      print(std::string_view(value.get_string().data(), value.get_string().size()));
    }
  } else if (method == "progress" && !as_json) {
    std::string text = json::serialize(object["done"]);
    if (object.contains("total")) text += " of " + json::serialize(object["total"]);
    const auto message = string_or(object, "message");
    note(text + (message.empty() ? "" : "  " + std::string(message)));
  }
}

// Gives the terminal back to this process once a debugged worker has had it.
class TerminalBack {
 public:
  ~TerminalBack() {
    if (!::isatty(STDIN_FILENO)) return;
    ::signal(SIGTTOU, SIG_IGN);
    ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
  }
};

void call(Globals& globals, const CallOptions& options) {
  std::optional<TerminalBack> terminal;
  if (options.debug) {
    globals.session.debug = true;
    globals.session.join_running = false;
    terminal.emplace();
  }
  globals.session.recording.name = "call " + options.address;
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
  auto arguments = read_arguments_text(options.words, options.whole, properties);
  if (!arguments) return fail_with(globals, arguments.error());

  const bool elsewhere = !globals.session.engine.url.empty();
  protocol::Payload value = elsewhere ? protocol::Payload{std::move(*arguments), {}} : protocol::deflate(std::move(*arguments));
  protocol::Payload params;
  params.json = "{\"address\":" + protocol::quote(options.address) + ",\"arguments\":" + value.json;
  if (options.debug) params.json += ",\"timeout_ms\":86400000";
  else if (options.timeout_s > 0) params.json += ",\"timeout_ms\":" + std::to_string(options.timeout_s * 1000);
  if (options.stream) params.json += ",\"stream\":true";
  params.json += protocol::blob_list(value.blobs, "/arguments") + "}";
  params.blobs = std::move(value.blobs);
  runtime::Engine::OnNotice on_notice;
  if (options.stream) {
    on_notice = [as_json = globals.json](std::string_view method, std::string_view members) { show_notice(method, members, as_json); };
  }
  auto answer = (*session)->request("functions.call", std::move(params), std::chrono::hours(options.debug ? 24 : 1), std::move(on_notice));
  if (!answer) return fail_with(globals, answer.error());
  auto text = protocol::inflate(*answer);
  auto result = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
  if (!result) return fail_with(globals, result.error());
  if (result->get_object().contains("streamed")) return;
  if (protocol::has_long_integer(*text)) {
    // As the function wrote it: a value of 64 bits would round it.
    const auto members = protocol::raw_members(*text);
    const auto raw = members ? protocol::find_member(*members, "value") : std::nullopt;
    if (raw) return print(protocol::indented(*raw));
  }
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

// The files below the language's folder that are named after the function's module and test it.
std::vector<std::string> tests_of(const json::object& function, const std::filesystem::path& root) {
  namespace fs = std::filesystem;
  const fs::path file(string_or(function, "file"));
  const std::string stem = to_snake_case(file.stem().string());
  std::vector<std::string> out;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root / file.parent_path(), fs::directory_options::skip_permission_denied, error), end; !error && it != end; it.increment(error)) {
    const auto name = it->path().filename().string();
    if (it->is_directory() && (name.starts_with('.') || name == "node_modules" || name == "target" || name == "vendor")) it.disable_recursion_pending();
    if (it.depth() > 8) it.disable_recursion_pending();
    const std::string own = to_snake_case(it->path().stem().string());
    const bool tests = own == "test_" + stem || own == stem + "_test" || own == stem + "_spec" || own == stem + ".test";
    if (tests && it->is_regular_file()) out.push_back(it->path().lexically_relative(root).string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void show_function(const json::object& function, const std::filesystem::path& root) {
  const auto text = [&](const char* key) { return std::string(string_or(function, key)); };
  print(styled(text("address"), "1") + signature(function));
  if (!text("summary").empty()) print(text("summary"));
  print("");
  const auto row = [](const std::string& name, const std::string& value) { print(styled(name + std::string(10 - name.size(), ' '), "2") + value); };
  row("file", text("file") + ":" + json::serialize(function.at("line")));
  row("language", text("language"));
  row("effect", text("effect"));
  if (const auto* disabled = function.if_contains("disabled"); disabled && disabled->is_object()) {
    const auto& word = disabled->get_object();
    row("disabled", "by " + std::string(string_or(word, "who")) + (string_or(word, "reason").empty() ? "" : ": " + std::string(string_or(word, "reason"))));
  }
  for (const auto& [key, name] : {std::pair("timeout_ms", "timeout"), std::pair("concurrency", "at once"), std::pair("retries", "retries")}) {
    if (const auto* value = function.if_contains(key)) row(name, json::serialize(*value) + (std::string_view(key) == "timeout_ms" ? " ms" : ""));
  }
  if (function.contains("introspected")) row("types", "in part told by importing the file, at the last `sabir setup`");
  if (const auto* secrets = function.if_contains("secrets")) row("secrets", json::serialize(*secrets));
  const auto tests = root.empty() ? std::vector<std::string>() : tests_of(function, root);
  if (!root.empty()) row("tests", tests.empty() ? "none: `sabir add` writes one with a new function" : join(tests, ", "));
  if (const auto* recent = function.if_contains("recent"); recent && recent->is_object()) {
    const auto& r = recent->get_object();
    row("recent", json::serialize(r.at("calls")) + " calls, " + json::serialize(r.at("failed")) + " failed, median " + json::serialize(r.at("median_ms")) +
                      " ms, slowest " + json::serialize(r.at("most_ms")) + " ms");
    if (!string_or(r, "last_error").empty()) row("", std::string(string_or(r, "last_error")));
  }
  print("\n" + styled("arguments", "1") + "\n" + pretty_json(function.at("input_schema")));
  if (const auto* output = function.if_contains("output_schema"); output && output->is_object() && !output->get_object().empty()) {
    print("\n" + styled("result", "1") + "\n" + pretty_json(*output));
  }
  if (const auto* warnings = function.if_contains("warnings"); warnings && warnings->is_array()) {
    print("");
    for (const auto& warning : warnings->get_array()) note("warning: " + std::string(warning.get_string()));
  }
}

void show_list(const Globals& globals, const json::object& answer) {
  if (globals.json) return print_json(answer);
  const auto* functions = answer.if_contains("functions");
  const json::array list = functions && functions->is_array() ? functions->get_array() : json::array();
  std::size_t wide = 0;
  for (const auto& function : list) wide = std::max(wide, string_or(function.get_object(), "address").size());
  for (const auto& entry : list) {
    const auto& function = entry.get_object();
    std::string line = styled(string_or(function, "address"), "1");
    line += std::string(wide + 2 - string_or(function, "address").size(), ' ');
    std::string language(string_or(function, "language"));
    language.resize(std::max<std::size_t>(language.size(), 8), ' ');
    const auto summary = split_lines(string_or(function, "summary"));
    if (const auto* disabled = function.if_contains("disabled"); disabled && disabled->is_object()) {
      const auto& word = disabled->get_object();
      line += styled(language, "36") + " " + styled("disabled by " + std::string(string_or(word, "who")) + (string_or(word, "reason").empty() ? "" : ": " + std::string(string_or(word, "reason"))), "31");
      print(line);
      continue;
    }
    line += styled(language, "36") + " " + (summary.empty() ? std::string() : std::string(summary.front()));
    print(line);
  }
  if (const auto* missing = answer.if_contains("unavailable"); missing && missing->is_array() && !missing->get_array().empty()) {
    print("");
    for (const auto& entry : missing->get_array()) note(to_text(error_from_json(entry.get_object())));
  }
  if (list.empty()) note("There are no functions yet. Write one in functions/python/hello.py: def hello(name: str) -> str: …");
}

// The running engine's list; else what an engine told before, where it still holds; else that of an engine of this command's.
void list_functions(Globals& globals) {
  const auto begun = std::chrono::system_clock::now();
  auto session = Session::join(globals.session);
  if (!session) return fail_with(globals, session.error());
  std::optional<functions::ListingPlace> place;
  if (!*session) {
    auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory);
    auto unpacked = resources();
    if (root && unpacked) {
      place = functions::ListingPlace{*root, globals.session.environment, *unpacked};
      if (const auto kept = functions::kept_listing(*place)) {
        if (!kept->warnings.empty()) secrets::Secrets(*root).install_redactor();
        for (const auto& warning : kept->warnings) log(LogLevel::kWarning, warning);
        if (globals.json && !on_terminal()) return print(kept->json);
        if (const auto answer = parse_json(kept->json); answer && answer->is_object()) return show_list(globals, answer->get_object());
      }
    }
    session = Session::open(globals.session);
    if (!session) return fail_with(globals, session.error());
  }
  const auto answer = (*session)->ask("functions.list", {});
  if (!answer) return fail_with(globals, answer.error());
  if (!place || (*session)->remote()) return show_list(globals, *answer);
  auto& engine = (*session)->engine();
  const functions::Listing listing{compact_json(*answer), engine.project().warnings};
  functions::keep_listing(*place, engine.project(), *engine.registry(), listing, begun);
  if (globals.json && !on_terminal()) return print(listing.json);
  show_list(globals, *answer);
}

void show_one(Globals& globals, const std::string& address) {
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  auto function = (*session)->ask("functions.get", {{"address", address}});
  if (!function) return fail_with(globals, function.error());
  if (globals.json) return print_json(*function);
  print(styled(string_or(*function, "address"), "1") + signature(*function));
  show_function(*function, (*session)->root());
}

}  // namespace

void add_call_commands(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("call", "Call a function by its address, in whatever language it is written.");
  auto options = std::make_shared<CallOptions>();
  add_common(*command, globals);
  add_recording(*command, globals);
  command->add_option("ADDRESS", options->address, "module.function, language/module.function, or a function's name").required();
  command->add_option("ARGUMENTS", options->words, "name=value (read by the function's schema) or name:=JSON");
  command->add_option("--args", options->whole, "all arguments as one JSON object: the text, @file, or - for standard input");
  command->add_flag("--debug", options->debug, "run its worker on this terminal, without time limits: for pdb, debug, gdb and their like");
  command->add_flag("--stream", options->stream, "show each value that it yields as it comes, and its progress");
  command->add_option("--timeout", options->timeout_s, "seconds to wait for it").between(1, 86400);
  command->footer("Examples:\n  sabir call slugify text=\"Été à Paris\"\n  sabir call stats.mean values:='[1, 2, 4]'\n  sabir call reports.build --args @report.json --json");
  command->callback([&globals, options] { call(globals, *options); });

  auto* const list = app.add_subcommand("functions", "List the project's functions, or show one with its schema.");
  auto address = std::make_shared<std::string>();
  add_common(*list, globals);
  list->add_option("ADDRESS", *address, "one function");
  const auto done = std::make_shared<bool>(false);  // by one of its subcommands
  add_disabling(*list, globals, done);
  list->callback([&globals, address, done] {
    if (!*done) address->empty() ? list_functions(globals) : show_one(globals, *address);
  });
}

}  // namespace sabir::cli
