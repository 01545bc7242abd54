// sabir secrets list | get | set | rm.
#include <termios.h>
#include <unistd.h>
#include <iostream>

#include "command.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/project/project.h"
#include "sabir/secrets/secrets.h"

namespace sabir::cli {
namespace {

Result<std::unique_ptr<secrets::Secrets>> open_secrets(const Globals& globals) {
  auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory);
  if (!root) return fail(std::move(root.error()));
  return std::make_unique<secrets::Secrets>(*root);
}

// Names that may stand in the environment alone: those that config/secrets.example.json shows.
std::vector<std::string> known_names(const Globals& globals) {
  std::vector<std::string> names{"openai_api_key"};
  auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory);
  auto text = root ? read_file(*root / "config/secrets.example.json", std::size_t{1} << 20U) : Result<std::string>(fail(root.error()));
  auto example = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
  if (!example || !example->is_object()) return names;
  for (const auto& member : example->get_object()) names.emplace_back(member.key());
  return names;
}

// From a prompt that does not show it, or from standard input; never from the command line, which others can read.
std::string read_value(const std::string& name) {
  std::string value;
  if (::isatty(STDIN_FILENO) != 1) {
    std::getline(std::cin, value);
    return value;
  }
  std::cerr << name << ": " << std::flush;
  termios before{};
  ::tcgetattr(STDIN_FILENO, &before);
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &silent);
  std::getline(std::cin, value);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
  std::cerr << "\n";
  return value;
}

}  // namespace

void add_secret_commands(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("secrets", "Keys of the project: from the environment, then config/secrets.json.");
  command->require_subcommand();
  auto name = std::make_shared<std::string>();
  auto reveal = std::make_shared<bool>(false);

  auto* const list = command->add_subcommand("list", "Names and where each comes from; never values.");
  add_common(*list, globals);
  list->callback([&globals] {
    auto store = open_secrets(globals);
    if (!store) return fail_with(globals, store.error());
    auto infos = (*store)->list(known_names(globals));
    if (!infos) return fail_with(globals, infos.error());
    json::array out;
    for (const auto& info : *infos) {
      out.push_back({{"name", info.name}, {"source", secrets::source_name(info.source)}});
      if (!globals.json) print(styled(info.name, "1") + "  " + std::string(secrets::source_name(info.source)));
    }
    if (globals.json) print_json({{"secrets", out}});
    if (!globals.json && infos->empty()) note("There are none. `sabir secrets set openai_api_key` stores one.");
  });

  auto* const get = command->add_subcommand("get", "Say whether a secret is there; with --reveal print it.");
  add_common(*get, globals);
  get->add_option("NAME", *name, "the secret's name").required();
  get->add_flag("--reveal", *reveal, "print the value");
  get->callback([&globals, name, reveal] {
    auto store = open_secrets(globals);
    if (!store) return fail_with(globals, store.error());
    auto value = (*store)->resolve(*name);
    if (!value) return fail_with(globals, value.error());
    const std::string shown = *reveal ? *value : "[secret:" + *name + "]";
    if (globals.json) return print_json({{"name", *name}, {"value", shown}});
    print(shown);
  });

  auto* const set = command->add_subcommand("set", "Store a secret in config/secrets.json; the value comes from a prompt or standard input.");
  add_common(*set, globals);
  set->add_option("NAME", *name, "lower-case letters, digits and _").required();
  set->callback([&globals, name] {
    auto store = open_secrets(globals);
    if (!store) return fail_with(globals, store.error());
    const std::string value = read_value(*name);
    if (trim(value).empty()) return fail_with(globals, Error(ErrorCode::kUsage, "the value of '" + *name + "' is empty", "Type it at the prompt, or pipe it: printf %s \"$KEY\" | sabir secrets set " + *name));
    if (auto done = (*store)->set(*name, trim(value)); !done) return fail_with(globals, done.error());
    if (globals.json) return print_json({{"name", *name}, {"stored", true}});
    print("stored " + *name + " in config/secrets.json");
  });

  auto* const remove = command->add_subcommand("rm", "Remove a secret from config/secrets.json.");
  add_common(*remove, globals);
  remove->add_option("NAME", *name, "the secret's name").required();
  remove->callback([&globals, name] {
    auto store = open_secrets(globals);
    if (!store) return fail_with(globals, store.error());
    auto done = (*store)->remove(*name);
    if (!done) return fail_with(globals, done.error());
    if (globals.json) return print_json({{"name", *name}, {"removed", *done}});
    if (!*done) return fail_with(globals, Error(ErrorCode::kNotFound, "config/secrets.json has no '" + *name + "'"));
    print("removed " + *name);
  });
}

}  // namespace sabir::cli
