#include "sabir/evals/inputs.h"

#include <gtest/gtest.h>

#include <set>

#include "sabir/bridge/bridge.h"
#include "sabir/schema/validator.h"

namespace sabir::evals {
namespace {

json::object object(std::string_view text) { return json::parse(text).as_object(); }

const std::vector<std::string>& schemas() {
  static const std::vector<std::string> kSchemas = {
      R"({"type":"object","properties":{"text":{"type":"string"},"most":{"type":"integer","minimum":1,"maximum":10}},"required":["text"],"additionalProperties":false})",
      R"({"type":"object","properties":{"values":{"type":"array","items":{"type":"number"},"minItems":1}},"required":["values"],"additionalProperties":false})",
      R"({"type":"object","properties":{"kind":{"enum":["a","b",3,null]},"one":{"const":7},"flag":{"type":"boolean"}},"additionalProperties":false})",
      R"({"type":"object","properties":{"name":{"type":"string","minLength":2,"maxLength":5},"wide":{"type":"string","maxLength":1}},"required":["name","wide"]})",
      R"({"type":"object","properties":{"code":{"type":"string","pattern":"^[A-Z]{2}-[0-9]{3,5}(x|yz)?$"}},"required":["code"]})",
      R"({"type":"object","properties":{"day":{"type":"string","format":"date"},"id":{"type":"string","format":"uuid"},"at":{"type":"string","format":"date-time"}},"required":["day","id","at"]})",
      R"({"type":"object","properties":{"x":{"anyOf":[{"type":"integer"},{"type":"null"}]},"y":{"type":["string","null"]}},"required":["x"]})",
      R"({"type":"object","properties":{"x":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1},"n":{"type":"integer","exclusiveMinimum":3,"multipleOf":5}},"required":["x","n"]})",
      R"({"type":"object","properties":{"set":{"type":"array","items":{"type":"integer","minimum":0,"maximum":3},"uniqueItems":true,"maxItems":4}},"required":["set"]})",
      R"({"type":"object","properties":{"pair":{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"minItems":2,"maxItems":2}},"required":["pair"]})",
      R"({"type":"object","properties":{"map":{"type":"object","additionalProperties":{"type":"number"}},"any":{}},"required":["map"]})",
      R"({"type":"object","properties":{"tree":{"$ref":"#/$defs/Tree"}},"required":["tree"],"$defs":{"Tree":{"type":"object","properties":{"label":{"type":"string"},"below":{"type":"array","items":{"$ref":"#/$defs/Tree"}}},"required":["label"],"additionalProperties":false}}})",
      R"({"type":"object","properties":{"data":{"type":"string","contentEncoding":"base64"},"x":{"allOf":[{"type":"integer"},{"minimum":5}]}},"required":["data","x"]})",
      R"({"type":"object","properties":{},"additionalProperties":false})",
  };
  return kSchemas;
}

TEST(Generator, AsksNoIntegerThatJsonReadersRoundOnlyBecauseATypeCouldHoldIt) {
  const auto in_reach = [](std::string_view text) {
    Generator generator(parse_json(text)->get_object(), 3);
    auto values = generator.edges(200);
    for (int i = 0; i < 500; ++i) values.push_back(generator.random());
    return std::all_of(values.begin(), values.end(), [](const auto& value) { return value.is_int64() && std::abs(value.get_int64()) <= 9007199254740991; });
  };
  EXPECT_TRUE(in_reach(R"({"type": "integer", "minimum": -9223372036854775808, "maximum": 9223372036854775807})"));
  EXPECT_TRUE(in_reach(R"({"type": "integer", "minimum": 0, "maximum": 18446744073709551615})"));
  EXPECT_FALSE(in_reach(R"({"type": "integer", "minimum": 9007199254740993, "maximum": 9007199254741003})"));
}

TEST(Generator, EveryValueFitsItsSchema) {
  for (const auto& text : schemas()) {
    const auto schema = object(text);
    auto validator = schema::Validator::compile(schema);
    ASSERT_TRUE(validator) << text;
    for (const std::uint64_t seed : {1, 2, 77}) {
      Generator generator(inlined(schema), seed);
      auto values = generator.edges();
      EXPECT_FALSE(values.empty()) << text;
      for (int i = 0; i < 100; ++i) values.push_back(generator.random());
      for (const auto& value : values) {
        const auto fit = validator->check(compact_json(value), ErrorCode::kInvalidArguments, "value");
        EXPECT_TRUE(fit) << text << "\n" << compact_json(value) << "\n" << fit.error().message;
      }
    }
  }
}

TEST(Generator, TheSameSeedGivesTheSameValuesAndAnotherOneOthers) {
  const auto schema = object(schemas()[0]);
  const auto drawn = [&](std::uint64_t seed) {
    Generator generator(schema, seed);
    std::string out;
    for (const auto& value : generator.edges()) out += compact_json(value) + "\n";
    for (int i = 0; i < 50; ++i) out += compact_json(generator.random()) + "\n";
    return out;
  };
  EXPECT_EQ(drawn(5), drawn(5));
  EXPECT_NE(drawn(5), drawn(6));
}

TEST(Generator, EdgesHaveEmptyLimitsUnicodeAndWhatIsLeftOut) {
  Generator generator(object(schemas()[0]), 1);
  std::set<std::string> seen;
  for (const auto& value : generator.edges()) seen.insert(compact_json(value));
  const auto has = [&](std::string_view part) { return std::any_of(seen.begin(), seen.end(), [&](const auto& one) { return one.find(part) != std::string::npos; }); };
  EXPECT_TRUE(has("\"text\":\"\""));
  EXPECT_TRUE(has("\"most\":1}"));
  EXPECT_TRUE(has("\"most\":10}"));
  EXPECT_FALSE(has("\"most\":11"));
  EXPECT_TRUE(has("😀"));
  EXPECT_TRUE(has("e\xCC\x81"));
  EXPECT_TRUE(has("ß"));
  EXPECT_TRUE(std::any_of(seen.begin(), seen.end(), [](const auto& one) { return one.find("most") == std::string::npos; }));
}

TEST(CommonGround, BoundsAreTheStrongerOnesAndIntegersAreNumbers) {
  const auto ground = common_ground({object(R"({"type":"object","properties":{"n":{"type":"number","minimum":0},"s":{"type":"string","maxLength":9}},"required":["n"],"additionalProperties":false})"),
                                     object(R"({"type":"object","properties":{"n":{"type":"integer","minimum":-5,"maximum":7},"s":{"type":["string","null"],"maxLength":4}},"required":["s"],"additionalProperties":false})")});
  EXPECT_EQ(json::value(ground.at("properties").at("n")), json::parse(R"({"type":"integer","minimum":0,"maximum":7})"));
  EXPECT_EQ(ground.at("properties").at("s").at("type"), "string");
  EXPECT_EQ(ground.at("properties").at("s").at("maxLength"), 4);
  EXPECT_EQ(ground.at("required"), json::parse(R"(["n","s"])"));
}

TEST(CommonGround, AParameterThatOneRequiresAndTheOtherDoesNotKnowLeavesNothing) {
  const auto one = object(R"({"type":"object","properties":{"a":{"type":"string"},"b":{}},"required":["a","b"],"additionalProperties":false})");
  const auto other = object(R"({"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false})");
  EXPECT_TRUE(is_impossible(common_ground({one, other})));
  const auto optional = object(R"({"type":"object","properties":{"a":{"type":"string"},"b":{}},"required":["a"],"additionalProperties":false})");
  const auto ground = common_ground({optional, other});
  EXPECT_FALSE(is_impossible(ground));
  EXPECT_FALSE(ground.at("properties").as_object().contains("b"));
}

TEST(CommonGround, OfAlternativesThoseStayThatBothHave) {
  const auto ground = common_ground({object(R"({"type":"object","properties":{"x":{"anyOf":[{"type":"string"},{"type":"integer"},{"type":"null"}]}},"required":["x"]})"),
                                     object(R"({"type":"object","properties":{"x":{"type":["integer","null","boolean"]}},"required":["x"]})")});
  Generator generator(ground, 3);
  for (const auto& value : generator.edges()) EXPECT_TRUE(value.at("x").is_int64() || value.at("x").is_null()) << compact_json(value);
  EXPECT_TRUE(is_impossible(common_ground({object(R"({"type":"object","properties":{"x":{"enum":["a"]}},"required":["x"]})"), object(R"({"type":"object","properties":{"x":{"enum":["b"]}},"required":["x"]})")})));
}

TEST(Pattern, TextsMatchWhatIsKnownAndLookAroundIsNot) {
  std::uint64_t state = 9;
  const std::function<std::uint64_t()> next = [&state] { return state = state * 6364136223846793005ULL + 1442695040888963407ULL; };
  for (const char* pattern : {"^[a-z]+$", "^\\d{4}-\\d{2}$", "a|bc|", "(x[0-9]?){2,3}", "^[^a-z]{3}$", "\\w+\\s\\.", "^$"}) {
    const std::string schema = R"({"type":"string","pattern":)" + json::serialize(json::value(pattern)) + "}";
    auto validator = schema::Validator::compile(object(schema));
    ASSERT_TRUE(validator);
    for (int i = 0; i < 30; ++i) {
      const auto text = text_of_pattern(pattern, next);
      ASSERT_TRUE(text) << pattern;
      EXPECT_TRUE(validator->check(json::serialize(json::value(*text)), ErrorCode::kInvalidArguments, "text")) << pattern << ": " << *text;
    }
  }
  for (const char* pattern : {"(?=a)b", "(a", "[a", "a{2", "\\bx", "(?<n>a)", "*"}) EXPECT_FALSE(text_of_pattern(pattern, next)) << pattern;
  // Groups in groups, each many times, end within their bounds.
  EXPECT_FALSE(text_of_pattern("((((((((a{99}){99}){99}){99}){99}){99}){99}){99})", next));
}

TEST(Shrink, TheSmallestListThatStillFailsIsFound) {
  const auto start = json::parse(R"({"values":[4,19,-3,7.25,100000,12],"name":"straße 😀","flag":true})");
  const auto smallest = shrink(
      start,
      [](const json::value& value) {
        const auto* values = value.as_object().if_contains("values");
        return values != nullptr && std::any_of(values->as_array().begin(), values->as_array().end(), [](const json::value& one) { return one.to_number<double>() > 10; });
      },
      5000);
  EXPECT_EQ(compact_json(smallest), R"({"values":[11]})");
}

TEST(Shrink, TextsLoseAllButTheCharacterThatMatters) {
  const auto smallest = shrink(
      json::parse(R"({"text":"Die lange Straße im 😀 Dorf","n":3})"), [](const json::value& value) {
        const auto* text = value.as_object().if_contains("text");
        return text != nullptr && std::string_view(text->as_string()).find("ß") != std::string_view::npos;
      },
      5000);
  EXPECT_EQ(compact_json(smallest), R"({"text":"ß"})");
}

TEST(Shrink, NumbersBecomeSimple) {
  const auto whole = shrink(json::parse(R"({"n":-987654321})"), [](const json::value& value) {
    const auto* n = value.as_object().if_contains("n");
    return n != nullptr && n->to_number<double>() < -41; }, 5000);
  EXPECT_EQ(compact_json(whole), R"({"n":-42})");
  const auto half = shrink(json::parse(R"({"x":1234.5})"), [](const json::value& value) {
    const auto* x = value.as_object().if_contains("x");
    if (x == nullptr || !x->is_double()) return false;
    const double part = x->get_double() - static_cast<long>(x->get_double());
    return part == 0.5; }, 5000);
  EXPECT_EQ(compact_json(half), R"({"x":0.5})");
}

TEST(Shrink, ItIsAskedNoMoreThanAllowed) {
  int asked = 0;
  const json::value big = json::parse("[" + std::string("1,").append(json::serialize(json::array(200, 7)).substr(1)));
  shrink(big, [&](const json::value&) { return ++asked % 2 == 0; }, 50);
  EXPECT_LE(asked, 50);
}

TEST(DocExamples, CallsOfLiteralsAreRead) {
  const auto found = parse_doc_examples(
      "Cuts.\n\n>>> slug('Été à Paris', most=3)\n'ete'\nslug(\"a\\n\", [1, 2.5, -3], {\"k\": None, x: [true]})  # and\nslug(text, 3)\nother(1)\nslug(most: nil, text: \"b\")\nslug(1, 2, 3, 4)\nslug({1, 2})",
      {"slug"}, {"text", "most", "more"});
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(compact_json(found[0]), R"({"text":"Été à Paris","most":3})");
  EXPECT_EQ(compact_json(found[1]), R"({"text":"a\n","most":[1,2.5,-3],"more":{"k":null,"x":[true]}})");
  EXPECT_EQ(compact_json(found[2]), R"({"most":null,"text":"b"})");
  EXPECT_EQ(compact_json(found[3]), R"({"text":[1,2]})");
}

}  // namespace
}  // namespace sabir::evals
