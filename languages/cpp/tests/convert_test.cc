#include "sabir/convert.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace sabir::worker {
namespace {

// The message of the InvalidArgument that reading `value` as T throws; "" when it does not throw.
template <class T>
std::string complaint(const Json& value) {
  try {
    from_json<T>(value, "/a");
    return "";
  } catch (const InvalidArgument& error) {
    return error.what();
  }
}

template <class T>
void expect_round_trip(const T& value, const Json& json) {
  EXPECT_EQ(to_json(value), json);
  EXPECT_EQ(from_json<T>(json, "/a"), value);
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
  EXPECT_EQ(from_json<Bytes>("AP9oaQ==", "/a"), bytes);
  EXPECT_EQ(from_json<Bytes>(Json::binary({0, 255, 'h', 'i'}), "/a"), bytes);
  EXPECT_TRUE(to_json(bytes).is_binary());
  EXPECT_EQ(complaint<Bytes>("AP9oaQ="), "argument /a: expected base64 text, got \"AP9oaQ=\"");
}

TEST(Convert, IntegersAreCheckedForTheirRange) {
  EXPECT_EQ(complaint<std::uint8_t>(256), "argument /a: expected an integer from 0 to 255, got 256");
  EXPECT_EQ(complaint<std::uint32_t>(-1), "argument /a: expected an integer from 0 to 4294967295, got -1");
  EXPECT_EQ(complaint<int>(1.5), "argument /a: expected an integer from -2147483648 to 2147483647, got 1.5");
  EXPECT_EQ(from_json<int>(3.0, "/a"), 3);
  EXPECT_EQ(from_json<double>(3, "/a"), 3.0);
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

struct Point {
  int x = 0;
  int y = 7;
};

TEST(Members, ReadsAStructAndRefusesWhatItLacks) {
  const auto read = [](const Json& value) {
    Members members(value, "/p", {"x", "y"});
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
