#include "sabir/mcp/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sabir/mcp/content.h"

namespace sabir::mcp {
namespace {

using testing::HasSubstr;
using testing::Not;

// Answers at once, or when the test says so, and offers whatever its catalogue has.
class TestHost final : public Host {
 public:
  TestHost() {
    catalogue_.tools.push_back({"echo", "text.echo", "Echo", "Says it again.", {{"type", "object"}, {"properties", {{"text", {{"type", "string"}}}}}}, {{"type", "string"}}, true});
    catalogue_.tools.push_back({"refund", "shop.refund", "", "Pays back.", {{"type", "object"}}, {}, false, true});
    catalogue_.prompts.push_back({"greet", "", "Greets.", {{"tone", "", true, {{"enum", json::array{"warm", "cool"}}}}}});
    catalogue_.resources.push_back({"sabir://parts/tone.txt", "tone"});
    catalogue_.templates.push_back({"sabir://memory/{namespace}/{+key}", "memory", "", "", "", "", false, {{"namespace"}, {"key"}}});
    catalogue_.finish();
  }
  std::shared_ptr<const Catalogue> catalogue() override { return std::make_shared<Catalogue>(catalogue_); }
  void call_tool(WorkPtr work, std::shared_ptr<const Catalogue>, const Tool& tool, std::string arguments) override {
    called.push_back(tool.name + arguments);
    works.push_back(work);
    work->when_cancelled = [this] { ++cancelled; };
    if (on_call) on_call(work);
  }
  void get_prompt(WorkPtr work, std::shared_ptr<const Catalogue>, const Prompt&, json::object arguments) override {
    work->answer({{"messages", json::array{{{"role", "user"}, {"content", {{"type", "text"}, {"text", arguments["tone"]}}}}}}});
  }
  void read_resource(WorkPtr work, std::string uri) override { refuse_unknown_resource(*work, uri); }
  void more_resources(const Work&, const std::string& after, int most, std::function<void(Result<More>)> done) override {
    More more;
    const int from = after.empty() ? 0 : std::stoi(after);
    for (int i = from; i < memory && static_cast<int>(more.resources.size()) < most; ++i) {
      Resource one;
      one.uri = "sabir://memory/default/" + std::to_string(i);
      one.name = std::to_string(i);
      more.resources.push_back(one);
    }
    const int end = from + static_cast<int>(more.resources.size());
    if (end < memory) more.next = std::to_string(end);
    done(std::move(more));
  }
  void complete(const Work&, const Completion& asked, std::function<void(std::vector<std::string>)> done) override { done({asked.value + "a", asked.value + "b", "other"}); }

