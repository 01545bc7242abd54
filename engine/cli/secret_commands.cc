// sabir secrets list | get | set | rm | rotate | import | export | recipients.
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <set>

#include "command.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/project/project.h"
#include "sabir/project/configuration.h"
#include "sabir/project/secret_settings.h"
#include "sabir/secrets/dotenv.h"
#include "sabir/secrets/recipients.h"
#include "secret_checks.h"

namespace sabir::cli {
namespace {

constexpr std::size_t kMostInput = std::size_t{1} << 20U;

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

// `count` letters and digits, each equally likely.
Result<std::string> generated(int count) {
  static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::ifstream random("/dev/urandom", std::ios::binary);
  std::string out;
  char byte = 0;
  while (static_cast<int>(out.size()) < count && random.get(byte)) {
    const auto number = static_cast<unsigned char>(byte);
    if (number < kAlphabet.size() * 4) out += kAlphabet[number % kAlphabet.size()];
  }
  if (static_cast<int>(out.size()) < count) return fail(ErrorCode::kIo, "/dev/urandom cannot be read");
  return out;
}

Result<std::string> read_input(const std::string& path) {
  if (path != "-") return read_file(path, kMostInput);
  std::string text;
  char buffer[16384];
  while (std::cin.read(buffer, sizeof buffer) || std::cin.gcount() > 0) {
    text.append(buffer, static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > kMostInput) return fail(ErrorCode::kLimit, "standard input is larger than 1 MiB");
  }
  return text;
}

std::string canonical(std::string_view name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return c == '-' || c == '.' ? '_' : static_cast<char>(std::tolower(c)); });
  return out;
}

struct Options {
  std::string name;
  std::string place;
  std::string path = "-";
  std::string format = "json";
  std::string key;
  std::string comment;
  int length = 0;
  bool reveal = false;
  bool only_missing = false;
};

void show_recipients(Globals& globals, const SecretsOf& of) {
  auto keys = secrets::read_recipients(of.root, of.store->settings().age);
  if (!keys) return fail_with(globals, keys.error());
  json::array out;
  for (const auto& key : *keys) {
    out.push_back(json::value(key));
    if (!globals.json) print(key);
  }
  if (globals.json) print_json({{"recipients", out}, {"file", of.store->settings().age.recipients}});
  else if (keys->empty()) note("There are none. `sabir secrets recipients init` makes a key of your own and adds it.");
}

void add_recipient_commands(Command& secrets, Globals& globals, const std::shared_ptr<Options>& options) {
  auto* const command = secrets.add_subcommand("recipients", "Whose keys can read config/secrets.json.age.");
  command->require_subcommand();
  auto* const list = command->add_subcommand("list", "Their public keys.");
  add_common(*list, globals);
  list->callback([&globals] {
    auto of = secrets_of(globals);
    if (!of) return fail_with(globals, of.error());
    show_recipients(globals, *of);
  });
  auto* const init = command->add_subcommand("init", "Make a key of your own, unless there is one, and add it.");
  add_common(*init, globals);
  init->callback([&globals] {
    auto of = secrets_of(globals);
    if (!of) return fail_with(globals, of.error());
    const auto& age = of->store->settings().age;
    auto key = secrets::make_identity(of->root, age);
    if (!key) return fail_with(globals, key.error());
    const char* user = std::getenv("USER");
    auto added = secrets::add_recipient(of->root, age, *key, user ? user : "");
    if (!added) {
      if (added.error().hint.find("recipients add") == std::string::npos) added.error().hint = "Give somebody who can read it this key: sabir secrets recipients add " + *key;
      return fail_with(globals, added.error());
    }
    if (globals.json) return print_json({{"key", *key}, {"added", *added}, {"identity", secrets::identity_file(of->root, age).string()}});
    print(*key);
    note(std::string(*added ? "added to " : "stands already in ") + age.recipients + "; the private key is " + secrets::identity_file(of->root, age).string() + ": keep it, and give it to nobody");
  });
  auto* const add = command->add_subcommand("add", "Let another key read the file; it is encrypted anew.");
  add_common(*add, globals);
  add->add_option("KEY", options->key, "age1… or ssh-ed25519 …").required();
  add->add_option("--comment", options->comment, "whose it is, for the file");
  add->callback([&globals, options] {
    auto of = secrets_of(globals);
    if (!of) return fail_with(globals, of.error());
    auto added = secrets::add_recipient(of->root, of->store->settings().age, std::string(trim(options->key)), options->comment);
    if (!added) return fail_with(globals, added.error());
    if (globals.json) return print_json({{"key", options->key}, {"added", *added}});
    print(*added ? "added" : "it stands there already");
  });
  auto* const remove = command->add_subcommand("rm", "Take a key away; the file is encrypted anew for the others.");
  add_common(*remove, globals);
  remove->add_option("KEY", options->key, "as `list` shows it").required();
  remove->callback([&globals, options] {
    auto of = secrets_of(globals);
    if (!of) return fail_with(globals, of.error());
    auto gone = secrets::remove_recipient(of->root, of->store->settings().age, std::string(trim(options->key)));
    if (!gone) return fail_with(globals, gone.error());
    if (!*gone) return fail_with(globals, Error(ErrorCode::kNotFound, "there is no such key", "`sabir secrets recipients list` shows them."));
    if (globals.json) return print_json({{"key", options->key}, {"removed", true}});
    print("removed");
    note("Whoever had this key may have kept the values: change them (sabir secrets rotate NAME).");
  });
}

