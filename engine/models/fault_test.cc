// Every fault that a model's server can have, over real sockets, for each of the three APIs: nothing hangs, nothing that was
// received is lost, and each error says what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <ostream>

#include "sabir/models/registry.h"
#include "stand_ins/raw_server.h"

namespace sabir::models {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;
using Peer = tests::RawServer::Peer;

enum class Api { kChat, kResponses, kMessages };

// ---- What a server of each API sends ---------------------------------------------------------------------------------

const std::string kSaid = "Paris — été";
const std::string kFirstHalf = "Paris";

std::string event(const json::value& value) {
  const auto type = value.is_object() ? string_or(value.get_object(), "type") : std::string_view();
  return (type.empty() ? std::string() : "event: " + std::string(type) + "\n") + "data: " + json::serialize(value) + "\n\n";
}

std::string text_event(Api api, const std::string& text) {
  if (api == Api::kChat) return event({{"model", "m"}, {"choices", {{{"index", 0}, {"delta", {{"content", text}}}, {"finish_reason", nullptr}}}}});
  if (api == Api::kResponses) return event({{"type", "response.output_text.delta"}, {"output_index", 0}, {"delta", text}});
  return event({{"type", "content_block_delta"}, {"index", 0}, {"delta", {{"type", "text_delta"}, {"text", text}}}});
}

json::value whole_answer(Api api, const std::string& text) {
  if (api == Api::kChat) return {{"model", "m"}, {"choices", {{{"index", 0}, {"message", {{"role", "assistant"}, {"content", text}}}, {"finish_reason", "stop"}}}}};
  if (api == Api::kResponses) {
    return {{"model", "m"}, {"status", "completed"}, {"output", {{{"type", "message"}, {"content", {{{"type", "output_text"}, {"text", text}}}}}}}};
  }
  return {{"type", "message"}, {"model", "m"}, {"content", {{{"type", "text"}, {"text", text}}}}, {"stop_reason", "end_turn"}, {"usage", {{"input_tokens", 1}, {"output_tokens", 2}}}};
}

// Before any text.
std::string opening(Api api) {
  if (api == Api::kChat) return event({{"model", "m"}, {"choices", {{{"index", 0}, {"delta", {{"role", "assistant"}, {"content", ""}}}, {"finish_reason", nullptr}}}}});
  if (api == Api::kResponses) return event({{"type", "response.created"}, {"response", {{"status", "in_progress"}}}});
  return event({{"type", "message_start"}, {"message", {{"model", "m"}, {"usage", {{"input_tokens", 1}, {"output_tokens", 1}}}}}}) +
         event({{"type", "content_block_start"}, {"index", 0}, {"content_block", {{"type", "text"}, {"text", ""}}}});
}

std::string closing(Api api) {
  if (api == Api::kChat) return event({{"model", "m"}, {"choices", {{{"index", 0}, {"delta", json::object()}, {"finish_reason", "stop"}}}}}) + "data: [DONE]\n\n";
  if (api == Api::kResponses) return event({{"type", "response.completed"}, {"response", whole_answer(api, kSaid)}});
  return event({{"type", "content_block_stop"}, {"index", 0}}) + event({{"type", "message_delta"}, {"delta", {{"stop_reason", "end_turn"}}}, {"usage", {{"output_tokens", 2}}}}) +
         event({{"type", "message_stop"}});
}

std::string begun(Api api) { return opening(api) + text_event(api, kFirstHalf); }
std::string whole_stream(Api api) { return begun(api) + text_event(api, kSaid.substr(kFirstHalf.size())) + closing(api); }

json::value error_body(Api api, const char* type, const char* code, const char* message) {
  if (api == Api::kMessages) return {{"type", "error"}, {"error", {{"type", type}, {"message", message}}}};
  return {{"error", {{"type", type}, {"code", code == nullptr ? json::value() : json::value(code)}, {"message", message}, {"param", nullptr}}}};
}

constexpr const char* kStreamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
constexpr const char* kChunkedHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string chunk(const std::string& text) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", text.size());
  return size + text + "\r\n";
}

std::string response(const char* status, const char* type, const std::string& body, const std::string& more = {}) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Type: " + type + "\r\n" + more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// ---- The faults ------------------------------------------------------------------------------------------------------

