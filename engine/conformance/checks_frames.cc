#include <sys/socket.h>

#include <set>
#include <thread>

#include "checks.h"

namespace sabir::conformance {
namespace {

constexpr std::size_t kFrameLimit = std::size_t{64} << 20U;

std::string ping_text(std::string_view id) {
  return R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"method":"ping","params":{}})";
}

void takes_a_socket(const Options& options) { Session(options, Transport::kSocket, 3).ping(); }
void takes_a_socket_of_any_number(const Options& options) { Session(options, Transport::kSocket, 9).ping(); }
void takes_two_pipes(const Options& options) { Session(options, Transport::kPipes, 5).ping(); }

void keeps_output_for_the_log(const Options& options) {
  Session session(options);
  session.greet();
  const std::string line = R"(17 {"jsonrpc":"2.0"} said the user)";
  const auto answer = session.response(session.call("print_line", {{"text", line}}));
  expect(answer.value() == json::value(line), "print_line was answered with " + answer.text());
  session.response(session.call("echo", {{"value", "not for the log"}}));
  session.response(session.request("drain", json::object()));
  session.wait_exit(milliseconds(3000));
  auto output = session.output();
  std::size_t lines = 0;
  for (auto at = output.find(line); at != std::string::npos; at = output.find(line, at)) {
    output.erase(at, line.size());
    ++lines;
  }
  expect(lines == 2, "a line printed to standard output and to standard error arrived " + std::to_string(lines) + " times");
  expect(output.find("jsonrpc") == std::string::npos, "protocol data on standard output or error: " + output.substr(0, 300));
}

void expect_exit(Session& session, const std::string& when) {
  session.close();
  // The rule's second, and some for a machine under load.
  expect(session.wait_exit(milliseconds(1500)).has_value(), "an idle worker still runs 1.5 s after its connection ended" + when);
}

void exits_at_the_end(const Options& options) {
  Session session(options);
  session.greet();
  session.response(session.call("echo", {{"value", 1}}));
  expect_exit(session, "");
}

void exits_before_hello(const Options& options) {
  Session session(options);
  session.ping();
  expect_exit(session, " before hello");
}

void counts_bytes(const Options& options) {
  // Session's reader refuses a head that is not exactly as MUST-4 says, and any byte between two frames.
  Session session(options);
  session.greet();
  session.ping();
  expect(session.response(session.call("echo", {{"value", "Été à Paris ✓"}})).value() == json::value("Été à Paris ✓"),
         "text beyond ASCII came back changed: lengths are in bytes");
  session.ping();
}

void writes_heads_with_blobs(const Options& options) {
  Session session(options);
  session.greet();
  const auto large = session.response(session.call("text_of", {{"size", 70000}})).value();
  expect(large.is_string() && large.get_string().size() == 70000, "a frame with a blob came back wrong");
  session.ping();
}

void takes_an_empty_blob(const Options& options) {
  Session session(options);
  session.greet();
  CallExtras extras;
  extras.blobs = {""};
  extras.more["blobs"] = json::array{{{"at", "/arguments/value"}, {"type", "string"}}};
  expect(session.response(session.call("echo", {{"value", nullptr}}, std::move(extras))).value() == json::value(""),
         "a frame with a blob of length 0 came back wrong");
  session.ping();
}

using Heads = std::vector<std::pair<std::string, std::string>>;

void expect_heads_refused(const Options& options, const Heads& heads) {
  for (const auto& [what, bytes] : heads) {
    Session session(options);
    session.ping();
    session.send_bytes(bytes);
    std::vector<Message> answers;
    try {
      answers = session.until_end();
    } catch (Failure& failure) {
      failure.detail = "after a head with " + what + ": " + failure.detail;
      throw;
    }
    expect(answers.size() == 1 && answers[0].error_code() == -32600 && answers[0].object.contains("id") &&
               answers[0].object.at("id").is_null(),
           "a head with " + what + " was not answered with -32600, id null" +
               (answers.empty() ? std::string() : ", but with " + answers[0].text()));
  }
}

void refuses_malformed_heads(const Options& options) {
  expect_heads_refused(options, {{"a leading zero", "02\n{}"},
                                 {"a sign", "+2\n{}"},
                                 {"two spaces", "2  0\n{}"},
                                 {"a trailing space", "2 \n{}"},
                                 {"a carriage return", "2\r\n{}"},
                                 {"no number", "\n{}"},
                                 {"a word", "two\n{}"}});
}

void refuses_oversized_frames(const Options& options) {
  expect_heads_refused(options, {{"67,108,865 bytes", "67108865\n{}"},
                                 {"a sum over 67,108,864 bytes", "67108864 1\n{}"},
                                 {"a number of 40 digits", std::string(40, '9') + "\n{}"}});
}

