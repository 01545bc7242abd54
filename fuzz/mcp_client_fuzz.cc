// What a hostile server of MCP can send: each line of the input is a message of it, after the client has asked for something; the first
// byte of a line says what is done before. Whatever comes, a call is answered once at most, what the client sends is JSON-RPC in one
// line, headers have no line ends, texts for terminals have no control characters, and metadata of OAuth is read or refused.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/mcp/authorization.h"
#include "sabir/mcp/client.h"
#include "sabir/protocol/raw_json.h"

namespace {

using namespace sabir;
using namespace sabir::mcp;

void check_harmless(const std::string& text) {
  if (find_invalid_utf8(text) != std::string::npos) std::abort();
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) std::abort();
  }
}

class Run {
 public:
  Run(bool newer, bool over_http) {
    ClientEvents events;
    events.send = [this](ClientMessage message) {
      if (!protocol::check_json(message.text) || message.text.find('\n') != std::string::npos) std::abort();
      for (const auto& [name, value] : message.headers) {
        if (value.find_first_of("\r\n") != std::string::npos) std::abort();
      }
      if (message.request != 0) last_ = message.request;
    };
    events.abandon = [](RequestId) {};
    events.tools_changed = [] {};
    events.log = [](std::string_view level, std::string_view text) {
      check_harmless(std::string(level));
      check_harmless(std::string(text));
    };
    events.later = [this](std::chrono::milliseconds, std::function<void()> task) {
      if (later_.size() < 100) later_.push_back(std::move(task));
    };
    client_ = std::make_unique<Client>(ClientOptions{"sabir", "1", "it", {}, over_http}, std::move(events));
    client_->connect([this](const Result<void>& outcome) { connected_ = outcome.has_value(); });
    if (newer) receive(R"({"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}}})");
    tools_.push_back(read_tool(*parse_json(R"({"name":"t","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"}}}})"), over_http));
  }

  // With the id of what was asked last.
  void receive(std::string_view result) { client_->receive(make_result(std::to_string(last_), result)); }

  void step(char what, std::string_view text) {
    switch (what) {
      case 'r':
        if (protocol::raw_members(text)) receive(text);
        break;
      case 'e':
        if (protocol::raw_members(text)) client_->receive("{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(last_) + ",\"error\":" + std::string(text) + "}");
        break;
      case 'l':
        if (connected_) client_->list_tools([this](Result<std::vector<ToolDefinition>> tools) {
          if (!tools) return;
          if (tools->size() > kMostTools) std::abort();
          for (const auto& tool : *tools) {
            if (read_tool(json::value(to_json(tool)), true).digest != tool.digest && tool.problem.empty()) std::abort();
            if (tool.problem.empty() && tools_.size() < 20) tools_.push_back(tool);
          }
        });
        break;
      case 'c':
        if (connected_) call(text);
        break;
      case 'x': client_->cancel(call_, "enough"); break;
      case 'u': client_->undelivered(last_, Error(ErrorCode::kUnavailable, "no"), !text.empty()); break;
      case 's': client_->no_answer_to_discover(); break;
      case 'a':
        if (auto answered = std::exchange(answered_, nullptr)) answered(std::string(protocol::raw_members(text) ? text : std::string_view("{}")));
        break;
      case 't':
        if (auto task = later_.empty() ? nullptr : std::move(later_.back())) {
          later_.pop_back();
          task();
        }
        break;
      default: client_->receive(text, text.size() % 3 == 0 ? last_ : 0);
    }
  }

  void end() { client_->close(Error(ErrorCode::kUnavailable, "gone")); }

 private:
  void call(std::string_view text) {
    ToolCall events;
    auto is_done = std::make_shared<bool>(false);
    events.done = [is_done](const Result<protocol::Payload>& outcome) {
      if (std::exchange(*is_done, true)) std::abort();
      if (outcome && !protocol::inflate(*outcome)) std::abort();
    };
    events.progress = [](const std::string& params) {
      if (!protocol::raw_members(params)) std::abort();
    };
    events.ask = [this](std::string questions, std::function<void(Result<std::string>)> answered) {
      if (!protocol::raw_members(questions)) std::abort();
      answered_ = std::move(answered);
    };
    call_ = client_->call_tool(tools_[text.size() % tools_.size()], protocol::raw_members(text) ? std::string(text) : "{}", std::move(events));
  }

  RequestId last_ = 0;
  bool connected_ = false;
  std::uint64_t call_ = 0;
  std::vector<ToolDefinition> tools_;
  std::vector<std::function<void()>> later_;
  std::function<void(Result<std::string>)> answered_;
  std::unique_ptr<Client> client_;
};

void check_authorization(std::string_view text) {
  const auto challenge = read_challenge(text);
  for (const auto& url : resource_metadata_urls(challenge, "https://rs.example/mcp")) {
    if (url.find_first_of("\r\n ") != std::string::npos) std::abort();
  }
  if (const auto resource = read_resource_metadata(text, "https://rs.example/mcp"); resource && origin_of(resource->resource) != "https://rs.example") std::abort();
  if (const auto server = read_server_metadata(text, "https://as.example"); server && (server->issuer != "https://as.example" || !is_private_enough(server->token_endpoint))) std::abort();
  (void)read_registration(text, "none");
  if (const auto tokens = read_tokens(200, text, 0, ""); tokens && tokens->access.find_first_of("\r\n ") != std::string::npos) std::abort();
  (void)origin_of(text);
  check_harmless(harmless(text, 1000));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  Run run((input.front() & 1) != 0, (input.front() & 2) != 0);
  input.remove_prefix(1);
  for (int lines = 0; !input.empty() && lines < 200; ++lines) {
    const std::size_t end = input.find('\n');
    const auto line = input.substr(0, end);
    if (!line.empty()) {
      run.step(line.front(), line.substr(1));
      check_authorization(line.substr(1));
    }
    if (end == std::string_view::npos) break;
    input.remove_prefix(end + 1);
  }
  run.end();
  return 0;
}
