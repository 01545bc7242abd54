// Conversions from and to JSON text, as they are inside the engine.
#include "sabir/text_access.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "sabir/convert.hpp"
#include "sabir/text_access_inline.hpp"

namespace sabir::worker {

// Known by Json alone, as a type of somebody else's would be.
struct Tag {
  std::string name;
};
template <>
struct Convert<Tag> {
  static Tag from(const Json& value, const Path&) { return {value.at("name").get<std::string>()}; }
  static void to(const Tag& value, Json& out) { out = {{"name", value.name}}; }
};

namespace {

const Path kPlace{nullptr, "a", 0};

// A buffer that begins small and may be refused more.
struct Buffer {
  explicit Buffer(std::size_t most = 1U << 20U) : most_(most) {}
  sabir_output output{near, 0, sizeof near,
                      [](sabir_output* out, std::size_t capacity) {
                        auto& self = *static_cast<Buffer*>(out->user);
                        if (capacity > self.most_) return 1;
                        std::string more(out->data, out->size);
                        more.resize(capacity);
                        self.far_ = std::move(more);
                        out->data = self.far_.data();
                        out->capacity = capacity;
                        return 0;
                      },
                      this};
  std::string text() const { return {output.data, output.size}; }
  char near[8];

 private:
  std::string far_;
  std::size_t most_;
};

template <class T>
std::string text_of(const T& value) {
  Buffer buffer;
  TextWriter out(buffer.output);
  write(out, value);
  return buffer.text();
}

template <class T>
T from_text(std::string_view text) {
  const TextDocument document(text);
  return read<T>(document.root(), kPlace);
}

// The message of the InvalidArgument that reading `text` as T throws; "" when it does not throw.
template <class T>
std::string complaint(std::string_view text) {
  try {
    from_text<T>(text);
    return "";
  } catch (const InvalidArgument& error) {
    return error.what();
  }
}

template <class T>
void expect_round_trip(const T& value, const std::string& text) {
  EXPECT_EQ(text_of(value), text);
  EXPECT_EQ(from_text<T>(text), value);
}

TEST(Text, StandardTypesRoundTrip) {
  expect_round_trip(true, "true");
  expect_round_trip(std::numeric_limits<std::int64_t>::min(), "-9223372036854775808");
  expect_round_trip(std::numeric_limits<std::uint64_t>::max(), "18446744073709551615");
  expect_round_trip(std::uint8_t{255}, "255");
  expect_round_trip(3.0, "3.0");
  expect_round_trip(0.1, "0.1");
  expect_round_trip(1e300, "1e+300");
  expect_round_trip(std::numeric_limits<double>::denorm_min(), "5e-324");
  expect_round_trip(std::string("é\"\\\n\x01/"), R"("é\"\\\n\u0001/")");
  expect_round_trip(std::vector<std::vector<int>>{{1}, {}, {2, 3}}, "[[1],[],[2,3]]");
  expect_round_trip(std::vector<bool>{true, false}, "[true,false]");
  expect_round_trip(std::map<std::string, std::optional<int>>{{"a", 1}, {"b", std::nullopt}}, R"({"a":1,"b":null})");
  expect_round_trip(std::tuple<int, std::string, bool>{1, "[", true}, R"([1,"[",true])");
  expect_round_trip(std::array<double, 2>{1.5, -0.25}, "[1.5,-0.25]");
  expect_round_trip(std::variant<int, std::string>{"x"}, "\"x\"");
  expect_round_trip(std::unordered_map<std::string, int>{{"a", 1}}, R"({"a":1})");
  expect_round_trip(Bytes{std::byte{0}, std::byte{255}, std::byte{'h'}, std::byte{'i'}}, R"("AP9oaQ==")");
  expect_round_trip(Json::parse(R"({"a":[1,2.5,null,"x",{}],"b":-7})"), R"({"a":[1,2.5,null,"x",{}],"b":-7})");
  expect_round_trip(std::chrono::sys_seconds(std::chrono::seconds(86400)), R"("1970-01-02T00:00:00Z")");
  EXPECT_EQ(text_of(std::multimap<std::string, int>{{"a", 1}, {"a", 2}, {"b", 3}}), R"({"a":2,"b":3})");
  EXPECT_EQ(text_of(Json::binary({1, 2})), R"("AQI=")");
  EXPECT_EQ(text_of(static_cast<const char*>(nullptr)), "null");
}

TEST(Text, AConversionThatKnowsJsonAloneWorks) {
  EXPECT_EQ(from_text<std::vector<Tag>>(R"([{"name":"a"},{"name":"b"}])").at(1).name, "b");
  EXPECT_EQ(text_of(std::vector<Tag>{{"a"}, {"b"}}), R"([{"name":"a"},{"name":"b"}])");
}

TEST(Text, NumbersAreReadAsJsonSchemaMeansThem) {
  EXPECT_EQ(from_text<int>("3.0"), 3);
  EXPECT_EQ(from_text<int>("-2e2"), -200);
  EXPECT_EQ(from_text<unsigned>("-0"), 0U);
  EXPECT_EQ(from_text<double>("3"), 3.0);
  EXPECT_EQ(from_text<double>("1e-400"), 0.0);
  EXPECT_EQ(complaint<double>("1e400"), "argument /a: expected a number, got 1e400");
  EXPECT_EQ(complaint<std::uint8_t>("256"), "argument /a: expected an integer from 0 to 255, got 256");
  EXPECT_EQ(complaint<std::uint32_t>("-1"), "argument /a: expected an integer from 0 to 4294967295, got -1");
  EXPECT_EQ(complaint<int>("1.5"), "argument /a: expected an integer from -2147483648 to 2147483647, got 1.5");
  EXPECT_NE(complaint<std::int64_t>("9223372036854775808"), "");
  EXPECT_NE(complaint<std::uint64_t>("18446744073709551616"), "");
}

TEST(Text, StringsLoseTheirEscapes) {
  EXPECT_EQ(from_text<std::string>(R"("\"\\\/\b\f\n\r\té\u20AC😀")"), "\"\\/\b\f\n\r\té€😀");
  EXPECT_EQ(from_text<std::string>(R"("\u00e9\u20ac\ud83d\ude00\u0000")"), std::string("é€😀\0", 10));
  EXPECT_NE(complaint<std::string>(R"("\ud83d")"), "");
  EXPECT_NE(complaint<std::string>(R"("\ud83d\u0041")"), "");
  EXPECT_NE(complaint<std::string>(R"("\ude00")"), "");
  EXPECT_EQ((from_text<std::map<std::string, int>>(R"({"\u0061":1,"a":2})")), (std::map<std::string, int>{{"a", 2}}));
}

TEST(Text, ComplaintsNameThePath) {
  EXPECT_EQ((complaint<std::map<std::string, std::vector<int>>>(R"({"x/y":[1,"two"]})")),
            "argument /a/x~1y/1: expected an integer from -2147483648 to 2147483647, got \"two\"");
  EXPECT_EQ((complaint<std::array<int, 2>>("[1]")), "argument /a: expected an array of 2 elements, got [1]");
  EXPECT_EQ(complaint<std::string>("[" + std::string(80, ' ') + "]"), "argument /a: expected a string, got a value of type array");
}

TEST(Text, WhatJsonCannotCarryIsRefused) {
  EXPECT_THROW(text_of(std::numeric_limits<double>::quiet_NaN()), InvalidResult);
  for (const char* bad : {"\xff", "a\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "abcdefgh\xe2\x82", "\xc3"}) EXPECT_THROW(text_of(std::string(bad)), InvalidResult) << bad;
}

TEST(Text, ABufferThatCannotGrowEndsTheWriting) {
  Buffer small(64);
  TextWriter out(small.output);
  EXPECT_THROW(write(out, std::vector<int>(1000, 1)), std::bad_alloc);
  EXPECT_LE(small.output.size, 64U);
}

TEST(Text, NestingIsBounded) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(TextDocument{nested(200)});
  EXPECT_THROW(TextDocument{nested(100'000)}, InvalidArgument);
}

// Reads what the JSON library reads, and the same: over random texts, damaged ones among them.
TEST(Text, AgreesWithTheJsonLibrary) {
  std::mt19937 random(11);
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  std::function<std::string(int)> value = [&](int depth) -> std::string {
    static const std::vector<const char*> kPlain = {"1", "-0", "2.5", "true", "false", "null", "\"abcdefghijklmno\"", "\"é\"", R"("a\n\u00e9")", "1e5", "-12.5E-3", "\"\""};
    const auto kind = pick(depth > 4 ? 1 : 3);
    if (kind == 0) return kPlain[pick(kPlain.size())];
    std::string out = kind == 1 ? "[" : "{";
    for (std::size_t i = pick(6); i > 0; --i) {
      if (out.size() > 1) out += ", ";
      if (kind == 2) out += std::string("\"") + "abcdef"[pick(6)] + "\" : ";
      out += value(depth + 1);
    }
    return out + (kind == 1 ? "]" : "}");
  };
  // The whole value through the functions that conversions use.
  std::function<Json(const TextValue&)> json_of = [&](const TextValue& one) -> Json {
    switch (one.kind) {
      case TextValue::Kind::kNull: return nullptr;
      case TextValue::Kind::kTrue:
      case TextValue::Kind::kFalse: return read_boolean(one, kPlace);
      case TextValue::Kind::kNumber:
        if (one.view().find_first_of(".eE") == std::string_view::npos) return read_integer(one, kPlace, INT64_MIN, INT64_MAX);
        return read_number(one, kPlace);
      case TextValue::Kind::kString: return read_text(one, kPlace);
      case TextValue::Kind::kArray: {
        Json out = Json::array();
        const TextValue* item = nullptr;
        for (std::size_t i = 0; i < read_array(one, kPlace); ++i) out.push_back(json_of(*(item = &element(one, item, i))));
        return out;
      }
      case TextValue::Kind::kObject: break;
    }
    struct Filling {
      Json out = Json::object();
      std::function<Json(const TextValue&)>& json_of;
    } filling{Json::object(), json_of};
    read_object(one, kPlace, &filling, [](void* to, const std::string& name, const TextValue& item) {
      auto& [out, of] = *static_cast<Filling*>(to);
      out[name] = of(item);
    });
    return filling.out;
  };
  int read = 0;
  for (int turn = 0; turn < 20'000; ++turn) {
    std::string text = value(0);
    if (pick(3) == 0) text.erase(pick(text.size()), 1);
    if (pick(8) == 0 && !text.empty()) text[pick(text.size())] = static_cast<char>(pick(256));
    const Json expected = Json::parse(text, nullptr, false);
    try {
      const TextDocument document(text);
      const Json got = json_of(document.root());
      ASSERT_FALSE(expected.is_discarded()) << text;
      ASSERT_EQ(got, expected) << text;
      ASSERT_EQ(Json::parse(text_of(got)), expected) << text;
      ++read;
    } catch (const InvalidArgument& error) {
      // The library leaves numbers that are too large to its reader.
      ASSERT_TRUE(expected.is_discarded()) << text << "\n" << error.what();
    }
  }
  EXPECT_GT(read, 8000);
}

}  // namespace
}  // namespace sabir::worker