void import_secrets(Globals& globals, const Options& options) {
  auto of = secrets_of(globals);
  if (!of) return fail_with(globals, of.error());
  auto text = read_input(options.path);
  if (!text) return fail_with(globals, text.error());
  const std::string shown = options.path == "-" ? "standard input" : options.path;
  std::vector<std::pair<std::string, std::string>> given;
  if (trim(*text).starts_with('{')) {
    auto value = parse_json(*text);
    if (!value || !value->is_object()) return fail_with(globals, Error(ErrorCode::kInvalidArguments, shown + ": " + (value ? "not an object" : value.error().message), "Give {\"openai_api_key\": \"…\"}, or lines NAME=value."));
    for (const auto& member : value->get_object()) {
      if (!member.value().is_string()) return fail_with(globals, Error(ErrorCode::kInvalidArguments, shown + ": the value of '" + std::string(member.key()) + "' is no text"));
      given.emplace_back(member.key(), member.value().get_string());
    }
  } else {
    auto lines = secrets::parse_dotenv(*text, shown);
    if (!lines) return fail_with(globals, lines.error());
    given = std::move(*lines);
  }
  // All are looked at before the first is written.
  json::array stored;
  json::array left;
  std::vector<std::pair<std::string, std::string>> good;
  for (auto& [given_name, value] : given) {
    const std::string name = canonical(given_name);
    if (!secrets::is_secret_name(name)) return fail_with(globals, Error(ErrorCode::kInvalidArguments, shown + ": '" + given_name + "' cannot be a secret's name", "Names are letters, digits and _."));
    const bool known = options.only_missing && of->store->resolve(name).has_value();
    if (known || trim(value).empty() || secrets::is_placeholder(value)) left.push_back(json::value(name));
    else good.emplace_back(name, std::move(value));
  }
  for (const auto& [name, value] : good) {
    if (auto done = of->store->set(name, value, options.place); !done) return fail_with(globals, done.error());
    stored.push_back(json::value(name));
  }
  const std::string where = of->store->written_to(options.place);
  if (globals.json) return print_json({{"stored", stored}, {"left_out", left}, {"place", where}});
  print("stored " + std::to_string(stored.size()) + " in " + where);
  if (!left.empty()) {
    std::vector<std::string> names;
    for (const auto& name : left) names.emplace_back(name.get_string());
    note("left out, empty or placeholders" + std::string(options.only_missing ? " or there already" : "") + ": " + join(names, ", "));
  }
}

void export_secrets(Globals& globals, const Options& options) {
  auto of = secrets_of(globals);
  if (!of) return fail_with(globals, of.error());
  auto infos = of->store->list(of->names);
  if (!infos) return fail_with(globals, infos.error());
  json::object out;
  for (const auto& info : *infos) {
    if (info.source == "missing") continue;
    auto value = of->store->resolve(info.name);
    if (!value) return fail_with(globals, value.error());
    out[info.name] = options.reveal ? *value : "[secret:" + info.name + "]";
  }
  if (globals.json || options.format == "json") return print_json(out);
  for (const auto& member : out) print(secrets::dotenv_line(secrets::variable_name(member.key()), std::string_view(member.value().get_string())));
}

