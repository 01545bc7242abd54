#include "sabir/net/pauses.h"

#include <gtest/gtest.h>

namespace sabir::net {
namespace {

using namespace std::chrono_literals;
using Ms = std::chrono::milliseconds;

const WallClock::time_point kNow = WallClock::from_time_t(1'700'000'000);  // 2023-11-14T22:13:20Z

TEST(ParseReset, EveryFormThatProvidersSend) {
  const struct {
    const char* text;
    Ms wanted;
  } cases[] = {{"17ms", 17ms},   {"1s", 1s},       {"6m0s", 6min},  {"1h2m3s", 3723s},      {"1.5s", 1500ms}, {"0", 0ms},
               {" 20 ", 20s},    {"0.25", 250ms},  {"1d", 24h},     {"1700000005", 5s},     {"1600000000", 0ms},
               {"2023-11-14T22:13:25Z", 5s},       {"2023-11-14T22:13:25.5Z", 5s},          {"2023-11-15T00:13:25+02:00", 5s},
               {"Tue, 14 Nov 2023 22:13:25 GMT", 5s}, {"Tue, 14 Nov 2000 22:13:25 GMT", 0ms}};
  for (const auto& test : cases) {
    const auto got = parse_reset(test.text, kNow);
    ASSERT_TRUE(got) << test.text;
    EXPECT_EQ(*got, test.wanted) << test.text;
  }
}

TEST(ParseReset, NonsenseIsNoPause) {
  for (const char* text : {"", "soon", "-1", "1x", "1s junk", "5 5", "inf", "nan", "1e9", "0x10", ".", "1.2.3", "2023-13-14T22:13:25Z",
                           "2023-11-14T22:13:25", "99999999999999999999999999999999999999999999999999999999999999999999s"}) {
    EXPECT_FALSE(parse_reset(text, kNow)) << text;
  }
}

HttpResponse with(net::HttpHeaders headers) {
  HttpResponse response;
  response.headers = std::move(headers);
  return response;
}

TEST(AskedPause, TheMostExactHeaderWins) {
  EXPECT_EQ(asked_pause(with({{"retry-after", "7"}, {"retry-after-ms", "250"}}), kNow), 250ms);
  EXPECT_EQ(asked_pause(with({{"retry-after", "7"}, {"x-ratelimit-remaining-requests", "0"}, {"x-ratelimit-reset-requests", "9s"}}), kNow), 7s);
  EXPECT_EQ(asked_pause(with({{"retry-after", "junk"}}), kNow), std::nullopt);
}

TEST(AskedPause, OfSeveralLimitsTheLongestThatIsUsedUp) {
  const auto pause = asked_pause(with({{"x-ratelimit-remaining-requests", "0"}, {"x-ratelimit-reset-requests", "2s"},
                                       {"x-ratelimit-remaining-tokens", "0"}, {"x-ratelimit-reset-tokens", "3s"}}), kNow);
  EXPECT_EQ(pause, 3s);
  EXPECT_EQ(asked_pause(with({{"x-ratelimit-remaining-requests", "1"}, {"x-ratelimit-reset-requests", "2s"}}), kNow), std::nullopt);
  EXPECT_EQ(exhausted_until(with({{"anthropic-ratelimit-input-tokens-remaining", "0"},
                                  {"anthropic-ratelimit-input-tokens-reset", "2023-11-14T22:13:30Z"}}), kNow), 10s);
}

}  // namespace
}  // namespace sabir::net
