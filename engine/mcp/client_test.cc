#include "sabir/mcp/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sabir/protocol/raw_json.h"

namespace sabir::mcp {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// A server that a test plays by hand.
class ClientTest : public testing::Test {
 protected:
  void make(std::optional<Revision> revision = {}, bool over_http = false) {
    ClientEvents events;
    events.send = [this](ClientMessage message) { sent.push_back(std::move(message)); };
    events.abandon = [this](RequestId id) { abandoned.push_back(id); };
    events.tools_changed = [this] { ++changes; };
    events.log = [this](std::string_view level, std::string_view text) { logged.push_back(std::string(level) + ": " + std::string(text)); };
    events.later = [this](std::chrono::milliseconds, std::function<void()> task) { later.push_back(std::move(task)); };
    client = std::make_unique<Client>(ClientOptions{"sabir", "1", "the server", revision, over_http}, std::move(events));
  }
  const ClientMessage& last() const { return sent.back(); }
  void answer(const std::string& result) { client->receive(make_result(std::to_string(last().request), result)); }
  void refuse(int code, const std::string& message, const std::string& data = {}) { client->receive(make_error(std::to_string(last().request), {code, message, data})); }
  void connect() {
    client->connect([this](Result<void> agreed) { connected = std::move(agreed); });
  }
  void connect_newer(bool over_http = false) {
    make({}, over_http);
    connect();
    answer(R"({"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}}})");
    ASSERT_TRUE(connected && *connected);
  }
  void connect_older() {
    make(Revision::k2025_11_25);
    connect();
    answer(R"({"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}})");
    ASSERT_TRUE(connected && *connected);
  }
  std::uint64_t call(const std::string& arguments = "{}", const std::string& schema = R"({"type":"object"})") {
    ToolCall events;
    events.done = [this](Result<protocol::Payload> out) { outcome = std::move(out); };
    events.progress = [this](const std::string& params) { progress.push_back(params); };
    if (can_ask) {
      events.elicitation["form"] = json::object();
      events.ask = [this](std::string asked, std::function<void(Result<std::string>)> answered) {
        questions.push_back(std::move(asked));
        reply = std::move(answered);
      };
    }
    const auto tool = read_tool(*parse_json(R"({"name":"add","inputSchema":)" + schema + "}"), true);
    return client->call_tool(tool, arguments, std::move(events));
  }
  std::string header(const std::string& name) const {
    for (const auto& [key, value] : last().headers) {
      if (key == name) return value;
    }
    return "-";
  }

  std::vector<ClientMessage> sent;
  std::vector<RequestId> abandoned;
  std::vector<std::string> logged;
  std::vector<std::string> progress;
  std::vector<std::string> questions;
  std::vector<std::function<void()>> later;
  std::function<void(Result<std::string>)> reply;
  std::optional<Result<void>> connected;
  std::optional<Result<protocol::Payload>> outcome;
  int changes = 0;
  bool can_ask = false;
  std::unique_ptr<Client> client;
};

TEST_F(ClientTest, TheNewerEraIsTriedFirst) {
  connect_newer();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].method, "server/discover");
  EXPECT_THAT(sent[0].text, HasSubstr(R"("io.modelcontextprotocol/protocolVersion":"2026-07-28")"));
  EXPECT_EQ(client->revision(), Revision::k2026_07_28);
  EXPECT_EQ(client->server_name(), "s");
}

TEST_F(ClientTest, AServerThatDoesNotKnowDiscoverGetsInitialize) {
  make();
  connect();
  refuse(kMethodNotFound, "what?");
  EXPECT_EQ(last().method, "initialize");
  EXPECT_THAT(last().text, Not(HasSubstr("io.modelcontextprotocol")));
  EXPECT_EQ(header("MCP-Protocol-Version"), "-");
  answer(R"({"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"old","version":"1"}})");
  ASSERT_TRUE(connected && *connected);
  EXPECT_EQ(client->revision(), Revision::k2025_06_18);
  EXPECT_EQ(last().method, "notifications/initialized");
  EXPECT_EQ(header("MCP-Protocol-Version"), "2025-06-18");
}

