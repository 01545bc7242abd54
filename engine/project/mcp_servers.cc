#include "sabir/project/mcp_servers.h"

#include <algorithm>
#include <set>

#include "sabir/base/text.h"
#include "sabir/project/configuration.h"
#include "sabir/secrets/secrets.h"
#include "shape.h"

namespace sabir::project {
namespace {

constexpr std::size_t kMostServers = 100;
constexpr const char* kFile = "config/mcp.yml";
constexpr std::string_view kSecret = "${secret:";
constexpr const char* kRevisions[] = {"2025-06-18", "2025-11-25", "2026-07-28"};

using Read = Result<void>;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::isalnum(static_cast<unsigned char>(text.front())) != 0 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
}

bool is_prefix(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text.front() >= 'a' && text.front() <= 'z' &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool is_variable(std::string_view text) {
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) == 0 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

std::string prefix_of(std::string_view name) {
  std::string out = to_snake_case(name);
  for (char& c : out) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) c = '_';
  }
  return out;
}

class Reader {
 public:
  Reader(const Shape& shape, const Project& project, McpServer& out, std::string at) : shape_(shape), project_(project), out_(out), at_(std::move(at)) {}

  Read read(const json::value& value) {
    if (!value.is_object()) {
      return fail(shape_.wrong(at_, "a server is a mapping, not " + kind_of(value), "Write {command: npx, args: [-y, some-server]} or {url: https://…/mcp}."));
    }
    const auto& object = value.get_object();
    out_.prefix = prefix_of(out_.name);
    const bool by_command = object.contains("command");
    if (by_command == object.contains("url")) {
      return fail(shape_.wrong(at_, "the server '" + out_.name + "' needs " + (by_command ? "one of 'command' and 'url', not both" : "'command' or 'url'"),
                               "command starts a server on this machine; url reaches one over HTTP."));
    }
    for (const char* key : {"args", "env", "cwd"}) {
      if (!by_command && object.contains(key)) return fail(shape_.wrong(at_ + "/" + key, "'" + std::string(key) + "' belongs to a server that is started by 'command'"));
    }
    for (const char* key : {"headers", "auth"}) {
      if (by_command && object.contains(key)) return fail(shape_.wrong(at_ + "/" + key, "'" + std::string(key) + "' belongs to a server that has a 'url'"));
    }
    for (const auto& read : {by_command ? &Reader::read_command : &Reader::read_address, &Reader::read_common, &Reader::read_tools, &Reader::read_effects}) {
      if (auto ok = (this->*read)(object); !ok) return ok;
    }
    return {};
  }

 private:
  Read text(const json::object& object, const char* key, std::string& out) {
    const auto* value = object.if_contains(key);
    if (!value) return {};
    auto read = shape_.text(*value, at_ + "/" + key);
    if (!read) return fail(std::move(read.error()));
    out = std::move(*read);
    return {};
  }

  Read with_secrets(const json::value& value, const std::string& at, std::string& out) {
    auto read = shape_.text(value, at);
    if (!read) return fail(std::move(read.error()));
    if (auto names = secrets_in(*read); !names) return fail(shape_.wrong(at, names.error().message, names.error().hint));
    out = std::move(*read);
    return {};
  }

