#include "sabir/schema/described.h"

#include <gtest/gtest.h>

namespace sabir::schema {
namespace {

Result<Description> describe_json(std::string_view text) { return description_from_json(parse_json(text).value(), "functions/x/a.x"); }

TEST(Described, TagsOfTheCommentAndSchemasBecomeTheFunctions) {
  const auto description = describe_json(R"({"functions": [{"name": "lookupOrder", "line": 3, "async": true,
    "doc": "Finds an order.\n\nLong text.\nEffect: read\nSecrets: shop_key\nTimeout: 5s",
    "parameters": [{"name": "orderId", "schema": {"type": "string"}, "doc": "its number"},
                   {"name": "limit", "schema": {"type": "integer"}, "default": 3},
                   {"name": "context", "context": true, "schema": {"type": "string"}}],
    "result": {"schema": {"type": "object"}, "type": "Order"}}]})");
  ASSERT_TRUE(description) << to_text(description.error());
  const auto& function = description->functions.at(0);
  EXPECT_EQ(function.canonical, "lookup_order");
  EXPECT_EQ(function.effect, Effect::kRead);
  EXPECT_EQ(function.timeout_ms, 5000);
  EXPECT_EQ(function.secrets, std::vector<std::string>{"shop_key"});
  EXPECT_EQ(function.summary, "Finds an order.");
  EXPECT_EQ(compact_json(function.input_schema),
            R"({"type":"object","properties":{"order_id":{"type":"string","description":"its number"},)"
            R"("limit":{"type":"integer","default":3}},"required":["order_id"],"additionalProperties":false})");
  EXPECT_EQ(compact_json(function.output_schema), R"({"type":"object"})");
  EXPECT_TRUE(function.parameters.at(2).is_context);
}

TEST(Described, AnEntryThatWasCheckedIsNotCheckedAgain) {
  const auto entry = parse_json(R"({"functions": [{"name": "a", "parameters": [{"name": "x", "schema": {"type": 7}}]}]})").value();
  SchemaChecks nothing;
  EXPECT_FALSE(description_from_json(entry, "a.x", nothing).has_value());
  SchemaChecks all(SchemaChecks::Trust::kAll);
  EXPECT_TRUE(description_from_json(entry, "a.x", all).has_value());
}

TEST(Described, UsualSchemasAreKnownWithoutTheValidatorAndOthersByIt) {
  SchemaChecks checks;
  const auto is_schema = [&](std::string_view text) { return checks.is_schema(parse_json(text).value().get_object()); };
  for (const auto* text : {"{}", R"({"type": ["string", "null"]})", R"({"type": "object", "properties": {"a": {"minimum": 1}}, "required": ["a"], "additionalProperties": false})",
                           R"({"anyOf": [{"type": "array", "items": {"enum": ["a"]}}]})", R"({"pattern": "^a$"})", R"({"pattern": "^a$"})"}) {
    EXPECT_TRUE(is_schema(text)) << text;
  }
  for (const auto* text : {R"({"type": "strin"})", R"({"type": ["string", "string"]})", R"({"required": ["a", "a"]})", R"({"properties": {"a": 1}})", R"({"items": 1})",
                           R"({"anyOf": []})", R"({"minimum": "1"})", R"({"minLength": -1})", R"({"title": 1})", R"({"pattern": 1})", R"({"uniqueItems": 1})"}) {
    EXPECT_FALSE(is_schema(text)) << text;
  }
}

TEST(Described, AGeneratorsResultIsAListOfItsValues) {
  const auto description = describe_json(R"({"functions": [{"name": "a", "generator": true, "result": {"schema": {"type": "integer"}}}]})");
  ASSERT_TRUE(description);
  EXPECT_EQ(compact_json(description->functions.at(0).output_schema), R"({"type":"array","items":{"type":"integer"}})");
}

TEST(Described, AFileThatCouldNotBeReadIsToldWithItsPlace) {
  const auto description = describe_json(R"({"error": {"message": "unexpected }", "line": 7, "column": 2}})");
  ASSERT_FALSE(description);
  EXPECT_EQ(to_text(description.error()).substr(0, 35), "functions/x/a.x:7:2: unexpected }");
}

TEST(Described, AnErrorWithoutAMessageStillSaysWhatFailed) {
  for (const auto* text : {R"({"error": {}})", R"({"error": {"message": ""}})", R"({"error": {"message": 7}})"}) {
    const auto description = describe_json(text);
    ASSERT_FALSE(description) << text;
    EXPECT_EQ(description.error().message, "it cannot be read") << text;
  }
}

TEST(Described, WhatBreaksTheContractIsRefusedByName) {
  for (const auto* text : {R"([])", R"({"functions": [7]})", R"({"functions": [{"line": 1}]})",
                           R"({"functions": [{"name": "a", "parameters": [{"name": "x", "kind": "odd"}]}]})",
                           R"({"functions": [{"name": "a", "parameters": [{"name": "x", "schema": {"type": 7}}]}]})",
                           R"({"functions": [{"name": "a", "result": {"schema": []}}]})"}) {
    const auto description = describe_json(text);
    ASSERT_FALSE(description) << text;
    EXPECT_EQ(description.error().code, ErrorCode::kProtocol) << text;
    EXPECT_EQ(description.error().file, "functions/x/a.x") << text;
  }
}

TEST(Described, TheSecondOfTwoDefinitionsWithOneCanonicalNameIsUnavailable) {
  const auto description = describe_json(R"({"functions": [{"name": "lookUp", "line": 1}, {"name": "look_up", "line": 2}]})");
  ASSERT_TRUE(description);
  EXPECT_EQ(description->functions.size(), 1U);
  ASSERT_EQ(description->unavailable.size(), 1U);
  EXPECT_EQ(description->unavailable.at(0).line, 2);
}

}  // namespace
}  // namespace sabir::schema