TEST_F(ClientTest, ARefusedRevisionIsAskedForOnceMoreAndNoMore) {
  make();
  connect();
  refuse(kUnsupportedRevision, "no", R"({"supported":["2026-07-28"]})");
  EXPECT_EQ(last().method, "server/discover");
  EXPECT_EQ(sent.size(), 2U);
  refuse(kUnsupportedRevision, "no", R"({"supported":["2026-07-28"]})");
  ASSERT_TRUE(connected);
  EXPECT_EQ(connected->error().code, ErrorCode::kUnavailable);
}

TEST_F(ClientTest, AServerOfOtherRevisionsAloneIsNoServer) {
  make();
  connect();
  refuse(kUnsupportedRevision, "no", R"({"supported":["2031-01-01"]})");
  ASSERT_TRUE(connected);
  EXPECT_THAT(connected->error().message, HasSubstr("no revision"));
  make();
  connected.reset();
  connect();
  refuse(kMethodNotFound, "what?");
  answer(R"({"protocolVersion":"1999-01-01","capabilities":{},"serverInfo":{"name":"old","version":"1"}})");
  ASSERT_TRUE(connected);
  EXPECT_THAT(connected->error().message, HasSubstr("1999-01-01"));
}

TEST_F(ClientTest, AnOutageSaysNothingOfTheRevision) {
  make({}, true);
  connect();
  client->undelivered(last().request, Error(ErrorCode::kUnavailable, "refused connection"));
  ASSERT_TRUE(connected);
  EXPECT_THAT(connected->error().message, HasSubstr("refused connection"));
  EXPECT_EQ(sent.size(), 1U);
  make({}, true);
  connected.reset();
  connect();
  client->undelivered(last().request, Error(ErrorCode::kUnavailable, "status 400"), true);
  EXPECT_EQ(last().method, "initialize");
}

TEST_F(ClientTest, SilenceMeansTheOlderEra) {
  make();
  connect();
  const auto asked = last().request;
  client->no_answer_to_discover();
  EXPECT_THAT(abandoned, ElementsAre(asked));
  EXPECT_EQ(last().method, "initialize");
  // What comes too late is dropped.
  client->receive(make_result(std::to_string(asked), R"({"supportedVersions":["2026-07-28"]})"));
  EXPECT_FALSE(client->is_connected());
}

TEST_F(ClientTest, AllPagesOfToolsAreRead) {
  connect_newer();
  std::vector<ToolDefinition> tools;
  client->list_tools([&](Result<std::vector<ToolDefinition>> told) { tools = std::move(*told); });
  answer(R"({"tools":[{"name":"a","inputSchema":{"type":"object"}}],"nextCursor":"2"})");
  EXPECT_THAT(last().text, HasSubstr(R"("cursor":"2")"));
  answer(R"({"tools":[{"name":"b","inputSchema":{"type":"object"}},{"name":"a","description":"another","inputSchema":{"type":"object"}},3,{"name":"c"}]})");
  ASSERT_EQ(tools.size(), 4U);
  EXPECT_EQ(tools[0].description, "");
  EXPECT_EQ(tools[1].problem, "");
  EXPECT_NE(tools[2].problem, "");
  EXPECT_THAT(tools[3].problem, HasSubstr("inputSchema"));
}

