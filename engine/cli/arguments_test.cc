#include "arguments.h"

#include <gtest/gtest.h>

namespace sabir::cli {
namespace {

json::object schema(const char* text) { return parse_json(text).value().as_object(); }

TEST(Arguments, AWordIsReadByTheSchemaOfItsName) {
  EXPECT_EQ(read_by_schema("12", schema(R"({"type":"string"})")), json::value("12"));
  EXPECT_EQ(read_by_schema("12", schema(R"({"type":"integer"})")), json::value(12));
  EXPECT_EQ(read_by_schema("1.5", schema(R"({"type":"number"})")), json::value(1.5));
  EXPECT_EQ(read_by_schema("yes", schema(R"({"type":"boolean"})")), json::value(true));
  EXPECT_EQ(read_by_schema("null", schema(R"({"type":["string","null"]})")), json::value(nullptr));
  EXPECT_EQ(read_by_schema("1, 2,3", schema(R"({"type":"array","items":{"type":"number"}})")), parse_json("[1,2,3]").value());
  EXPECT_EQ(read_by_schema("[1,\"a\"]", schema(R"({"type":"array"})")), parse_json("[1,\"a\"]").value());
  EXPECT_EQ(read_by_schema("3", schema(R"({"anyOf":[{"type":"string"},{"type":"integer"}]})")), json::value(3));
  EXPECT_EQ(read_by_schema("x", schema(R"({"anyOf":[{"type":"integer"},{"type":"string"}]})")), json::value("x"));
  EXPECT_EQ(read_by_schema("{\"a\":1}", schema("{}")), parse_json("{\"a\":1}").value());
}

TEST(Arguments, WhatFitsNothingStaysATextForTheValidatorToRefuse) {
  EXPECT_EQ(read_by_schema("many", schema(R"({"type":"integer"})")), json::value("many"));
}

TEST(Arguments, RawJsonIsTakenAsItIsAndMustBeJson) {
  const auto arguments = read_arguments({"a:=[1,2]", "b=x=y"}, R"({"c": true})", {});
  ASSERT_TRUE(arguments.has_value());
  EXPECT_EQ(json::serialize(*arguments), R"({"c":true,"a":[1,2],"b":"x=y"})");
  EXPECT_EQ(read_arguments({"a:=[1"}, "", {}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(read_arguments({"nonsense"}, "", {}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(read_arguments({"=1"}, "", {}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(read_arguments({}, "[1]", {}).error().code, ErrorCode::kUsage);
}

TEST(Arguments, IntegersOfAnyLengthStandAsTheyWereWritten) {
  const auto properties = schema(R"({"n":{"type":"integer"},"text":{"type":"string"}})");
  EXPECT_EQ(read_arguments_text({"n=123456789012345678901234567890", "text=12345678901234567890123", "x:=[1,9223372036854775808999]"}, "", properties).value(),
            R"({"n":123456789012345678901234567890,"text":"12345678901234567890123","x":[1,9223372036854775808999]})");
  EXPECT_EQ(read_arguments_text({"b=2"}, R"({"n": -99999999999999999999, "b": 11111111111111111111111, "c": 0.5})", {}).value(),
            R"({"n":-99999999999999999999,"b":2,"c":5E-1})");
  EXPECT_EQ(read_arguments_text({"n=3"}, "", properties).value(), R"({"n":3})");
  EXPECT_EQ(read_arguments_text({}, "@/no/such/file", {}).error().code, ErrorCode::kUsage);
}

}  // namespace
}  // namespace sabir::cli
