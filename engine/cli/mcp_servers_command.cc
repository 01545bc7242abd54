// sabir mcp servers | trust | login | logout | add: the servers of config/mcp.yml whose tools are functions of the project.
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "command.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/peers/status.h"
#include "sabir/project/secret_settings.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;

constexpr const char* kFile = "config/mcp.yml";
constexpr std::chrono::minutes kLogin{5};

struct Opened {
  project::Project project;
  peers::ServersSetup setup;
};

Result<Opened> open(const Globals& globals) {
  auto root = project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
  if (!root) return fail(std::move(root.error()));
  auto loaded = project::load(*root, globals.session.environment);
  if (!loaded) return fail(std::move(loaded.error()));
  Opened out;
  out.project = std::move(*loaded);
  out.setup.root = out.project.root;
  out.setup.state_dir = out.project.state_dir();
  auto settings = project::read_secret_settings(out.project.root, out.project.environment, out.project.name);
  if (!settings) return fail(std::move(settings.error()));
  out.setup.secrets = std::make_shared<secrets::Secrets>(out.project.root, std::move(*settings));
  out.setup.secrets->install_redactor();
  return out;
}

Result<const project::McpServer*> server_of(const project::Project& project, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& server : project.mcp_servers) {
    if (server.name == name) return &server;
    names.push_back(server.name);
  }
  std::string hint = did_you_mean(name, names);
  if (hint.empty()) hint = names.empty() ? "Add one: sabir mcp add " + name + " -- COMMAND…, or with its URL." : "There are: " + join(names, ", ") + ".";
  return fail(Error(ErrorCode::kNotFound, std::string(kFile) + " names no MCP server '" + name + "'", std::move(hint)));
}

// ---- servers -----------------------------------------------------------------------------------------------------------------

void show_server(const json::object& server) {
  const auto number = [&](const char* key) {
    const auto* value = server.if_contains(key);
    return value && value->is_int64() ? value->get_int64() : 0;
  };
  const bool known = server.at("known").get_bool();
  const auto& waiting = server.at("waiting").get_array();
  std::string line = styled(string_or(server, "name"), "1") + "  " + std::string(string_or(server, "state"));
  if (const auto revision = string_or(server, "revision"); !revision.empty()) line += "  " + std::string(revision);
  line += known ? "  " + std::to_string(number("tools")) + (number("tools") == 1 ? " tool" : " tools") : "  not asked for its tools yet";
  if (number("hidden") > 0) line += ", " + std::to_string(number("hidden")) + " not allowed";
  print(line + "  " + styled(string_or(server, "transport") == "http" ? string_or(server, "url") : string_or(server, "command"), "2"));
  for (const auto& one : waiting) {
    const auto& tool = one.get_object();
    print("  " + std::string(string_or(tool, "address")) + "  " + styled(string_or(tool, "why"), "33"));
  }
  if (!waiting.empty() || !known) print("  " + styled("consent: sabir mcp trust " + std::string(string_or(server, "name")), "2"));
  if (const auto* error = server.if_contains("error"); error && error->is_object()) print("  " + styled(to_text(error_from_json(error->get_object())), "31"));
}

void list_servers(Globals& globals) {
  json::array servers;
  auto session = Session::join(globals.session);
  if (session && *session) {
    const auto answer = (*session)->ask("mcp.servers", {});
    if (!answer) return fail_with(globals, answer.error());
    servers = answer->at("servers").as_array();
  } else {
    auto opened = open(globals);
    if (!opened) return fail_with(globals, opened.error());
    servers = peers::status_json(opened->project, {});
  }
  if (globals.json) return print_json({{"servers", servers}});
  for (const auto& server : servers) show_server(server.get_object());
  if (servers.empty()) note("There are none. `sabir mcp add NAME -- COMMAND…` or `sabir mcp add NAME URL` adds one.");
}

// ---- trust -------------------------------------------------------------------------------------------------------------------

std::string_view kind_name(peers::ToolChange::Kind kind) {
  return kind == peers::ToolChange::Kind::kNew ? "new" : kind == peers::ToolChange::Kind::kChanged ? "changed" : "gone";
}