void refuses_long_heads(const Options& options) {
  std::string many = "2";
  for (int i = 0; i < 1025; ++i) many += " 0";
  expect_heads_refused(options, {{"1,025 blobs", many + "\n{}"}, {"20,000 bytes without a newline", std::string(20000, '1')}});
}

void takes_the_largest_frame(const Options& options) {
  Session session(options);
  session.greet();
  CallExtras extras;
  extras.more["blobs"] = json::array{{{"at", "/arguments/value"}, {"type", "bytes"}}};
  const json::object request{{"jsonrpc", "2.0"}, {"id", "large"}, {"method", "call"},
                             {"params", session.call_params("length", {{"value", nullptr}}, std::move(extras))}};
  const auto text = json::serialize(request);
  const auto size = kFrameLimit - text.size();
  session.send_bytes(frame(text, {std::string(size, 'b')}));
  expect(same(session.response("large").value(), size), "a frame of exactly 67,108,864 bytes was not taken");
}

void takes_single_bytes(const Options& options) {
  Session session(options);
  session.greet();
  for (const char byte : frame(ping_text("\"é\""))) {
    session.send_bytes(std::string(1, byte));
    // So that each is a read of its own.
    std::this_thread::sleep_for(milliseconds(1));
  }
  session.response("é");
}

void takes_cut_blobs(const Options& options) {
  Session session(options);
  session.greet();
  // Cut with pauses, so that each piece is a read of its own.
  CallExtras extras;
  const std::string blob = repeated("é", 40000);
  extras.more["blobs"] = json::array{{{"at", "/arguments/value"}, {"type", "string"}}};
  const json::object call{{"jsonrpc", "2.0"}, {"id", "cut"}, {"method", "call"},
                          {"params", session.call_params("length", {{"value", nullptr}}, std::move(extras))}};
  const auto text = json::serialize(call);
  const auto bytes = frame(text, {blob});
  const auto head = bytes.find('\n');
  std::size_t from = 0;
  for (const std::size_t cut : {std::size_t{1}, head, head + 1, head + 1 + text.size() / 2, head + 1 + text.size(),
                                head + 2 + text.size(), bytes.size() - 1, bytes.size()}) {
    session.send_bytes(std::string_view(bytes).substr(from, cut - from));
    from = cut;
    std::this_thread::sleep_for(milliseconds(5));
  }
  expect(same(session.response("cut").value(), 40000), "a call with a blob cut into eight pieces came out wrong");
}

void takes_many_frames_at_once(const Options& options) {
  Session session(options);
  session.greet();
  std::string merged;
  for (int i = 0; i < 200; ++i) merged += frame(ping_text("\"p" + std::to_string(i) + "\""));
  // The last one is cut.
  session.send_bytes(std::string_view(merged).substr(0, merged.size() - 7));
  for (int i = 0; i < 199; ++i) session.response(json::value("p" + std::to_string(i)));
  session.send_bytes(std::string_view(merged).substr(merged.size() - 7));
  session.response("p199");
}

void keeps_frames_whole(const Options& options) {
  Session session(options);
  session.greet();
  std::vector<std::int64_t> calls;
  std::vector<std::int64_t> pings;
  for (int i = 0; i < 6; ++i) {
    calls.push_back(session.call("text_of", {{"size", 300000}}));
    pings.push_back(session.request("ping", json::object()));
    calls.push_back(session.call("report", {{"message", repeated("m", 2000)}}));
  }
  // The answers exceed what a socket buffers, so the worker writes some of them in several pieces.
  std::this_thread::sleep_for(milliseconds(100));
  for (const auto id : pings) session.response(id);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto value = session.response(calls[i]).value();
    expect(value.is_string() && value.get_string().size() == (i % 2 == 0 ? 300000U : 2000U), "an answer came back damaged");
  }
}

void answers_with_the_same_id(const Options& options) {
  Session session(options);
  session.greet();
  for (const std::string_view id : {"0", "-5", "9007199254740991", "\"\"", "\"1\"", "\"a \\\"quoted\\\" id\\n\"", "\"été\""}) {
    session.send_bytes(frame(ping_text(id)));
    const auto answer = session.receive();
    const auto expected = parse_json(id);
    expect(answer.object.contains("id") && answer.object.at("id") == *expected && answer.object.at("id").kind() == expected->kind(),
           "a ping with id " + std::string(id) + " was answered with " + answer.text());
  }
}

json::object call_with_id(const Session& session, json::value id, std::string_view function, json::object arguments) {
  return {{"jsonrpc", "2.0"}, {"id", std::move(id)}, {"method", "call"}, {"params", session.call_params(function, std::move(arguments))}};
}

