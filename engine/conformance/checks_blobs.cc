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
  auto value = session.response(session.call("length", {{"value", nullptr}}, with_blobs({text}, json::array{entry("/arguments/value", "string")}))).value();
  expect(same(value, 50000), "a string blob of 50,000 characters has the length " + json::serialize(value));
  value = session.response(session.call("kind", {{"value", nullptr}}, with_blobs({bytes}, json::array{entry("/arguments/value", "bytes")}))).value();
  expect(value == json::value("bytes"), "a bytes blob arrived as " + json::serialize(value));
  value = session.response(session.call("kind", {{"value", nullptr}}, with_blobs({"abc"}, json::array{entry("/arguments/value", "string")}))).value();
  expect(value == json::value("text"), "a string blob arrived as " + json::serialize(value));
  const json::value nested{{"a/b~c", {1, nullptr, nullptr}}, {"", nullptr}};
  value = session.response(session.call("echo", {{"value", nested}},
                                        with_blobs({"second", "first", "third"},
                                                   json::array{entry("/arguments/value/a~1b~0c/2", "string"), entry("/arguments/value/a~1b~0c/1", "string"),
                                                               entry("/arguments/value/", "string")}))).value();
  expect(value == json::value({{"a/b~c", {1, "first", "second"}}, {"", "third"}}), "blobs at nested places gave " + json::serialize(value));

  struct Bad {
    std::string what;
    CallExtras extras;
  };
  const std::vector<Bad> bad = {
      {"two blobs and one entry", with_blobs({"a", "b"}, json::array{entry("/arguments/value", "string")})},
      {"a blob and no list", {{}, {}, {"a"}}},
      {"an entry and no blob", with_blobs({}, json::array{entry("/arguments/value", "string")})},
      {"a pointer to a value that is no null", with_blobs({"a"}, json::array{entry("/context/user", "string")})},
      {"a pointer to nothing", with_blobs({"a"}, json::array{entry("/context/nowhere", "string")})},
      {"a pointer into a string", with_blobs({"a"}, json::array{entry("/function/0", "string")})},
      {"a pointer without a slash", with_blobs({"a"}, json::array{entry("arguments", "string")})},
      {"the empty pointer", with_blobs({"a"}, json::array{entry("", "string")})},
      {"an unknown type", with_blobs({"a"}, json::array{entry("/arguments/value", "picture")})},
      {"no object as an entry", with_blobs({"a"}, json::array{"/arguments/value"})},
      {"a string blob that is not UTF-8", with_blobs({"\xC3\x28"}, json::array{entry("/arguments/value", "string")})},
  };
  for (const auto& [what, extras] : bad) {
    const auto answer = session.response(session.call("echo", {{"value", nullptr}}, extras));
    expect(answer.error_code() == -32602, "a call with " + what + " was not answered with -32602, but with " + answer.text());
  }
  value = session.response(session.call("echo", {{"value", "still here"}})).value();
  expect(value == json::value("still here"), "echo after refused blobs");
}

// An answer's only blob, which must be the value as a whole.
const std::string& only_blob(const Message& answer, std::string_view type, const std::string& what) {
  answer.value();
  expect(answer.blobs.size() == 1, what + " did not travel as a blob: " + answer.text());
  const auto& listed = answer.object.at("result").get_object().at("blobs").get_array()[0].get_object();
  expect(string_or(listed, "type") == type && string_or(listed, "at") == "/value", what + " travels as " + json::serialize(listed));
  return answer.blobs[0];
}

