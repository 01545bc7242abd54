#include "sabir/workers/pool.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"

namespace sabir::workers {
namespace {
using std::chrono::milliseconds;

// A worker in a few lines, whose functions are: echo (answers its arguments), sleep, die, nested (asks the engine), and
// hang (answers nothing and ignores cancel).
constexpr const char* kWorker = R"py(
import json, os, socket, sys, time
s = socket.socket(fileno=int(os.environ["SABIR_FD"]))
buf = b""
def frame():
    global buf
    while True:
        end = buf.find(b"\n")
        if end >= 0:
            n = [int(x) for x in buf[:end].split(b" ")]
            if len(buf) >= end + 1 + sum(n):
                text = buf[end + 1:end + 1 + n[0]]
                buf = buf[end + 1 + sum(n):]
                return json.loads(text)
        got = s.recv(65536)
        if not got: sys.exit(0)
        buf += got
def send(o):
    t = json.dumps(o).encode()
    s.sendall(b"%d\n%s" % (len(t), t))
if os.environ.get("FAIL_START"):
    print("cannot start: no such thing", flush=True)
    sys.exit(3)
later = []
rid = 0
while True:
    m = later.pop(0) if later else frame()
    if m.get("method") == "hello": send({"jsonrpc":"2.0","id":m["id"],"result":{"protocol":1}})
    elif m.get("method") in ("start", "ping"): send({"jsonrpc":"2.0","id":m["id"],"result":{}})
    elif m.get("method") == "drain":
        send({"jsonrpc":"2.0","id":m["id"],"result":{}}); sys.exit(0)
    elif m.get("method") == "call":
        p = m["params"]; f = p["function"]; a = p["arguments"]
        if f == "die": os.kill(os.getpid(), 9)
        if f == "die_once":
            if not os.path.exists(a["flag"]):
                open(a["flag"], "w").close(); os.kill(os.getpid(), 9)
        if f == "sleep": time.sleep(a["s"])
        if f == "hang": time.sleep(60)
        if f == "print": print(a["text"], flush=True)
        if f == "nested":
            rid += 1
            send({"jsonrpc":"2.0","id":rid,"method":"functions.call","params":{"parent":m["id"],"depth":a["depth"]}})
            while True:
                r = frame()
                if r.get("id") == rid and "method" not in r: break
                later.append(r)
            a = {"inner": r.get("result", r.get("error"))}
        send({"jsonrpc":"2.0","id":m["id"],"result":{"value":a}})
)py";

class PoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("sabir-pool-" + new_id());
    std::filesystem::create_directories(folder_);
    ASSERT_TRUE(write_file(folder_ / "worker.py", kWorker).has_value());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  PoolSpec spec(int max = 1, const std::map<std::string, std::string>& environment = {}) {
    PoolSpec out;
    out.language = "python";
    out.max = max;
    out.output = [this](std::string_view line) { printed_ += std::string(line) + "\n"; };
    out.launch = [this, environment]() -> Result<LaunchSpec> {
      return LaunchSpec{{"python3", folder_ / "worker.py"}, process::environment_with(environment), {}};
    };
    return out;
  }
  static CallSpec call(const std::string& function, std::string arguments = "{}", bool read = false) {
    CallSpec out;
    out.address = "m." + function;
    out.function = function;
    out.arguments.json = std::move(arguments);
    out.read = read;
    out.deadline = Clock::now() + std::chrono::seconds(20);
    return out;
  }
  using Outcome = Result<protocol::Payload>;
  // Runs the loop until every call made through it is done, then shuts the pool down.
  void run(Pool& pool) {
    if (open_ > 0) loop_.run();
    pool.shutdown([this] { loop_.stop(); });
    net::Loop* const loop = &loop_;
    loop->run();
  }
  CallEvents into(Outcome& outcome) {
    ++open_;
    CallEvents events;
    events.done = [this, &outcome](Outcome o) {
      outcome = std::move(o);
      if (--open_ == 0) loop_.stop();
    };
    return events;
  }

  std::filesystem::path folder_;
  net::Loop loop_;
  int open_ = 0;
  std::string printed_;
};

TEST_F(PoolTest, CallsAreAnsweredByOneWarmWorker) {
  Pool pool(loop_, spec(), [](EngineRequest) {});
  std::vector<Outcome> outcomes(50, fail(ErrorCode::kInternal, ""));
  for (int i = 0; i < 50; ++i) {
    pool.call(call("echo", "{\"n\":" + std::to_string(i) + "}", i % 2 == 0), into(outcomes[static_cast<std::size_t>(i)]));
  }
  loop_.run();
  open_ = 0;
  EXPECT_EQ(pool.stats().started, 1U);
  for (std::size_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(outcomes[i].has_value()) << outcomes[i].error().message;
    EXPECT_EQ(outcomes[i]->json, "{\"n\": " + std::to_string(i) + "}");
  }
  run(pool);
}