TEST_F(ClientTest, EndlessListsAreRefused) {
  connect_older();
  std::optional<Result<std::vector<ToolDefinition>>> told;
  client->list_tools([&](Result<std::vector<ToolDefinition>> out) { told = std::move(out); });
  for (int page = 0; !told && page < 1000; ++page) answer(R"({"tools":[],"nextCursor":")" + std::to_string(page) + "\"}");
  ASSERT_TRUE(told);
  EXPECT_EQ(told->error().code, ErrorCode::kLimit);
  told.reset();
  client->list_tools([&](Result<std::vector<ToolDefinition>> out) { told = std::move(out); });
  std::string many = R"({"tools":[)";
  for (std::size_t i = 0; i <= kMostTools; ++i) many += (i ? "," : "") + std::string(R"({"name":"t)") + std::to_string(i) + R"(","inputSchema":{}})";
  answer(many + "]}");
  ASSERT_TRUE(told);
  EXPECT_EQ(told->error().code, ErrorCode::kLimit);
}

TEST_F(ClientTest, ACallCarriesItsHeadersAndItsProgress) {
  connect_newer(true);
  call(R"({"region":"Zürich","n":3,"skip":null})", R"({"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},"skip":{"type":"string","x-mcp-header":"Skip"}}})");
  EXPECT_EQ(header("Mcp-Method"), "tools/call");
  EXPECT_EQ(header("Mcp-Name"), "add");
  EXPECT_EQ(header("Mcp-Param-Region"), "=?base64?WsO8cmljaA==?=");
  EXPECT_EQ(header("Mcp-Param-N"), "3");
  EXPECT_EQ(header("Mcp-Param-Skip"), "-");
  const auto id = std::to_string(last().request);
  for (const char* value : {"1", "1", "0", "2"}) client->receive(R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":)" + id + R"(,"progress":)" + value + R"(,"total":2}})");
  EXPECT_EQ(progress.size(), 2U);
  answer(R"({"resultType":"complete","content":[{"type":"text","text":"7"}],"structuredContent":{"sum":12345678901234567890}})");
  ASSERT_TRUE(outcome && *outcome);
  EXPECT_EQ((*outcome)->json, R"({"sum":12345678901234567890})");
}

TEST_F(ClientTest, ResultsBecomeValues) {
  connect_older();
  const auto value = [&](const std::string& result) {
    outcome.reset();
    call();
    answer(result);
    return *outcome ? (*outcome)->json : outcome->error().message;
  };
  EXPECT_EQ(value(R"({"content":[{"type":"text","text":"a"},{"type":"text","text":"b\""}]})"), R"("a\nb\"")");
  EXPECT_EQ(value(R"({"content":[]})"), R"("")");
  EXPECT_EQ(value(R"({"content":[{"type":"image","data":"AA==","mimeType":"image/png"}]})"), R"({"content":[{"type":"image","data":"AA==","mimeType":"image/png"}]})");
  EXPECT_EQ(value(R"({"content":[{"type":"text","text":"no such city"}],"isError":true})"), "the tool add of the server: no such city");
  EXPECT_EQ(outcome->error().code, ErrorCode::kFunctionError);
  EXPECT_THAT(value(R"({"content":3})"), HasSubstr("no list"));
  outcome.reset();
  call();
  refuse(kInvalidParams, "x is missing");
  EXPECT_EQ(outcome->error().code, ErrorCode::kInvalidArguments);
}

TEST_F(ClientTest, WhatIsCancelledIsNotAnswered) {
  connect_older();
  const auto id = call();
  const auto request = last().request;
  client->cancel(id, "enough");
  EXPECT_EQ(last().method, "notifications/cancelled");
  EXPECT_THAT(last().text, HasSubstr("\"requestId\":" + std::to_string(request)));
  client->receive(make_result(std::to_string(request), R"({"content":[]})"));
  EXPECT_FALSE(outcome);
  // Over HTTP the newer era ends the exchange, and says nothing.
  sent.clear();
  connect_newer(true);
  const auto other = call();
  const auto before = sent.size();
  client->cancel(other, "enough");
  EXPECT_EQ(sent.size(), before);
  EXPECT_THAT(abandoned, testing::Contains(sent.back().request));
}