struct Fault {
  std::string name;
  std::function<void(Api, const Peer&, int)> server;  // empty: nobody is asked
  json::object settings;                              // of the model
  std::string base_url;                               // in place of the server's
  // What it comes to: an answer, or an error of this kind.
  std::optional<ErrorCode> code;
  std::string reason;                                 // in the error's data; "" = it has none
  std::string message;                                // part of it
  std::string hint;                                   // part of it
  bool text_kept = false;                             // the first half had been received
  int requests = 1;
  std::chrono::milliseconds at_most = 3s;
  bool cancelled = false;                             // by the user, 200 ms in
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

void endless(const Peer& peer, const std::string& piece, std::size_t bytes) {
  for (std::size_t sent = 0; sent < bytes; sent += piece.size()) {
    if (!peer.send(piece)) return;
  }
}

std::vector<Fault> faults() {
  std::vector<Fault> all;
  const auto add = [&](Fault fault) { all.push_back(std::move(fault)); };
  const auto answers = [](const char* status, const char* type, const char* code, const char* message, std::string headers = {}) {
    return [=](Api api, const Peer& peer, int) { peer.send(response(status, "application/json", json::serialize(error_body(api, type, code, message)), headers)); };
  };

  // ---- No connection
  add({.name = "ConnectionRefused", .base_url = "http://127.0.0.1:1/v1", .code = ErrorCode::kModelUnreachable, .reason = "unreachable",
       .message = "cannot connect to 127.0.0.1:1", .hint = "Check that a server runs there", .requests = 0});
  add({.name = "NameDoesNotResolve", .settings = {{"connect_timeout", "5s"}}, .base_url = "http://no-such-host.invalid/v1", .code = ErrorCode::kModelUnreachable,
       .reason = "unreachable", .message = "name does not resolve", .hint = "spelling of the host", .requests = 0, .at_most = 8s});
  add({.name = "TlsWithAPlainServer", .server = [](Api, const Peer& peer, int) { peer.send("HTTP/1.1 400 Bad Request\r\n\r\n"); }, .base_url = "https", 
       .code = ErrorCode::kModelUnreachable, .reason = "tls", .message = "TLS with 127.0.0.1", .hint = "http:// in base_url", .requests = -1});

  // ---- Refusals
  add({.name = "Status401", .server = answers("401 Unauthorized", "authentication_error", "invalid_api_key", "Incorrect API key provided."),
       .code = ErrorCode::kModel, .message = "answered 401: Incorrect API key", .hint = "wants a key"});
  add({.name = "Status404OfTheModel", .server = answers("404 Not Found", "not_found_error", "model_not_found", "The model `test` does not exist."),
       .code = ErrorCode::kModel, .message = "answered 404: The model `test` does not exist", .hint = "Check model ('test')"});
  add({.name = "Status429WithoutRetryAfter", .server = answers("429 Too Many Requests", "rate_limit_error", "rate_limit_exceeded", "Slow down."),
       .settings = {{"retries", 1}}, .code = ErrorCode::kModel, .reason = "rate_limited", .message = "Slow down. (after 2 tries)", .hint = "send fewer at once", .requests = 2});
  add({.name = "Status429WithRetryAfterIsWaitedFor",
       .server = [](Api api, const Peer& peer, int number) {
         if (number == 1) {
           peer.send(response("429 Too Many Requests", "application/json", json::serialize(error_body(api, "rate_limit_error", nullptr, "Slow down.")), "retry-after-ms: 200\r\n"));
         } else {
           peer.send(kStreamHead + whole_stream(api));
         }
       },
       .settings = {{"retries", 1}}, .requests = 2});
  add({.name = "Status429WithALongRetryAfterIsNot",
       .server = answers("429 Too Many Requests", "rate_limit_error", "rate_limit_exceeded", "Slow down.", "Retry-After: 3600\r\n"), .settings = {{"retries", 3}},
       .code = ErrorCode::kModel, .reason = "rate_limited", .message = "answered 429", .hint = "asks to wait 3600 s"});
  add({.name = "Status500", .server = answers("500 Internal Server Error", "api_error", "server_error", "Something broke."), .code = ErrorCode::kModel,
       .reason = "server_fault", .message = "answered 500: Something broke.", .hint = "try again later"});
  add({.name = "Status503InHtml", .server = [](Api, const Peer& peer, int) { peer.send(response("503 Service Unavailable", "text/html", "<html>503</html>")); },
       .code = ErrorCode::kModel, .reason = "server_fault", .message = "answered 503: no particulars", .hint = "try again later"});
  add({.name = "Status529", .server = answers("529 Site Overloaded", "overloaded_error", nullptr, "Overloaded"), .code = ErrorCode::kModel, .reason = "server_fault",
       .message = "answered 529: Overloaded", .hint = "try again later"});
  add({.name = "ErrorInTheMiddleOfTheStream",
       .server = [](Api api, const Peer& peer, int) {
         json::value error = error_body(api, "api_error", "server_error", "Something broke.");
         if (api == Api::kResponses) error = {{"type", "error"}, {"code", "server_error"}, {"message", "Something broke."}, {"param", nullptr}};
         peer.send(kStreamHead + begun(api) + event(error));
       },
       .code = ErrorCode::kModel, .reason = "server_fault", .message = "Something broke.", .hint = "try again", .text_kept = true});

  // ---- Silence
  add({.name = "StallBeforeTheHeaders", .server = [](Api, const Peer& peer, int) { peer.stall(); }, .settings = {{"first_token_timeout", "300ms"}},
       .code = ErrorCode::kTimeout, .reason = "timeout", .message = "has not begun to answer within 0.3 s", .hint = "first_token_timeout"});
  add({.name = "StallBeforeTheFirstText",
       .server = [](Api api, const Peer& peer, int) {
         peer.send(kStreamHead + opening(api) + ": still here\n\n");
         peer.stall();
       },
       .settings = {{"first_token_timeout", "300ms"}}, .code = ErrorCode::kTimeout, .reason = "timeout", .message = "has not begun to answer within 0.3 s", .hint = "first_token_timeout"});
  add({.name = "StallInTheMiddle",
       .server = [](Api api, const Peer& peer, int) {
         peer.send(kStreamHead + begun(api));
         peer.stall();
       },
       .settings = {{"idle_timeout", "300ms"}}, .code = ErrorCode::kTimeout, .reason = "timeout", .message = "gone silent for 0.3 s", .hint = "Try again", .text_kept = true});
  add({.name = "StallInTheMiddleEndsAtTheWholesTimeout",
       .server = [](Api api, const Peer& peer, int) {
         peer.send(kStreamHead + begun(api));
         peer.stall();
       },
       .settings = {{"timeout", "400ms"}}, .code = ErrorCode::kTimeout, .reason = "timeout", .message = "has not finished its answer", .hint = "Raise the timeout", .text_kept = true});
  add({.name = "StallOfAWholeAnswer",
       .server = [](Api, const Peer& peer, int) {
         peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"cho");
         peer.stall();
       },
       .settings = {{"stream", false}, {"timeout", "400ms"}}, .code = ErrorCode::kTimeout, .reason = "timeout", .message = "has not finished its answer", .hint = "Raise the timeout"});

