#include <algorithm>

#include "checks.h"

namespace sabir::conformance {
namespace {

json::value called(Session& session, std::string_view function, json::object arguments, CallExtras extras = {}) {
  return session.response(session.call(function, std::move(arguments), std::move(extras))).value();
}

void expect_value(const json::value& got, const json::value& wanted, const std::string& what) {
  expect(same(got, wanted), what + " gave " + json::serialize(got).substr(0, 300) + ", not " + json::serialize(wanted).substr(0, 300));
}

void passes_arguments(const Options& options) {
  Session session(options);
  session.greet();
  expect_value(called(session, "subtract", {{"a", 7}, {"b", 5}}, {{"a", "b"}, {}, {}}), 2, "subtract(7, 5) by position");
  // The order is positional's, whatever the order of the object's members.
  expect_value(called(session, "subtract", {{"b", 5}, {"a", 7}}, {{"a", "b"}, {}, {}}), 2, "subtract with its members reversed");
  const auto id = session.call("describe", {{"a", 1}}, {{"a", "b"}, {}, {}});
  const auto answer = session.response(id);
  if (lacks(answer)) return;
  const json::object none;
  const json::array empty;
  expect_value(answer.value(), {{"a", 1}, {"b", 10}, {"rest", empty}, {"scale", 1}, {"options", none}}, "describe(1) with its defaults");
  CallExtras spread{{"a", "b"}, {{"variadic", "rest"}, {"keyword_variadic", "options"}}, {}};
  expect_value(called(session, "describe", {{"a", 1}, {"b", 2}, {"rest", {3, 4}}, {"scale", 5}, {"options", {{"x", 6}}}}, spread),
               {{"a", 1}, {"b", 2}, {"rest", {3, 4}}, {"scale", 5}, {"options", {{"x", 6}}}}, "describe with every kind of argument");
  expect_value(called(session, "describe", {{"a", 1}, {"scale", 5}}, spread),
               {{"a", 1}, {"b", 10}, {"rest", empty}, {"scale", 5}, {"options", none}}, "describe with a name and without the spread ones");
}

void gives_the_context(const Options& options) {
  Session session(options);
  session.greet();
  CallExtras extras{{"greeting"}, {{"context_parameter", "context"}}, {}};
  expect_value(called(session, "context_user", {{"greeting", "hello"}}, extras), "hello u1", "context_user");
  extras.positional.clear();
  const json::value context{{"user", "u1"}, {"tenant", "t1"}, {"conversation", "c1"}, {"run", "r1"}};
  expect_value(called(session, "context_fields", json::object(), extras), context, "context_fields");
  // Each call has its own.
  extras.more["context"] = {{"user", "u2"}, {"tenant", ""}, {"conversation", ""}, {"run", ""}};
  expect_value(called(session, "context_fields", json::object(), extras), extras.more["context"], "context_fields for another caller");
  expect_value(called(session, "echo", {{"value", 1}}), 1, "a call without context_parameter");
}

void carries_values(const Options& options) {
  Session session(options);
  session.greet();
  const json::value values[] = {
      nullptr, true, false, 0, -1, 9007199254740991, -9007199254740991, 0.5, -2.25, 1e300, "", "Été\u0001 \"\\/\n✓ 𝄞",
      json::array{}, json::array{1, "a", nullptr}, json::object{}, json::object{{"a", {{"b", json::array{1.5, json::object{}}}}}},
      {{"", 1}, {"a/b~c", 2}}};
  for (const auto& value : values) expect_value(called(session, "echo", {{"value", value}}), value, "echo");
  const auto structured = session.response(session.call("structured", json::object()));
  if (!lacks(structured)) {
    const auto value = structured.value();
    expect(value.is_object() && value.get_object().contains("point") && value.get_object().contains("colour") &&
               value.get_object().at("point").is_object() && value.get_object().at("point").get_object().contains("x") &&
               value.get_object().at("colour") == json::value("red"),
           "structured gave " + json::serialize(value));
  }
  for (const auto* function : {"not_a_number", "unfit"}) {
    const auto answer = session.response(session.call(function, json::object()));
    if (lacks(answer) && std::string_view(function) == "unfit") continue;
    expect(answer.error_code() == -32000 && answer.error_type() == "invalid_result",
           std::string(function) + " was not answered with invalid_result, but with " + answer.text());
    expect(!answer.error_message().empty(), "invalid_result does not say which value");
  }
  expect_value(called(session, "echo", {{"value", "still here"}}), "still here", "echo after invalid_result");
}

void reports_errors(const Options& options) {
  Session session(options);
  session.greet();
  const std::string text = "no such thing: \"été\"\nsecond line";
  const auto answer = session.response(session.call("fail", {{"message", text}}));
  expect(answer.error_code() == -32000 && answer.error_type() == "function_error",
         "a function that raises was not answered with -32000, function_error, but with " + answer.text());
  expect(answer.error_message() == text, "the message is not the error's own text: " + answer.text());
  const auto& data = answer.error_data();
  expect(string_or(data, "error_class").find("TesteeError") != std::string_view::npos,
         "data.error_class is not the error's class TesteeError: " + answer.text());
  // A compiled language cannot tell the line, and one that can loads files.
  if (data.contains("file") || !broken_testee(options, "import").empty()) {
    const auto name = std::filesystem::path(options.testee).filename().string();
    expect(string_or(data, "file").ends_with(name), "data.file is not " + name + ": " + answer.text());
    const int line = line_with(options.testee, "conformance: fail");
    const auto* at = data.if_contains("line");
    expect(at != nullptr && at->is_int64() && at->get_int64() == line, "data.line is not " + std::to_string(line) + ": " + answer.text());
  }
  expect_value(called(session, "echo", {{"value", "still here"}}), "still here", "echo after an error");
}

void knows_its_functions(const Options& options) {
  Session session(options);
  session.greet();
  const auto answer = session.response(session.call("no_such_function", json::object()));
  expect(answer.error_code() == -32000 && answer.error_type() == "unknown_function",
         "a missing function was not answered with -32000, unknown_function, but with " + answer.text());
  expect_value(called(session, "echo", {{"value", 1}}), 1, "echo after unknown_function");
}

void queues_in_order(const Options& options) {
  Session session(options);
  session.greet();
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(session.call("count_run", json::object()));
  for (int i = 0; i < 20; ++i) {
    expect_value(session.response(ids[static_cast<std::size_t>(i)]).value(), i + 1, "call " + std::to_string(i + 1) + " of 20 sent at once");
  }
  // While a function waits for the engine: three calls, then its answer.
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  const auto inner = session.worker_request("functions.call");
  ids.clear();
  for (int i = 0; i < 3; ++i) ids.push_back(session.call("count_run", json::object()));
  session.answer(inner, {{"value", "inner"}});
  expect_value(session.response(outer).value(), "inner", "a call whose answer from the engine came after three queued calls");
  for (int i = 0; i < 3; ++i) {
    expect_value(session.response(ids[static_cast<std::size_t>(i)]).value(), 21 + i, "a call queued behind a waiting one");
  }
  // The parent is the call, and an engine's error reaches the function as one.
  const auto caught = session.call("call_engine_caught", {{"address", "a.b"}});
  const auto request = session.worker_request("functions.call");
  const auto* params = request.object.if_contains("params");
  expect(params != nullptr && params->is_object() && params->get_object().contains("parent") &&
             params->get_object().at("parent") == json::value(caught),
         "a request during call " + std::to_string(caught) + " does not name it as its parent: " + request.text());
  session.send({{"jsonrpc", "2.0"}, {"id", request.object.at("id")},
                {"error", {{"code", -32000}, {"message", "it took too long"}, {"data", {{"type", "timeout"}}}}}});
  expect_value(session.response(caught).value(), {{"type", "timeout"}, {"message", "it took too long"}}, "an engine's error");
}

void cancels(const Options& options) {
  Session session(options);
  session.greet();
  session.notify("cancel", {{"id", 4711}, {"reason", "deadline"}});
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  const auto inner = session.worker_request("functions.call");
  const auto kept = session.call("count_run", json::object());
  const auto dropped = session.call("count_run", json::object());
  session.notify("cancel", {{"id", dropped}, {"reason", "deadline"}});
  session.notify("cancel", {{"id", 4711}, {"reason", "deadline"}});
  session.answer(inner, {{"value", "inner"}});
  expect_value(session.response(outer).value(), "inner", "the call before the cancelled one");
  const auto answer = session.response(dropped);
  expect(answer.error_type() == "cancelled", "a queued call that was cancelled was answered with " + answer.text());
  expect_value(session.response(kept).value(), 1, "the call before the cancelled one");
  expect_value(called(session, "runs", json::object()), 1, "the number of runs after one of two queued calls was cancelled");
  // A running one is still answered, whatever the answer, and once.
  const auto running = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  const auto awaited = session.worker_request("functions.call");
  session.notify("cancel", {{"id", running}, {"reason", "deadline"}});
  session.answer(awaited, {{"value", "late"}});
  session.response(running);
  expect_value(called(session, "echo", {{"value", 1}}), 1, "echo after a running call was cancelled");
  for (const auto& message : session.others) expect(!message.is_response(), "a second answer: " + message.text());
}

// Notifications of `method` for call `id` that came before its answer.
std::vector<Message> before_answer(Session& session, std::int64_t id, std::string_view method, Message& answer) {
  std::vector<Message> found;
  while (true) {
    auto message = session.receive();
    if (message.is_response() && message.object.contains("id") && message.object.at("id") == json::value(id)) {
      answer = std::move(message);
      return found;
    }
    if (message.is(method)) found.push_back(std::move(message));
  }
}

void streams_chunks(const Options& options) {
  Session session(options);
  session.greet();
  const auto* capabilities = session.hello_result.if_contains("capabilities");
  const bool chunks = capabilities != nullptr && capabilities->is_object() && capabilities->get_object().contains("chunks") &&
                      capabilities->get_object().at("chunks") == json::value(true);
  Message answer;
  const auto report = session.call("report", {{"message", "half"}});
  for (const auto* method : {"progress", "log"}) {
    if (std::string_view(method) == "log") break;
    const auto found = before_answer(session, report, method, answer);
    expect(found.size() == 1, "report's progress did not arrive before its answer");
    const auto& params = found[0].object.at("params");
    expect(params.is_object() && params.get_object().contains("id") && params.get_object().at("id") == json::value(report),
           "a progress does not name its call: " + found[0].text());
  }
  expect_value(answer.value(), "half", "report");
  if (chunks) {
    const auto count = session.call("count", {{"n", 3}});
    const auto found = before_answer(session, count, "chunk", answer);
    expect(found.size() == 3, "a function that yields 3 values sent " + std::to_string(found.size()) + " chunks before its answer");
    for (std::size_t i = 0; i < 3; ++i) {
      const auto& params = found[i].object.at("params").get_object();
      expect(params.contains("id") && params.at("id") == json::value(count) && params.contains("value") && same(params.at("value"), i),
             "chunk " + std::to_string(i) + " is " + found[i].text());
    }
    expect_value(answer.value(), {0, 1, 2}, "the answer of a function that yields 0, 1, 2");
  }
  session.request("drain", json::object());
  for (const auto& message : session.until_end()) {
    expect(message.is_response() || message.is("log"), "a notification follows its call's answer: " + message.text());
  }
}

}  // namespace

bool same(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
  if (a.is_array() && b.is_array()) {
    return std::equal(a.get_array().begin(), a.get_array().end(), b.get_array().begin(), b.get_array().end(), same);
  }
  if (a.is_object() && b.is_object()) {
    return a.get_object().size() == b.get_object().size() && std::all_of(a.get_object().begin(), a.get_object().end(), [&](const auto& member) {
             const auto* other = b.get_object().if_contains(member.key());
             return other != nullptr && same(member.value(), *other);
           });
  }
  return a == b;
}

std::vector<CheckEntry> call_checks() {
  return {
      {"MUST-15", "passes arguments by position, by name and spread", passes_arguments},
      {"MUST-16", "gives the caller's context to the parameter that takes it", gives_the_context},
      {"MUST-17", "carries values as JSON and refuses those that JSON cannot carry", carries_values},
      {"MUST-18", "reports a raised error with its text, class and place", reports_errors},
      {"MUST-19", "says unknown_function for a missing function", knows_its_functions},
      {"MUST-20", "keeps calls in order and takes answers first", queues_in_order},
      {"MUST-21", "never runs a queued call that was cancelled", cancels},
      {"MUST-22", "sends chunks and progress before the answer and none after", streams_chunks},
  };
}

}  // namespace sabir::conformance