bool person_agrees(const std::string& name) {
  std::cerr << "Consent to these tools of '" << name << "'? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

void trust(Globals& globals, const std::string& name, bool yes) {
  auto opened = open(globals);
  if (!opened) return fail_with(globals, opened.error());
  const auto server = server_of(opened->project, name);
  if (!server) return fail_with(globals, server.error());
  auto pins = peers::Pins::read(opened->project.root);
  if (!pins) return fail_with(globals, pins.error());
  auto told = peers::ask_for_tools(**server, opened->setup);
  if (!told) return fail_with(globals, told.error());
  std::erase_if(told->tools, [&](const auto& tool) { return !project::is_allowed(**server, tool.name); });
  const auto changes = peers::changes(name, *pins, peers::read_trusted(opened->project.state_dir(), **server), told->tools);
  json::array listed;
  for (const auto& change : changes) {
    const std::string tool = mcp::harmless(change.tool, 256);
    listed.push_back(json::object{{"tool", tool}, {"kind", kind_name(change.kind)}, {"text", change.text}});
    if (globals.json) continue;
    const auto at = std::find_if(told->tools.begin(), told->tools.end(), [&](const auto& one) { return one.name == change.tool; });
    const std::string effect = at == told->tools.end() ? "" : "  " + peers::effect_of(**server, *at);
    print(styled(kind_name(change.kind), change.kind == peers::ToolChange::Kind::kChanged ? "33" : "32") + " " + styled(tool, "1") + effect);
    if (at != told->tools.end() && !at->problem.empty()) print("    cannot be called: " + at->problem);
    if (!change.text.empty()) std::cout << change.text;
  }
  if (!globals.json) std::cout << std::flush;
  const bool is_given = changes.empty() || yes || (!globals.json && ::isatty(STDIN_FILENO) == 1 && person_agrees(name));
  if (is_given) {
    pins->set(name, told->tools);
    if (auto written = pins->write(opened->project.root); !written) return fail_with(globals, written.error());
    if (auto kept = peers::keep_trusted(opened->project.state_dir(), **server, told->tools); !kept) return fail_with(globals, kept.error());
  } else {
    globals.exit_code = 1;
  }
  if (globals.json) return print_json({{"server", name}, {"trusted", is_given}, {"tools", told->tools.size()}, {"changes", listed}});
  if (!is_given) return note("Nothing has been consented to. `sabir mcp trust " + name + " --yes` does so without asking.");
  print(std::to_string(told->tools.size()) + " tools of '" + name + "' can be called" + (changes.empty() ? ": nothing has changed" : "; commit " + std::string(peers::kLockFile)));
}

// ---- login, logout -----------------------------------------------------------------------------------------------------------

void log_in(Globals& globals, const std::string& name) {
  auto opened = open(globals);
  if (!opened) return fail_with(globals, opened.error());
  const auto server = server_of(opened->project, name);
  if (!server) return fail_with(globals, server.error());
  const auto show = [&](const std::string& url) {
    if (globals.json) return print(compact_json(json::object{{"event", "open"}, {"url", url}}));
    print("Open this address in a browser on this machine:\n\n  " + url + "\n");
  };
  if (auto done = peers::login(**server, opened->setup, show, kLogin); !done) return fail_with(globals, done.error());
  if (globals.json) return print(compact_json(json::object{{"event", "logged_in"}, {"server", name}}));
  print("logged in to '" + name + "'");
}

void log_out(Globals& globals, const std::string& name) {
  auto opened = open(globals);
  if (!opened) return fail_with(globals, opened.error());
  const auto server = server_of(opened->project, name);
  if (!server) return fail_with(globals, server.error());
  const bool was = peers::logout(**server, opened->setup);
  if (globals.json) return print_json({{"server", name}, {"logged_out", was}});
  print(was ? "logged out of '" + name + "'" : "nobody was logged in to '" + name + "'");
}

// ---- add ---------------------------------------------------------------------------------------------------------------------

// As YAML takes it: in double quotes, which JSON's are. What looks like a variable stays as it is written.
std::string quoted(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool opens = text.compare(at, 2, "${") == 0 && text.compare(at, 9, "${secret:") != 0;
    out += opens ? "$$" : std::string(1, text[at]);
  }
  return json::serialize(json::value(out));
}