TEST_F(ClientTest, InputIsAskedForAndSentBackWithTheState) {
  can_ask = true;
  connect_newer();
  call(R"({"a":1})");
  const auto first = last().request;
  EXPECT_THAT(last().text, HasSubstr(R"("elicitation":{"form":{}})"));
  answer(R"({"resultType":"input_required","requestState":"s\u0074ate","inputRequests":{"k":{"method":"elicitation/create","params":{"message":"?"}}}})");
  ASSERT_EQ(questions.size(), 1U);
  reply(std::string(R"({"k":{"action":"accept","content":{"x":1}}})"));
  EXPECT_NE(last().request, first);
  EXPECT_THAT(last().text, HasSubstr(R"("inputResponses":{"k":{"action":"accept","content":{"x":1}}})"));
  EXPECT_THAT(last().text, HasSubstr("\"requestState\":\"s\\u0074ate\""));
  EXPECT_THAT(last().text, HasSubstr(R"("arguments":{"a":1})"));
  answer(R"({"resultType":"input_required","inputRequests":{"j":{"method":"elicitation/create","params":{}}}})");
  reply(std::string(R"({"j":{"action":"decline"}})"));
  EXPECT_THAT(last().text, Not(HasSubstr("requestState")));
  answer(R"({"content":[{"type":"text","text":"done"}]})");
  EXPECT_EQ((*outcome)->json, "\"done\"");
}

TEST_F(ClientTest, AServerThatAsksWithoutEndOrForTooMuchIsRefused) {
  connect_newer();
  call();
  answer(R"({"resultType":"input_required","inputRequests":{"k":{"method":"elicitation/create","params":{}}}})");
  EXPECT_THAT(outcome->error().message, HasSubstr("nobody can be asked"));
  can_ask = true;
  call();
  answer(R"({"resultType":"input_required","inputRequests":{"k":{"method":"sampling/createMessage","params":{}}}})");
  EXPECT_THAT(outcome->error().message, HasSubstr("sampling/createMessage"));
  outcome.reset();
  call();
  for (int round = 0; !outcome && round < 100; ++round) {
    answer(R"({"resultType":"input_required","requestState":"again"})");
    if (!later.empty()) std::exchange(later, {}).front()();
  }
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->error().code, ErrorCode::kLimit);
}

TEST_F(ClientTest, ASessionsQuestionsReachThePersonOfTheCall) {
  connect_older();
  client->receive(R"({"jsonrpc":"2.0","id":"p","method":"ping"})");
  EXPECT_EQ(last().text, R"({"jsonrpc":"2.0","id":"p","result":{}})");
  client->receive(R"({"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}})");
  EXPECT_THAT(last().text, HasSubstr("-32601"));
  client->receive(R"({"jsonrpc":"2.0","id":2,"method":"elicitation/create","params":{"message":"Name?"}})");
  EXPECT_THAT(last().text, HasSubstr("for which call"));
  call();
  client->receive(R"({"jsonrpc":"2.0","id":3,"method":"elicitation/create","params":{"message":"Name?"}})");
  EXPECT_THAT(last().text, HasSubstr("nobody can be asked"));
  can_ask = true;
  const auto first = last().request;
  answer("{}");
  (void)first;
  client->close(Error(ErrorCode::kUnavailable, "gone"));
  outcome.reset();
  call();
  client->receive(R"({"jsonrpc":"2.0","id":4,"method":"elicitation/create","params":{"message":"Name?"}})");
  ASSERT_EQ(questions.size(), 1U);
  const auto key = std::string(parse_json(questions[0])->get_object().begin()->key());
  reply("{\"" + key + R"(":{"action":"accept","content":{"name":"Ann"}}})");
  EXPECT_EQ(last().text, R"({"jsonrpc":"2.0","id":4,"result":{"action":"accept","content":{"name":"Ann"}}})");
}

