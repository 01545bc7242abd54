// MCP messages: each line of the input is one from a client, of either era. Whatever comes, the server answers a request at most once,
// what it sends is JSON-RPC, URI templates match no more than they could have made, and nobody opens what was not sealed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/mcp/content.h"
#include "sabir/mcp/headers.h"
#include "sabir/mcp/server.h"
#include "sabir/protocol/raw_json.h"

namespace {

using namespace sabir;
using namespace sabir::mcp;

class FuzzHost final : public Host {
 public:
  FuzzHost() {
    auto made = std::make_shared<Catalogue>();
    made->tools.push_back({"now", "a.now", "", "Answers at once.", {{"type", "object"}}, {{"type", "string"}}, true});
    made->tools.push_back({"ask", "a.ask", "", "Asks.", parse_json(R"({"type":"object","properties":{"r":{"type":"string","x-mcp-header":"R"}}})")->get_object()});
    made->prompts.push_back({"p", "", "A prompt.", {{"x", "", true, {{"enum", json::array{"a", "b"}}}}}});
    made->templates.push_back({"t://{a}/{+b}", "t", "", "", "", "", false, {{"a"}, {"b"}}});
    made->finish();
    catalogue_ = made;
  }
  std::shared_ptr<const Catalogue> catalogue() override { return catalogue_; }
  void call_tool(WorkPtr work, std::shared_ptr<const Catalogue>, const Tool& tool, std::string arguments) override {
    if (!protocol::check_json(arguments)) std::abort();
    work->progress(1, 2, "half");
    work->log(Severity::kWarning, "f", "a record");
    if (tool.name == "now") {
      const auto members = tool_result(work->revision(), tool, {std::move(arguments), {}});
      work->answer_members(members ? *members : tool_failure(members.error()));
      return;
    }
    const json::object questions{{"k", {{"method", "elicitation/create"}, {"params", json::object{{"message", "?"}}}}}, {"r", {{"method", "roots/list"}}}};
    work->ask(questions, [work](Result<json::object> answers) {
      if (answers && work->consume()) return work->answer({{"content", json::array()}, {"structuredContent", std::move(*answers)}});
      work->answer_members(tool_failure(Error(ErrorCode::kCancelled, "no")));
    }, Work::Trust::kAskedAlone);
  }
  void get_prompt(WorkPtr work, std::shared_ptr<const Catalogue>, const Prompt&, json::object arguments) override {
    auto messages = prompt_messages(protocol::Payload{compact_json(arguments), {}});
    if (messages) work->answer({{"messages", std::move(*messages)}});
    else work->refuse({kInvalidParams, messages.error().message, {}});
  }
  void read_resource(WorkPtr work, std::string uri) override {
    if (const auto variables = match_uri("t://{a}/{+b}", uri); variables && variables->size() != 2) std::abort();
    refuse_unknown_resource(*work, uri);
  }
  void more_resources(const Work&, const std::string&, int, std::function<void(Result<More>)> done) override { done(More{}); }
  void complete(const Work&, const Completion& asked, std::function<void(std::vector<std::string>)> done) override { done({asked.value, asked.value + "x"}); }

 private:
  std::shared_ptr<const Catalogue> catalogue_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzHost host;
  static const auto seal = std::make_shared<const Seal>("the same in every run");
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  (void)match_uri(rest.substr(0, rest.size() / 2), rest.substr(rest.size() / 2));
  (void)decoded_header(rest);
  if (const auto state = seal->open(rest); state && seal->close(*state) != rest) std::abort();
  ServerOptions options;
  options.seal = seal;
  options.is_shared = !rest.empty() && rest.front() == '!';
  options.page = 1;
  if (options.is_shared) rest.remove_prefix(1);
  std::map<ExchangeId, int> answers;
  Server server(host, options, [&](const Outgoing& out) {
    if (out.text.empty()) return;
    if (out.text.find('\n') != std::string::npos || find_invalid_utf8(out.text) != std::string::npos) std::abort();
    const auto value = parse_json(out.text);
    if (!value || value->at("jsonrpc") != "2.0") std::abort();
    if (!value->as_object().contains("method") && ++answers[out.exchange] > 1) std::abort();
  });
  ExchangeId exchange = 0;
  while (!rest.empty() && exchange < 64) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (const auto message = read_message(line)) {
      const RequestHeaders headers{"2026-07-28", message->method, "ask", {{"r", std::string(line.substr(0, 20))}}};
      if (is_stateless_request(headers, *message)) (void)check_headers(headers, *message, *host.catalogue());
    }
    server.receive(++exchange, line);
    if (line.size() % 7 == 0) server.closed(exchange);
  }
  server.changed(ListKind::kTools);
  server.updated("t://a/b");
  server.shut_down();
  if (server.open() != 0) std::abort();
  return 0;
}