  // ---- Ends that come too early
  add({.name = "ClosedWithoutAWord", .server = [](Api, const Peer&, int) {}, .code = ErrorCode::kModelUnreachable, .reason = "unreachable", .message = "broke off",
       .hint = "Try again"});
  add({.name = "ClosedWithinTheHeaders", .server = [](Api, const Peer& peer, int) { peer.send("HTTP/1.1 200 OK\r\nContent-Ty"); }, .code = ErrorCode::kModelUnreachable,
       .reason = "unreachable", .message = "127.0.0.1", .hint = "Try again"});
  add({.name = "HalfClosedStream",
       .server = [](Api api, const Peer& peer, int) {
         peer.send(kChunkedHead + chunk(begun(api)));
         peer.half_close();
         peer.stall();
       },
       .code = ErrorCode::kModelUnreachable, .reason = "unreachable", .message = "broke off", .hint = "Try again", .text_kept = true});
  add({.name = "TruncatedStreamThatEndsPolitely", .server = [](Api api, const Peer& peer, int) { peer.send(kStreamHead + begun(api)); },
       .code = ErrorCode::kModelUnreachable, .reason = "unreachable", .message = "ended in the middle of the answer", .hint = "Try again", .text_kept = true});
  add({.name = "TruncatedWithinAnEvent",
       .server = [](Api api, const Peer& peer, int) {
         const std::string next = text_event(api, "lost");
         peer.send(kStreamHead + begun(api) + next.substr(0, next.size() / 2));
       },
       .code = ErrorCode::kModel, .message = "not a JSON object", .hint = "Try again", .text_kept = true});
  add({.name = "TruncatedWholeAnswer",
       .server = [](Api api, const Peer& peer, int) {
         const std::string body = json::serialize(whole_answer(api, kSaid));
         peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, body.size() / 2));
       },
       .settings = {{"stream", false}}, .code = ErrorCode::kModelUnreachable, .reason = "unreachable", .message = "broke off", .hint = "Try again"});
  add({.name = "AnEarlyEndIsTriedAgainWhileNothingWasShown",
       .server = [](Api api, const Peer& peer, int number) { peer.send(kStreamHead + (number == 1 ? opening(api) : whole_stream(api))); },
       .settings = {{"retries", 1}}, .requests = 2});

  // ---- Other bytes than were agreed
  add({.name = "InvalidJson", .server = [](Api, const Peer& peer, int) { peer.send(response("200 OK", "application/json", "{\"choices\": [")); },
       .code = ErrorCode::kModel, .message = "the answer is not JSON: {\"choices\": [", .hint = "Check that base_url"});
  add({.name = "JsonOfAnotherShape", .server = [](Api, const Peer& peer, int) { peer.send(response("200 OK", "application/json", "{\"hello\": \"world\"}")); },
       .code = ErrorCode::kModel, .message = "{\"hello\":\"world\"}", .hint = "Check that base_url"});
  add({.name = "EmptyAnswer", .server = [](Api, const Peer& peer, int) { peer.send(response("200 OK", "application/json", "")); },
       .code = ErrorCode::kModelUnreachable, .reason = "unreachable", .message = "the answer is empty", .hint = "Check that base_url"});
  add({.name = "InvalidJsonInTheStream",
       .server = [](Api api, const Peer& peer, int) { peer.send(kStreamHead + begun(api) + "data: {\"oops\n\n" + closing(api)); },
       .code = ErrorCode::kModel, .message = "not a JSON object: {\"oops", .hint = "Try again", .text_kept = true});
  add({.name = "NoTextAtAllInTheStream",
       .server = [](Api, const Peer& peer, int) {
         std::string bytes;
         for (int i = 0; i < 5000; ++i) bytes += static_cast<char>(i * 7);
         peer.send(kStreamHead + bytes + "\n\ndata: \xff\xfe\n\n");
       },
       .code = ErrorCode::kModel, .message = "127.0.0.1", .hint = "Try again"});
  add({.name = "AWebPage", .server = [](Api, const Peer& peer, int) { peer.send(response("200 OK", "text/html", "<html><h1>Welcome</h1></html>")); },
       .code = ErrorCode::kModel, .message = "it is a page of HTML", .hint = "Check that base_url"});
  for (const char* type : {"text/plain", "application/json", "application/octet-stream"}) {
    std::string name = "AStreamCalled_" + std::string(type);
    std::replace_if(name.begin(), name.end(), [](char c) { return c == '/' || c == '-'; }, '_');
    add({.name = name, .server = [type](Api api, const Peer& peer, int) { peer.send(response("200 OK", type, whole_stream(api))); }});
  }
  add({.name = "AWholeAnswerInPlaceOfAStream",
       .server = [](Api api, const Peer& peer, int) { peer.send(response("200 OK", "application/json", json::serialize(whole_answer(api, kSaid)))); }});
  add({.name = "AStreamSplitAtEveryByte", .server = [](Api api, const Peer& peer, int) {
         peer.send(kStreamHead);
         peer.send_bytewise(whole_stream(api));
       }});
  add({.name = "AStreamWithChunksOfOneByte", .server = [](Api api, const Peer& peer, int) {
         std::string bytes = kChunkedHead;
         for (const char c : whole_stream(api)) bytes += chunk(std::string(1, c));
         peer.send_bytewise(bytes + "0\r\n\r\n");
       }});
  add({.name = "AnEndlessHeader",
       .server = [](Api, const Peer& peer, int) {
         peer.send("HTTP/1.1 200 OK\r\n");
         endless(peer, "X-More: " + std::string(1000, 'y') + "\r\n", 100U << 20U);
       },
       .code = ErrorCode::kLimit, .message = "larger than", .hint = "base_url"});
  add({.name = "AHundredMegabytesAtOnce",
       .server = [](Api, const Peer& peer, int) {
         peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n{\"a\": \"");
         endless(peer, std::string(65536, 'x'), 100U << 20U);
       },
       .code = ErrorCode::kLimit, .message = "larger than 67108864 bytes", .hint = "shorter answer", .at_most = 20s});
  add({.name = "AHundredMegabytesOfEvents",
       .server = [](Api api, const Peer& peer, int) {
         peer.send(kStreamHead + begun(api));
         endless(peer, text_event(api, std::string(65536, 'x')), 100U << 20U);
       },
       .code = ErrorCode::kLimit, .message = "larger than 67108864 bytes", .hint = "shorter answer", .text_kept = true, .at_most = 20s});
  add({.name = "AHundredMegabytesInOneEvent",
       .server = [](Api api, const Peer& peer, int) {
         peer.send(kStreamHead + begun(api) + "data: ");
         endless(peer, std::string(65536, 'x'), 100U << 20U);
       },
       .code = ErrorCode::kLimit, .message = "one event is larger", .hint = "base_url", .text_kept = true, .at_most = 20s});

  // ---- The user's Ctrl-C
  add({.name = "CancelledWhileNothingCame", .server = [](Api, const Peer& peer, int) { peer.stall(); }, .code = ErrorCode::kCancelled, .message = "cancelled", .cancelled = true});
  add({.name = "CancelledInTheMiddle",
       .server = [](Api api, const Peer& peer, int) {
         peer.send(kStreamHead + begun(api));
         peer.stall();
       },
       .code = ErrorCode::kCancelled, .message = "cancelled", .text_kept = true, .cancelled = true});
  add({.name = "CancelledBetweenTwoTries", .server = answers("503 Service Unavailable", "api_error", nullptr, "Later.", "Retry-After: 20\r\n"), .settings = {{"retries", 3}},
       .code = ErrorCode::kCancelled, .message = "cancelled between two tries", .cancelled = true});
  return all;
}