TEST_F(PoolTest, AWriteThatDiesHasAnUnknownOutcomeAndTheNextCallWorks) {
  Pool pool(loop_, spec(), [](EngineRequest) {});
  Outcome died = fail(ErrorCode::kInternal, "");
  Outcome after = fail(ErrorCode::kInternal, "");
  pool.call(call("die"), into(died));
  pool.call(call("echo"), into(after));
  loop_.run();
  open_ = 0;
  ASSERT_FALSE(died.has_value());
  EXPECT_EQ(died.error().code, ErrorCode::kOutcomeUnknown);
  EXPECT_NE(died.error().message.find("SIGKILL"), std::string::npos);
  EXPECT_TRUE(after.has_value());
  EXPECT_EQ(pool.stats().crashed, 1U);
  run(pool);
}

TEST_F(PoolTest, AReadThatDiesRunsOnceMoreAndThenFails) {
  Pool pool(loop_, spec(), [](EngineRequest) {});
  Outcome once = fail(ErrorCode::kInternal, "");
  Outcome always = fail(ErrorCode::kInternal, "");
  pool.call(call("die_once", "{\"flag\":\"" + (folder_ / "flag").string() + "\"}", true), into(once));
  pool.call(call("die", "{}", true), into(always));
  loop_.run();
  open_ = 0;
  EXPECT_TRUE(once.has_value());
  ASSERT_FALSE(always.has_value());
  EXPECT_EQ(always.error().code, ErrorCode::kWorkerCrashed);
  EXPECT_EQ(pool.stats().crashed, 3U);
  run(pool);
}

TEST_F(PoolTest, AnOverdueCallTimesOutAndItsWorkerIsReplaced) {
  auto pool_spec = spec();
  pool_spec.grace = milliseconds(50);
  Pool pool(loop_, pool_spec, [](EngineRequest) {});
  Outcome late = fail(ErrorCode::kInternal, "");
  Outcome after = fail(ErrorCode::kInternal, "");
  auto hang = call("hang");
  hang.deadline = Clock::now() + milliseconds(300);
  pool.call(hang, into(late));
  pool.call(call("echo"), into(after));
  const auto begin = Clock::now();
  loop_.run();
  open_ = 0;
  EXPECT_EQ(late.error().code, ErrorCode::kTimeout);
  EXPECT_TRUE(after.has_value());
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
  run(pool);
}

TEST_F(PoolTest, AWorkerThatCannotStartFailsWhatWaitsWithWhatItPrinted) {
  Pool pool(loop_, spec(1, {{"FAIL_START", "1"}}), [](EngineRequest) {});
  Outcome outcome = fail(ErrorCode::kInternal, "");
  pool.call(call("echo"), into(outcome));
  loop_.run();
  open_ = 0;
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(outcome.error().hint.find("no such thing"), std::string::npos);
  run(pool);
}

TEST_F(PoolTest, NestedCallsProgressThroughOneWorkerPerDepth) {
  std::unique_ptr<Pool> pool;
  pool = std::make_unique<Pool>(loop_, spec(1), [&](EngineRequest request) {
    const int depth = request.caller->depth + 1;
    auto inner = call(depth < 8 ? "nested" : "echo", "{\"depth\":" + std::to_string(depth) + "}");
    inner.depth = depth;
    CallEvents events;
    events.done = [reply = request.reply](Outcome o) { reply(std::move(o)); };
    pool->call(std::move(inner), std::move(events));
  });
  std::vector<Outcome> outcomes(16, fail(ErrorCode::kInternal, ""));
  for (auto& outcome : outcomes) pool->call(call("nested", "{\"depth\":1}"), into(outcome));
  loop_.run();
  open_ = 0;
  for (const auto& outcome : outcomes) {
    ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
    EXPECT_NE(outcome->json.find("\"depth\": 8"), std::string::npos) << outcome->json;
  }
  EXPECT_LE(pool->stats().workers, 8);
  run(*pool);
}

TEST_F(PoolTest, WhatAWorkerPrintsArrivesAsLines) {
  Pool pool(loop_, spec(), [](EngineRequest) {});
  Outcome outcome = fail(ErrorCode::kInternal, "");
  pool.call(call("print", "{\"text\":\"hello\"}"), into(outcome));
  loop_.run();
  open_ = 0;
  run(pool);
  EXPECT_EQ(printed_, "hello\n");
}

TEST_F(PoolTest, TheQueueIsBounded) {
  auto pool_spec = spec();
  pool_spec.queue = 2;
  Pool pool(loop_, pool_spec, [](EngineRequest) {});
  std::vector<Outcome> outcomes(4, fail(ErrorCode::kInternal, ""));
  for (auto& outcome : outcomes) pool.call(call("echo"), into(outcome));
  loop_.run();
  open_ = 0;
  EXPECT_TRUE(outcomes[1].has_value());
  EXPECT_EQ(outcomes[3].error().code, ErrorCode::kBusy);
  run(pool);
}

}  // namespace
}  // namespace sabir::workers
