#include "quick_check.h"

#include <gtest/gtest.h>

#include <random>

#include "sabir/schema/validator.h"

namespace sabir::schema {
namespace {

json::object object(const char* text) { return parse_json(text)->get_object(); }

TEST(QuickCheck, AcceptsWhatSurelyFits) {
  const auto check = QuickCheck::compile(object(
      R"({"type":"object","properties":{"text":{"type":"string"},"n":{"type":["integer","null"]},"list":{"type":"array","items":{"type":"number"}},
          "kind":{"type":"string","enum":["a","b"]},"either":{"anyOf":[{"type":"boolean"},{"type":"string"}]}},"required":["text"],"additionalProperties":false})"));
  ASSERT_TRUE(check);
  for (const char* good : {R"({"text":""})", R"( { "text" : "é\n\"x" , "n" : null } )", R"({"n":-12,"text":"a","list":[1,2.5,-0],"kind":"b","either":"x"})",
                           R"({"either":true,"text":"a","list":[]})"}) {
    EXPECT_TRUE(check->accepts(good)) << good;
  }
  for (const char* other : {"", "{}", "[]", R"({"text":1})", R"({"text":"a","more":1})", R"({"text":"a","text":"b"})", R"({"text":"a","n":1.0})",
                            R"({"text":"a","kind":"c"})", R"({"text":"a"} x)", R"({"text":"a",})", R"({"text":"a)", R"({"text":"\ud800"})", "{\"text\":\"\xff\"}",
                            R"({"text":"a","list":[01]})", R"({"text":"a","list":[1.]})", R"({"text":"a","list":[1e3]})", R"({"text":"a","either":null})",
                            R"({"text":"a","n":12345678901234567890})", "{\"text\":\"a\nb\"}"}) {
    EXPECT_FALSE(check->accepts(other)) << other;
  }
}

TEST(QuickCheck, TheMembersOfAnObjectAreTold) {
  const auto check = QuickCheck::compile(object(
      R"({"type":"object","properties":{"a":{"type":"object","properties":{"c":{}}},"b":{},"c":{}},"required":["b"],"additionalProperties":false})"));
  ASSERT_TRUE(check);
  EXPECT_EQ(check->members(R"({"b":1})"), 2U);
  EXPECT_EQ(check->members(R"( {"c":1,"a":{"c":{}},"b":1} )"), 7U);
  EXPECT_EQ(check->members(R"({"b":1,"a":{}})"), 3U);
  EXPECT_EQ(check->members(R"({"a":{}})"), std::nullopt);
  EXPECT_EQ(check->members("[]"), std::nullopt);
}

TEST(QuickCheck, KnowsTheBoundsOfNumbers) {
  const auto check = QuickCheck::compile(object(R"({"type":"number","minimum":-1,"maximum":255})"));
  ASSERT_TRUE(check);
  for (const char* good : {"-1", "-0.5", "0", "-0", "254.5", "255"}) EXPECT_TRUE(check->accepts(good)) << good;
  for (const char* other : {"-1.5", "-2", "255.5", "256", "999999999999999"}) EXPECT_FALSE(check->accepts(other)) << other;
  const auto wide = QuickCheck::compile(object(R"({"type":"integer","minimum":-9223372036854775808,"maximum":18446744073709551615})"));
  ASSERT_TRUE(wide);
  EXPECT_TRUE(wide->accepts("-999999999999999"));
  EXPECT_TRUE(wide->accepts("999999999999999"));
}

TEST(QuickCheck, LeavesWhatItDoesNotKnow) {
  for (const char* schema : {R"({"type":"string","minLength":1})", R"({"$ref":"#/$defs/a"})", R"({"type":"object","properties":{"a":{"pattern":"x"}}})",
                             R"({"enum":[1,2]})", R"({"type":"object","required":["a"]})", R"({"type":"date"})"}) {
    EXPECT_FALSE(QuickCheck::compile(object(schema))) << schema;
  }
}

