#include <fstream>

#include "checks.h"

namespace sabir::conformance {
namespace {

void expect_refused(const Message& answer, std::int64_t code, std::string_view type, const std::string& what) {
  expect(answer.error_code() == code && answer.error_type() == type,
         what + " was not answered with " + std::to_string(code) + ", " + std::string(type) + ", but with " + answer.text());
}

void refuses_unknown_methods(const Options& options) {
  Session session(options);
  session.greet();
  expect_refused(session.response(session.request("no.such.method", json::object())), -32601, "unknown_method", "an unknown method");
  expect_usable(session, "an unknown method");
}

void ignores_unknown_notifications(const Options& options) {
  Session session(options);
  session.greet();
  session.notify("no.such.notification", {{"id", 1}});
  session.notify("call", session.call_params("echo", {{"value", 1}}));
  session.ping();
  expect_usable(session, "an unknown notification");
  for (const auto& message : session.others) {
    expect(!message.is_response(), "an unknown notification was answered: " + message.text());
  }
}

void ignores_unknown_params(const Options& options) {
  Session session(options);
  session.greet();
  CallExtras extras;
  extras.more["of_the_future"] = json::object{{"a", json::array{1, 2}}};
  const auto answer = session.response(session.call("echo", {{"value", "kept"}}, std::move(extras)));
  expect(answer.value() == json::value("kept"), "a call with an unknown member was answered with " + answer.text());
}

void ignores_unknown_results(const Options& options) {
  Session session(options);
  session.greet();
  const auto outer = session.call("call_engine", {{"address", "a.b"}, {"arguments", json::object()}});
  session.answer(session.worker_request("functions.call"), {{"of_the_future", 1}, {"value", "kept"}});
  expect(session.response(outer).value() == json::value("kept"), "a result with an unknown member was not taken");
}

void agrees_on_a_version(const Options& options) {
  for (const int most : {1, 99}) {
    Session session(options);
    const auto answer = session.response(session.request("hello", {{"protocol", {{"min", 1}, {"max", most}}}, {"engine", "9.9.9"}}));
    const auto* result = answer.object.if_contains("result");
    expect(result != nullptr && result->is_object(), "hello was answered with " + answer.text());
    const auto& hello = result->get_object();
    expect(hello.contains("protocol") && hello.at("protocol").is_int64() && hello.at("protocol").get_int64() >= 1 &&
               hello.at("protocol").get_int64() <= most,
           "hello's protocol is not between 1 and " + std::to_string(most) + ": " + answer.text());
  }
}

void says_what_it_is(const Options& options) {
  Session session(options);
  session.greet();
  const auto& hello = session.hello_result;
  for (const auto* name : {"language", "runtime", "sdk"}) {
    expect(!string_or(hello, name).empty(), std::string("hello's answer has no ") + name + ": " + json::serialize(hello));
  }
  expect(hello.contains("capabilities") && hello.at("capabilities").is_object(), "hello's answer has no capabilities: " + json::serialize(hello));
  expect(hello.at("capabilities").get_object().contains("blobs") && hello.at("capabilities").get_object().at("blobs") == json::value(true),
         "capabilities.blobs is not true: " + json::serialize(hello));
}

void refuses_a_version(const Options& options) {
  Session session(options);
  const auto answer = session.response(session.request("hello", {{"protocol", {{"min", 98}, {"max", 99}}}, {"engine", "9.9.9"}}));
  expect_refused(answer, -32001, "protocol", "hello with versions 98 to 99");
  expect(session.wait_exit(milliseconds(2000)).has_value(), "the worker still runs 2 s after it refused hello");
}

// A broken file beside the testee fails its own calls, with its place, and no others.
void check_broken_file(Session& session, const std::string& file, int line, const std::string& what) {
  CallExtras extras;
  extras.more["module"] = file;
  const auto answer = session.response(session.call("never", json::object(), std::move(extras)));
  expect_refused(answer, -32000, "load_failed", "a call into a file with " + what);
  const auto& data = answer.error_data();
  const std::string named(string_or(data, "file"));
  const std::string name = std::filesystem::path(file).filename().string();
  expect(named.ends_with(name), "load_failed names the file " + named + ", not " + name);
  const auto* at = data.if_contains("line");
  expect(at != nullptr && at->is_int64() && at->get_int64() >= 1, "load_failed has no line: " + answer.text());
  expect(line == 0 || at->get_int64() == line, "load_failed names line " + json::serialize(*at) + ", not " + std::to_string(line));
  expect(session.response(session.call("echo", {{"value", 1}})).value() == json::value(1),
         "a file with " + what + " broke a call into another file");
}

void survives_a_syntax_error(const Options& options) {
  const auto file = broken_testee(options, "syntax");
  if (file.empty()) throw NotApplicable{"it loads no files: there is no testee_syntax"};
  Session session(options);
  session.greet();
  check_broken_file(session, file, 0, "a syntax error");
}

void survives_a_missing_import(const Options& options) {
  const auto file = broken_testee(options, "import");
  if (file.empty()) throw NotApplicable{"it loads no files: there is no testee_import"};
  Session session(options);
  session.greet();
  check_broken_file(session, file, line_with(file, "sabir_no_such"), "a missing import");
}

void survives_a_missing_file(const Options& options) {
  Session session(options);
  session.greet();
  CallExtras extras;
  const auto missing = (std::filesystem::path(options.testee).parent_path() / "sabir_no_such_file").string() +
                       std::filesystem::path(options.testee).extension().string();
  extras.more["module"] = missing;
  const auto answer = session.response(session.call("echo", {{"value", 1}}, std::move(extras)));
  expect(answer.error_type() == "load_failed" || answer.error_type() == "unknown_function",
         "a call into a file that is not there was answered with " + answer.text());
  expect_usable(session, "a call into a missing file");
}

void answers_ping_before_start(const Options& options) {
  Session session(options);
  const auto first = session.ping();
  expect(first.object.at("result") == json::value(json::object()), "ping was answered with " + first.text() + ", not with {}");
}

void answers_ping(const Options& options) {
  Session session(options);
  session.greet();
  for (int i = 0; i < 2; ++i) {
    const auto answer = session.ping();
    expect(answer.object.at("result") == json::value(json::object()), "ping was answered with " + answer.text() + ", not with {}");
    session.response(session.call("echo", {{"value", 1}}));
  }
}

void finishes_its_calls(const Options& options) {
  Session session(options);
  session.greet();
  std::vector<std::int64_t> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(session.call("sleep", {{"milliseconds", 20}}));
  const auto drain = session.request("drain", json::object());
  std::size_t next = 0;
  bool drained = false;
  for (const auto& message : session.until_end()) {
    if (!message.is_response()) continue;
    expect(!drained, "something follows the answer to drain: " + message.text());
    if (message.object.at("id") == json::value(drain)) {
      expect(message.object.contains("result") && message.object.at("result").is_object(), "drain was answered with " + message.text());
      drained = true;
    } else {
      message.value();
      ++next;
    }
  }
  expect(drained, "drain was not answered");
  expect(next == calls.size(), "of 5 calls before drain, " + std::to_string(next) + " were answered before it");
}

void exits_after_drain(const Options& options) {
  Session session(options);
  session.greet();
  session.response(session.call("echo", {{"value", 1}}));
  session.response(session.request("drain", json::object()));
  const auto status = session.wait_exit(milliseconds(2000));
  expect(status.has_value(), "the worker still runs 2 s after it answered drain");
  expect(status->code == 0 && status->signal == 0, "after drain the worker " + status->text());
}

}  // namespace

void needs_function(const Message& answer, std::string_view function) {
  if (answer.error_type() == "unknown_function") throw NotApplicable{"the language has no such thing: the testee lacks " + std::string(function)};
}

json::value called(Session& session, std::string_view function, json::object arguments, CallExtras extras) {
  return session.response(session.call(function, std::move(arguments), std::move(extras))).value();
}

void expect_value(const json::value& got, const json::value& wanted, const std::string& what) {
  expect(same(got, wanted), what + " gave " + json::serialize(got).substr(0, 300) + ", not " + json::serialize(wanted).substr(0, 300));
}

void expect_usable(Session& session, const std::string& after) {
  expect_value(called(session, "echo", {{"value", "still here"}}), "still here", "echo after " + after);
}

std::string broken_testee(const Options& options, std::string_view what) {
  const std::filesystem::path testee(options.testee);
  const auto file = testee.parent_path() / (testee.stem().string() + "_" + std::string(what) + testee.extension().string());
  std::error_code error;
  return std::filesystem::exists(file, error) ? file.string() : "";
}

int line_with(const std::string& file, std::string_view text) {
  std::ifstream in(file);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.find(text) != std::string::npos && line.find("\"\"\"") == std::string::npos) return number;
  }
  return 0;
}

