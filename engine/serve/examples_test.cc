#include "examples.h"

#include <gtest/gtest.h>

#include "docs_page.h"
#include "sabir/schema/validator.h"

namespace sabir::serve {
namespace {

TEST(Example, FitsItsSchema) {
  for (const char* text : {
           R"({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer", "minimum": 5}}, "required": ["a"], "additionalProperties": false})",
           R"({"type": "array", "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, "minItems": 2})",
           R"({"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}}}})",
           R"({"type": ["null", "string"], "minLength": 12})",
           R"({"enum": [3, 4]})",
           R"({"type": "string", "format": "date-time"})",
           R"({"prefixItems": [{"type": "string"}, {"type": "boolean"}], "type": "array"})",
           R"({"type": "object", "additionalProperties": {"type": "integer"}})",
           R"({"allOf": [{"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}, {"type": "object", "properties": {"b": {"default": "x"}}}]})",
           R"({})",
       }) {
    const auto schema = parse_json(text);
    ASSERT_TRUE(schema);
    const auto example = example_of(schema->get_object());
    ASSERT_TRUE(example) << text;
    const auto validator = schema::Validator::compile(schema->get_object());
    ASSERT_TRUE(validator);
    EXPECT_TRUE(validator->check(compact_json(*example), ErrorCode::kInvalidArguments, "it")) << text << compact_json(*example);
  }
}

TEST(Example, IsNotGivenWhereNoneCanBeMade) {
  const auto schema = parse_json(R"({"type": "string", "pattern": "^[0-9]{4}$"})");
  EXPECT_FALSE(example_of(schema->get_object()));
}

TEST(DocsPage, EscapesWhatTheProjectSays) {
  const json::object document{{"info", {{"title", "<b>"}}},
                              {"paths", {{"/functions/a", {{"post", {{"operationId", "a\"><script>"}, {"summary", "<script>alert(1)</script>"}, {"x-sabir-effect", "read"}, {"responses", json::object()}}}}}}}};
  const auto page = docs_page(document);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(1)"), std::string::npos);
}

}  // namespace
}  // namespace sabir::serve
