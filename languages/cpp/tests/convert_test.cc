#include "sabir/convert.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <deque>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "sabir/json_access_inline.hpp"

namespace sabir::worker {
namespace {

const Path kPlace{nullptr, "a", 0};

// The message of the InvalidArgument that reading `value` as T throws; "" when it does not throw.
template <class T>
std::string complaint(const Json& value) {
  try {
    from_json<T>(value, kPlace);
    return "";
  } catch (const InvalidArgument& error) {
    return error.what();
  }
}

template <class T>
void expect_round_trip(const T& value, const Json& json) {
  EXPECT_EQ(to_json(value), json);
  EXPECT_EQ(from_json<T>(json, kPlace), value);
}

TEST(Convert, StandardTypesRoundTrip) {
  expect_round_trip(true, true);
  expect_round_trip(std::int64_t{-5}, -5);
  expect_round_trip(std::uint8_t{255}, 255);
  expect_round_trip(0.5, 0.5);
  expect_round_trip(std::string("é"), "é");
  expect_round_trip(std::vector<std::vector<int>>{{1}, {}, {2, 3}}, Json::parse("[[1],[],[2,3]]"));
  expect_round_trip(std::map<std::string, std::optional<int>>{{"a", 1}, {"b", std::nullopt}}, Json::parse(R"({"a":1,"b":null})"));
  expect_round_trip(std::tuple<int, std::string, bool>{1, "x", true}, Json::parse(R"([1,"x",true])"));
  expect_round_trip(std::pair<int, double>{1, 2.5}, Json::parse("[1,2.5]"));
  expect_round_trip(std::array<int, 2>{1, 2}, Json::parse("[1,2]"));
  expect_round_trip(std::set<std::string>{"a", "b"}, Json::parse(R"(["a","b"])"));
  expect_round_trip(std::deque<bool>{true, false}, Json::parse("[true,false]"));
  expect_round_trip(std::variant<int, std::string>{"x"}, "x");
  expect_round_trip(std::filesystem::path("a/b"), "a/b");
  expect_round_trip(std::unordered_map<std::string, int>{{"a", 1}}, Json::parse(R"({"a":1})"));
}

TEST(Convert, BytesAreBase64TextOrBinary) {
  const Bytes bytes{std::byte{0}, std::byte{255}, std::byte{'h'}, std::byte{'i'}};
  EXPECT_EQ(from_json<Bytes>("AP9oaQ==", kPlace), bytes);
  EXPECT_EQ(from_json<Bytes>(Json::binary({0, 255, 'h', 'i'}), kPlace), bytes);
  EXPECT_TRUE(to_json(bytes).is_binary());
  EXPECT_EQ(complaint<Bytes>("AP9oaQ="), "argument /a: expected base64 text, got \"AP9oaQ=\"");
}

TEST(Convert, IntegersAreCheckedForTheirRange) {
  EXPECT_EQ(complaint<std::uint8_t>(256), "argument /a: expected an integer from 0 to 255, got 256");
  EXPECT_EQ(complaint<std::uint32_t>(-1), "argument /a: expected an integer from 0 to 4294967295, got -1");
  EXPECT_EQ(complaint<int>(1.5), "argument /a: expected an integer from -2147483648 to 2147483647, got 1.5");
  EXPECT_EQ(from_json<int>(3.0, kPlace), 3);
  EXPECT_EQ(from_json<double>(3, kPlace), 3.0);
}

TEST(Convert, ComplaintsNameThePath) {
  EXPECT_EQ((complaint<std::map<std::string, std::vector<int>>>(Json::parse(R"({"x/y":[1,"two"]})"))),
            "argument /a/x~1y/1: expected an integer from -2147483648 to 2147483647, got \"two\"");
  EXPECT_EQ((complaint<std::array<int, 2>>(Json::array({1}))), "argument /a: expected an array of 2 elements, got [1]");
  EXPECT_EQ((complaint<std::variant<int, bool>>("x")), "argument /a: expected a value of one of 2 types, got \"x\"");
}

TEST(Convert, NumbersThatJsonCannotCarryAreRefused) {
  EXPECT_THROW(to_json(std::numeric_limits<double>::quiet_NaN()), InvalidResult);
  EXPECT_THROW(to_json(std::vector<double>{1, std::numeric_limits<double>::infinity()}), InvalidResult);
}

TEST(Convert, IntegersKeepAll64Bits) {
  expect_round_trip(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::min());
  expect_round_trip(std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(complaint<std::int64_t>(std::uint64_t{1} << 63U), "argument /a: expected an integer from -9223372036854775808 to 9223372036854775807, got 9223372036854775808");
  // Beyond 64 bits JSON's reader has a float, and beyond 2^53 that may stand for another integer.
  EXPECT_NE(complaint<std::uint64_t>(1.8446744073709552e19), "");
}

TEST(Convert, DurationsAreSeconds) {
  using namespace std::chrono_literals;
  expect_round_trip(std::chrono::milliseconds(1500), 1.5);
  expect_round_trip(std::chrono::seconds(90), 90);
  expect_round_trip(std::chrono::minutes(2), 120);
  expect_round_trip(std::chrono::duration<double>(0.25), 0.25);
  EXPECT_EQ(complaint<std::chrono::minutes>(90), "argument /a: expected a whole number of 60 seconds, got 90");
  EXPECT_EQ(complaint<std::chrono::milliseconds>("1s"), "argument /a: expected a number, got \"1s\"");
}

TEST(Convert, TimesAreTextInUtcAndDatesAreDays) {
  using namespace std::chrono;
  expect_round_trip(sys_seconds(seconds(0)), "1970-01-01T00:00:00Z");
  expect_round_trip(sys_time<milliseconds>(milliseconds(-1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(from_json<sys_seconds>("2024-02-29T12:00:00+02:00", kPlace), sys_days(year{2024} / 2 / 29) + hours(10));
  expect_round_trip(sys_days(year{2024} / 2 / 29), "2024-02-29");
  expect_round_trip(year_month_day(year{1900} / 2 / 28), "1900-02-28");
  for (const char* wrong : {"2023-02-29", "2024-13-01", "2024-1-01", "x"}) EXPECT_NE(complaint<sys_days>(wrong), "") << wrong;
  for (const char* wrong : {"2024-02-29", "2024-02-29T24:00:00Z", "2024-02-29T12:00:00", "2024-02-29T12:00:00.Z", "9999-01-01T00:00:00Z"}) {
    EXPECT_NE(complaint<sys_seconds>(wrong), "") << wrong;
  }
}

TEST(Convert, DaysAndDatesMeetInAllYears) {
  for (std::int64_t day = -719'528; day < 2'932'896; day += 97) {
    const Date date = date_of(day);
    EXPECT_EQ(days_of(date), day);
    EXPECT_EQ((std::chrono::sys_days(std::chrono::year{date.year} / static_cast<int>(date.month) / static_cast<int>(date.day)).time_since_epoch().count()), day);
  }
}

struct Point {
  int x = 0;
  int y = 7;
};

TEST(Members, ReadsAStructAndRefusesWhatItLacks) {
  const auto read = [](const Json& value) {
    static constexpr const char* kNames[] = {"x", "y"};
    const Path path{nullptr, "p", 0};
    const Members members(value, path, kNames);
    Point point;
    members.read("x", point.x);
    members.read_optional("y", point.y);
    return point;
  };
  EXPECT_EQ(read(Json::parse(R"({"x":1})")).y, 7);
  EXPECT_EQ(read(Json::parse(R"({"x":1,"y":2})")).y, 2);
  EXPECT_THROW(read(Json::parse(R"({"y":2})")), InvalidArgument);
  EXPECT_THROW(read(Json::parse(R"({"x":1,"z":2})")), InvalidArgument);
  EXPECT_THROW(read(Json::parse("[]")), InvalidArgument);
}

}  // namespace
}  // namespace sabir::worker
