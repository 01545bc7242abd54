#include "sabir/peers/pins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <future>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/peers/status.h"
#include "stdio_transport.h"

namespace sabir::peers {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

mcp::ToolDefinition tool(const std::string& name, const std::string& description = "d") {
  return mcp::read_tool(json::value(json::object{{"name", name}, {"description", description}, {"inputSchema", {{"type", "object"}}}}), false);
}

class PinsTest : public testing::Test {
 protected:
  PinsTest() : root_(fs::canonical(fs::temp_directory_path()) / ("sabir-pins-" + new_id())) { fs::create_directories(root_ / "config"); }
  ~PinsTest() override { fs::remove_all(root_); }
  fs::path root_;
};

TEST_F(PinsTest, ConsentIsToOneToolAsItIs) {
  auto pins = *Pins::read(root_);
  EXPECT_EQ(pins.consent("a", tool("x")), Consent::kNew);
  pins.set("a", {tool("x"), tool("y")});
  ASSERT_TRUE(pins.write(root_));
  const auto again = *Pins::read(root_);
  EXPECT_EQ(again.consent("a", tool("x")), Consent::kGiven);
  EXPECT_EQ(again.consent("a", tool("x", "other")), Consent::kChanged);
  EXPECT_EQ(again.consent("a", tool("z")), Consent::kNew);
  EXPECT_EQ(again.consent("b", tool("x")), Consent::kNew);
  EXPECT_THAT(again.tools("a"), ElementsAre("x", "y"));
}

TEST_F(PinsTest, ABrokenRecordIsNoConsent) {
  for (const char* text : {"", "[]", "{\"format\":2,\"servers\":{}}", "{\"format\":1}", "{\"format\":1,\"servers\":{\"a\":3}}", "{\"format\":1,\"servers\":{\"a\":{\"x\":1}}}"}) {
    std::ofstream(root_ / kLockFile) << text;
    const auto pins = Pins::read(root_);
    ASSERT_FALSE(pins) << text;
    EXPECT_EQ(pins.error().code, ErrorCode::kConfig);
    EXPECT_EQ(pins.error().file, kLockFile);
  }
}

TEST_F(PinsTest, KeptToolsAreThoseOfTheirEntryAlone) {
  project::McpServer server;
  server.name = "a.b";
  server.command = {"x"};
  EXPECT_FALSE(read_kept(root_, server));
  ASSERT_TRUE(keep(root_, server, {"2025-11-25", "s", {tool("x")}}));
  const auto kept = read_kept(root_, server);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->revision, "2025-11-25");
  EXPECT_EQ(kept->tools.front().digest, tool("x").digest);
  server.command = {"y"};
  EXPECT_FALSE(read_kept(root_, server));
}

TEST(Names, AreTheSameWhateverTheOrder) {
  const std::vector<mcp::ToolDefinition> tools{tool("get-issue"), tool("get_issue"), tool("getIssue"), tool("x"), tool("日本")};
  std::vector<mcp::ToolDefinition> reversed(tools.rbegin(), tools.rend());
  auto names = canonical_names(tools);
  const auto others = canonical_names(reversed);
  EXPECT_EQ(names, std::vector<std::string>(others.rbegin(), others.rend()));
  EXPECT_EQ(names[1], "get_issue");
  EXPECT_EQ(names[3], "x");
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(Effects, AreTheFilesBeforeTheServers) {
  project::McpServer server;
  server.effects = {{"safe_*", "read"}};
  auto one = tool("safe_delete");
  one.annotations = {{"destructiveHint", true}};
  EXPECT_EQ(effect_of(server, one), "read");
  server.effects.clear();
  EXPECT_EQ(effect_of(server, one), "irreversible");
  one.annotations = {{"readOnlyHint", true}};
  EXPECT_EQ(effect_of(server, one), "read");
  one.annotations.clear();
  EXPECT_EQ(effect_of(server, one), "write");
}

TEST(Changes, ShowTheLinesThatDiffer) {
  Pins pins;
  pins.set("s", {tool("x", "first\nsecond"), tool("gone")});
  const auto found = changes("s", pins, std::vector{tool("x", "first\nsecond")}, {tool("x", "first\n\x1b[31mthird"), tool("new")});
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].kind, ToolChange::Kind::kChanged);
  EXPECT_EQ(found[0].text, "  - second\n  + [31mthird\n");
  EXPECT_EQ(found[1].kind, ToolChange::Kind::kNew);
  EXPECT_EQ(found[2].tool, "gone");
  // A definition that only claims to be what was consented to is none.
  const auto forged = changes("s", pins, std::vector{tool("x", "forged")}, {tool("x", "other")});
  EXPECT_THAT(forged[0].text, HasSubstr("not on this machine"));
}

// A process that does not end by itself is ended.
TEST(StdioTransport, EndsWhatDoesNotWantTo) {
  net::Loop loop;
  std::thread thread([&loop] { loop.run(); });
  std::promise<std::string> line;
  std::promise<void> closed;
  std::unique_ptr<StdioTransport> transport;
  loop.post([&] {
    TransportEvents events;
    events.message = [&](std::string_view text, mcp::RequestId) { line.set_value(std::string(text)); };
    events.lost = [](const Error&, bool) {};
    auto started = StdioTransport::start(loop, {{"sh", "-c", "trap '' TERM; echo $$; exec 0<&-; while :; do sleep 0.1; done"}, {"PATH=/usr/bin:/bin"}, "/"}, std::move(events));
    ASSERT_TRUE(started) << started.error().message;
    transport = std::move(*started);
  });
  const pid_t pid = std::stoi(line.get_future().get());
  const auto begun = std::chrono::steady_clock::now();
  loop.post([&] { transport->close([&] { closed.set_value(); }); });
  ASSERT_EQ(closed.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(15));
  EXPECT_NE(::kill(pid, 0), 0);
  std::promise<void> gone;
  loop.post([&] {
    transport.reset();
    gone.set_value();
  });
  gone.get_future().wait();
  loop.stop();
  thread.join();
}

}  // namespace
}  // namespace sabir::peers