struct Added {
  std::string name;
  std::vector<std::string> words;  // a URL, or a command with its arguments
  std::vector<std::string> env;
  std::vector<std::string> headers;
  std::string prefix;
};

Result<std::string> entry_of(const Added& added, const std::string& indent) {
  const bool by_url = added.words.size() == 1 && (added.words.front().starts_with("https://") || added.words.front().starts_with("http://"));
  std::string out = indent + added.name + ":\n";
  const std::string inner = indent + indent;
  if (by_url) {
    out += inner + "url: " + quoted(added.words.front()) + "\n";
  } else {
    out += inner + "command: " + quoted(added.words.front()) + "\n";
    std::string args;
    for (std::size_t i = 1; i < added.words.size(); ++i) args += (i > 1 ? ", " : "") + quoted(added.words[i]);
    if (!args.empty()) out += inner + "args: [" + args + "]\n";
  }
  if (!added.prefix.empty()) out += inner + "prefix: " + quoted(added.prefix) + "\n";
  if (!by_url && !added.headers.empty()) return fail(ErrorCode::kUsage, "--header belongs to a URL, not to a command");
  if (by_url && !added.env.empty()) return fail(ErrorCode::kUsage, "--variable belongs to a command, not to a URL");
  if (!added.env.empty()) {
    out += inner + "env:\n";
    for (const auto& one : added.env) {
      const std::size_t equals = one.find('=');
      out += inner + indent + one.substr(0, equals) + ":" + (equals == std::string::npos ? "" : " " + quoted(one.substr(equals + 1))) + "\n";
    }
  }
  if (!added.headers.empty()) {
    out += inner + "headers:\n";
    for (const auto& one : added.headers) {
      const std::size_t colon = one.find(':');
      if (colon == std::string::npos) return fail(ErrorCode::kUsage, "the header '" + one + "' has no ':'", "Write --header 'X-Api-Key: ${secret:api_key}'.");
      out += inner + indent + one.substr(0, colon) + ": " + quoted(std::string(trim(one.substr(colon + 1)))) + "\n";
    }
  }
  return out;
}

// The file's text with an entry more; comments and order stay.
Result<std::string> with_entry(const std::string& text, const Added& added) {
  if (trim(text).empty()) {
    auto entry = entry_of(added, "  ");
    if (!entry) return entry;
    return "# Servers of the Model Context Protocol whose tools are functions of this project: docs/mcp.md.\nservers:\n" + *entry;
  }
  std::size_t begin = 0;
  while (begin < text.size() && text.compare(begin, 8, "servers:") != 0) begin = std::min(text.find('\n', begin), text.size() - 1) + 1;
  if (begin >= text.size()) {
    auto entry = entry_of(added, "  ");
    if (!entry) return entry;
    return text + (text.ends_with('\n') ? "" : "\n") + "servers:\n" + *entry;
  }
  const std::size_t end = std::min(text.find('\n', begin), text.size());
  std::string line = text.substr(begin, end - begin);
  std::string rest(trim(std::string_view(line).substr(8)));
  if (rest.starts_with("{}")) {
    line = "servers:" + rest.substr(2);
  } else if (!rest.empty() && rest.front() != '#') {
    return fail(Error(ErrorCode::kConfig, "'servers' is written on one line", "Write each server on lines of its own, then add again.").at(kFile, 1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(begin), '\n'))));
  }
  // As deep as the first entry stands.
  std::string indent = "  ";
  for (std::size_t at = end; at < text.size(); at = std::min(text.find('\n', at + 1), text.size())) {
    const auto next = std::string_view(text).substr(at + 1, text.find('\n', at + 1) - at - 1);
    const std::size_t word = next.find_first_not_of(' ');
    if (word == std::string_view::npos || next[word] == '#') continue;
    if (word > 0) indent = std::string(word, ' ');
    break;
  }
  auto entry = entry_of(added, indent);
  if (!entry) return entry;
  return text.substr(0, begin) + line + "\n" + *entry + (end < text.size() ? text.substr(end + 1) : "");
}

