#include "sabir/schema/shell.h"

#include <gtest/gtest.h>

#include "shell_scan.h"
#include "shell_types.h"

namespace sabir::schema {
namespace {

std::vector<std::string> names_in(std::string_view text) {
  std::vector<std::string> names;
  const auto told = describe_shell(text, "a.sh");
  for (const auto& one : told.at("functions").as_array()) names.emplace_back(one.at("name").as_string());
  return names;
}

using Names = std::vector<std::string>;

TEST(Shell, FunctionsAreFoundHoweverTheyAreWritten) {
  EXPECT_EQ(names_in("a() { :; }\nfunction b { :; }\nfunction c() ( : )\nd ()\n{\n:\n}\ne() if true; then :; fi; f() [[ -n $1 ]]\ng() ((1 > 0))\n"),
            (Names{"a", "b", "c", "d", "e", "f", "g"}));
}

TEST(Shell, ADefinitionWithoutANameIsNone) {
  EXPECT_EQ(names_in("function; a() { :; }\n"), Names{"a"});
  EXPECT_EQ(names_in("function"), Names{});
}

TEST(Shell, TextInQuotesAndDocumentsIsNoCode) {
  EXPECT_EQ(names_in("a='\nb() { :; }\n'\nc=\"\nd() { :; }\n$(e() { :; }; e)\"\ncat <<X <<-'Y'\nf() { :; }\nX\n\tg() { :; }\n\tY\nh() { :; }\n# i() { :; }\n"),
            (Names{"h"}));
}

TEST(Shell, CasePatternsInsideOfSubstitutionsDoNotCloseThem) {
  EXPECT_EQ(names_in("a() { x=$(case $1 in (a) echo ')';; b|c) echo '}' ;; esac); }\nb() { :; }\n"), (Names{"a", "b"}));
}

TEST(Shell, WhatIsInsideABlockIsUnavailableAndWhatIsInsideAFunctionIsItsOwn) {
  const auto told = describe_shell("if true; then\n  a() { :; }\nfi\nb() {\n  c() { :; }\n}\n", "a.sh");
  ASSERT_EQ(told.at("unavailable").as_array().size(), 1U);
  EXPECT_EQ(told.at("unavailable").as_array()[0].at("name"), "a");
  EXPECT_EQ(told.at("unavailable").as_array()[0].at("line"), 2);
  EXPECT_EQ(told.at("functions").as_array().size(), 1U);
}

TEST(Shell, LiteralAssignmentsAreConstantsAndOthersAreNot) {
  const auto told = describe_shell("instructions=\"Say \\\"hi\\\"\nagain\"\nfunctions=(a.b 'c d' # one more\n  e)\nreadonly max_steps=4\nx=$HOME y=$(date) z=plain\ncmd=1 run\nflag=true\n", "a.sh");
  EXPECT_EQ(compact_json(told.at("constants")),
            R"({"instructions":"Say \"hi\"\nagain","functions":["a.b","c d","e"],"max_steps":4,"z":"plain","flag":true})");
}

TEST(Shell, TypesBecomeSchemas) {
  const auto schema_of = [](std::string_view text) {
    std::string_view rest;
    const auto type = read_shell_type(text, rest);
    return type ? compact_json(type->schema) + " " + type->form + std::string(rest) : std::string("none");
  };
  EXPECT_EQ(schema_of("integer(1..9) how many"), R"({"type":"integer","minimum":1,"maximum":9} text how many)");
  EXPECT_EQ(schema_of("string[]?"), R"({"type":["array","null"],"items":{"type":"string"}} list)");
  EXPECT_EQ(schema_of("map<number>=1"), R"({"type":"object","additionalProperties":{"type":"number"}} map=1)");
  EXPECT_EQ(schema_of("'a'|'b'"), R"({"type":"string","enum":["a","b"]} text)");
  EXPECT_EQ(schema_of("{a: string, b?: integer[]}"),
            R"({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"array","items":{"type":"integer"}}},"required":["a"],"additionalProperties":false} json)");
  for (const auto* wrong : {"", "text", "integer(a..b)", "map<", "{a string}", "'open", "string]", "integer(1.5..)"}) EXPECT_EQ(schema_of(wrong), "none") << wrong;
  EXPECT_EQ(schema_of(std::string(5000, '(')), "none");
}

TEST(Shell, NestingIsBounded) {
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "$(";
  EXPECT_TRUE(describe_shell(deep, "a.sh").contains("error"));
  std::string blocks;
  for (int i = 0; i < 5000; ++i) blocks += "{ ";
  EXPECT_TRUE(describe_shell(blocks, "a.sh").contains("error"));
  EXPECT_FALSE(shell_text_is_closed("a='"));
  EXPECT_TRUE(shell_text_is_closed("a='' # it's\n"));
}

}  // namespace
}  // namespace sabir::schema