void answers_calls_with_the_same_id(const Options& options) {
  Session session(options);
  session.greet();
  session.send(call_with_id(session, "call-1", "echo", {{"value", 1}}));
  expect(session.response("call-1").value() == json::value(1), "a call with the id \"call-1\" failed");
  session.send(call_with_id(session, "call-2", "fail", {{"message", "on purpose"}}));
  expect(session.response("call-2").is_error(), "a call with the id \"call-2\" did not fail");
}

void numbers_its_requests(const Options& options) {
  Session session(options);
  session.greet();
  // The worker's own numbers start at 1, though ours have passed it, and an outstanding 1 of ours stays apart from its 1.
  const json::object arguments{{"address", "a.b"}, {"arguments", json::object()}};
  session.send(call_with_id(session, 1, "call_engine", arguments));
  const auto first = session.worker_request("functions.call");
  expect(first.object.at("id") == json::value(1), "the worker's first request has the id " + json::serialize(first.object.at("id")) + ", not 1");
  session.answer(first, {{"value", "inner"}});
  expect(session.response(1).value() == json::value("inner"), "a call and the worker's request with the same id were mixed up");
  session.send(call_with_id(session, "again", "call_engine", arguments));
  const auto second = session.worker_request("functions.call");
  expect(second.object.at("id").is_int64() && second.object.at("id") != first.object.at("id"), "the worker used an id of its own twice");
  session.answer(second, {{"value", 2}});
  session.response("again");
}

void answers_exactly_once(const Options& options) {
  Session session(options);
  session.greet();
  std::set<std::int64_t> ids;
  ids.insert(session.request("ping", json::object()));
  ids.insert(session.call("echo", {{"value", 1}}));
  ids.insert(session.call("fail", {{"message", "on purpose"}}));
  ids.insert(session.request("no.such.method", json::object()));
  ids.insert(session.call("no_such_function", json::object()));
  ids.insert(session.call("not_a_number", json::object()));
  ids.insert(session.request("call", json::object()));
  ids.insert(session.request("call", json::array()));
  ids.insert(session.call("echo", {{"value", 2}}));
  ids.insert(session.request("drain", json::object()));
  std::set<std::int64_t> answered;
  auto all = session.until_end();
  for (auto& other : session.others) all.push_back(std::move(other));
  for (const auto& message : all) {
    if (!message.is_response()) continue;
    const auto* id = message.object.if_contains("id");
    expect(id != nullptr && id->is_int64() && ids.contains(id->get_int64()), "an answer to nothing: " + message.text());
    expect(answered.insert(id->get_int64()).second, "answered twice: " + message.text());
    expect(message.object.contains("result") != message.object.contains("error"), "an answer has either result or error: " + message.text());
  }
  for (const auto id : ids) expect(answered.contains(id), "request " + std::to_string(id) + " was never answered");
}

}  // namespace

std::string repeated(std::string_view text, std::size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

std::vector<CheckEntry> frame_checks() {
  return {
      {"MUST-1.1", "takes a socket as its connection", takes_a_socket},
      {"MUST-1.2", "takes the descriptor's number from SABIR_FD", takes_a_socket_of_any_number},
      {"MUST-1.3", "takes two pipes", takes_two_pipes},
      {"MUST-2.1", "keeps standard output and standard error for the log", keeps_output_for_the_log},
      {"MUST-3.1", "exits when its connection ends", exits_at_the_end},
      {"MUST-3.2", "exits when its connection ends before hello", exits_before_hello},
      {"MUST-4.1", "counts lengths in bytes", counts_bytes},
      {"MUST-4.2", "writes the heads of frames with blobs exactly", writes_heads_with_blobs},
      {"MUST-4.3", "takes a blob of length 0", takes_an_empty_blob},
      {"MUST-5.1", "refuses malformed heads and closes", refuses_malformed_heads},
      {"MUST-5.2", "refuses frames beyond 64 MiB before it reads them", refuses_oversized_frames},
      {"MUST-5.3", "refuses too many blobs and endless heads", refuses_long_heads},
      {"MUST-5.4", "takes the largest frame", takes_the_largest_frame},
      {"MUST-6.1", "takes a frame byte by byte", takes_single_bytes},
      {"MUST-6.2", "takes a frame with a blob cut anywhere", takes_cut_blobs},
      {"MUST-6.3", "takes many frames in one read", takes_many_frames_at_once},
      {"MUST-7.1", "keeps its frames whole", keeps_frames_whole},
      {"MUST-8.1", "answers with the same id", answers_with_the_same_id},
      {"MUST-8.2", "answers calls with the same id", answers_calls_with_the_same_id},
      {"MUST-8.3", "numbers its own requests from 1, apart from ours", numbers_its_requests},
      {"MUST-9.1", "answers every request exactly once", answers_exactly_once},
  };
}

}  // namespace sabir::conformance