  Read read_command(const json::object& object) {
    const auto& command = object.at("command");
    if (command.is_array()) {
      auto words = shape_.texts(command, at_ + "/command");
      if (!words) return fail(std::move(words.error()));
      if (words->empty()) return fail(shape_.wrong(at_ + "/command", "'command' names no program"));
      out_.command = std::move(*words);
    } else {
      auto program = shape_.text(command, at_ + "/command");
      if (!program) return fail(std::move(program.error()));
      out_.command = {std::move(*program)};
    }
    if (const auto* args = object.if_contains("args")) {
      if (!args->is_array()) return fail(shape_.wrong(at_ + "/args", "args must be a list, not " + kind_of(*args), "Write [-y, some-server]."));
      std::size_t index = 0;
      for (const auto& arg : args->get_array()) {
        const std::string at = at_ + "/args/" + std::to_string(index++);
        // An empty argument is one; a number is written as it stands.
        if (arg.is_string()) out_.command.emplace_back(arg.get_string());
        else if (arg.is_number()) out_.command.push_back(compact_json(arg));
        else return fail(shape_.wrong(at, "an argument must be text, not " + kind_of(arg), "Put it in quotes."));
      }
    }
    for (const auto& word : out_.command) {
      if (word.find(kSecret) != std::string::npos) {
        return fail(shape_.wrong(at_ + (object.contains("args") ? "/args" : "/command"), "a secret on a command line can be read by every program of this machine", "Pass it by a variable: env: {TOKEN: \"${secret:token}\"}."));
      }
    }
    if (const auto* env = object.if_contains("env")) {
      if (env->is_array()) {
        auto names = shape_.texts(*env, at_ + "/env");
        if (!names) return fail(std::move(names.error()));
        out_.passed = std::move(*names);
      } else if (env->is_object()) {
        for (const auto& one : env->get_object()) {
          std::string value;
          if (one.value().is_null()) {
            out_.passed.emplace_back(one.key());
            continue;
          }
          if (auto ok = with_secrets(one.value(), at_ + "/env/" + escape_pointer(one.key()), value); !ok) return ok;
          out_.environment.emplace_back(one.key(), std::move(value));
        }
      } else {
        return fail(shape_.wrong(at_ + "/env", "env must be a list of names or a mapping, not " + kind_of(*env), "Write [GITHUB_TOKEN] to pass it on, or {GITHUB_TOKEN: \"${secret:github_token}\"}."));
      }
      for (const auto& name : out_.passed) {
        if (!is_variable(name)) return fail(shape_.wrong(at_ + "/env", "'" + name + "' is no variable's name"));
      }
      for (const auto& [name, value] : out_.environment) {
        if (!is_variable(name)) return fail(shape_.wrong(at_ + "/env/" + escape_pointer(name), "'" + name + "' is no variable's name"));
      }
    }
    std::string cwd;
    if (auto ok = text(object, "cwd", cwd); !ok) return ok;
    out_.directory = cwd.empty() ? project_.root : (project_.root / cwd).lexically_normal();
    return {};
  }