void add_server(Globals& globals, const Added& added) {
  auto opened = open(globals);
  if (!opened) return fail_with(globals, opened.error());
  for (const auto& server : opened->project.mcp_servers) {
    if (server.name == added.name) return fail_with(globals, Error(ErrorCode::kExists, "there is an MCP server '" + added.name + "' already", "Choose another name, or change it in the file.").at(kFile, server.line));
  }
  const auto file = opened->project.root / kFile;
  auto before = read_file(file, std::size_t{1} << 20U);
  if (!before && before.error().code != ErrorCode::kNotFound) return fail_with(globals, before.error());
  auto after = with_entry(before ? *before : std::string(), added);
  if (!after) return fail_with(globals, after.error());
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (auto written = write_file(file, *after); !written) return fail_with(globals, written.error());
  // What cannot be read again has not been added.
  if (auto again = project::load(opened->project.root, globals.session.environment); !again) {
    if (before) (void)write_file(file, *before);
    else fs::remove(file, error);
    return fail_with(globals, again.error());
  }
  if (globals.json) return print_json({{"added", added.name}, {"file", kFile}});
  print("added '" + added.name + "' to " + kFile);
  print("next: sabir mcp trust " + added.name);
}

}  // namespace

void add_mcp_server_commands(Command& command, Globals& globals, const std::shared_ptr<bool>& taken) {
  auto name = std::make_shared<std::string>();
  auto yes = std::make_shared<bool>(false);
  auto added = std::make_shared<Added>();
  const auto action = [taken](std::function<void()> does) {
    return [taken, does = std::move(does)] {
      *taken = true;
      does();
    };
  };

  auto* const servers = command.add_subcommand("servers", "List the servers of config/mcp.yml: state, revision, tools, what waits for consent.");
  add_common(*servers, globals);
  servers->callback(action([&globals] { list_servers(globals); }));

  auto* const trusting = command.add_subcommand("trust", "Show what is new or changed of a server's tools, and consent to it.");
  add_common(*trusting, globals);
  trusting->add_option("NAME", *name, "the server's name in config/mcp.yml").required();
  trusting->add_flag("--yes", *yes, "consent without being asked");
  trusting->callback(action([&globals, name, yes] { trust(globals, *name, *yes); }));

  auto* const login = command.add_subcommand("login", "Log in to a server that asks for it (OAuth 2.1).");
  add_common(*login, globals);
  login->add_option("NAME", *name, "the server's name in config/mcp.yml").required();
  login->callback(action([&globals, name] { log_in(globals, *name); }));

  auto* const logout = command.add_subcommand("logout", "Forget the tokens for a server.");
  add_common(*logout, globals);
  logout->add_option("NAME", *name, "the server's name in config/mcp.yml").required();
  logout->callback(action([&globals, name] { log_out(globals, *name); }));

  auto* const adding = command.add_subcommand("add", "Write a server into config/mcp.yml: sabir mcp add NAME URL, or sabir mcp add NAME -- COMMAND ARGUMENTS…");
  add_common(*adding, globals);
  adding->add_option("NAME", added->name, "what to call it").required();
  adding->add_option("WORDS", added->words, "its URL, or -- and the command that starts it").required();
  adding->add_option("--variable", added->env, "NAME passes a variable on, NAME=VALUE sets it; VALUE may be ${secret:NAME}").one_each();
  adding->add_option("--header", added->headers, "'Name: value' for a URL; the value may be ${secret:NAME}").one_each();
  adding->add_option("--prefix", added->prefix, "of its functions' addresses (default: its name)");
  adding->callback(action([&globals, added] { add_server(globals, *added); }));
}

}  // namespace sabir::cli