  Catalogue catalogue_;
  std::vector<std::string> called;
  std::vector<WorkPtr> works;
  std::function<void(const WorkPtr&)> on_call;
  int cancelled = 0;
  int memory = 0;
};

class ServerTest : public testing::Test {
 protected:
  explicit ServerTest(ServerOptions options = {}) : server_(host_, with_clock(std::move(options)), [this](Outgoing out) {
    if (!out.text.empty()) sent.push_back(out);
  }) {}
  ServerOptions with_clock(ServerOptions options) {
    options.version = "1";
    options.now_ms = [this] { return now; };
    return options;
  }
  // Gives what was sent meanwhile.
  std::vector<Outgoing> say(const std::string& text, const std::string& principal = {}) {
    sent.clear();
    server_.receive(++exchange, text, principal);
    return sent;
  }
  json::object ask(const std::string& text) {
    const auto out = say(text);
    EXPECT_EQ(out.size(), 1U) << text;
    return out.empty() ? json::object() : parse_json(out.back().text)->get_object();
  }
  void open(const std::string& revision = "2025-11-25", const std::string& capabilities = "{}") {
    say(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":")" + revision + R"(","capabilities":)" + capabilities + R"(,"clientInfo":{"name":"t","version":"1"}}})");
    say(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  }
  static std::string modern(const std::string& id, const std::string& method, std::string params = "{", const std::string& capabilities = "{}", const std::string& more = "") {
    if (params.size() > 1) params += ',';
    return R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":")" + method + R"(","params":)" + params +
           R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":)" + capabilities + more + "}}}";
  }

  std::int64_t now = 1'000'000;
  TestHost host_;
  std::vector<Outgoing> sent;
  ExchangeId exchange = 0;
  Server server_;
};

TEST_F(ServerTest, InitializeAgreesOnWhatWasAskedForOrTheNewestWithSessions) {
  for (const auto& [asked, agreed] : {std::pair("2025-06-18", "2025-06-18"), std::pair("2025-11-25", "2025-11-25"), std::pair("2026-07-28", "2025-11-25"), std::pair("1999-01-01", "2025-11-25")}) {
    Server server(host_, {}, [this](Outgoing out) { sent.push_back(out); });
    sent.clear();
    server.receive(1, std::string(R"({"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":")") + asked + R"(","capabilities":{}}})");
    const auto answer = parse_json(sent.at(0).text)->get_object();
    EXPECT_EQ(answer.at("result").at("protocolVersion"), agreed);
    EXPECT_EQ(answer.at("id"), "a");
    EXPECT_FALSE(answer.at("result").as_object().contains("resultType"));
  }
}

TEST_F(ServerTest, ASessionBeginsWithInitialize) {
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})").at("error").at("code"), kInvalidRequest);
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":2,"method":"ping"})").at("result"), json::object());
  open();
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":3,"method":"initialize","params":{"protocolVersion":"2025-11-25"}})").at("error").at("code"), kInvalidRequest);
}

TEST_F(ServerTest, WhatIsNoMessageIsRefused) {
  EXPECT_EQ(ask("{").at("error").at("code"), kParseError);
  EXPECT_EQ(ask("[]").at("error").at("code"), kInvalidRequest);
  EXPECT_EQ(ask(R"({"id":1,"method":"ping"})").at("error").at("code"), kInvalidRequest);
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":null,"method":"ping"})").at("error").at("code"), kInvalidRequest);
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":1.5,"method":"ping"})").at("error").at("code"), kInvalidRequest);
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":1,"method":"ping","params":[]})").at("error").at("code"), kInvalidParams);
}

TEST_F(ServerTest, ToolsAreCalledWithTheArgumentsAsTheyWereWritten) {
  open();
  EXPECT_TRUE(say(R"({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"n":12345678901234567890.10}}})").empty());
  ASSERT_EQ(host_.called.size(), 1U);
  EXPECT_EQ(host_.called[0], R"(echo{"n":12345678901234567890.10})");
  sent.clear();
  host_.works[0]->answer_members("\"content\":[]");
  host_.works[0]->answer_members("\"content\":[1]");
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].text, R"({"jsonrpc":"2.0","id":7,"result":{"content":[]}})");
  EXPECT_TRUE(sent[0].is_last);
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"nothing"}})").at("error").at("code"), kInvalidParams);
}

TEST_F(ServerTest, ProgressGrowsAndNeedsAToken) {
  open();
  say(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"progressToken":"p"}}})");
  host_.works[0]->progress(0, 100, "begun");
  host_.works[0]->progress(0, 100, "again");
  host_.works[0]->progress(50, 100, "");
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[1].exchange, exchange);
  EXPECT_EQ(parse_json(sent[1].text)->at("params"), (json::object{{"progressToken", "p"}, {"progress", 50.0}, {"total", 100.0}}));
  say(R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo"}})");
  host_.works[1]->progress(1, {}, "");
  EXPECT_TRUE(sent.empty());
}

TEST_F(ServerTest, ACancelledRequestIsNotAnswered) {
  open();
  say(R"({"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"echo"}})");
  EXPECT_TRUE(say(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}})").empty());
  EXPECT_EQ(host_.cancelled, 1);
  EXPECT_FALSE(host_.works[0]->is_open());
  host_.works[0]->answer({});
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(server_.open(), 0U);
}

