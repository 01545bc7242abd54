#include "sabir/workers/pool.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

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
        if f.startswith("sleep"): time.sleep(a["s"])
        if f == "grow":
            kept = b"x" * (a["mb"] << 20); time.sleep(a["s"])
        if f == "pid": a = os.getpid()
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
    Callee callee;
    callee.address = "m." + function;
    callee.function = function;
    callee.read = read;
    CallSpec out;
    out.callee = Callee::shared(std::move(callee));
    out.arguments.json = std::move(arguments);
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

TEST_F(PoolTest, AFloodOfOneFunctionDoesNotHoldUpAnother) {
  Pool pool(loop_, spec(1), [](EngineRequest) {});
  std::vector<std::string> order;
  const auto noting = [&](const std::string& name) {
    ++open_;
    CallEvents events;
    events.done = [this, &order, name](const Outcome&) {
      order.push_back(name);
      if (--open_ == 0) loop_.stop();
    };
    return events;
  };
  for (int i = 0; i < 20; ++i) pool.call(call("sleep", R"({"s":0.01})"), noting("flood"));
  pool.call(call("echo"), noting("other"));
  loop_.run();
  open_ = 0;
  ASSERT_EQ(order.size(), 21U);
  EXPECT_LE(std::find(order.begin(), order.end(), "other") - order.begin(), 2);
  run(pool);
}

TEST_F(PoolTest, CallsAtOnceOfAFunctionAreLimitedAndOthersPassThem) {
  Pool pool(loop_, spec(3), [](EngineRequest) {});
  std::vector<Outcome> outcomes(4, fail(ErrorCode::kInternal, ""));
  const auto begin = Clock::now();
  Clock::time_point echoed;
  for (int i = 0; i < 3; ++i) {
    auto one = call("sleep", R"({"s":0.2})");
    Callee callee = *one.callee;
    callee.concurrency = 1;
    one.callee = Callee::shared(std::move(callee));
    pool.call(one, into(outcomes[static_cast<std::size_t>(i)]));
  }
  auto events = into(outcomes[3]);
  events.done = [&echoed, done = std::move(events.done)](Outcome o) {
    echoed = Clock::now();
    done(std::move(o));
  };
  pool.call(call("echo"), std::move(events));
  loop_.run();
  open_ = 0;
  for (const auto& outcome : outcomes) EXPECT_TRUE(outcome.has_value());
  EXPECT_GE(Clock::now() - begin, milliseconds(600));
  EXPECT_LT(echoed - begin, Clock::now() - begin - milliseconds(200));
  run(pool);
}

TEST_F(PoolTest, SlowFunctionsDoNotHoldUpTheOthers) {
  Pool pool(loop_, spec(2), [](EngineRequest) {});
  std::vector<Outcome> slow(6, fail(ErrorCode::kInternal, ""));
  Outcome quick = fail(ErrorCode::kInternal, "");
  Clock::time_point answered;
  for (std::size_t i = 0; i < slow.size(); ++i) pool.call(call(i % 2 == 0 ? "sleep" : "sleep_too", R"({"s":0.7})"), into(slow[i]));
  loop_.after(milliseconds(250), [&] {
    auto events = into(quick);
    events.done = [&answered, done = std::move(events.done)](Outcome o) {
      answered = Clock::now();
      done(std::move(o));
    };
    pool.call(call("echo"), std::move(events));
  });
  const auto begin = Clock::now();
  loop_.run();
  open_ = 0;
  EXPECT_TRUE(quick.has_value());
  EXPECT_GE(Clock::now() - begin, milliseconds(2100));
  // The two workers were busy until 0.7 s at least, and then with the next two.
  EXPECT_LT(answered - begin, milliseconds(1400));
  EXPECT_EQ(pool.stats().started, 3U);
  run(pool);
}

TEST_F(PoolTest, AWorkerIsRenewedAfterItsCallsAndNoCallIsLost) {
  auto pool_spec = spec(1);
  pool_spec.max_calls = 10;
  Pool pool(loop_, pool_spec, [](EngineRequest) {});
  std::set<std::string> pids;
  int failed = 0;
  std::function<void(int)> next = [&](int left) {
    CallEvents events;
    events.done = [&, left](const Outcome& o) {
      if (o) {
        pids.insert(o->json);
      } else {
        ++failed;
      }
      if (left > 1) {
        loop_.after(milliseconds(5), [&, left] { next(left - 1); });
      } else {
        loop_.stop();
      }
    };
    pool.call(call("pid"), std::move(events));
  };
  next(120);
  loop_.run();
  EXPECT_EQ(failed, 0);
  EXPECT_GE(pids.size(), 3U);
  EXPECT_GE(pool.stats().renewed, 2U);
  EXPECT_EQ(pool.stats().crashed, 0U);
  run(pool);
}

TEST_F(PoolTest, ACallThatUsesTooMuchMemoryIsEndedAndTheNextOneWorks) {
  auto pool_spec = spec(1);
  pool_spec.max_memory = std::uint64_t{100} << 20U;
  Pool pool(loop_, pool_spec, [](EngineRequest) {});
  Outcome big = fail(ErrorCode::kInternal, "");
  Outcome after = fail(ErrorCode::kInternal, "");
  const auto begin = Clock::now();
  pool.call(call("grow", R"({"mb":200,"s":15})", true), into(big));
  pool.call(call("echo"), into(after));
  loop_.run();
  open_ = 0;
  ASSERT_FALSE(big.has_value());
  EXPECT_EQ(big.error().code, ErrorCode::kLimit) << big.error().message;
  EXPECT_NE(big.error().message.find("more than 100 MB"), std::string::npos) << big.error().message;
  EXPECT_TRUE(after.has_value());
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  run(pool);
}

