#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>

#include "sabir/base/file.h"
#include "sabir/project/project.h"

namespace sabir::project {
namespace {
using testing::HasSubstr;

std::string as_json(std::string_view yaml) {
  auto value = parse_yaml(yaml, "x.yml");
  return value ? json::serialize(*value) : to_text(value.error());
}

TEST(Yaml, PlainScalarsFollowTheCoreSchemaAndQuotedOnesStayText) {
  EXPECT_EQ(as_json("[1, -2, +3, 0x1f, 0o17, 1.5, 1e3, .5, true, False, ~, null, yes, on, 1.2.3, 2024-01-01]"),
            R"([1,-2,3,31,15,1.5E0,1E3,5E-1,true,false,null,null,"yes","on","1.2.3","2024-01-01"])");
  EXPECT_EQ(as_json("['1', \"true\", '~', !!str 7]"), R"(["1","true","~","7"])");
  EXPECT_EQ(as_json("a: |\n  two\n  lines\nb: >\n  folded\n  text\n"), R"({"a":"two\nlines\n","b":"folded text\n"})");
  EXPECT_EQ(as_json("18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(as_json(""), "null");
  EXPECT_EQ(as_json("# only a comment\n"), "null");
  EXPECT_EQ(as_json("a:\nb: 1"), R"({"a":null,"b":1})");
}

TEST(Yaml, ErrorsNameFileLineAndColumn) {
  EXPECT_THAT(as_json("a: 1\nb: [1, 2\nc: 3\n"), HasSubstr("x.yml:3:"));
  EXPECT_THAT(as_json("a: 1\n\tb: 2\n"), HasSubstr("x.yml:2:"));
  EXPECT_THAT(as_json("a: 1\na: 2\n"), HasSubstr("x.yml:2:1: the key 'a' appears twice"));
  EXPECT_THAT(as_json("a: .nan"), HasSubstr("x.yml:1:4: .nan is not a number"));
  EXPECT_THAT(as_json("a: !thing x"), HasSubstr("x.yml:1:4: the tag !thing"));
  EXPECT_THAT(as_json("? [a]\n: b"), HasSubstr("a key must be text"));
  EXPECT_THAT(as_json("a: 1\n---\nb: 2\n"), HasSubstr("more than one YAML document"));
  EXPECT_THAT(as_json("a: \xff"), HasSubstr("x.yml:1:4: not UTF-8 text"));
  EXPECT_THAT(as_json(std::string_view("a: \0", 4)), HasSubstr("x.yml:1:4: not UTF-8 text"));
}

TEST(Yaml, EnvironmentVariablesAreFilledInBeforeTypesAreDecided) {
  ::setenv("SABIR_YAML_TEST_PORT", "8080", 1);
  ::setenv("SABIR_YAML_TEST_EMPTY", "", 1);
  ::unsetenv("SABIR_YAML_TEST_NONE");
  EXPECT_EQ(as_json("${SABIR_YAML_TEST_PORT}"), "8080");
  EXPECT_EQ(as_json("'${SABIR_YAML_TEST_PORT}'"), "\"8080\"");
  EXPECT_EQ(as_json("url: http://h:${SABIR_YAML_TEST_PORT}/${SABIR_YAML_TEST_NONE:-v1}"), R"({"url":"http://h:8080/v1"})");
  EXPECT_EQ(as_json("\"${SABIR_YAML_TEST_EMPTY:-other}${SABIR_YAML_TEST_EMPTY}\""), "\"other\"");
  EXPECT_EQ(as_json("'$${SABIR_YAML_TEST_PORT} costs $5'"), "\"${SABIR_YAML_TEST_PORT} costs $5\"");
  EXPECT_THAT(as_json("a: b\nc: ${SABIR_YAML_TEST_NONE}"),
              HasSubstr("x.yml:2:4: the environment variable SABIR_YAML_TEST_NONE is not set"));
  EXPECT_THAT(as_json("\"${OPEN\""), HasSubstr("without its '}'"));
  EXPECT_THAT(as_json("'${1A}'"), HasSubstr("does not name an environment variable"));
}

TEST(Yaml, AValueFromTheEnvironmentCannotAddStructure) {
  ::setenv("SABIR_YAML_TEST_TRICK", "x\nadmin: true", 1);
  EXPECT_EQ(as_json("name: ${SABIR_YAML_TEST_TRICK}"), R"({"name":"x\nadmin: true"})");
}

TEST(Yaml, AliasesAndMergeKeysWork) {
  EXPECT_EQ(as_json("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n"), R"({"base":{"x":1,"y":2},"use":{"y":3,"x":1}})");
  EXPECT_EQ(as_json("a: &a {x: 1}\nb: &b {x: 2, z: 3}\nc: {<<: [*a, *b]}\n"),
            R"({"a":{"x":1},"b":{"x":2,"z":3},"c":{"x":1,"z":3}})");
  EXPECT_EQ(as_json("'<<': 1"), R"({"<<":1})");
  EXPECT_THAT(as_json("<<: 1"), HasSubstr("takes a mapping"));
  EXPECT_THAT(as_json("&a [*a]"), HasSubstr("contains itself"));
}

TEST(Yaml, AliasBombIsRefusedBeforeItGrows) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += (k > 0 ? "," : "") + before;
    bomb += "]\n";
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(as_json(bomb), HasSubstr("grows too large"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(Yaml, DepthAndSizeAreBounded) {
  EXPECT_THAT(as_json(std::string(70, '[') + std::string(70, ']')), HasSubstr("deeper than 64"));
  EXPECT_THAT(as_json(std::string(20000, '[')), HasSubstr("x.yml:"));
  EXPECT_THAT(as_json(std::string((1U << 20U) + 1, 'a')), HasSubstr("1 MiB"));
}

TEST(Yaml, PositionsPointAtKeysAndItems) {
  Positions positions;
  ASSERT_TRUE(parse_yaml("a: 1\nb:\n  c/d: [x,\n    y]\n", "x.yml", &positions));
  EXPECT_EQ(position_of(positions, "/a"), std::pair(1, 1));
  EXPECT_EQ(position_of(positions, "/b/c~1d"), std::pair(3, 3));
  EXPECT_EQ(position_of(positions, "/b/c~1d/1"), std::pair(4, 5));
  EXPECT_EQ(position_of(positions, "/b/c~1d/1/deeper/still"), std::pair(4, 5));
  EXPECT_EQ(position_of({}, "/a"), std::pair(0, 0));
}

TEST(Yaml, UnknownKeyIsRefusedAtItsPlaceWithTheNearestName) {
  Positions positions;
  auto value = parse_yaml("pools:\n  python:\n    maxx: 2\n", "sabir.yml", &positions);
  ASSERT_TRUE(value);
  const auto& python = value->at("pools").at("python").get_object();
  auto refused = refuse_unknown_keys(python, {"min", "max"}, "sabir.yml", positions, "/pools/python");
  ASSERT_FALSE(refused);
  EXPECT_EQ(to_text(refused.error()), "sabir.yml:3:5: unknown key 'maxx'\n  Did you mean max?");
  EXPECT_TRUE(refuse_unknown_keys(python, {"maxx"}, "sabir.yml", positions, "/pools/python"));
}

TEST(Yaml, AMissingFileIsNamedAsTheUserWouldTypeIt) {
  auto missing = read_yaml("/nonexistent/config/openai_config.yml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(to_text(missing.error()), "/nonexistent/config/openai_config.yml: no such file");
}

}  // namespace
}  // namespace sabir::project
