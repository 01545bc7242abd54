// sabir memory put | get | list | delete | append | messages.
#include <ctime>
#include <iostream>

#include "arguments.h"
#include "command.h"

namespace sabir::cli {
namespace {

struct MemoryOptions {
  std::string key;
  std::string value;
  std::string name_space = "default";
  std::string prefix;
  std::string role = "user";
  int limit = 100;
  std::optional<std::int64_t> if_version;
  std::optional<int> ttl_s;
};

void run(Globals& globals, const std::string& method, const json::object& params,
         const std::function<void(const json::object&)>& show) {
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  auto answer = (*session)->ask(method, params);
  if (!answer) return fail_with(globals, answer.error());
  if (globals.json) return print_json(*answer);
  show(*answer);
}

std::string shown(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : compact_json(value);
}

}  // namespace

void add_memory_commands(Command& app, Globals& globals) {
  auto* const memory = app.add_subcommand("memory", "The project's memory, the same for every language.");
  memory->require_subcommand();
  auto o = std::make_shared<MemoryOptions>();
  const auto add = [&](const char* name, const char* what) {
    auto* const command = memory->add_subcommand(name, what);
    add_common(*command, globals);
    return command;
  };
  const auto with_namespace = [&](Command* command) {
    command->add_option("-n,--namespace", o->name_space, "the namespace").show_default();
    return command;
  };

  auto* const put = with_namespace(add("put", "Write a value: JSON where it parses, else a text."));
  put->add_option("KEY", o->key, "the key").required();
  put->add_option("VALUE", o->value, "the value; - reads standard input").required();
  put->add_option("--if-version", o->if_version, "write only over this version; 0 = only if there is none");
  put->add_option("--ttl", o->ttl_s, "seconds until it expires").positive();
  put->callback([&globals, o] {
    json::value content;
    std::string text = o->value;
    if (text == "-") text.assign(std::istreambuf_iterator<char>(std::cin), {});
    if (auto parsed = parse_json(text)) {
      content = std::move(*parsed);
    } else {
      content = json::value(text);
    }
    json::object params{{"namespace", o->name_space}, {"key", o->key}, {"value", std::move(content)}};
    if (o->if_version) params["if_version"] = *o->if_version;
    if (o->ttl_s) params["ttl_ms"] = *o->ttl_s * 1000LL;
    run(globals, "memory.put", params, [](const json::object& answer) { print("version " + compact_json(answer.at("version"))); });
  });

  auto* const get = with_namespace(add("get", "Read a value; exit code 1 when there is none."));
  get->add_option("KEY", o->key, "the key").required();
  get->callback([&globals, o] {
    auto session = Session::open(globals.session);
    if (!session) return fail_with(globals, session.error());
    auto answer = (*session)->ask("memory.get", {{"namespace", o->name_space}, {"key", o->key}});
    if (!answer) return fail_with(globals, answer.error());
    if (!answer->at("found").as_bool()) {
      return fail_with(globals, Error(ErrorCode::kNotFound, "memory has nothing under '" + o->key + "' in namespace '" + o->name_space + "'",
                                      "`sabir memory list` shows what there is for this user and tenant."));
    }
    if (globals.json) return print_json(*answer);
    print(shown(answer->at("value")));
  });

  auto* const list = with_namespace(add("list", "List keys and values."));
  list->add_option("PREFIX", o->prefix, "only keys that begin so");
  list->add_option("--limit", o->limit, "at most so many").between(1, 10000).show_default();
  list->callback([&globals, o] {
    run(globals, "memory.list", {{"namespace", o->name_space}, {"prefix", o->prefix}, {"limit", o->limit}}, [](const json::object& answer) {
      for (const auto& entry : answer.at("items").as_array()) {
        const auto& item = entry.as_object();
        std::string value = shown(item.at("value"));
        if (value.size() > 100) value = value.substr(0, 97) + "…";
        print(styled(string_or(item, "key"), "1") + "  " + value + styled("  v" + compact_json(item.at("version")), "2"));
      }
    });
  });

  auto* const remove = with_namespace(add("delete", "Delete a key."));
  remove->add_option("KEY", o->key, "the key").required();
  remove->callback([&globals, o] {
    run(globals, "memory.delete", {{"namespace", o->name_space}, {"key", o->key}},
        [](const json::object& answer) { print(answer.at("deleted").as_bool() ? "deleted" : "there was nothing"); });
  });

  auto* const append = add("append", "Add a message to a conversation.");
  append->add_option("CONVERSATION", o->key, "the conversation").required();
  append->add_option("TEXT", o->value, "what was said").required();
  append->add_option("--role", o->role, "user, assistant, system or tool").show_default();
  append->callback([&globals, o] {
    run(globals, "memory.append", {{"conversation", o->key}, {"message", {{"role", o->role}, {"content", o->value}}}},
        [](const json::object& answer) { print("message " + compact_json(answer.at("seq"))); });
  });

  auto* const messages = add("messages", "Show a conversation.");
  messages->add_option("CONVERSATION", o->key, "the conversation").required();
  messages->add_option("--limit", o->limit, "the newest so many").between(1, 10000).show_default();
  messages->callback([&globals, o] {
    run(globals, "memory.messages", {{"conversation", o->key}, {"limit", o->limit}}, [](const json::object& answer) {
      for (const auto& entry : answer.at("messages").as_array()) {
        const auto& message = entry.as_object().at("message");
        if (!message.is_object()) continue;
        const auto* content = message.get_object().if_contains("content");
        print(styled(string_or(message.get_object(), "role"), "1") + "  " + (content ? shown(*content) : std::string()));
      }
    });
  });
}

}  // namespace sabir::cli