TEST_F(PoolTest, WhoeverWarmsItHearsOfTheFirstWorkerOrWhyThereIsNone) {
  std::vector<std::string> heard;
  const auto hears = [&](const std::optional<Error>& why_not) {
    heard.push_back(why_not ? why_not->message : "ready");
    if (heard.size() == 3) loop_.stop();
  };
  Pool pool(loop_, spec(2), [](EngineRequest) {});
  auto broken_spec = spec(2);
  broken_spec.launch = []() -> Result<LaunchSpec> { return fail(ErrorCode::kUnavailable, "there is no such language"); };
  Pool broken(loop_, broken_spec, [](EngineRequest) {});
  pool.warm([&](const std::optional<Error>& why_not) {
    hears(why_not);
    // One that is ready is told at once.
    pool.warm(hears);
  });
  broken.warm(hears);
  EXPECT_TRUE(heard.empty());
  loop_.run();
  std::sort(heard.begin(), heard.end());
  EXPECT_EQ(heard, (std::vector<std::string>{"ready", "ready", "there is no such language"}));
  run(pool);
}

TEST_F(PoolTest, IdleWorkersLeaveDownToTheLeastNumber) {
  auto pool_spec = spec(4);
  pool_spec.min = 2;
  pool_spec.idle = milliseconds(300);
  Pool pool(loop_, pool_spec, [](EngineRequest) {});
  pool.warm();
  EXPECT_EQ(pool.stats().workers, 2);
  int most = 0;
  int left = 4;
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  std::function<void()> wait = [&] {
    if (pool.stats().workers == 2 || Clock::now() > deadline) return loop_.stop();
    loop_.after(milliseconds(20), wait);
  };
  for (int i = 0; i < 4; ++i) {
    CallEvents events;
    events.done = [&](const Outcome& o) {
      EXPECT_TRUE(o.has_value());
      most = std::max(most, pool.stats().workers);
      if (--left == 0) wait();
    };
    pool.call(call("sleep", R"({"s":0.3})"), std::move(events));
  }
  loop_.run();
  EXPECT_EQ(most, 4);
  EXPECT_EQ(pool.stats().workers, 2);
  EXPECT_EQ(pool.stats().crashed, 0U);
  run(pool);
}

TEST_F(PoolTest, AFunctionThatKeepsEndingItsWorkerIsLeftAloneAndOthersWork) {
  Pool pool(loop_, spec(1), [](EngineRequest) {});
  Outcome refused = fail(ErrorCode::kInternal, "");
  Outcome other = fail(ErrorCode::kInternal, "");
  std::function<void(int)> die = [&](int left) {
    if (left == 0) {
      pool.call(call("die"), into(refused));
      pool.call(call("echo"), into(other));
      return;
    }
    CallEvents events;
    events.done = [&die, left](const Outcome& o) {
      EXPECT_EQ(o.error().code, ErrorCode::kOutcomeUnknown);
      die(left - 1);
    };
    pool.call(call("die"), std::move(events));
  };
  die(5);
  loop_.run();
  EXPECT_EQ(refused.error().code, ErrorCode::kWorkerCrashed);
  EXPECT_NE(refused.error().message.find("5 times in a row"), std::string::npos) << refused.error().message;
  EXPECT_TRUE(other.has_value());
  EXPECT_EQ(pool.stats().crashed, 5U);
  open_ = 0;
  run(pool);
}

TEST_F(PoolTest, AReloadServesTheNextCallByANewWorker) {
  Pool pool(loop_, spec(1), [](EngineRequest) {});
  Outcome before = fail(ErrorCode::kInternal, "");
  Outcome running = fail(ErrorCode::kInternal, "");
  Outcome after = fail(ErrorCode::kInternal, "");
  pool.call(call("pid"), into(before));
  pool.call(call("sleep", R"({"s":0.5})"), into(running));
  ++open_;
  loop_.after(milliseconds(350), [&] {
    pool.reload();
    pool.call(call("pid"), into(after));
    --open_;
  });
  loop_.run();
  open_ = 0;
  ASSERT_TRUE(before && running && after);
  EXPECT_NE(before->json, after->json);
  EXPECT_EQ(pool.stats().crashed, 0U);
  run(pool);
}

TEST_F(PoolTest, AWorkerMaySpeakOverTwoPipes) {
  auto pool_spec = spec(1);
  pool_spec.launch = [this]() -> Result<LaunchSpec> {
    std::string text = kWorker;
    const auto replace = [&text](const std::string& from, const std::string& to) { text.replace(text.find(from), from.size(), to); };
    replace("s = socket.socket(fileno=int(os.environ[\"SABIR_FD\"]))", "R, W = [int(n) for n in os.environ[\"SABIR_FD\"].split(\",\")]");
    replace("s.recv(65536)", "os.read(R, 65536)");
    replace("s.sendall(b\"%d\\n%s\" % (len(t), t))", "os.write(W, b\"%d\\n%s\" % (len(t), t))");
    (void)write_file(folder_ / "pipes.py", text);
    return LaunchSpec{{"python3", folder_ / "pipes.py"}, process::environment_with({}), {}, true};
  };
  Pool pool(loop_, pool_spec, [](EngineRequest) {});
  Outcome outcome = fail(ErrorCode::kInternal, "");
  pool.call(call("echo", R"({"n":1})"), into(outcome));
  loop_.run();
  open_ = 0;
  ASSERT_TRUE(outcome.has_value()) << to_text(outcome.error());
  EXPECT_EQ(outcome->json, "{\"n\": 1}");
  run(pool);
}

}  // namespace
}  // namespace sabir::workers