class FaultTest : public ::testing::TestWithParam<std::tuple<Api, Fault>> {};

std::string name_of(Api api) { return api == Api::kChat ? "Chat" : api == Api::kResponses ? "Responses" : "Messages"; }

INSTANTIATE_TEST_SUITE_P(All, FaultTest, ::testing::Combine(::testing::Values(Api::kChat, Api::kResponses, Api::kMessages), ::testing::ValuesIn(faults())),
                         [](const auto& tested) { return name_of(std::get<0>(tested.param)) + "_" + std::get<1>(tested.param).name; });

TEST_P(FaultTest, EndsInTimeKeepsWhatCameAndSaysWhatToDo) {
  const Api api = std::get<0>(GetParam());
  const Fault& fault = std::get<1>(GetParam());
  tests::RawServer server([&](const Peer& peer, int number, const std::string&) {
    if (fault.server) fault.server(api, peer, number);
  });
  json::object model{{"provider", api == Api::kMessages ? "anthropic" : "openai"}, {"model", "test"}, {"retries", 0}};
  if (api != Api::kMessages) model["api"] = api == Api::kChat ? "chat" : "responses";
  model["base_url"] = fault.base_url.empty() ? server.url("/v1") : fault.base_url == "https" ? "https" + server.url("/v1").substr(4) : fault.base_url;
  for (const auto& member : fault.settings) model[member.key()] = member.value();
  const auto models = Models::from_config({{"models", {{"m", std::move(model)}}}}, {});
  ASSERT_TRUE(models) << to_text(models.error());

  Request request;
  request.messages.push_back(json::object{{"role", "user"}, {"content", "Which city?"}});
  request.timeout = 30s;
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::jthread canceller;
  if (fault.cancelled) {
    canceller = std::jthread([cancelled = request.cancelled] {
      std::this_thread::sleep_for(200ms);
      *cancelled = true;
    });
  }
  std::string streamed;
  const auto start = Clock::now();
  const auto reply = (*models)->get().value()->complete(request, [&](const Event& piece) { streamed += piece.content; });
  EXPECT_LT(Clock::now() - start, fault.at_most);
  if (fault.requests >= 0) {
    EXPECT_EQ(server.requests(), fault.requests);
  }
  if (!fault.code) {
    ASSERT_TRUE(reply) << to_text(reply.error());
    EXPECT_EQ(reply->content, kSaid);
    EXPECT_EQ(streamed, kSaid);
    return;
  }
  ASSERT_FALSE(reply) << reply->content;
  const Error& error = reply.error();
  EXPECT_EQ(error.code, *fault.code) << to_text(error);
  EXPECT_THAT(error.message, HasSubstr(fault.message));
  if (!fault.cancelled) {
    EXPECT_NE(error.hint, "") << error.message;
  }
  EXPECT_THAT(error.hint, HasSubstr(fault.hint));
  EXPECT_LT(error.message.size(), 1000U);
  const json::object data = error.data.empty() ? json::object() : parse_json(error.data)->get_object();
  if (!fault.reason.empty()) {
    EXPECT_EQ(string_or(data, "reason"), fault.reason);
  }
  if (fault.text_kept) {
    EXPECT_THAT(streamed, ::testing::StartsWith(kFirstHalf));
    const std::string kept(string_or(data, "partial"));
    EXPECT_EQ(kept, streamed.substr(0, kept.size()));
    EXPECT_GE(kept.size(), std::min<std::size_t>(streamed.size(), 65'000)) << "nothing of what came is lost, up to the bound";
  } else {
    EXPECT_EQ(streamed, "");
  }
}

// ---- An answer that does not fit its schema, for each API ------------------------------------------------------------

class MisfitTest : public ::testing::TestWithParam<Api> {};
INSTANTIATE_TEST_SUITE_P(All, MisfitTest, ::testing::Values(Api::kChat, Api::kResponses, Api::kMessages), [](const auto& tested) { return name_of(tested.param); });

TEST_P(MisfitTest, GoesBackOnceAndThenIsAnErrorWithTheAnswer) {
  for (const bool learns : {true, false}) {
    tests::RawServer server([&](const Peer& peer, int number, const std::string& request) {
      const bool told = request.find("does not fit the JSON Schema") != std::string::npos;
      EXPECT_EQ(told, number == 2);
      peer.send(response("200 OK", "application/json", json::serialize(whole_answer(GetParam(), learns && told ? R"({"city":"Paris"})" : R"({"town":"Paris"})"))));
    });
    json::object model{{"provider", GetParam() == Api::kMessages ? "anthropic" : "openai"}, {"model", "test"}, {"base_url", server.url("/v1")}};
    if (GetParam() != Api::kMessages) model["api"] = GetParam() == Api::kChat ? "chat" : "responses";
    const auto models = Models::from_config({{"models", {{"m", std::move(model)}}}}, {});
    Request request;
    request.messages.push_back(json::object{{"role", "user"}, {"content", "Which city?"}});
    request.output_schema = json::object{{"type", "object"}, {"properties", {{"city", {{"type", "string"}}}}}, {"required", json::array{"city"}}, {"additionalProperties", false}};
    const auto reply = (*models)->get().value()->complete(request, {});
    EXPECT_EQ(server.requests(), 2);
    if (learns) {
      ASSERT_TRUE(reply) << to_text(reply.error());
      EXPECT_EQ(reply->content, R"({"city":"Paris"})");
      EXPECT_TRUE(reply->repaired);
    } else {
      ASSERT_FALSE(reply);
      EXPECT_NE(reply.error().hint, "");
      const auto data = parse_json(reply.error().data)->get_object();
      EXPECT_EQ(data.at("partial"), json::value(R"({"town":"Paris"})"));
      EXPECT_FALSE(data.at("violations").get_array().empty());
    }
  }
}

}  // namespace
}  // namespace sabir::models