// What a secret becomes, wherever its value came from.
void store(Globals& globals, const SecretsOf& of, const Options& options, const std::string& value, bool was_generated) {
  if (auto done = of.store->set(options.name, value, options.place); !done) return fail_with(globals, done.error());
  const std::string where = of.store->written_to(options.place);
  if (globals.json) {
    json::object out{{"name", options.name}, {"stored", true}, {"place", where}};
    if (was_generated && options.reveal) out["value"] = value;
    return print_json(out);
  }
  print("stored " + options.name + " in " + where);
  if (was_generated && options.reveal) print(value);
  if (value.size() < secrets::Redactor::kLeastBytes) note("It is shorter than " + std::to_string(secrets::Redactor::kLeastBytes) + " bytes: it is not taken out of logs and traces, where it would hide ordinary words.");
}

}  // namespace

Result<SecretsOf> secrets_of(const Globals& globals) {
  auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory);
  if (!root) return fail(std::move(root.error()));
  auto settings = project::read_secret_settings(*root, globals.session.environment);
  if (!settings) return fail(std::move(settings.error()));
  SecretsOf out{*root, std::make_unique<secrets::Secrets>(*root, std::move(*settings)), {}};
  // Names that may stand in the environment alone.
  std::set<std::string> names{"openai_api_key"};
  const auto take = [&](std::string_view name) {
    if (secrets::is_secret_name(name)) names.emplace(name);
  };
  if (auto text = read_file(*root / "config/secrets.example.json", kMostInput)) {
    if (auto example = parse_json(*text); example && example->is_object()) {
      for (const auto& member : example->get_object()) take(member.key());
    }
  }
  for (const auto& file : project::config_files()) {
    const auto config = project::read_configuration(*root, file, globals.session.environment);
    if (!config) continue;
    for (const auto& named : project::secrets_named(*config)) take(named.name);
  }
  out.names = {names.begin(), names.end()};
  return out;
}