TEST_F(ServerTest, AnIdThatIsStillOpenIsRefused) {
  open();
  say(R"({"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo"}})");
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":5,"method":"ping"})").at("error").at("code"), kInvalidRequest);
}

TEST_F(ServerTest, LogsGoOutFromTheLevelThatTheSessionAskedFor) {
  open();
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}})").at("error").at("code"), kInvalidParams);
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"warning"}})").at("result"), json::object());
  say(R"({"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo"}})");
  host_.works[0]->log(Severity::kInfo, "text.echo", "quiet");
  host_.works[0]->log(Severity::kError, "text.echo", "loud");
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(parse_json(sent[0].text)->at("params"), (json::object{{"level", "error"}, {"data", "loud"}, {"logger", "text.echo"}}));
}

constexpr const char* kConfirm = R"({"ok":{"method":"elicitation/create","params":{"message":"Sure?","requestedSchema":{"type":"object","properties":{}}}}})";
json::object questions() { return parse_json(kConfirm)->get_object(); }

TEST_F(ServerTest, ASessionsClientIsAskedWhileTheCallRuns) {
  open("2025-11-25", R"({"elicitation":{}})");
  Result<json::object> answer;
  host_.on_call = [&](const WorkPtr& work) { work->ask(questions(), [&](Result<json::object> got) { answer = std::move(got); }); };
  const auto asked = say(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refund"}})");
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].exchange, exchange);
  EXPECT_THAT(asked[0].text, HasSubstr("elicitation/create"));
  const std::string id = json::serialize(parse_json(asked[0].text)->at("id"));
  say(R"({"jsonrpc":"2.0","id":)" + id + R"(,"result":{"action":"accept","content":{}}})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->at("ok").at("action"), "accept");
  EXPECT_TRUE(host_.works[0]->consume());
  // Whoever answers twice, or what was never asked, changes nothing.
  say(R"({"jsonrpc":"2.0","id":)" + id + R"(,"result":{"action":"decline"}})");
  EXPECT_EQ(answer->at("ok").at("action"), "accept");
}

TEST_F(ServerTest, AClientThatCannotBeAskedIsNot) {
  open();
  Result<json::object> answer;
  host_.on_call = [&](const WorkPtr& work) { work->ask(questions(), [&](Result<json::object> got) { answer = std::move(got); }); };
  EXPECT_TRUE(say(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refund"}})").empty());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
}

TEST_F(ServerTest, ACallThatEndsTakesItsQuestionsBack) {
  open("2025-06-18", R"({"elicitation":{}})");
  host_.on_call = [&](const WorkPtr& work) { work->ask(questions(), [](const Result<json::object>&) {}); };
  say(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refund"}})");
  sent.clear();
  host_.works[0]->answer_members("\"content\":[]");
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_THAT(sent[0].text, HasSubstr(R"("method":"notifications/cancelled","params":{"requestId":"sabir-1"})"));
}

// ---- the newer era -----------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, ARequestOfTheNewerEraStandsForItself) {
  const auto answer = ask(modern("1", "tools/list"));
  EXPECT_EQ(answer.at("result").at("resultType"), "complete");
  EXPECT_EQ(answer.at("result").at("ttlMs"), 60000);
  EXPECT_EQ(answer.at("result").at("cacheScope"), "public");
  EXPECT_EQ(answer.at("result").at("_meta").at("io.modelcontextprotocol/serverInfo").at("name"), "sabir");
  EXPECT_EQ(answer.at("result").at("tools").as_array().size(), 2U);
  // Its schema may be of any kind there; a session's wraps it.
  EXPECT_EQ(answer.at("result").at("tools").at(0).at("outputSchema").at("type"), "string");
  open();
  const auto older = ask(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})");
  EXPECT_EQ(older.at("result").at("tools").at(0).at("outputSchema").at("properties").at("result").at("type"), "string");
  EXPECT_FALSE(older.at("result").as_object().contains("ttlMs"));
}