  Read read_address(const json::object& object) {
    if (auto ok = text(object, "url", out_.url); !ok) return ok;
    if (!out_.url.starts_with("https://") && !out_.url.starts_with("http://")) {
      return fail(shape_.wrong(at_ + "/url", "'" + out_.url + "' is no address", "It begins with https://, or with http:// on this machine."));
    }
    if (out_.url.find(kSecret) != std::string::npos || out_.url.substr(0, out_.url.find('/', 8)).find('@') != std::string::npos) {
      return fail(shape_.wrong(at_ + "/url", "an address must not have a secret in it: it ends up in logs", "Send it in a header: headers: {Authorization: \"Bearer ${secret:token}\"}."));
    }
    if (const auto* headers = object.if_contains("headers")) {
      if (!headers->is_object()) return fail(shape_.wrong(at_ + "/headers", "headers must be a mapping, not " + kind_of(*headers), "Write {X-Api-Key: \"${secret:api_key}\"}."));
      for (const auto& one : headers->get_object()) {
        const std::string at = at_ + "/headers/" + escape_pointer(one.key());
        const std::string name(one.key());
        if (name.empty() || !std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; })) {
          return fail(shape_.wrong(at, "'" + name + "' is no header's name"));
        }
        std::string lower = name;
        std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (lower.starts_with("mcp-") || lower == "content-type" || lower == "accept" || lower == "host" || lower == "content-length" || lower == "last-event-id") {
          return fail(shape_.wrong(at, "the header '" + name + "' is the protocol's own"));
        }
        std::string value;
        if (auto ok = with_secrets(one.value(), at, value); !ok) return ok;
        out_.headers.emplace_back(name, std::move(value));
      }
    }
    const auto* auth = object.if_contains("auth");
    return auth ? read_auth(*auth) : Read();
  }

  Read read_auth(const json::value& value) {
    const std::string before = at_;
    at_ += "/auth";
    auto done = read_auth_at(value);
    at_ = before;
    return done;
  }

  Read read_auth_at(const json::value& value) {
    if (!value.is_object()) return fail(shape_.wrong(at_, "auth must be a mapping, not " + kind_of(value), "Write {bearer: \"${secret:token}\"} or {client_id: …}."));
    const auto& object = value.get_object();
    auto& auth = out_.auth;
    if (const auto* bearer = object.if_contains("bearer")) {
      if (object.size() > 1) return fail(shape_.wrong(at_, "'bearer' stands alone: a token needs no OAuth"));
      auth.kind = McpAuth::Kind::kBearer;
      return with_secrets(*bearer, at_ + "/bearer", auth.bearer);
    }
    std::string grant = "authorization_code";
    if (auto ok = text(object, "grant", grant); !ok) return ok;
    if (grant != "authorization_code" && grant != "client_credentials") {
      return fail(shape_.wrong(at_ + "/grant", "grant cannot be '" + grant + "'", "authorization_code: a person logs in (sabir mcp login). client_credentials: the client itself."));
    }
    if (grant == "client_credentials") auth.kind = McpAuth::Kind::kCredentials;
    for (const auto& [key, target] : {std::pair("client_id", &auth.client_id), std::pair("client_secret", &auth.client_secret), std::pair("client_metadata", &auth.client_metadata)}) {
      const auto* one = object.if_contains(key);
      if (!one) continue;
      if (auto ok = with_secrets(*one, at_ + "/" + key, *target); !ok) return ok;
    }
    if (auth.kind == McpAuth::Kind::kCredentials && (auth.client_id.empty() || auth.client_secret.empty())) {
      return fail(shape_.wrong(at_, "client_credentials need 'client_id' and 'client_secret'", "Write client_secret: \"${secret:NAME}\"."));
    }
    if (!auth.client_secret.empty() && auth.client_id.empty()) return fail(shape_.wrong(at_ + "/client_secret", "a 'client_secret' needs its 'client_id'"));
    if (!auth.client_metadata.empty() && (!auth.client_metadata.starts_with("https://") || auth.client_metadata.find('/', 8) == std::string::npos)) {
      return fail(shape_.wrong(at_ + "/client_metadata", "'" + auth.client_metadata + "' is no address of a metadata document", "It begins with https:// and has a path."));
    }
    if (const auto* scopes = object.if_contains("scopes")) {
      auto list = shape_.texts(*scopes, at_ + "/scopes");
      if (!list) return fail(std::move(list.error()));
      auth.scopes = std::move(*list);
    }
    if (const auto* port = object.if_contains("redirect_port")) {
      auto number = shape_.whole(*port, at_ + "/redirect_port", 1, 65535);
      if (!number) return fail(std::move(number.error()));
      auth.redirect_port = *number;
    }
    return {};
  }

  Read read_common(const json::object& object) {
    if (auto ok = text(object, "prefix", out_.prefix); !ok) return ok;
    if (!is_prefix(out_.prefix)) {
      return fail(shape_.wrong(object.contains("prefix") ? at_ + "/prefix" : at_, "'" + out_.prefix + "' cannot begin an address", "Set prefix: to lower-case letters, digits and '_', a letter first."));
    }
    if (const auto* enabled = object.if_contains("enabled")) {
      if (!enabled->is_bool()) return fail(shape_.wrong(at_ + "/enabled", "enabled must be true or false, not " + kind_of(*enabled)));
      out_.enabled = enabled->get_bool();
    }
    for (const auto& [key, target] : {std::pair("timeout", &out_.timeout_ms), std::pair("start_timeout", &out_.start_timeout_ms)}) {
      const auto* value = object.if_contains(key);
      if (!value) continue;
      auto ms = shape_.duration_ms(*value, at_ + "/" + key);
      if (!ms) return fail(std::move(ms.error()));
      *target = *ms;
    }
    if (auto ok = text(object, "revision", out_.revision); !ok) return ok;
    if (!out_.revision.empty() && std::find(std::begin(kRevisions), std::end(kRevisions), out_.revision) == std::end(kRevisions)) {
      return fail(shape_.wrong(at_ + "/revision", "the revision " + out_.revision + " is not spoken", "There are 2025-06-18, 2025-11-25 and 2026-07-28; without the key the newest is used that both know."));
    }
    return {};
  }

  Read read_tools(const json::object& object) {
    const auto* tools = object.if_contains("tools");
    if (!tools) return {};
    const std::string at = at_ + "/tools";
    if (tools->is_array()) {
      auto names = shape_.texts(*tools, at);
      if (!names) return fail(std::move(names.error()));
      out_.allow = std::move(*names);
      return {};
    }
    if (!tools->is_object()) return fail(shape_.wrong(at, "tools must be a list of names or a mapping, not " + kind_of(*tools), "Write {allow: [search_*], deny: [search_private]}."));
    for (const auto& [key, target] : {std::pair("allow", &out_.allow), std::pair("deny", &out_.deny)}) {
      const auto* list = tools->get_object().if_contains(key);
      if (!list) continue;
      auto names = shape_.texts(*list, at + "/" + key);
      if (!names) return fail(std::move(names.error()));
      *target = std::move(*names);
    }
    return {};
  }

  Read read_effects(const json::object& object) {
    const auto* effects = object.if_contains("effects");
    if (!effects) return {};
    const std::string at = at_ + "/effects";
    if (!effects->is_object()) return fail(shape_.wrong(at, "effects must be a mapping, not " + kind_of(*effects), "Write {search_*: read, delete_*: irreversible}."));
    for (const auto& one : effects->get_object()) {
      const std::string here = at + "/" + escape_pointer(one.key());
      auto effect = shape_.text(one.value(), here);
      if (!effect) return fail(std::move(effect.error()));
      if (*effect != "read" && *effect != "write" && *effect != "irreversible") {
        return fail(shape_.wrong(here, "'" + *effect + "' is no effect", "There are read, write and irreversible."));
      }
      out_.effects.emplace_back(one.key(), std::move(*effect));
    }
    return {};
  }

  const Shape& shape_;
  const Project& project_;
  McpServer& out_;
  std::string at_;
};

}  // namespace