void add_secret_commands(Command& app, Globals& globals) {
  auto* const command = app.add_subcommand("secrets", "Keys of the project, in the places that config/secrets_config.yml names.");
  command->require_subcommand();
  auto options = std::make_shared<Options>();
  const auto add_place = [&](Command& to) { to.add_option("--place", options->place, "file, age, aws or vault, where not the usual one"); };

  auto* const list = command->add_subcommand("list", "Names and where each comes from; never values.");
  add_common(*list, globals);
  list->callback([&globals] {
    auto of = secrets_of(globals);
    if (!of) return fail_with(globals, of.error());
    auto infos = of->store->list(of->names);
    if (!infos) return fail_with(globals, infos.error());
    json::array out;
    std::size_t width = 0;
    for (const auto& info : *infos) width = std::max(width, info.name.size());
    for (const auto& info : *infos) {
      out.push_back({{"name", info.name}, {"source", info.source}});
      if (!globals.json) print(styled(padded(info.name, width, false), "1") + "  " + (info.source == "missing" ? styled("missing", "2") : info.source));
    }
    if (globals.json) print_json({{"secrets", out}});
    if (!globals.json && infos->empty()) note("There are none. `sabir secrets set openai_api_key` stores one.");
  });

  auto* const get = command->add_subcommand("get", "Say whether a secret is there; with --reveal print it.");
  add_common(*get, globals);
  get->add_option("NAME", options->name, "the secret's name").required();
  get->add_flag("--reveal", options->reveal, "print the value");
  get->callback([&globals, options] {
    auto of = secrets_of(globals);
    if (!of) return fail_with(globals, of.error());
    auto value = of->store->resolve(options->name);
    if (!value) return fail_with(globals, value.error());
    const std::string shown = options->reveal ? *value : "[secret:" + options->name + "]";
    if (globals.json) return print_json({{"name", options->name}, {"value", shown}});
    print(shown);
  });

  auto* const set = command->add_subcommand("set", "Store a secret where the environment keeps them; the value comes from a prompt or standard input.");
  add_common(*set, globals);
  set->add_option("NAME", options->name, "lower-case letters, digits and _").required();
  add_place(*set);
  set->callback([&globals, options] {
    auto of = secrets_of(globals);
    if (!of) return fail_with(globals, of.error());
    const std::string value = read_value(options->name);
    if (trim(value).empty()) return fail_with(globals, Error(ErrorCode::kUsage, "the value of '" + options->name + "' is empty", "Type it at the prompt, or pipe it: printf %s \"$KEY\" | sabir secrets set " + options->name));
    store(globals, *of, *options, std::string(trim(value)), false);
  });

  auto* const rotate = command->add_subcommand("rotate", "Give a secret that is there a new value, from a prompt, standard input or --generate.");
  add_common(*rotate, globals);
  rotate->add_option("NAME", options->name, "the secret's name").required();
  rotate->add_option("--generate", options->length, "make a value of that many letters and digits");
  rotate->add_flag("--reveal", options->reveal, "print what was generated");
  add_place(*rotate);
  rotate->callback([&globals, options] {
    auto of = secrets_of(globals);
    if (!of) return fail_with(globals, of.error());
    auto before = of->store->resolve(options->name);
    if (!before) return fail_with(globals, before.error());
    if (options->length != 0 && (options->length < 16 || options->length > 4096)) return fail_with(globals, Error(ErrorCode::kUsage, "--generate makes 16 to 4096 characters"));
    auto value = options->length != 0 ? generated(options->length) : Result<std::string>(std::string(trim(read_value(options->name))));
    if (!value) return fail_with(globals, value.error());
    if (value->empty()) return fail_with(globals, Error(ErrorCode::kUsage, "the new value of '" + options->name + "' is empty", "Type it at the prompt, pipe it, or use --generate 40."));
    if (*value == *before) return fail_with(globals, Error(ErrorCode::kUsage, "the new value of '" + options->name + "' is the old one"));
    store(globals, *of, *options, *value, options->length != 0);
    if (globals.exit_code == 0 && std::getenv(secrets::variable_name(options->name).c_str()) != nullptr) note("The variable " + secrets::variable_name(options->name) + " of this shell still overrides it here.");
    if (globals.exit_code == 0 && !globals.json) note("Engines that run take the new value: at once from a file, within " + std::to_string(of->store->settings().refresh.count()) + " s from another machine, or at SIGHUP.");
  });

  auto* const remove = command->add_subcommand("rm", "Remove a secret from where the environment keeps them.");
  add_common(*remove, globals);
  remove->add_option("NAME", options->name, "the secret's name").required();
  add_place(*remove);
  remove->callback([&globals, options] {
    auto of = secrets_of(globals);
    if (!of) return fail_with(globals, of.error());
    const std::string where = options->place.empty() ? of->store->written_to() : options->place;
    auto done = of->store->remove(options->name, options->place);
    if (!done) return fail_with(globals, done.error());
    if (globals.json) return print_json({{"name", options->name}, {"removed", *done}});
    if (!*done) return fail_with(globals, Error(ErrorCode::kNotFound, where + " has no '" + options->name + "'"));
    print("removed " + options->name);
  });

  auto* const importing = command->add_subcommand("import", "Store all secrets of a .env file, or of a JSON object of texts.");
  add_common(*importing, globals);
  importing->add_option("FILE", options->path, "the file; - is standard input");
  importing->add_flag("--missing", options->only_missing, "leave those out that are there already");
  add_place(*importing);
  importing->callback([&globals, options] { import_secrets(globals, *options); });

  auto* const exporting = command->add_subcommand("export", "Print all secrets, masked unless --reveal.");
  add_common(*exporting, globals);
  exporting->add_option("--format", options->format, "json or env");
  exporting->add_flag("--reveal", options->reveal, "print the values");
  exporting->callback([&globals, options] {
    if (options->format != "json" && options->format != "env") return fail_with(globals, Error(ErrorCode::kUsage, "--format is json or env"));
    export_secrets(globals, *options);
  });

  add_recipient_commands(*command, globals, options);
  add_secret_checks(*command, globals);
}

}  // namespace sabir::cli