TEST_F(ServerTest, DiscoverTellsRevisionsAndCapabilities) {
  const auto result = ask(modern("1", "server/discover")).at("result").as_object();
  EXPECT_EQ(result.at("supportedVersions"), (json::array{"2026-07-28", "2025-11-25", "2025-06-18"}));
  EXPECT_EQ(result.at("capabilities").at("tools").at("listChanged"), true);
}

TEST_F(ServerTest, WhatTheNewerEraLacksOrNeedsIsSaidWithAStatus) {
  for (const char* gone : {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "unknown/method"}) {
    const auto out = say(modern("\"q\"", gone));
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].status, 404) << gone;
    EXPECT_THAT(out[0].text, HasSubstr("-32601"));
    EXPECT_THAT(out[0].text, HasSubstr("\"id\":\"q\""));
  }
  auto out = say(R"({"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})");
  EXPECT_EQ(out[0].status, 400);
  EXPECT_THAT(out[0].text, HasSubstr("-32602"));
  out = say(R"({"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"v999","io.modelcontextprotocol/clientCapabilities":{}}}})");
  EXPECT_EQ(out[0].status, 400);
  EXPECT_EQ(parse_json(out[0].text)->at("error").at("data").at("requested"), "v999");
  EXPECT_EQ(parse_json(out[0].text)->at("error").at("code"), kUnsupportedRevision);
}

TEST_F(ServerTest, LogsOfTheNewerEraGoOutOnlyWhereTheRequestAsksForThem) {
  say(modern("1", "tools/call", R"({"name":"echo")"));
  host_.works[0]->log(Severity::kEmergency, "", "unheard");
  EXPECT_TRUE(sent.empty());
  say(modern("2", "tools/call", R"({"name":"echo")", "{}", R"(,"io.modelcontextprotocol/logLevel":"info")"));
  host_.works[1]->log(Severity::kInfo, "", "heard");
  EXPECT_EQ(sent.size(), 1U);
}

class RoundsTest : public ServerTest {
 protected:
  RoundsTest() {
    host_.on_call = [this](const WorkPtr& work) {
      work->ask(questions(), [this, work](Result<json::object> got) {
        answers.push_back(got ? compact_json(*got) : got.error().message);
        if (got) work->answer_members(work->consume() ? "\"content\":[]" : "\"content\":[],\"isError\":true");
      }, Work::Trust::kAskedAlone);
    };
  }
  std::vector<std::string> answers;
  const std::string kCan = R"({"elicitation":{}})";
};

TEST_F(RoundsTest, TheClientCarriesTheStateOfARequestAndItIsUsedOnce) {
  const auto first = ask(modern("1", "tools/call", R"({"name":"refund","arguments":{"b":1,"a":2})", kCan));
  const auto& result = first.at("result").as_object();
  EXPECT_EQ(result.at("resultType"), "input_required");
  EXPECT_EQ(result.at("inputRequests").at("ok").at("method"), "elicitation/create");
  EXPECT_EQ(host_.cancelled, 1);
  const std::string state(result.at("requestState").as_string());
  const auto again = [&](const std::string& id, const std::string& with, const std::string& arguments = R"({"a":2,"b":1})", const std::string& who = "") {
    const auto out = say(modern(id, "tools/call", R"({"name":"refund","arguments":)" + arguments + R"(,"inputResponses":{"ok":{"action":"accept"}},"requestState":")" + with + "\"", kCan), who);
    return out.empty() ? std::string() : out.back().text;
  };
  EXPECT_THAT(again("2", state.substr(0, state.size() - 2) + "AA"), HasSubstr("-32602"));
  EXPECT_THAT(again("3", state, R"({"a":3,"b":1})"), HasSubstr("belongs to another request"));
  EXPECT_THAT(again("4", state, R"({"a":2,"b":1})", "somebody"), HasSubstr("belongs to another caller"));
  EXPECT_THAT(again("5", state), HasSubstr("\"content\":[]"));
  EXPECT_THAT(again("6", state), HasSubstr("isError"));
  now += 3'600'000;
  EXPECT_THAT(again("7", state), HasSubstr("too old"));
}

