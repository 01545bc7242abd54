// What a connection makes of a call's frame, whichever way it is read.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "sabir/wire.hpp"

namespace sabir::detail {
namespace {

const std::string kFirst = R"("deadline_ms":5,"context":{"user":"u"},)";
const std::string kRest = R"(,"module":"a","receiver":"","function":"f","positional":["x"],"context_parameter":"","depth":1})";

std::string call_of(const std::string& params) { return R"({"jsonrpc":"2.0","id":7,"method":"call","params":)" + params + "}"; }

// A connection that is sent `texts` and then nothing more, and what it answers.
class Peer {
 public:
  explicit Peer(const std::vector<std::string>& texts) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    theirs_ = fds[0];
    connection.emplace(fds[1], fds[1]);
    for (const auto& text : texts) {
      const std::string frame = std::to_string(text.size()) + "\n" + text;
      EXPECT_EQ(::write(theirs_, frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
    }
    ::shutdown(theirs_, SHUT_WR);
  }
  ~Peer() { ::close(theirs_); }
  std::string answered() {
    connection->flush();
    char buffer[4096];
    const auto count = ::recv(theirs_, buffer, sizeof buffer, MSG_DONTWAIT);
    return count > 0 ? std::string(buffer, static_cast<std::size_t>(count)) : std::string();
  }

  std::optional<Connection> connection;

 private:
  int theirs_ = -1;
};

Json whole(const Message& message) {
  if (!message.end) return message.json;
  Json params = message.end->params;
  params["arguments"] = message.arguments;
  params["context"] = *message.context;
  return Json{{"jsonrpc", "2.0"}, {"id", message.id}, {"method", "call"}, {"params", std::move(params)}};
}

struct Case {
  const char* name;
  std::string params;
  bool known;
};

TEST(Wire, AKnownCallReadsAsItsJsonDoes) {
  const std::vector<Case> cases{
      {"plain arguments", "{" + kFirst + R"("arguments":{"x":1})" + kRest, true},
      {"a member of the arguments that is called module", "{" + kFirst + R"("arguments":{"x":{"y":1,"module":"b"}})" + kRest, true},
      {"arguments that look like the end", "{" + kFirst + R"("arguments":{"x":"},\"module\":\"a\"}}"})" + kRest, true},
      {"text that is not ASCII", "{" + kFirst + R"("arguments":{"x":"Été, مرحبا"})" + kRest, true},
      {"escapes of whole characters", "{" + kFirst + R"("arguments":{"x":"\ud83d\ude00 \u00e9"})" + kRest, true},
      {"a user whose name has a brace", R"({"deadline_ms":5,"context":{"user":"a}b"},"arguments":{"x":1})" + kRest, true},
      {"an idempotency key", R"({"deadline_ms":5,"idempotency_key":"k-1","context":{},"arguments":{})" + kRest, false},
      {"a context that has arguments", R"({"deadline_ms":5,"context":{"a":{"b":1,"arguments":{}}},"arguments":{"x":1})" + kRest, false},
      {"another module in the end", "{" + kFirst + R"("arguments":{"x":1},"module":"a","function":"f","build":{"x":1,"module":"b"}})", false},
      {"arguments again in the end", "{" + kFirst + R"("arguments":{"x":1},"module":"a","function":"f","arguments":{"x":2}})", false},
      {"another order", R"({"module":"a","function":"f","arguments":{"x":1},"deadline_ms":5,"context":{}})", false},
      {"arguments that are no object", "{" + kFirst + R"("arguments":[1])" + kRest, false},
  };
  for (const auto& one : cases) {
    const std::string text = call_of(one.params);
    Json expected = Json::parse(text);
    Peer peer({text, text});
    for (int time = 0; time < 2; ++time) {
      const auto message = peer.connection->receive();
      ASSERT_TRUE(message.has_value()) << one.name;
      EXPECT_EQ(message->end != nullptr, one.known) << one.name;
      Json read = whole(*message);
      // These say nothing to the worker.
      for (Json* const json : {&read, &expected}) {
        for (const char* const name : {"deadline_ms", "idempotency_key"}) (*json)["params"].erase(name);
      }
      EXPECT_EQ(read, expected) << one.name;
    }
    EXPECT_FALSE(peer.connection->receive().has_value());
  }
}

TEST(Wire, AKnownCallRefusesWhatAnyCallDoes) {
  const std::string good = call_of("{" + kFirst + R"("arguments":{"x":1})" + kRest);
  for (const std::string arguments : {R"({"x":18446744073709551616})", R"({"x":"\ud800"})", "{\"x\":\"\xff\"}", R"({"x":)"}) {
    Peer peer({good, call_of("{" + kFirst + R"("arguments":)" + arguments + kRest)});
    ASSERT_TRUE(peer.connection->receive().has_value());
    EXPECT_FALSE(peer.connection->receive().has_value()) << arguments;
    EXPECT_NE(peer.answered().find("\"error\""), std::string::npos) << arguments;
  }
}

TEST(Wire, OneCallsArgumentsStayFromTheNext) {
  const auto text = [](int x) { return call_of("{" + kFirst + R"("arguments":{"x":)" + std::to_string(x) + "}" + kRest); };
  Peer peer({text(1), text(2)});
  auto one = peer.connection->receive();
  auto two = peer.connection->receive();
  ASSERT_TRUE(one && two);
  one->arguments.clear();
  EXPECT_EQ(two->arguments, Json({{"x", 2}}));
  EXPECT_EQ(one->end, two->end);
}

}  // namespace
}  // namespace sabir::detail
