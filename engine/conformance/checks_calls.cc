#include <algorithm>

#include "checks.h"

namespace sabir::conformance {
namespace {

void passes_by_position(const Options& options) {
  Session session(options);
  session.greet();
  expect_value(called(session, "subtract", {{"a", 7}, {"b", 5}}, {{"a", "b"}, {}, {}}), 2, "subtract(7, 5) by position");
  // The order is positional's, whatever the order of the object's members.
  expect_value(called(session, "subtract", {{"b", 5}, {"a", 7}}, {{"a", "b"}, {}, {}}), 2, "subtract with its members reversed");
}

void fills_in_defaults(const Options& options) {
  Session session(options);
  session.greet();
  const auto answer = session.response(session.call("describe", {{"a", 1}}, {{"a", "b"}, {}, {}}));
  needs_function(answer, "describe");
  expect_value(answer.value(), {{"a", 1}, {"b", 10}, {"rest", json::array()}, {"scale", 1}, {"options", json::object()}},
               "describe(1) with its defaults");
}

void spreads_arguments(const Options& options) {
  Session session(options);
  session.greet();
  const CallExtras spread{{"a", "b"}, {{"variadic", "rest"}, {"keyword_variadic", "options"}}, {}};
  const auto answer = session.response(
      session.call("describe", {{"a", 1}, {"b", 2}, {"rest", {3, 4}}, {"scale", 5}, {"options", {{"x", 6}}}}, spread));
  needs_function(answer, "describe");
  expect_value(answer.value(), {{"a", 1}, {"b", 2}, {"rest", {3, 4}}, {"scale", 5}, {"options", {{"x", 6}}}},
               "describe with every kind of argument");
}

void passes_by_name(const Options& options) {
  Session session(options);
  session.greet();
  const CallExtras spread{{"a", "b"}, {{"variadic", "rest"}, {"keyword_variadic", "options"}}, {}};
  const auto answer = session.response(session.call("describe", {{"a", 1}, {"scale", 5}}, spread));
  needs_function(answer, "describe");
  expect_value(answer.value(), {{"a", 1}, {"b", 10}, {"rest", json::array()}, {"scale", 5}, {"options", json::object()}},
               "describe with a name and without the spread ones");
}

void refuses_wrong_names(const Options& options) {
  Session session(options);
  session.greet();
  const std::pair<const char*, json::object> wrong[] = {{"without its second argument", {{"a", 7}}},
                                                        {"with an argument too many", {{"a", 7}, {"b", 5}, {"sabir_no_such", 1}}}};
  for (const auto& [what, arguments] : wrong) {
    const auto answer = session.response(session.call("subtract", arguments, {{"a", "b"}, {}, {}}));
    expect(answer.error_code() == -32602 && answer.error_type() == "invalid_arguments",
           std::string("subtract ") + what + " was not answered with -32602, invalid_arguments, but with " + answer.text());
    expect(!answer.error_message().empty(), "invalid_arguments does not say what is wrong");
  }
  expect_usable(session, "refused arguments");
}

void gives_the_context(const Options& options) {
  Session session(options);
  session.greet();
  CallExtras extras{{"greeting"}, {{"context_parameter", "context"}}, {}};
  expect_value(called(session, "context_user", {{"greeting", "hello"}}, extras), "hello u1", "context_user");
  extras.positional.clear();
  const json::value context{{"user", "u1"}, {"tenant", "t1"}, {"conversation", "c1"}, {"run", "r1"}};
  expect_value(called(session, "context_fields", json::object(), extras), context, "context_fields");
  expect_value(called(session, "echo", {{"value", 1}}), 1, "a call without context_parameter");
}

void gives_each_call_its_context(const Options& options) {
  Session session(options);
  session.greet();
  CallExtras extras{{}, {{"context_parameter", "context"}}, {}};
  called(session, "context_fields", json::object(), extras);
  extras.more["context"] = {{"user", "u2"}, {"tenant", ""}, {"conversation", ""}, {"run", ""}};
  expect_value(called(session, "context_fields", json::object(), extras), extras.more["context"], "context_fields for another caller");
}

void carries_structured_types(const Options& options) {
  Session session(options);
  session.greet();
  const auto answer = session.response(session.call("structured", json::object()));
  needs_function(answer, "structured");
  expect_value(answer.value(), {{"point", {{"x", 1.5}, {"y", 2}}}, {"colour", "red"}}, "structured");
}

void refuses_unfit_values(const Options& options) {
  Session session(options);
  session.greet();
  const auto answer = session.response(session.call("unfit", json::object()));
  needs_function(answer, "unfit");
  expect(answer.error_code() == -32000 && answer.error_type() == "invalid_result",
         "unfit was not answered with invalid_result, but with " + answer.text());
  expect(!answer.error_message().empty(), "invalid_result does not say which value");
  expect_usable(session, "invalid_result");
}

void reports_errors(const Options& options) {
  Session session(options);
  session.greet();
  const std::string text = "no such thing: \"été\"\nsecond line";
  const auto answer = session.response(session.call("fail", {{"message", text}}));
  expect(answer.error_code() == -32000 && answer.error_type() == "function_error",
         "a function that raises was not answered with -32000, function_error, but with " + answer.text());
  expect(answer.error_message() == text, "the message is not the error's own text: " + answer.text());
  expect(string_or(answer.error_data(), "error_class").find("TesteeError") != std::string_view::npos,
         "data.error_class is not the error's class TesteeError: " + answer.text());
}

void names_the_line(const Options& options) {
  Session session(options);
  session.greet();
  const auto answer = session.response(session.call("fail", {{"message", "here"}}));
  const auto& data = answer.error_data();
  // A compiled language cannot tell the line, and one that can loads files.
  if (!data.contains("file") && broken_testee(options, "import").empty()) throw NotApplicable{"the language cannot tell where an error was raised"};
  const auto name = std::filesystem::path(options.testee).filename().string();
  expect(string_or(data, "file").ends_with(name), "data.file is not " + name + ": " + answer.text());
  const int line = line_with(options.testee, "conformance: fail");
  const auto* at = data.if_contains("line");
  expect(at != nullptr && at->is_int64() && at->get_int64() == line, "data.line is not " + std::to_string(line) + ": " + answer.text());
}

void stays_usable_after_errors(const Options& options) {
  Session session(options);
  session.greet();
  for (int i = 0; i < 3; ++i) {
    expect(session.response(session.call("fail", {{"message", "again"}})).is_error(), "fail did not fail");
    expect_usable(session, "an error");
  }
}

json::object engine_error(const Message& request, std::string_view type, std::string_view message) {
  return {{"jsonrpc", "2.0"}, {"id", request.object.at("id")},
          {"error", {{"code", -32000}, {"message", message}, {"data", {{"type", type}, {"hint", "wait"}}}}}};
}

void names_the_engines_error_as_cause(const Options& options) {
  Session session(options);
  session.greet();
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  session.send(engine_error(session.worker_request("functions.call"), "busy", "too many calls wait"));
  const auto answer = session.response(outer);
  expect(answer.error_type() == "function_error", "an engine's error that a function did not catch came as " + answer.text());
  const auto* cause = answer.error_data().if_contains("cause");
  expect(cause != nullptr && cause->is_object() && string_or(cause->get_object(), "type") == "busy",
         "data.cause does not have the engine's error: " + answer.text());
  expect(answer.error_message().find("too many calls wait") != std::string::npos, "the engine's message is lost: " + answer.text());
}

void knows_its_functions(const Options& options) {
  Session session(options);
  session.greet();
  const auto answer = session.response(session.call("no_such_function", json::object()));
  expect(answer.error_code() == -32000 && answer.error_type() == "unknown_function",
         "a missing function was not answered with -32000, unknown_function, but with " + answer.text());
  expect_usable(session, "unknown_function");
}

void queues_in_order(const Options& options) {
  Session session(options);
  session.greet();
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(session.call("count_run", json::object()));
  for (int i = 0; i < 20; ++i) {
    expect_value(session.response(ids[static_cast<std::size_t>(i)]).value(), i + 1, "call " + std::to_string(i + 1) + " of 20 sent at once");
  }
}

void takes_answers_first(const Options& options) {
  Session session(options);
  session.greet();
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  const auto inner = session.worker_request("functions.call");
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(session.call("count_run", json::object()));
  session.answer(inner, {{"value", "inner"}});
  expect_value(session.response(outer).value(), "inner", "a call whose answer from the engine came after three queued calls");
  for (int i = 0; i < 3; ++i) {
    expect_value(session.response(ids[static_cast<std::size_t>(i)]).value(), 1 + i, "a call queued behind a waiting one");
  }
}

void names_the_parent(const Options& options) {
  Session session(options);
  session.greet();
  const auto caught = session.call("call_engine_caught", {{"address", "a.b"}});
  const auto request = session.worker_request("functions.call");
  const auto* params = request.object.if_contains("params");
  expect(params != nullptr && params->is_object() && params->get_object().contains("parent") &&
             params->get_object().at("parent") == json::value(caught),
         "a request during call " + std::to_string(caught) + " does not name it as its parent: " + request.text());
  session.send(engine_error(request, "timeout", "it took too long"));
  expect_value(session.response(caught).value(), {{"type", "timeout"}, {"message", "it took too long"}}, "an engine's error");
}

void drops_queued_calls(const Options& options) {
  Session session(options);
  session.greet();
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  const auto inner = session.worker_request("functions.call");
  const auto kept = session.call("count_run", json::object());
  const auto dropped = session.call("count_run", json::object());
  session.notify("cancel", {{"id", dropped}, {"reason", "deadline"}});
  session.answer(inner, {{"value", "inner"}});
  expect(session.response(outer).value() == json::value("inner"), "the call before the cancelled one went wrong");
  const auto answer = session.response(dropped);
  expect(answer.error_type() == "cancelled", "a queued call that was cancelled was answered with " + answer.text());
  expect_value(session.response(kept).value(), 1, "the call before the cancelled one");
  expect_value(called(session, "runs", json::object()), 1, "the number of runs after one of two queued calls was cancelled");
}

void ignores_unknown_cancels(const Options& options) {
  Session session(options);
  session.greet();
  session.notify("cancel", {{"id", 4711}, {"reason", "deadline"}});
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  const auto inner = session.worker_request("functions.call");
  session.notify("cancel", {{"id", 4711}, {"reason", "deadline"}});
  session.answer(inner, {{"value", "inner"}});
  expect_value(session.response(outer).value(), "inner", "a call beside the cancel of an unknown one");
  for (const auto& message : session.others) expect(!message.is_response(), "cancel of an unknown call was answered: " + message.text());
}

void answers_cancelled_calls_once(const Options& options) {
  Session session(options);
  session.greet();
  const auto running = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  const auto awaited = session.worker_request("functions.call");
  session.notify("cancel", {{"id", running}, {"reason", "deadline"}});
  session.answer(awaited, {{"value", "late"}});
  session.response(running);
  expect_usable(session, "a running call was cancelled");
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

// The params of a notification, which have to name the call.
const json::object& params_for(const Message& notification, std::int64_t id) {
  const auto* params = notification.object.if_contains("params");
  expect(params != nullptr && params->is_object() && params->get_object().contains("id") && params->get_object().at("id") == json::value(id),
         "a notification does not name its call: " + notification.text());
  return params->get_object();
}

void reports_progress(const Options& options) {
  Session session(options);
  session.greet();
  Message answer;
  const auto report = session.call("report", {{"message", "half"}});
  const auto found = before_answer(session, report, "progress", answer);
  expect(found.size() == 1, "report's progress did not arrive before its answer");
  const auto& params = params_for(found[0], report);
  expect(params.contains("done") && same(params.at("done"), 1) && params.contains("total") && same(params.at("total"), 2) &&
             string_or(params, "message") == "half",
         "progress(1, 2, \"half\") arrived as " + found[0].text());
  expect_value(answer.value(), "half", "report");
}

void logs(const Options& options) {
  Session session(options);
  session.greet();
  Message answer;
  const auto report = session.call("report", {{"message", "half"}});
  const auto found = before_answer(session, report, "log", answer);
  expect(found.size() == 1, "report's log record did not arrive before its answer");
  const auto& params = params_for(found[0], report);
  expect(string_or(params, "level") == "info" && string_or(params, "message") == "half", "log(\"half\") arrived as " + found[0].text());
}

void needs_chunks(const Session& session) {
  const auto* capabilities = session.hello_result.if_contains("capabilities");
  if (capabilities == nullptr || !capabilities->is_object() || !capabilities->get_object().contains("chunks") ||
      capabilities->get_object().at("chunks") != json::value(true)) {
    throw NotApplicable{"hello says that the language has no functions that yield values"};
  }
}

void streams_chunks(const Options& options) {
  Session session(options);
  session.greet();
  needs_chunks(session);
  Message answer;
  const auto count = session.call("count", {{"n", 3}});
  const auto found = before_answer(session, count, "chunk", answer);
  expect(found.size() == 3, "a function that yields 3 values sent " + std::to_string(found.size()) + " chunks before its answer");
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& params = params_for(found[i], count);
    expect(params.contains("value") && same(params.at("value"), i), "chunk " + std::to_string(i) + " is " + found[i].text());
  }
}

void answers_with_all_chunks(const Options& options) {
  Session session(options);
  session.greet();
  needs_chunks(session);
  expect_value(called(session, "count", {{"n", 3}}), {0, 1, 2}, "the answer of a function that yields 0, 1, 2");
  expect_value(called(session, "count", {{"n", 0}}), json::array(), "the answer of a function that yields nothing");
}

void says_nothing_after_the_answer(const Options& options) {
  Session session(options);
  session.greet();
  for (const auto id : {session.call("report", {{"message", "half"}}), session.call("count", {{"n", 3}})}) session.response(id);
  session.others.clear();
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
      {"MUST-15.1", "passes arguments by position, in the order of `positional`", passes_by_position},
      {"MUST-15.2", "leaves defaults to the function", fills_in_defaults},
      {"MUST-15.3", "spreads variadic arguments", spreads_arguments},
      {"MUST-15.4", "passes arguments by name", passes_by_name},
      {"MUST-15.5", "refuses missing and unknown arguments", refuses_wrong_names},
      {"MUST-16.1", "gives the caller's context to the parameter that takes it", gives_the_context},
      {"MUST-16.2", "gives each call its own context", gives_each_call_its_context},
      {"MUST-17.1", "carries the language's own structured types", carries_structured_types},
      {"MUST-17.2", "refuses values that JSON cannot carry", refuses_unfit_values},
      {"MUST-18.1", "reports a raised error with its text and class", reports_errors},
      {"MUST-18.2", "names the file and line of a raised error", names_the_line},
      {"MUST-18.3", "stays usable after errors", stays_usable_after_errors},
      {"MUST-18.4", "names the engine's error as the cause", names_the_engines_error_as_cause},
      {"MUST-19.1", "says unknown_function for a missing function", knows_its_functions},
      {"MUST-20.1", "runs calls in their order", queues_in_order},
      {"MUST-20.2", "takes the engine's answers before queued calls", takes_answers_first},
      {"MUST-20.3", "names the running call as a request's parent, and gives the engine's error to the function", names_the_parent},
      {"MUST-21.1", "never runs a queued call that was cancelled", drops_queued_calls},
      {"MUST-21.2", "ignores cancel for an unknown call", ignores_unknown_cancels},
      {"MUST-21.3", "answers a cancelled running call once", answers_cancelled_calls_once},
      {"MUST-22.1", "sends progress before the answer", reports_progress},
      {"MUST-22.2", "sends log records before the answer", logs},
      {"MUST-22.3", "sends each value of a generator as a chunk", streams_chunks},
      {"MUST-22.4", "answers with all that a generator gave", answers_with_all_chunks},
      {"MUST-22.5", "sends nothing for a call after its answer", says_nothing_after_the_answer},
  };
}

}  // namespace sabir::conformance
