#include "sabir/peers/kept_tools.h"

#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::peers {
namespace fs = std::filesystem;
namespace {

constexpr int kFormat = 1;
constexpr std::size_t kMostFile = std::size_t{64} << 20U;

// Whose tools they are: another program or address has others.
std::string entry_of(const project::McpServer& server) {
  std::string all = server.url + "\n" + server.directory.string();
  for (const auto& word : server.command) all += "\n" + word;
  return fingerprint(all);
}

std::optional<json::object> read_object(const fs::path& file, const project::McpServer& server) {
  auto text = read_file(file, kMostFile);
  auto value = text ? parse_json(*text) : Result<json::value>(fail(text.error()));
  if (!value || !value->is_object()) return std::nullopt;
  const auto* format = value->get_object().if_contains("format");
  if (!format || *format != kFormat || string_or(value->get_object(), "entry") != entry_of(server)) return std::nullopt;
  return std::move(value->get_object());
}

std::vector<mcp::ToolDefinition> tools_of(const json::object& object, bool with_headers) {
  std::vector<mcp::ToolDefinition> out;
  const auto* tools = object.if_contains("tools");
  if (!tools || !tools->is_array()) return out;
  for (const auto& one : tools->get_array()) out.push_back(mcp::read_tool(one, with_headers));
  return out;
}

Result<void> write_object(const fs::path& file, const project::McpServer& server, json::object object, const std::vector<mcp::ToolDefinition>& tools) {
  json::array list;
  for (const auto& tool : tools) list.push_back(mcp::to_json(tool));
  object["format"] = kFormat;
  object["entry"] = entry_of(server);
  object["tools"] = std::move(list);
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  const std::string text = compact_json(object) + "\n";
  // The same again would look like a change to whoever keeps what was made of it.
  if (const auto now = read_file(file, kMostFile); now && *now == text) return {};
  return write_file(file, text);
}

fs::path trusted_file(const fs::path& state_dir, const std::string& server) { return state_dir / "mcp" / (server + ".trusted.json"); }

}  // namespace

fs::path kept_file(const fs::path& state_dir, const std::string& server) { return state_dir / "mcp" / (server + ".tools.json"); }

std::optional<KeptTools> read_kept(const fs::path& state_dir, const project::McpServer& server) {
  const auto object = read_object(kept_file(state_dir, server.name), server);
  if (!object) return std::nullopt;
  KeptTools out;
  out.revision = string_or(*object, "revision");
  out.server_name = string_or(*object, "server");
  out.tools = tools_of(*object, !server.url.empty() && out.revision == "2026-07-28");
  return out;
}

Result<void> keep(const fs::path& state_dir, const project::McpServer& server, const KeptTools& tools) {
  return write_object(kept_file(state_dir, server.name), server, {{"revision", tools.revision}, {"server", tools.server_name}}, tools.tools);
}

std::optional<std::vector<mcp::ToolDefinition>> read_trusted(const fs::path& state_dir, const project::McpServer& server) {
  const auto object = read_object(trusted_file(state_dir, server.name), server);
  if (!object) return std::nullopt;
  return tools_of(*object, false);
}

Result<void> keep_trusted(const fs::path& state_dir, const project::McpServer& server, const std::vector<mcp::ToolDefinition>& tools) {
  return write_object(trusted_file(state_dir, server.name), server, {}, tools);
}

}  // namespace sabir::peers
