#include "checks.h"
#include "sabir/base/text.h"

namespace sabir::conformance {
namespace {

constexpr std::size_t kBlob = 65536;

CallExtras with_blobs(std::vector<std::string> blobs, json::value listed) {
  CallExtras extras;
  extras.blobs = std::move(blobs);
  extras.more["blobs"] = std::move(listed);
  return extras;
}

json::value entry(std::string_view at, std::string_view type) { return {{"at", at}, {"type", type}}; }

void takes_blobs(const Options& options) {
  Session session(options);
  session.greet();
  const std::string text = repeated("é", 50000);
  std::string bytes;
  for (std::size_t i = 0; i < 100000; ++i) bytes += static_cast<char>(i % 256);
  expect_value(called(session, "length", {{"value", nullptr}}, with_blobs({text}, json::array{entry("/arguments/value", "string")})), 50000,
               "the length of a string blob of 50,000 characters");
  expect_value(called(session, "kind", {{"value", nullptr}}, with_blobs({bytes}, json::array{entry("/arguments/value", "bytes")})), "bytes",
               "the kind of a bytes blob");
  expect_value(called(session, "length", {{"value", nullptr}}, with_blobs({bytes}, json::array{entry("/arguments/value", "bytes")})), 100000,
               "the length of a bytes blob");
  expect_value(called(session, "kind", {{"value", nullptr}}, with_blobs({"abc"}, json::array{entry("/arguments/value", "string")})), "text",
               "the kind of a string blob");
}

void takes_nested_blobs(const Options& options) {
  Session session(options);
  session.greet();
  const json::value nested{{"a/b~c", {1, nullptr, nullptr}}, {"", nullptr}};
  const auto listed = json::array{entry("/arguments/value/a~1b~0c/2", "string"), entry("/arguments/value/a~1b~0c/1", "string"),
                                  entry("/arguments/value/", "string")};
  expect_value(called(session, "echo", {{"value", nested}}, with_blobs({"second", "first", "third"}, listed)),
               json::value({{"a/b~c", {1, "first", "second"}}, {"", "third"}}), "blobs at nested places");
}

struct BadList {
  std::string what;
  CallExtras extras;
};

void expect_lists_refused(const Options& options, const std::vector<BadList>& bad) {
  Session session(options);
  session.greet();
  for (const auto& [what, extras] : bad) {
    const auto answer = session.response(session.call("echo", {{"value", nullptr}}, extras));
    expect(answer.error_code() == -32602, "a call with " + what + " was not answered with -32602, but with " + answer.text());
  }
  expect_usable(session, "refused blobs");
}

void refuses_wrong_counts(const Options& options) {
  expect_lists_refused(options, {{"two blobs and one entry", with_blobs({"a", "b"}, json::array{entry("/arguments/value", "string")})},
                                 {"a blob and no list", {{}, {}, {"a"}}},
                                 {"an entry and no blob", with_blobs({}, json::array{entry("/arguments/value", "string")})}});
}

void refuses_wrong_pointers(const Options& options) {
  expect_lists_refused(options, {{"a pointer to a value that is no null", with_blobs({"a"}, json::array{entry("/context/user", "string")})},
                                 {"a pointer to nothing", with_blobs({"a"}, json::array{entry("/context/nowhere", "string")})},
                                 {"a pointer into a string", with_blobs({"a"}, json::array{entry("/function/0", "string")})},
                                 {"a pointer without a slash", with_blobs({"a"}, json::array{entry("arguments", "string")})},
                                 {"the empty pointer", with_blobs({"a"}, json::array{entry("", "string")})}});
}

void refuses_wrong_entries(const Options& options) {
  expect_lists_refused(options, {{"an unknown type", with_blobs({"a"}, json::array{entry("/arguments/value", "picture")})},
                                 {"no object as an entry", with_blobs({"a"}, json::array{"/arguments/value"})},
                                 {"a string blob that is not UTF-8", with_blobs({"\xC3\x28"}, json::array{entry("/arguments/value", "string")})}});
}

// An answer's only blob, which must be the value as a whole.
const std::string& only_blob(const Message& answer, std::string_view type, const std::string& what) {
  answer.value();
  expect(answer.blobs.size() == 1, what + " did not travel as a blob: " + answer.text());
  const auto& listed = answer.object.at("result").get_object().at("blobs").get_array()[0].get_object();
  expect(string_or(listed, "type") == type && string_or(listed, "at") == "/value", what + " travels as " + json::serialize(listed));
  return answer.blobs[0];
}

void sends_string_blobs(const Options& options) {
  Session session(options);
  session.greet();
  const auto below = session.response(session.call("text_of", {{"size", kBlob - 2}}));
  expect(below.blobs.empty() && below.value().as_string().size() == kBlob - 2, "a string of 65,534 bytes came back wrong");
  const auto text = session.response(session.call("text_of", {{"size", kBlob}}));
  expect(only_blob(text, "string", "a string of 65,536 bytes and 32,768 characters") == repeated("é", kBlob / 2), "a string blob came back wrong");
}

void sends_byte_blobs(const Options& options) {
  Session session(options);
  session.greet();
  std::string bytes;
  for (std::size_t i = 0; i < kBlob; ++i) bytes += static_cast<char>(i % 256);
  const auto large = session.response(session.call("bytes_of", {{"size", kBlob}}));
  expect(only_blob(large, "bytes", "a byte sequence of 65,536 bytes") == bytes, "a bytes blob came back wrong");
}

// call_engine with a word of 65,536 bytes among its arguments; returns the worker's request.
Message call_with_a_word(Session& session, const std::string& word, std::int64_t& outer) {
  const json::object nested{{"list", {1, nullptr}}};
  outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", nested}},
                       with_blobs({word}, json::array{entry("/arguments/arguments/list/1", "string")}));
  return session.worker_request("functions.call");
}

void sends_blobs_to_the_engine(const Options& options) {
  Session session(options);
  session.greet();
  const std::string word = repeated("x", kBlob);
  std::int64_t outer = 0;
  const auto request = call_with_a_word(session, word, outer);
  const auto& params = request.object.at("params").get_object();
  const json::value wanted = json::array{entry("/arguments/list/1", "string")};
  expect(request.blobs.size() == 1 && request.blobs[0] == word && params.contains("blobs") && params.at("blobs") == wanted,
         "an argument of 65,536 bytes to functions.call did not travel as a blob: " + request.text());
}

void takes_blobs_from_the_engine(const Options& options) {
  Session session(options);
  session.greet();
  const std::string word = repeated("x", kBlob);
  std::int64_t outer = 0;
  const auto request = call_with_a_word(session, word, outer);
  session.answer(request, {{"value", {nullptr, 2}}, {"blobs", json::array{entry("/value/0", "string")}}}, {word});
  const auto answer = session.response(outer);
  expect(answer.value() == json::value({word, 2}), "a blob in the engine's answer came back wrong: " + answer.text());
  expect(answer.blobs.size() == 1, "a string of 65,536 bytes inside a list did not travel as a blob");
}

void answers_ping_while_it_waits(const Options& options) {
  Session session(options);
  session.greet();
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  const auto inner = session.worker_request("functions.call");
  session.ping();
  session.ping();
  session.answer(inner, {{"value", "inner"}});
  expect(session.response(outer).value() == json::value("inner"), "the waiting call went wrong");
}

void keeps_order_while_it_waits(const Options& options) {
  Session session(options);
  session.greet();
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  const auto inner = session.worker_request("functions.call");
  const auto first = session.call("count_run", json::object());
  const auto second = session.call("count_run", json::object());
  const auto third = session.call("count_run", json::object());
  session.notify("cancel", {{"id", second}, {"reason", "client"}});
  session.answer(inner, {{"value", "inner"}});
  expect(session.response(outer).value() == json::value("inner"), "the waiting call went wrong");
  expect(same(session.response(first).value(), 1), "the first call behind it was not run first");
  expect(session.response(second).error_type() == "cancelled", "a call cancelled meanwhile was not answered with cancelled");
  expect(same(session.response(third).value(), 2), "the third call behind it was not run second");
}

struct BadMessage {
  std::string what;
  std::string text;
};

void expect_messages_refused(const Options& options, std::int64_t code, const std::vector<BadMessage>& bad) {
  Session session(options);
  session.greet();
  for (const auto& [what, text] : bad) {
    session.send_bytes(frame(text));
    const auto answer = session.receive();
    expect(answer.error_code() == code && answer.object.contains("id") && answer.object.at("id").is_null(),
           "a frame with " + what + " was not answered with " + std::to_string(code) + ", id null, but with " + answer.text());
  }
  expect_usable(session, "bad messages");
}

void survives_bad_json(const Options& options) {
  expect_messages_refused(options, -32700, {{"cut JSON", R"({"jsonrpc":"2.0","id":1,)"},
                                            {"no JSON", "ping"},
                                            {"an empty JSON text", ""},
                                            {"two JSON texts", "{}{}"},
                                            {"NaN", R"({"jsonrpc":"2.0","id":NaN,"method":"ping"})"}});
}

void survives_bad_utf8(const Options& options) {
  expect_messages_refused(options, -32700, {{"invalid UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":\"\xFF\",\"method\":\"ping\"}"},
                                            {"a cut character", "{\"jsonrpc\":\"2.0\",\"id\":\"\xC3\",\"method\":\"ping\"}"}});
}

void survives_deep_json(const Options& options) {
  expect_messages_refused(options, -32700, {{"200,000 open brackets", std::string(200000, '[')}});
}

void survives_what_is_no_request(const Options& options) {
  expect_messages_refused(options, -32600, {{"an array", "[]"},
                                            {"a string", "\"ping\""},
                                            {"an empty object", "{}"},
                                            {"another version", R"({"jsonrpc":"1.0","id":1,"method":"ping"})"},
                                            {"a method that is no string", R"({"jsonrpc":"2.0","id":1,"method":7})"}});
}

}  // namespace