std::vector<CheckEntry> life_checks() {
  return {
      {"MUST-10.1", "refuses unknown methods", refuses_unknown_methods},
      {"MUST-10.2", "ignores unknown notifications", ignores_unknown_notifications},
      {"MUST-10.3", "ignores unknown members of params", ignores_unknown_params},
      {"MUST-10.4", "ignores unknown members of results", ignores_unknown_results},
      {"MUST-11.1", "agrees on a version", agrees_on_a_version},
      {"MUST-11.2", "says its language, runtime, SDK and capabilities", says_what_it_is},
      {"MUST-11.3", "refuses versions that it does not speak, and exits", refuses_a_version},
      {"MUST-12.1", "a file with a syntax error fails its own calls only, with its place", survives_a_syntax_error},
      {"MUST-12.2", "a file with a missing import fails its own calls only, with its line", survives_a_missing_import},
      {"MUST-12.3", "a file that is not there fails its own calls only", survives_a_missing_file},
      {"MUST-13.1", "answers ping before start", answers_ping_before_start},
      {"MUST-13.2", "answers ping between calls", answers_ping},
      {"MUST-14.1", "finishes its calls before it answers drain", finishes_its_calls},
      {"MUST-14.2", "exits with status 0 after drain", exits_after_drain},
  };
}

}  // namespace sabir::conformance
