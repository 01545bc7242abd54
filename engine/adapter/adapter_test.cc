#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exec_arguments.h"
#include "exec_result.h"
#include "sabir/base/text.h"

namespace sabir::adapter {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ExecParameter parameter(std::string name, std::string pass = "word", std::string form = "text") {
  ExecParameter out;
  out.name = std::move(name);
  out.pass = std::move(pass);
  out.form = std::move(form);
  return out;
}

// The words without the version, the file and the function.
std::vector<std::string> words_of(const ExecFunction& function, std::string arguments, std::vector<protocol::Blob> blobs = {}) {
  auto input = bind_arguments(function, "/f", {std::move(arguments), std::move(blobs)});
  if (!input) return {"refused", input.error().message};
  std::vector<std::string> words;
  std::string word;
  for (const char c : input->words) {
    if (c != '\0') {
      word += c;
      continue;
    }
    words.push_back(std::exchange(word, {}));
  }
  return {words.begin() + 3, words.end()};
}

TEST(ExecArguments, NumbersKeepTheirDigitsAndTextsLoseTheirQuotes) {
  ExecFunction f{"f", {parameter("n"), parameter("s"), parameter("j", "word", "json")}, "text", "string", false, false};
  EXPECT_THAT(words_of(f, R"({"j": {"a": [1.50, 123456789012345678901]}, "s": "a\"\u00e9", "n": 123456789012345678901})"),
              ElementsAre("3", "123456789012345678901", "a\"é", R"({"a": [1.50, 123456789012345678901]})", "3", "n", "integer", "text", "1", "123456789012345678901",
                          "s", "string", "text", "1", "a\"é", "j", "object", "text", "1", R"({"a": [1.50, 123456789012345678901]})"));
}

TEST(ExecArguments, APositionThatIsLeftOutIsAnEmptyWordOnlyBeforeOneThatIsGiven) {
  auto b = parameter("b");
  auto c = parameter("c");
  b.required = c.required = false;
  ExecFunction f{"f", {parameter("a"), b, c}, "text", "string", false, false};
  EXPECT_THAT(words_of(f, R"({"a": "1"})"), ElementsAre("1", "1", "3", "a", "string", "text", "1", "1", "b", "absent", "none", "0", "c", "absent", "none", "0"));
  EXPECT_THAT(words_of(f, R"({"a": "1", "c": null})"),
              ElementsAre("3", "1", "", "", "3", "a", "string", "text", "1", "1", "b", "absent", "none", "0", "c", "null", "none", "0"));
}

TEST(ExecArguments, WhatCannotBeTakenIsRefusedByName) {
  ExecFunction f{"f", {parameter("text"), parameter("map", "variable", "map")}, "text", "string", false, false};
  EXPECT_THAT(words_of(f, R"({"map": {}})")[1], HasSubstr("text is missing"));
  EXPECT_THAT(words_of(f, R"({"text": "a\u0000b", "map": {}})")[1], HasSubstr("NUL"));
  EXPECT_THAT(words_of(f, R"({"text": "a\ud800b", "map": {}})")[1], HasSubstr("surrogate"));
  EXPECT_THAT(words_of(f, R"({"text": "\\ud800 \ud834\udd1e", "map": {}})")[1], "\\ud800 𝄞");
  EXPECT_THAT(words_of(f, R"({"text": "", "map": {"a": {"b": [{"c": 1, "c": 2}]}}})")[1], HasSubstr("\"c\" twice"));
  EXPECT_THAT(words_of(f, R"({"text": "", "map": {"": 1}})")[1], HasSubstr("without a name"));
  EXPECT_THAT(words_of(f, R"({"text": "", "map": {}, "more": 1})")[1], HasSubstr("no parameter more"));
}

TEST(ExecArguments, BlobsTakeTheirPlaces) {
  ExecFunction f{"f", {parameter("v", "word", "json")}, "text", "string", false, false};
  EXPECT_EQ(words_of(f, R"({"v": {"a/b": [1, null]}})", {{"/v/a~1b/1", false, "x\"y"}})[1], R"({"a/b": [1, "x\"y"]})");
  EXPECT_EQ(words_of(f, R"({"v": null})", {{"/v", true, "hi"}})[1], R"("aGk=")");
  for (const auto* at : {"/v/0", "/w", "v", "/v/a/b"}) EXPECT_EQ(words_of(f, R"({"v": {"a": 1}})", {{at, false, "x"}})[0], "refused") << at;
}

TEST(ExecArguments, StandardInputTakesEveryByte) {
  ExecFunction f{"f", {parameter("v", "stdin")}, "text", "string", false, false};
  const auto input = bind_arguments(f, "/f", {R"({"v": "a\u0000b"})", {}});
  ASSERT_TRUE(input);
  EXPECT_EQ(input->standard_in, std::string("a\0b", 3));
}

Result<std::string> value_of(const std::string& as, const std::string& type, std::string output, int status = 0) {
  ExecFunction f{"f", {}, as, type, false, false};
  auto payload = read_result(f, std::move(output), status);
  if (!payload) return fail(std::move(payload.error()));
  return payload->json;
}

TEST(ExecResult, OutputIsReadAsPromised) {
  EXPECT_EQ(value_of("text", "string", "a\n\n").value(), R"("a\n")");
  EXPECT_EQ(value_of("json", "number", " -.5\n").value(), "-0.5");
  EXPECT_EQ(value_of("json", "integer", "123456789012345678901\n").value(), "123456789012345678901");
  EXPECT_EQ(value_of("lines", "array", "a\n\nb").value(), R"(["a","","b"])");
  EXPECT_EQ(value_of("status", "boolean", "", 1).value(), "false");
  EXPECT_EQ(value_of("bytes", "string", "hi").value(), R"("aGk=")");
  EXPECT_EQ(value_of("none", "null", "\n").value(), "null");
}

TEST(ExecResult, WhatIsNotPromisedIsRefused) {
  for (const auto& [as, type, output] : {std::tuple("json", "number", "NaN"), std::tuple("json", "integer", "007"), std::tuple("json", "", ""), std::tuple("json", "object", "{} {}"),
                                         std::tuple("text", "string", "\xff"), std::tuple("none", "null", "x"), std::tuple("json", "boolean", "yes")}) {
    const auto value = value_of(as, type, output);
    ASSERT_FALSE(value) << output;
    EXPECT_EQ(value.error().code, ErrorCode::kInvalidResult);
  }
}

TEST(ExecResult, ALargeTextTravelsBesideTheJson) {
  ExecFunction f{"f", {}, "text", "string", false, false};
  const auto payload = read_result(f, std::string(70000, 'x') + "\n", 0);
  ASSERT_TRUE(payload);
  ASSERT_EQ(payload->blobs.size(), 1U);
  EXPECT_EQ(payload->blobs[0].data.size(), 70000U);
}

}  // namespace
}  // namespace sabir::adapter