std::vector<CheckEntry> blob_checks() {
  return {
      {"MUST-23.1", "takes string and byte blobs", takes_blobs},
      {"MUST-23.2", "puts blobs in nested places", takes_nested_blobs},
      {"MUST-23.3", "refuses a list that does not count the blobs", refuses_wrong_counts},
      {"MUST-23.4", "refuses a pointer to anything but null", refuses_wrong_pointers},
      {"MUST-23.5", "refuses entries of no known type and strings that are not UTF-8", refuses_wrong_entries},
      {"MUST-24.1", "sends large strings as blobs", sends_string_blobs},
      {"MUST-24.2", "sends large byte sequences as blobs", sends_byte_blobs},
      {"MUST-24.3", "sends large arguments to the engine as blobs", sends_blobs_to_the_engine},
      {"MUST-24.4", "takes blobs in the engine's answers and sends them on", takes_blobs_from_the_engine},
      {"MUST-25.1", "answers ping while it waits for an answer", answers_ping_while_it_waits},
      {"MUST-25.2", "keeps later calls in order and notes cancel while it waits", keeps_order_while_it_waits},
      {"MUST-26.1", "answers what is no JSON and stays usable", survives_bad_json},
      {"MUST-26.2", "answers invalid UTF-8 and stays usable", survives_bad_utf8},
      {"MUST-26.3", "answers endless nesting and stays usable", survives_deep_json},
      {"MUST-26.4", "answers JSON that is no request and stays usable", survives_what_is_no_request},
  };
}

}  // namespace sabir::conformance
