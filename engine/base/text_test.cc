#include "sabir/base/text.h"

#include <gtest/gtest.h>

#include <set>

#include "sabir/base/json.h"

namespace sabir {
namespace {

TEST(Text, SpellingsOfOneNameMeetInSnakeCase) {
  for (const char* name : {"LookupOrder", "lookupOrder", "lookup_order", "lookup-order"}) {
    EXPECT_EQ(to_snake_case(name), "lookup_order") << name;
  }
  EXPECT_EQ(to_snake_case("HTTPServer2"), "http_server2");
  EXPECT_EQ(to_snake_case("parseJSON"), "parse_json");
}

TEST(Text, ATypoFindsItsName) {
  EXPECT_EQ(did_you_mean("slugfy", {"slugify", "mean", "function1.do_something"}), "Did you mean slugify?");
  EXPECT_EQ(did_you_mean("do_somthing", {"slugify", "function1.do_something"}), "Did you mean function1.do_something?");
  EXPECT_EQ(did_you_mean("zzzz", {"slugify"}), "");
}

TEST(Text, InvalidUtf8IsFoundAtItsFirstByte) {
  EXPECT_EQ(find_invalid_utf8("Été à Paris 🚢"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("ab\xff"), 2U);
  EXPECT_EQ(find_invalid_utf8("\xed\xa0\x80"), 0U);
  EXPECT_EQ(find_invalid_utf8("\xc0\xaf"), 0U);
  EXPECT_EQ(find_invalid_utf8("a\xe2\x82"), 1U);
}

TEST(Text, Base64RoundTripsEveryLength) {
  std::string bytes;
  for (int i = 0; i < 70; ++i) {
    const auto back = base64_decode(base64_encode(bytes));
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(*back, bytes);
    bytes += static_cast<char>(i * 37);
  }
  EXPECT_FALSE(base64_decode("a=bc").has_value());
  EXPECT_FALSE(base64_decode("abc").has_value());
}

TEST(Json, AParseErrorNamesLineAndColumn) {
  const auto value = parse_json("{\n  \"a\": nope}");
  ASSERT_FALSE(value.has_value());
  EXPECT_EQ(value.error().line, 2);
  EXPECT_NE(value.error().message.find("line 2"), std::string::npos);
}

TEST(Json, NumbersReadAsPeopleWriteThem) {
  const auto value = parse_json(R"({"a":[6.0,0.25,1e300,-3,4.571428571428571],"b":{},"c":[]})").value();
  EXPECT_EQ(compact_json(value), R"({"a":[6.0,0.25,1e+300,-3,4.571428571428571],"b":{},"c":[]})");
  EXPECT_EQ(pretty_json(parse_json(R"({"a":[1]})").value()), "{\n  \"a\": [\n    1\n  ]\n}");
  EXPECT_EQ(parse_json(compact_json(value)).value(), value);
}

TEST(Json, StringsAreEscapedAsElsewhere) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = std::string("a") + static_cast<char>(byte) + "b";
    EXPECT_EQ(compact_json(json::value(text)), json::serialize(json::string(text))) << byte;
    const json::object object{{text, json::array{text}}};
    EXPECT_EQ(compact_json(object), json::serialize(object)) << byte;
    EXPECT_EQ(compact_json(object), compact_json(json::value(object))) << byte;
  }
  EXPECT_EQ(compact_json(json::object{}), "{}");
  EXPECT_EQ(pretty_json(json::object{{"a", json::object{}}, {"b", json::object{{"c", "d"}}}}), "{\n  \"a\": {},\n  \"b\": {\n    \"c\": \"d\"\n  }\n}");
}

TEST(Fingerprint, EveryBitOfAContentCounts) {
  std::set<std::string> seen;
  std::size_t asked = 0;
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string zeros(size, '\0');
    for (std::size_t bit = 0; bit <= size * 8; ++bit, ++asked) {
      std::string text = zeros;
      if (bit < size * 8) text[bit / 8] = static_cast<char>(1U << (bit % 8));
      seen.insert(fingerprint_of_content(text));
    }
  }
  EXPECT_EQ(seen.size(), asked);
  EXPECT_EQ(fingerprint_of_content("abc").size(), 16U);
}

TEST(Json, AnErrorSurvivesTheWire) {
  const Error error = Error(ErrorCode::kInvalidArguments, "wrong", "do this").at("f.py", 3).with_data(R"({"path":"/x"})");
  const Error back = error_from_json(to_json(error));
  EXPECT_EQ(back.code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(back.line, 3);
  EXPECT_EQ(back.data, R"({"path":"/x"})");
}

}  // namespace
}  // namespace sabir
