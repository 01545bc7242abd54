#include "sabir/net/sse_parser.h"

#include <gtest/gtest.h>

namespace sabir::net {
namespace {

std::vector<SseEvent> parse(std::string_view text, std::size_t step) {
  SseParser parser;
  std::vector<SseEvent> all;
  for (std::size_t i = 0; i < text.size(); i += step) {
    auto events = parser.feed(text.substr(i, step));
    EXPECT_TRUE(events.has_value());
    for (auto& event : *events) all.push_back(std::move(event));
  }
  if (auto last = parser.finish()) all.push_back(*last);
  return all;
}

constexpr std::string_view kStream =
    "\xEF\xBB\xBF"
    ": keep-alive\r\n"
    "event: delta\r"
    "data: {\"a\":\r\n"
    "data:1}\n"
    "id: 7\n\n"
    "retry: 10\n\n"
    "data\n\n"
    "data:  two spaces\n\n"
    "data: \xC3\xA9t\xC3\xA9\r\n\r\n"
    "data: [DONE]\n";

TEST(SseParser, AnyFragmentationGivesTheSameEvents) {
  const std::vector<SseEvent> expected = {{"delta", "{\"a\":\n1}", "7"},
                                          {"message", "", "7"},
                                          {"message", " two spaces", "7"},
                                          {"message", "\xC3\xA9t\xC3\xA9", "7"},
                                          {"message", "[DONE]", "7"}};
  for (std::size_t step = 1; step <= kStream.size(); ++step) EXPECT_EQ(parse(kStream, step), expected) << step;
}

TEST(SseParser, AnEventCutOffInItsLastLineIsStillGivenOut) {
  EXPECT_EQ(parse("data: half", 3), (std::vector<SseEvent>{{"message", "half", ""}}));
}

TEST(SseParser, AnEndlessLineIsRefusedAtTheBound) {
  SseParser parser(100);
  EXPECT_TRUE(parser.feed(std::string(90, 'x')));
  auto more = parser.feed(std::string(20, 'x'));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ErrorCode::kLimit);
  EXPECT_FALSE(parser.feed("\n\n"));
  EXPECT_FALSE(parser.finish());
}

TEST(SseParser, AnEndlessEventOfShortLinesIsRefusedAtTheBound) {
  SseParser parser(100);
  bool refused = false;
  for (int i = 0; i < 100 && !refused; ++i) refused = !parser.feed("data: 0123456789\n");
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace sabir::net
