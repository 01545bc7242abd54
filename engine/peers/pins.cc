#include "sabir/peers/pins.h"

#include "sabir/base/file.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"

namespace sabir::peers {
namespace {

constexpr int kFormat = 1;
constexpr std::size_t kMostFile = std::size_t{16} << 20U;

std::unexpected<Error> unreadable(const std::string& why) {
  return fail(Error(ErrorCode::kConfig, why, "Take it back from version control, or delete it and consent again with `sabir mcp trust`.").at(kLockFile));
}

}  // namespace

Result<Pins> Pins::read(const std::filesystem::path& root) {
  Pins out;
  auto text = read_file(root / kLockFile, kMostFile);
  if (!text) {
    if (text.error().code == ErrorCode::kNotFound) return out;
    return fail(std::move(text.error()));
  }
  auto value = parse_json(*text);
  if (!value || !value->is_object()) return unreadable("the record of consent is no JSON object: " + (value ? std::string("it is something else") : value.error().message));
  const auto& object = value->get_object();
  const auto* format = object.if_contains("format");
  if (!format || !format->is_int64() || format->get_int64() != kFormat) return unreadable("the record of consent has a format that this engine does not know");
  const auto* servers = object.if_contains("servers");
  if (!servers || !servers->is_object()) return unreadable("the record of consent has no 'servers'");
  for (const auto& server : servers->get_object()) {
    if (!server.value().is_object()) return unreadable("the record of consent is not of the form {server: {tool: digest}}");
    auto& tools = out.digests_[server.key()];
    for (const auto& tool : server.value().get_object()) {
      if (!tool.value().is_string()) return unreadable("the record of consent is not of the form {server: {tool: digest}}");
      tools[tool.key()] = tool.value().get_string();
    }
  }
  return out;
}

Result<void> Pins::write(const std::filesystem::path& root) const {
  json::object servers;
  for (const auto& [server, tools] : digests_) {
    json::object out;
    for (const auto& [tool, digest] : tools) out[tool] = digest;
    servers[server] = std::move(out);
  }
  return write_file(root / kLockFile, pretty_json(json::object{{"format", kFormat}, {"servers", std::move(servers)}}) + "\n");
}

Consent Pins::consent(std::string_view server, const mcp::ToolDefinition& tool) const {
  const auto of_server = digests_.find(server);
  if (of_server == digests_.end()) return Consent::kNew;
  const auto digest = of_server->second.find(tool.name);
  if (digest == of_server->second.end()) return Consent::kNew;
  return digest->second == tool.digest ? Consent::kGiven : Consent::kChanged;
}

bool Pins::knows(std::string_view server) const { return digests_.contains(server); }

void Pins::set(const std::string& server, const std::vector<mcp::ToolDefinition>& tools) {
  auto& own = digests_[server];
  own.clear();
  for (const auto& tool : tools) own[tool.name] = tool.digest;
}

bool Pins::forget(std::string_view server) {
  const auto found = digests_.find(server);
  if (found == digests_.end()) return false;
  digests_.erase(found);
  return true;
}

std::vector<std::string> Pins::servers() const {
  std::vector<std::string> out;
  for (const auto& [server, tools] : digests_) out.push_back(server);
  return out;
}

std::vector<std::string> Pins::tools(std::string_view server) const {
  std::vector<std::string> out;
  const auto found = digests_.find(server);
  if (found == digests_.end()) return out;
  for (const auto& [tool, digest] : found->second) out.push_back(tool);
  return out;
}

}  // namespace sabir::peers