bool is_allowed(const McpServer& server, std::string_view tool) {
  const auto in = [&](const std::vector<std::string>& patterns) { return std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return name_matches(p, tool); }); };
  return (server.allow.empty() || in(server.allow)) && !in(server.deny);
}

Result<std::vector<std::string>> secrets_in(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t at = secrets::find_reference(text); at != std::string_view::npos; at = secrets::find_reference(text, at + 1)) {
    const std::size_t begin = at + kSecret.size();
    const std::size_t end = text.find('}', begin);
    const std::string name(text.substr(begin, end == std::string_view::npos ? end : end - begin));
    const bool plain = !name.empty() && name.size() <= 100 && name.front() >= 'a' && name.front() <= 'z' &&
                       std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
    if (end == std::string_view::npos || !plain) return fail(ErrorCode::kConfig, "'" + name + "' is no secret's name", "Write ${secret:github_token}: lower-case letters, digits and _.");
    out.push_back(name);
  }
  return out;
}

std::vector<std::string> secrets_of(const McpServer& server) {
  std::set<std::string> names;
  const auto add = [&](std::string_view text) {
    if (auto found = secrets_in(text)) names.insert(found->begin(), found->end());
  };
  for (const auto& [name, value] : server.environment) add(value);
  for (const auto& [name, value] : server.headers) add(value);
  for (const auto* text : {&server.auth.bearer, &server.auth.client_id, &server.auth.client_secret}) add(*text);
  return {names.begin(), names.end()};
}

Result<void> read_mcp_servers(Project& project) {
  auto read = load_configuration(project.root, kFile, project.environment);
  if (!read) return fail(std::move(read.error()));
  project.inputs.add(read->inputs);
  const Shape shape{kFile, std::move(read->positions)};
  const auto* servers = read->value.if_contains("servers");
  if (!servers) return {};
  if (!servers->is_object()) return fail(shape.wrong("/servers", "servers must be a mapping, not " + kind_of(*servers), "Write servers: {github: {url: https://…/mcp}}."));
  if (servers->get_object().size() > kMostServers) return fail(shape.wrong("/servers", "there are more than " + std::to_string(kMostServers) + " servers"));
  for (const auto& one : servers->get_object()) {
    const std::string at = "/servers/" + escape_pointer(one.key());
    McpServer server;
    server.name = one.key();
    server.line = position_of(shape.positions, at).first;
    if (!is_name(server.name)) return fail(shape.wrong(at, "'" + server.name + "' cannot name a server", "Use letters, digits, '-', '_' and '.', at most 64."));
    if (auto ok = Reader(shape, project, server, at).read(one.value()); !ok) return ok;
    for (const auto& other : project.mcp_servers) {
      if (other.prefix == server.prefix) {
        return fail(shape.wrong(at, "the servers '" + other.name + "' and '" + server.name + "' have the same prefix '" + server.prefix + "'", "Give one of them another with prefix:."));
      }
    }
    project.mcp_servers.push_back(std::move(server));
  }
  return {};
}

}  // namespace sabir::project
