#include <gtest/gtest.h>
#include <time.h>

#include <chrono>
#include <cstring>

#include "sabir/base/file.h"
#include "sabir/base/json.h"
#include "sabir/bridge/bridge.h"

namespace sabir {
namespace {

std::vector<std::uint32_t> ends_of(std::string_view encoding, std::string_view text) {
  sb_buf out{};
  EXPECT_EQ(sb_tokens({encoding.data(), encoding.size()}, {text.data(), text.size()}, &out), 0);
  std::vector<std::uint32_t> ends(out.size / sizeof(std::uint32_t));
  if (!ends.empty()) std::memcpy(ends.data(), out.data, out.size);
  sb_free(out);
  return ends;
}

// What tiktoken 0.14.0 itself answers, as ends in bytes.
TEST(BridgeTokens, AreTiktokens) {
  const auto text = read_file(SABIR_TOKENS_VECTORS);
  ASSERT_TRUE(text.has_value());
  const auto vectors = parse_json(*text);
  ASSERT_TRUE(vectors.has_value());
  ASSERT_GT(vectors->as_array().size(), 30U);
  for (const auto& vector : vectors->as_array()) {
    for (const char* encoding : {"cl100k_base", "o200k_base"}) {
      const auto expected = json::value_to<std::vector<std::uint32_t>>(vector.at(encoding));
      EXPECT_EQ(ends_of(encoding, vector.at("text").as_string()), expected) << encoding << " " << vector.at("text");
    }
  }
}

TEST(BridgeTokens, AnUnknownEncodingAndWhatIsNoTextAreRefused) {
  sb_buf out{};
  EXPECT_EQ(sb_tokens({"p50k", 4}, {"a", 1}, &out), 1);
  EXPECT_EQ(sb_tokens({"o200k_base", 10}, {"\xff", 1}, &out), 1);
  EXPECT_EQ(out.size, 0U);
}

// A long word, a long run of blanks and the like take no more than a common text does.
TEST(BridgeTokens, NoTextTakesLong) {
  ends_of("o200k_base", "a");
  ends_of("cl100k_base", "a");
  const auto used = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  std::string mixed;
  while (mixed.size() < 500'000) mixed += "aB\u0301 \t\n'";
  for (const std::string& text : {std::string(500'000, 'a'), std::string(500'000, ' '), std::string(500'000, ' ') + "x", std::string(500'000, '\n') + "x",
                                  std::string(500'000, '\''), std::string(500'000, 'A'), mixed}) {
    for (const char* encoding : {"cl100k_base", "o200k_base"}) {
      const auto start = used();
      const auto ends = ends_of(encoding, text);
      ASSERT_FALSE(ends.empty());
      EXPECT_EQ(ends.back(), text.size());
      EXPECT_LT((used() - start) / std::chrono::milliseconds(1), 2000) << text.substr(0, 3) << " " << encoding;
    }
  }
}

}  // namespace
}  // namespace sabir