TEST_F(RoundsTest, AnApprovalThatWasNotAskedForCountsForNothing) {
  const auto answer = ask(modern("1", "tools/call", R"({"name":"refund","inputResponses":{"ok":{"action":"accept"}})", kCan));
  EXPECT_EQ(answer.at("result").at("resultType"), "input_required");
}

TEST_F(RoundsTest, WhatIsMissingOrMalformedIsAskedForAgain) {
  const auto first = ask(modern("1", "tools/call", R"({"name":"refund")", kCan));
  const std::string state(first.at("result").at("requestState").as_string());
  for (const char* given : {"{}", R"({"other":{"action":"accept"}})", R"({"ok":12345})", R"({"ok":{"action":"perhaps"}})"}) {
    const auto next = ask(modern("2", "tools/call", std::string(R"({"name":"refund","inputResponses":)") + given + ",\"requestState\":\"" + state + "\"", kCan));
    EXPECT_EQ(next.at("result").at("resultType"), "input_required") << given;
  }
}

TEST_F(RoundsTest, AClientWithoutTheCapabilityIsToldWhichItNeeds) {
  const auto out = say(modern("1", "tools/call", R"({"name":"refund")"));
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].status, 400);
  const auto error = parse_json(out[0].text)->at("error").as_object();
  EXPECT_EQ(error.at("code"), kMissingCapability);
  EXPECT_TRUE(error.at("data").at("requiredCapabilities").as_object().contains("elicitation"));
}

TEST_F(ServerTest, ListenersGetWhatTheyAskedForAndNothingElse) {
  auto out = say(modern("\"l\"", "subscriptions/listen", R"({"notifications":{"toolsListChanged":true,"resourceSubscriptions":["sabir://x"]})"));
  ASSERT_EQ(out.size(), 1U);
  EXPECT_FALSE(out[0].is_last);
  const auto acknowledged = parse_json(out[0].text)->get_object();
  EXPECT_EQ(acknowledged.at("method"), "notifications/subscriptions/acknowledged");
  EXPECT_EQ(acknowledged.at("params").at("_meta").at("io.modelcontextprotocol/subscriptionId"), "l");
  EXPECT_EQ(acknowledged.at("params").at("notifications"), (json::object{{"toolsListChanged", true}, {"resourceSubscriptions", json::array{"sabir://x"}}}));
  sent.clear();
  server_.changed(ListKind::kPrompts);
  server_.updated("sabir://y");
  EXPECT_TRUE(sent.empty());
  server_.changed(ListKind::kTools);
  server_.updated("sabir://x");
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_THAT(sent[1].text, HasSubstr(R"("uri":"sabir://x")"));
  EXPECT_THAT(sent[1].text, HasSubstr(R"("io.modelcontextprotocol/subscriptionId":"l")"));
  sent.clear();
  server_.shut_down();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_TRUE(sent[0].is_last);
  EXPECT_THAT(sent[0].text, HasSubstr("\"resultType\":\"complete\""));
}

TEST_F(ServerTest, SessionsAreToldOfChangesOnceTheyAreReady) {
  server_.changed(ListKind::kTools);
  EXPECT_TRUE(sent.empty());
  open();
  sent.clear();
  say(R"({"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"sabir://x"}})");
  sent.clear();
  server_.updated("sabir://x");
  server_.changed(ListKind::kResources);
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].exchange, 0U);
  say(R"({"jsonrpc":"2.0","id":2,"method":"resources/unsubscribe","params":{"uri":"sabir://x"}})");
  sent.clear();
  server_.updated("sabir://x");
  EXPECT_TRUE(sent.empty());
}

class PagesTest : public ServerTest {
 protected:
  static ServerOptions options() {
    ServerOptions out;
    out.page = 2;
    return out;
  }
  PagesTest() : ServerTest(options()) {}
};

TEST_F(PagesTest, PagesTogetherAreTheWholeListAndEachIsBounded) {
  open();
  host_.memory = 5;
  std::vector<std::string> seen;
  std::string cursor;
  for (int i = 0; i < 10; ++i) {
    const auto answer = ask(R"({"jsonrpc":"2.0","id":)" + std::to_string(i) + R"(,"method":"resources/list","params":{)" + (cursor.empty() ? "" : "\"cursor\":\"" + cursor + "\"") + "}}");
    const auto& result = answer.at("result").as_object();
    EXPECT_LE(result.at("resources").as_array().size(), 2U);
    for (const auto& one : result.at("resources").as_array()) seen.emplace_back(one.at("name").as_string());
    if (!result.contains("nextCursor")) break;
    cursor = std::string(result.at("nextCursor").as_string());
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"tone", "0", "1", "2", "3", "4"}));
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":90,"method":"tools/list","params":{"cursor":"nonsense"}})").at("error").at("code"), kInvalidParams);
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":91,"method":"tools/list","params":{"cursor":")" + cursor + "\"}}").at("error").at("code"), kInvalidParams);
}

