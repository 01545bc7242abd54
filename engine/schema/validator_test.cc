#include "sabir/schema/validator.h"

#include <gtest/gtest.h>

#include <thread>

#include "sabir/schema/function_schema.h"

namespace sabir::schema {
namespace {

json::object object(const char* text) { return json::parse(text).as_object(); }

Error refused(const char* schema, std::string_view instance, ErrorCode code = ErrorCode::kInvalidArguments) {
  auto validator = Validator::compile(object(schema));
  EXPECT_TRUE(validator) << to_text(validator.error());
  const auto result = validator->check(instance, code, "arguments");
  EXPECT_FALSE(result) << instance;
  return result ? Error() : result.error();
}

constexpr const char* kSchema = R"({"type":"object","properties":{
  "text":{"type":"string"}, "count":{"type":"integer"}, "ratio":{"type":"number"}, "tags":{"type":"array","items":{"type":"string"}},
  "mode":{"type":"string","enum":["fast","slow"]}, "note":{"type":["string","null"]},
  "item":{"type":"object","properties":{"price":{"type":"number"}},"required":["price"],"additionalProperties":false}},
  "required":["text"],"additionalProperties":false})";

TEST(Validator, ValidArgumentsPass) {
  auto validator = Validator::compile(object(kSchema));
  ASSERT_TRUE(validator);
  EXPECT_TRUE(validator->check(R"({"text":"a","count":2,"ratio":1,"note":null})", ErrorCode::kInvalidArguments, "arguments"));
}

TEST(Validator, WrongTypeNamesPathExpectedGotAndHowToWriteIt) {
  const Error error = refused(kSchema, R"({"text":12})");
  EXPECT_EQ(error.message, "arguments: /text: expected string, got number 12");
  EXPECT_EQ(error.hint, R"(Write text="12", a string in quotes.)");
  EXPECT_EQ(error.code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(error.data, R"({"violations":[{"path":"/text","expected":"string","got":"number 12",)"
                        R"("message":"/text: expected string, got number 12"}]})");
}

TEST(Validator, NumberInQuotesIsToldToLoseThem) {
  const Error error = refused(kSchema, R"({"text":"a","count":"12"})");
  EXPECT_EQ(error.message, "arguments: /count: expected integer, got string \"12\"");
  EXPECT_EQ(error.hint, "Write count=12 without quotes.");
}

TEST(Validator, FractionForAnIntegerIsRefusedAndWholeFloatIsNot) {
  EXPECT_EQ(refused(kSchema, R"({"text":"a","count":1.5})").hint, "It takes whole numbers only.");
  auto validator = Validator::compile(object(kSchema));
  EXPECT_TRUE(validator->check(R"({"text":"a","ratio":3})", ErrorCode::kInvalidArguments, "arguments"));
}

TEST(Validator, MissingArgumentSaysWhatToAdd) {
  const Error error = refused(kSchema, R"({"count":1})");
  EXPECT_EQ(error.message, "arguments: /text: expected string, but it is missing");
  EXPECT_EQ(error.hint, R"(Add text="…".)");
}

TEST(Validator, UnknownArgumentGetsTheNearestName) {
  const Error error = refused(kSchema, R"({"txt":"a","text":"a"})");
  EXPECT_EQ(error.message, "arguments: unknown argument 'txt'");
  EXPECT_NE(error.hint.find("text"), std::string::npos) << error.hint;
  EXPECT_NE(refused(kSchema, R"({"text":"a","zzzzzzzzz":1})").hint.find("Known are: text, count"), std::string::npos);
}

TEST(Validator, MisspeltNameComesBeforeTheMissingOneThatItCauses) {
  const Error error = refused(kSchema, R"({"txet":"a"})");
  EXPECT_EQ(error.message, "arguments: unknown argument 'txet'; /text: expected string, but it is missing");
}

TEST(Validator, NestedPlacesAreNamed) {
  EXPECT_EQ(refused(kSchema, R"({"text":"a","tags":["x",1]})").message, "arguments: /tags/1: expected string, got number 1");
  EXPECT_EQ(refused(kSchema, R"({"text":"a","item":{}})").hint, "Add \"price\": 1.5.");
  EXPECT_EQ(refused(kSchema, R"({"text":"a","item":{"price":1,"x":2}})").message, "arguments: /item: unknown member 'x'");
}

TEST(Validator, EnumerationsAndUnionsAreSpelledOut) {
  const Error error = refused(kSchema, R"({"text":"a","mode":"fsat"})");
  EXPECT_EQ(error.message, R"(arguments: /mode: expected one of "fast", "slow", got string "fsat")");
  EXPECT_EQ(error.hint, "Did you mean fast?");
  EXPECT_EQ(refused(kSchema, R"({"text":"a","note":1})").message, "arguments: /note: expected string or null, got number 1");
}

TEST(Validator, ScalarForAnArrayIsToldToBeWrapped) {
  const Error error = refused(kSchema, R"({"text":"a","tags":"x"})");
  EXPECT_EQ(error.message, "arguments: /tags: expected array of strings, got string \"x\"");
  EXPECT_EQ(error.hint, R"(Write tags=["x"], an array.)");
}

TEST(Validator, ResultsAreBlamedOnTheFunction) {
  const Error error = refused(R"({"type":"integer"})", R"("x")", ErrorCode::kInvalidResult);
  EXPECT_EQ(error.code, ErrorCode::kInvalidResult);
  EXPECT_EQ(error.message, "arguments: expected integer, got string \"x\"");
  EXPECT_NE(error.hint.find("signature"), std::string::npos);
}

TEST(Validator, TextThatIsNoJsonAndDepthAreRefused) {
  EXPECT_NE(refused("{}", "{").message.find("not valid JSON"), std::string::npos);
  EXPECT_NE(refused("{}", std::string(1000, '[')).message.find("not valid JSON"), std::string::npos);
}

TEST(Validator, LongValuesAreCutInMessages) {
  const std::string longText(100000, 'x');
  EXPECT_LT(refused(R"({"type":"integer"})", "\"" + longText + "\"").message.size(), 300U);
}

TEST(Validator, InvalidSchemaIsRefusedAtCompile) {
  const auto validator = Validator::compile(object(R"({"type":"strin"})"));
  ASSERT_FALSE(validator);
  EXPECT_EQ(validator.error().code, ErrorCode::kInvalidArguments);
}

TEST(Validator, ManyThreadsValidateAtOnce) {
  auto validator = Validator::compile(object(kSchema));
  ASSERT_TRUE(validator);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 200; ++k) {
        EXPECT_TRUE(validator->check(R"({"text":"a"})", ErrorCode::kInvalidArguments, "arguments"));
        EXPECT_FALSE(validator->check(R"({"text":1})", ErrorCode::kInvalidArguments, "arguments"));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace sabir::schema