// What it accepts, the full validator accepts: over random schemas and values, damaged ones among them.
TEST(QuickCheck, NeverAcceptsWhatTheFullValidatorRefuses) {
  std::mt19937 random(7);
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  std::function<json::value(int)> schema = [&](int depth) -> json::value {
    static const std::vector<const char*> kTypes = {"string", "integer", "number", "boolean", "null", "array", "object"};
    json::object out;
    switch (pick(depth > 3 ? 4 : 8)) {
      case 0: break;
      case 1: out["type"] = kTypes[pick(kTypes.size())]; break;
      case 2: out = {{"type", "string"}, {"enum", {"a", "b"}}}; break;
      case 3: {
        static const std::vector<json::value> kBounds = {-3, 0, 2, 255U, -1.5, 2.5, 1e300, -1e300, 1e15, std::numeric_limits<std::int64_t>::min(),
                                                         std::numeric_limits<std::uint64_t>::max()};
        if (pick(2) == 0) out["type"] = pick(2) == 0 ? "integer" : "number";
        if (pick(2) == 0) out["minimum"] = kBounds[pick(kBounds.size())];
        if (pick(2) == 0) out["maximum"] = kBounds[pick(kBounds.size())];
        break;
      }
      case 4: out = {{"type", "array"}, {"items", schema(depth + 1)}}; break;
      case 5: out = {{"anyOf", {schema(depth + 1), schema(depth + 1)}}}; break;
      case 6: out = {{"type", json::array{kTypes[pick(7)], kTypes[pick(7)]}}}; if (out["type"].get_array()[0] == out["type"].get_array()[1]) out.erase("type"); break;
      default: {
        json::object properties;
        json::array required;
        for (const char* name : {"a", "b", "c"}) {
          if (pick(2) == 0) continue;
          properties[name] = schema(depth + 1);
          if (pick(2) == 0) required.emplace_back(name);
        }
        out = {{"type", "object"}, {"properties", properties}, {"required", required}};
        if (pick(2) == 0) out["additionalProperties"] = false;
        else if (pick(2) == 0) out["additionalProperties"] = schema(depth + 1);
      }
    }
    return out;
  };
  std::function<std::string(int)> value = [&](int depth) -> std::string {
    static const std::vector<const char*> kPlain = {"1", "-0", "2.5", "true", "false", "null", "\"a\"", "\"é\"", "\"\\n\"", "\"abcdefghijklmnopq\"", "\"abcdefgh\\tijk\"", "1e5", "1.0", "\"\"", "-3", "-2.99", "-4", "2", "2.4",
                                                    "2.6", "255", "256", "999999999999999", "-999999999999999.5", "0.0"};
    const auto kind = pick(depth > 3 ? 1 : 3);
    if (kind == 0) return kPlain[pick(kPlain.size())];
    std::string out = kind == 1 ? "[" : "{";
    for (std::size_t i = pick(4); i > 0; --i) {
      if (out.size() > 1) out += ", ";
      if (kind == 2) out += std::string("\"") + "abcd"[pick(4)] + "\":";
      out += value(depth + 1);
    }
    return out + (kind == 1 ? "]" : "}");
  };
  int accepted = 0;
  for (int turn = 0; turn < 4000; ++turn) {
    const json::value one = schema(0);
    const auto quick = QuickCheck::compile(one.get_object());
    if (!quick) continue;
    // With a keyword that changes nothing but that the quick one does not know, the full one has to answer.
    json::object slow = one.get_object();
    slow["minProperties"] = 0;
    const auto full = Validator::compile(slow);
    ASSERT_TRUE(full) << json::serialize(one);
    for (int i = 0; i < 10; ++i) {
      std::string text = value(0);
      if (pick(5) == 0 && !text.empty()) text.erase(pick(text.size()), 1);
      if (!quick->accepts(text)) continue;
      ++accepted;
      EXPECT_TRUE(full->check(text, ErrorCode::kInvalidArguments, "x")) << json::serialize(one) << "\n" << text;
    }
  }
  EXPECT_GT(accepted, 3000);
}

}  // namespace
}  // namespace sabir::schema