TEST_F(ServerTest, ArgumentsAreCompletedFromSchemasAndByTheHost) {
  open();
  const auto complete = [&](const std::string& ref, const std::string& argument, const std::string& value) {
    return ask(R"({"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":)" + ref + R"(,"argument":{"name":")" + argument + R"(","value":")" + value + "\"}}}");
  };
  EXPECT_EQ(complete(R"({"type":"ref/prompt","name":"greet"})", "tone", "W").at("result").at("completion").at("values"), json::array{"warm"});
  EXPECT_EQ(complete(R"({"type":"ref/resource","uri":"sabir://memory/{namespace}/{+key}"})", "key", "k").at("result").at("completion").at("values"), (json::array{"ka", "kb"}));
  EXPECT_EQ(complete(R"({"type":"ref/prompt","name":"none"})", "tone", "w").at("error").at("code"), kInvalidParams);
}

TEST_F(ServerTest, PromptsNeedTheirArguments) {
  open();
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"greet"}})").at("error").at("code"), kInvalidParams);
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":2,"method":"prompts/get","params":{"name":"greet","arguments":{"tone":"warm"}}})").at("result").at("messages").at(0).at("content").at("text"), "warm");
}

TEST_F(ServerTest, AResourceThatThereIsNotHasTheErrorOfItsEra) {
  EXPECT_EQ(ask(modern("1", "resources/read", R"({"uri":"x://y")")).at("error").at("code"), kInvalidParams);
  open();
  const auto older = ask(R"({"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"x://y"}})");
  EXPECT_EQ(older.at("error").at("code"), kResourceNotFound);
  EXPECT_EQ(older.at("error").at("data").at("uri"), "x://y");
}

class SharedTest : public ServerTest {
 protected:
  static ServerOptions options() {
    ServerOptions out;
    out.is_shared = true;
    return out;
  }
  SharedTest() : ServerTest(options()) {}
};

TEST_F(SharedTest, ClientsWithTheSameIdsDoNotMeet) {
  say(modern("1", "tools/call", R"({"name":"echo")"));
  say(modern("1", "tools/call", R"({"name":"echo")"));
  ASSERT_EQ(host_.works.size(), 2U);
  say(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})");
  EXPECT_TRUE(host_.works[0]->is_open());
  EXPECT_TRUE(host_.works[1]->is_open());
  server_.closed(1);
  EXPECT_FALSE(host_.works[0]->is_open());
  EXPECT_TRUE(host_.works[1]->is_open());
  const auto out = say(R"({"jsonrpc":"2.0","id":3,"method":"initialize","params":{"protocolVersion":"2025-11-25"}})");
  EXPECT_THAT(out.at(0).text, HasSubstr("-32602"));
}

}  // namespace
}  // namespace sabir::mcp
