#include "mcp_functions.h"

#include <algorithm>

#include "sabir/base/log.h"
#include "sabir/mcp/tool_definition.h"
#include "sabir/peers/status.h"

namespace sabir::runtime {
namespace {

constexpr std::size_t kMostDoc = 16'384;
constexpr std::size_t kMostSummary = 300;
constexpr int kDeepest = 64;

// Texts of a schema are read by people and models; all else stays as the server wrote it.
void make_harmless(json::value& value, int depth) {
  if (depth > kDeepest) return;
  if (value.is_array()) {
    for (auto& one : value.get_array()) make_harmless(one, depth + 1);
  } else if (value.is_object()) {
    for (auto& [key, inner] : value.get_object()) {
      if (inner.is_string() && (key == "description" || key == "title" || key == "$comment")) {
        const std::string_view text = inner.get_string();
        if (std::string clean = mcp::harmless(text, kMostDoc); clean != text) inner = clean;
      } else {
        make_harmless(inner, depth + 1);
      }
    }
  }
}

json::object harmless_schema(const json::object& schema) {
  json::value copy(schema);
  make_harmless(copy, 0);
  return std::move(copy.get_object());
}

std::string summary_of(const mcp::ToolDefinition& tool, const std::string& doc) {
  const std::string first = doc.substr(0, doc.find("\n\n"));
  std::string out = mcp::harmless(first.empty() ? tool.title : first, kMostSummary);
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

schema::FunctionSchema schema_of(const peers::OfferedTool& offered) {
  const auto& tool = offered.tool;
  schema::FunctionSchema out;
  out.name = tool.name;
  out.canonical = offered.canonical;
  out.line = offered.server->line;
  out.doc = mcp::harmless(tool.description.empty() ? tool.title : tool.description, kMostDoc);
  out.summary = summary_of(tool, out.doc);
  const auto effect = peers::effect_of(*offered.server, tool);
  out.effect = effect == "read" ? schema::Effect::kRead : effect == "irreversible" ? schema::Effect::kIrreversible : schema::Effect::kWrite;
  out.idempotent = tool.hint("idempotentHint");
  out.timeout_ms = offered.server->timeout_ms;
  out.input_schema = harmless_schema(tool.input_schema);
  if (!out.input_schema.contains("type")) out.input_schema["type"] = "object";
  out.output_schema = harmless_schema(tool.output_schema);
  const auto* properties = out.input_schema.if_contains("properties");
  const auto* required = out.input_schema.if_contains("required");
  if (!properties || !properties->is_object()) return out;
  for (const auto& [name, value] : properties->get_object()) {
    schema::Parameter parameter;
    parameter.name = parameter.canonical = name;
    parameter.kind = schema::ParameterKind::kKeyword;
    if (value.is_object()) {
      parameter.schema = value.get_object();
      parameter.doc = string_or(parameter.schema, "description");
    }
    parameter.required = required && required->is_array() && std::find(required->get_array().begin(), required->get_array().end(), json::value(name)) != required->get_array().end();
    out.parameters.push_back(std::move(parameter));
  }
  return out;
}

}  // namespace

McpFunctions::McpFunctions(net::Loop& loop, peers::ServersSetup setup) : root_(setup.root), loop_(loop), servers_(loop, std::move(setup)) {}

functions::Provided McpFunctions::functions(const project::Project& project) const {
  functions::Provided out;
  const auto at_server = [](const project::McpServer& server, Error error) { return std::move(error).at("config/mcp.yml", server.line); };
  auto pins = peers::Pins::read(project.root);
  if (!pins) {
    for (const auto& server : project.mcp_servers) out.unavailable.push_back({"config/mcp.yml", "mcp", "", pins.error(), server.prefix + "."});
    out.settled = false;
    return out;
  }
  auto offered = peers::offered(project, *pins);
  out.inputs = std::move(offered.inputs);
  const project::SourceFile source{project::SourceKind::kFunction, "mcp", "", project.root / "config" / "mcp.yml", "config/mcp.yml"};
  std::map<std::string, std::pair<std::size_t, std::size_t>> waiting;  // new and changed tools, by server
  for (const auto& one : offered.tools) {
    if (!one.is_allowed) continue;
    const auto& server = *one.server;
    const auto unavailable = [&](std::string why, std::string hint) {
      out.unavailable.push_back({"config/mcp.yml", "mcp", one.canonical, at_server(server, Error(ErrorCode::kUnavailable, std::move(why), std::move(hint))), one.address});
    };
    const std::string shown = one.address + ", of the MCP server '" + server.name + "',";
    if (!one.tool.problem.empty()) {
      unavailable(shown + " cannot be called: " + one.tool.problem, "Its maker has to mend it; `tools: {deny: […]}` takes it off the list.");
    } else if (one.consent == peers::Consent::kNew) {
      unavailable(shown + " waits for consent: nobody has looked at it yet", "See what it says, and consent: sabir mcp trust " + server.name);
    } else if (one.consent == peers::Consent::kChanged) {
      unavailable(shown + " has changed since it was consented to", "See what has changed, and consent: sabir mcp trust " + server.name);
    } else {
      out.functions.push_back({one.address, source, schema_of(one)});
      out.functions.back().source.module = server.prefix;
    }
  }
  for (const auto* server : offered.unknown) {
    const bool trusted = pins->knows(server->name);
    out.unavailable.push_back({"config/mcp.yml", "mcp", "", at_server(*server, trusted ? Error(ErrorCode::kUnavailable, "the MCP server '" + server->name + "' has not told its tools yet", "See why: sabir mcp servers")
                                                                                     : Error(ErrorCode::kUnavailable, "the MCP server '" + server->name + "' waits for consent: it has not been asked for its tools", "See what it offers, and consent: sabir mcp trust " + server->name)),
                               server->prefix + "."});
    // Another run may learn more.
    out.settled = out.settled && !trusted;
  }
  return out;
}

void McpFunctions::configure(const project::Project& project) {
  auto pins = peers::Pins::read(project.root);
  if (!pins) log(LogLevel::kWarning, to_text(pins.error()));
  by_prefix_.clear();
  for (const auto& server : project.mcp_servers) by_prefix_[server.prefix] = server.name;
  // What cannot be read is no consent.
  servers_.configure(project.mcp_servers, std::make_shared<const peers::Pins>(pins ? std::move(*pins) : peers::Pins()));
}

void McpFunctions::ask_unknown(const project::Project& project, std::function<void(bool)> done) {
  const auto pins = peers::Pins::read(project.root);
  std::vector<std::string> names;
  if (pins) {
    for (const auto* server : peers::offered(project, *pins).unknown) {
      if (pins->knows(server->name)) names.push_back(server->name);
    }
  }
  if (names.empty()) return done(false);
  servers_.list(names, [done = std::move(done)](const std::map<std::string, Error>&) { done(true); });
}

json::array McpFunctions::status(const project::Project& project) const { return peers::status_json(project, servers_.status()); }

functions::Provider::CallId McpFunctions::call(const functions::Function& function, workers::CallSpec spec, workers::CallEvents events) {
  peers::ServerCall call;
  const auto server = by_prefix_.find(function.source.module);
  call.server = server == by_prefix_.end() ? function.source.module : server->second;
  call.tool = function.schema.name;
  call.deadline = spec.deadline;
  call.is_read = function.schema.effect == schema::Effect::kRead;
  call.events.done = std::move(events.done);
  call.events.progress = std::move(events.progress);
  auto arguments = protocol::inflate(spec.arguments);
  if (!arguments) {
    loop_.post([done = std::move(call.events.done), error = std::move(arguments.error())] { done(fail(error)); });
    return 0;
  }
  call.arguments = std::move(*arguments);
  if (const auto client = spec.client) {
    const auto capabilities = parse_json(client->capabilities());
    const auto* elicitation = capabilities && capabilities->is_object() ? capabilities->get_object().if_contains("elicitation") : nullptr;
    if (elicitation && elicitation->is_object()) {
      call.events.elicitation = elicitation->get_object();
      if (call.events.elicitation.empty()) call.events.elicitation["form"] = json::object();
      call.events.ask = [client](std::string questions, std::function<void(Result<std::string>)> answered) { client->ask(questions, std::move(answered)); };
    }
    call.events.log = [client, address = function.address](std::string_view level, std::string_view text) { client->log(level, address, text); };
  }
  return servers_.call(std::move(call));
}

}  // namespace sabir::runtime