void sends_blobs(const Options& options) {
  Session session(options);
  session.greet();
  const auto below = session.response(session.call("text_of", {{"size", kBlob - 2}}));
  expect(below.blobs.empty() && below.value().as_string().size() == kBlob - 2, "a string of 65,534 bytes came back wrong");
  const auto text = session.response(session.call("text_of", {{"size", kBlob}}));
  expect(only_blob(text, "string", "a string of 65,536 bytes and 32,768 characters") == repeated("é", kBlob / 2), "a string blob came back wrong");
  std::string bytes;
  for (std::size_t i = 0; i < kBlob; ++i) bytes += static_cast<char>(i % 256);
  const auto large = session.response(session.call("bytes_of", {{"size", kBlob}}));
  expect(only_blob(large, "bytes", "a byte sequence of 65,536 bytes") == bytes, "a bytes blob came back wrong");
  const auto small = session.response(session.call("bytes_of", {{"size", 300}})).value();
  expect(small == json::value(base64_encode(bytes.substr(0, 300))), "300 bytes are not base64 text: " + json::serialize(small));

  // Both ways through the engine, inside a larger value.
  const std::string word = repeated("x", kBlob);
  const json::object nested{{"list", {1, nullptr}}};
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", nested}},
                                  with_blobs({word}, json::array{entry("/arguments/arguments/list/1", "string")}));
  const auto request = session.worker_request("functions.call");
  const auto& params = request.object.at("params").get_object();
  const json::value wanted = json::array{entry("/arguments/list/1", "string")};
  expect(request.blobs.size() == 1 && request.blobs[0] == word && params.contains("blobs") && params.at("blobs") == wanted,
         "an argument of 65,536 bytes to functions.call did not travel as a blob: " + request.text());
  session.answer(request, {{"value", {nullptr, 2}}, {"blobs", json::array{entry("/value/0", "string")}}}, {word});
  const auto answer = session.response(outer);
  expect(answer.value() == json::value({word, 2}), "a blob in the engine's answer came back wrong: " + answer.text());
  expect(answer.blobs.size() == 1, "a string of 65,536 bytes inside a list did not travel as a blob");
}

void reads_while_it_waits(const Options& options) {
  Session session(options);
  session.greet();
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  const auto inner = session.worker_request("functions.call");
  session.ping();
  const auto first = session.call("count_run", json::object());
  const auto second = session.call("count_run", json::object());
  const auto third = session.call("count_run", json::object());
  session.ping();
  session.notify("cancel", {{"id", second}, {"reason", "client"}});
  session.ping();
  session.answer(inner, {{"value", "inner"}});
  expect(session.response(outer).value() == json::value("inner"), "the waiting call went wrong");
  expect(same(session.response(first).value(), 1), "the first call behind it was not run first");
  expect(session.response(second).error_type() == "cancelled", "a call cancelled meanwhile was not answered with cancelled");
  expect(same(session.response(third).value(), 2), "the third call behind it was not run second");
}

void survives_bad_messages(const Options& options) {
  Session session(options);
  session.greet();
  struct Bad {
    std::string what;
    std::string text;
    std::int64_t code;
  };
  const std::vector<Bad> bad = {
      {"cut JSON", R"({"jsonrpc":"2.0","id":1,)", -32700},
      {"no JSON", "ping", -32700},
      {"an empty JSON text", "", -32700},
      {"two JSON texts", "{}{}", -32700},
      {"NaN", R"({"jsonrpc":"2.0","id":NaN,"method":"ping"})", -32700},
      {"invalid UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":\"\xFF\",\"method\":\"ping\"}", -32700},
      {"200,000 open brackets", std::string(200000, '['), -32700},
      {"an array", "[]", -32600},
      {"a string", "\"ping\"", -32600},
      {"an empty object", "{}", -32600},
      {"another version", R"({"jsonrpc":"1.0","id":1,"method":"ping"})", -32600},
      {"a method that is no string", R"({"jsonrpc":"2.0","id":1,"method":7})", -32600},
  };
  for (const auto& [what, text, code] : bad) {
    session.send_bytes(frame(text));
    const auto answer = session.receive();
    expect(answer.error_code() == code && answer.object.contains("id") && answer.object.at("id").is_null(),
           "a frame with " + what + " was not answered with " + std::to_string(code) + ", id null, but with " + answer.text());
  }
  const auto value = session.response(session.call("echo", {{"value", "still here"}})).value();
  expect(value == json::value("still here"), "echo after bad messages");
}

}  // namespace

std::vector<CheckEntry> blob_checks() {
  return {
      {"MUST-23", "puts blobs in their places and refuses wrong lists", takes_blobs},
      {"MUST-24", "sends large strings and byte sequences as blobs", sends_blobs},
      {"MUST-25", "reads on while it waits for an answer", reads_while_it_waits},
      {"MUST-26", "answers bad messages and stays usable", survives_bad_messages},
  };
}

}  // namespace sabir::conformance