TEST_F(ClientTest, WhatIsNoMessageHarmsNobody) {
  connect_older();
  call();
  for (const char* text : {"", "{", "[]", "null", "{\"jsonrpc\":\"2.0\"}", "{\"jsonrpc\":\"2.0\",\"id\":99999999999999999999,\"result\":{}}",
                           "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{}}", "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":77}}",
                           "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}"}) {
    client->receive(text);
  }
  EXPECT_FALSE(outcome);
  client->receive("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}");
  EXPECT_EQ(changes, 1);
  client->receive("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"error\",\"data\":\"a\\u001b[31mb\\u202ec\"}}");
  EXPECT_THAT(logged.back(), testing::StrEq("error: a[31mbc"));
  client->close(Error(ErrorCode::kUnavailable, "gone"));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->error().message, "gone");
}

TEST(ToolDefinition, TheDigestIsOfWhatAModelSees) {
  const auto digest = [](const std::string& text) { return read_tool(*parse_json(text), false).digest; };
  const auto base = digest(R"({"name":"a","description":"d","inputSchema":{"type":"object","properties":{"x":{"type":"string"},"y":{}}}})");
  EXPECT_EQ(base, digest(R"({"inputSchema":{"properties":{"y":{},"x":{"type":"string"}},"type":"object"},"description":"d","name":"a","icons":[]})"));
  EXPECT_NE(base, digest(R"({"name":"a","description":"d.","inputSchema":{"type":"object","properties":{"x":{"type":"string"},"y":{}}}})"));
  EXPECT_NE(base, digest(R"({"name":"a","description":"d","inputSchema":{"type":"object","properties":{"x":{"type":"string","description":"send all"},"y":{}}}})"));
  EXPECT_NE(base, digest(R"({"name":"a","description":"d","annotations":{"readOnlyHint":true},"inputSchema":{"type":"object","properties":{"x":{"type":"string"},"y":{}}}})"));
}

TEST(ToolDefinition, HeadersThatCannotBeSentMakeAToolUnusable) {
  const auto problem = [](const std::string& property) {
    return read_tool(*parse_json(R"({"name":"a","inputSchema":{"type":"object","properties":{"x":)" + property + "}}}"), true).problem;
  };
  EXPECT_EQ(problem(R"({"type":"string","x-mcp-header":"X"})"), "");
  for (const char* bad : {R"({"type":"string","x-mcp-header":""})", R"({"type":"object","x-mcp-header":"X"})", R"({"type":"number","x-mcp-header":"X"})", R"({"type":"string","x-mcp-header":"a b"})",
                          R"({"type":"string","x-mcp-header":"a:b"})", R"({"type":"string","x-mcp-header":"é"})", R"({"type":"array","items":{"type":"string","x-mcp-header":"X"}})"}) {
    EXPECT_NE(problem(bad), "") << bad;
  }
  EXPECT_NE(read_tool(*parse_json(R"({"name":"a","inputSchema":{"properties":{"x":{"type":"string","x-mcp-header":"X"},"y":{"type":"string","x-mcp-header":"x"}}}})"), true).problem, "");
}

TEST(Harmless, NothingTurnsATerminalAround) {
  EXPECT_EQ(harmless("a\x1b[2Jb\x07\x7f\r\nc\td"), "a[2Jb\nc\td");
  EXPECT_EQ(harmless("a\xC2\x9B" "31mb"), "a31mb");
  EXPECT_EQ(harmless("\xE2\x80\xAE" "evil\xE2\x81\xA6\xE2\x80\x8B!"), "evil!");
  EXPECT_EQ(harmless("Zürich \xF0\x9F\x8C\x8D"), "Zürich \xF0\x9F\x8C\x8D");
  EXPECT_EQ(harmless("\xF3\xA0\x81\xA1x"), "x");
  EXPECT_EQ(harmless("a\xff\xc3"), "a\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(harmless(std::string(100, 'x'), 10), "xxxxxxxxxx …");
}

}  // namespace
}  // namespace sabir::mcp
