#include "sabir/evals/parity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "sabir/evals/same.h"

namespace sabir::evals {
namespace {
using ::testing::HasSubstr;

// Functions of one address as the registry would have them.
struct Made {
  std::vector<functions::Function> functions;
  ParityGroup group;
};

functions::Function function(const std::string& language, std::string_view schema, schema::Effect effect = schema::Effect::kRead) {
  functions::Function out;
  out.address = "text.work";
  out.language = language;
  out.source.relative = "functions/" + language + "/text." + language;
  out.schema.name = out.schema.canonical = "work";
  out.schema.line = 3;
  out.schema.effect = effect;
  out.schema.input_schema = json::parse(schema).as_object();
  return out;
}

Made made(std::vector<functions::Function> functions) {
  Made out;
  out.functions = std::move(functions);
  out.group.address = "text.work";
  for (const auto& one : out.functions) out.group.members.push_back(&one);
  return out;
}

constexpr std::string_view kText = R"({"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false})";
constexpr std::string_view kValues = R"({"type":"object","properties":{"values":{"type":"array","items":{"type":"number"}}},"required":["values"],"additionalProperties":false})";

json::value argument(const std::string& arguments, const char* name) { return json::parse(arguments).as_object().at(name); }

TEST(Same, IntegersExactlyFloatsWithinATolerance) {
  const auto differ = [](std::string_view a, std::string_view b, double tolerance = 0) { return first_difference(json::parse(a), json::parse(b), tolerance); };
  EXPECT_FALSE(differ("6", "6.0"));
  EXPECT_FALSE(differ("-0.0", "0"));
  EXPECT_TRUE(differ("9007199254740993", "9007199254740992", 1e-3));
  EXPECT_TRUE(differ("0.1", "0.10000000000000002"));
  EXPECT_FALSE(differ("0.1", "0.10000000000000002", 1e-9));
  EXPECT_EQ(differ(R"({"a":[1,{"b/c":2}]})", R"({"a":[1,{"b/c":3}]})"), "/a/1/b~1c");
  EXPECT_FALSE(differ(R"({"a":1,"b":2})", R"({"b":2,"a":1})"));
  EXPECT_EQ(differ("[1,2]", "[1]"), "/1");
  EXPECT_TRUE(differ("\"\\u00e9\"", "\"e\\u0301\""));
  EXPECT_TRUE(differ("null", "false"));
  EXPECT_FALSE(differ("18446744073709551615", "18446744073709551615"));
  // However they are written.
  EXPECT_EQ(*exact_value("[9007199254740991.0, \"-1\", {\"a\": 0.1}]"), *exact_value("[9.007199254740991e+15, \"-1\", {\"a\": 1e-1}]"));
}

TEST(Parity, MembersThatAgreePassAndAreTimedInTurns) {
  auto group = made({function("python", kText), function("ruby", kText)});
  std::vector<std::string> order;
  const auto report = compare(group.group, {}, [&](const std::string& address, const std::string& arguments, auto) -> Result<std::string> {
    order.push_back(address.substr(0, address.find('/')));
    return arguments;
  });
  EXPECT_EQ(report.outcome, Outcome::kPassed) << report.why;
  EXPECT_GT(report.inputs, 50U);
  ASSERT_EQ(report.latencies.size(), 2U);
  EXPECT_EQ(report.latencies[0].calls, report.inputs - 1);
  // Neither is always the first.
  EXPECT_EQ((std::vector<std::string>(order.begin(), order.begin() + 4)), (std::vector<std::string>{"python", "ruby", "ruby", "python"}));
}

TEST(Parity, ADisagreementIsShrunkToTheSmallestInput) {
  auto group = made({function("python", kText), function("ruby", kText), function("cpp", kText)});
  const auto report = compare(group.group, {}, [&](const std::string& address, const std::string& arguments, auto) -> Result<std::string> {
    const bool sharp = std::string_view(argument(arguments, "text").as_string()).find("ß") != std::string_view::npos;
    return std::string(sharp && address.starts_with("ruby") ? "\"SS\"" : "\"?\"");
  });
  EXPECT_EQ(report.outcome, Outcome::kFailed);
  ASSERT_EQ(report.disagreements.size(), 1U);
  EXPECT_EQ(report.disagreements[0].input, R"({"text":"ß"})");
  EXPECT_EQ(report.disagreements[0].what, "ruby gives another result than python");
  const auto text = to_text(report, [](std::string_view one, const char*) { return std::string(one); });
  EXPECT_THAT(text, HasSubstr("functions/ruby/text.ruby:3"));
  EXPECT_THAT(text, HasSubstr(R"(sabir call ruby/text.work --args '{"text":"ß"}')"));
}

TEST(Parity, AFailureOfOneAloneIsADisagreementAndTheSameFailureIsNone) {
  auto group = made({function("python", kValues), function("node", kValues)});
  const auto fails_on_empty = [](bool both) {
    return [both](const std::string& address, const std::string& arguments, auto) -> Result<std::string> {
      if (argument(arguments, "values").as_array().empty() && (both || address.starts_with("python"))) return fail(ErrorCode::kFunctionError, address + ": division by zero");
      return std::string("0");
    };
  };
  const auto differs = compare(group.group, {}, fails_on_empty(false));
  ASSERT_EQ(differs.disagreements.size(), 1U);
  EXPECT_EQ(differs.disagreements[0].input, R"({"values":[]})");
  EXPECT_EQ(differs.disagreements[0].what, "python fails where node gives a result");
  EXPECT_EQ(compare(group.group, {}, fails_on_empty(true)).outcome, Outcome::kPassed);
}

TEST(Parity, ACrashNeverAgreesAndWhatChangesEachTimeIsSaid) {
  auto group = made({function("python", kText), function("cpp", kText)});
  const auto crash = compare(group.group, {}, [](const std::string&, const std::string&, auto) -> Result<std::string> { return fail(ErrorCode::kWorkerCrashed, "signal 11"); });
  EXPECT_EQ(crash.outcome, Outcome::kFailed);
  EXPECT_EQ(crash.disagreements[0].what, "python takes its worker down");
  int times = 0;
  const auto unsteady = compare(group.group, {}, [&](const std::string& address, const std::string&, auto) -> Result<std::string> { return address.starts_with("cpp") ? std::to_string(++times) : "0"; });
  EXPECT_EQ(unsteady.disagreements[0].what, "cpp gives another result each time");
}

TEST(Parity, WhatWritesIsSkippedUnlessItsSettingsAllowIt) {
  auto group = made({function("python", kText), function("ruby", kText, schema::Effect::kWrite)});
  bool called = false;
  const auto call = [&](const std::string&, const std::string&, auto) -> Result<std::string> {
    called = true;
    return std::string("1");
  };
  const auto skipped = compare(group.group, {}, call);
  EXPECT_EQ(skipped.outcome, Outcome::kSkipped);
  EXPECT_THAT(skipped.why, HasSubstr("ruby/text.work has the effect write"));
  EXPECT_FALSE(called);
  group.group.settings.effects_allowed = true;
  EXPECT_EQ(compare(group.group, {}, call).outcome, Outcome::kPassed);
}

TEST(Parity, AMemberThatCannotBeCalledEndsTheComparison) {
  auto group = made({function("python", kText), function("ruby", kText)});
  const auto report = compare(group.group, {}, [](const std::string& address, const std::string&, auto) -> Result<std::string> {
    if (address.starts_with("ruby")) return fail(ErrorCode::kUnavailable, "there is no ruby");
    return std::string("1");
  });
  EXPECT_EQ(report.outcome, Outcome::kError);
  EXPECT_THAT(report.why, HasSubstr("there is no ruby"));
}

TEST(Parity, SchemasThatDifferAreToldWithBothPlaces) {
  auto group = made({function("python", R"({"type":"object","properties":{"text":{"type":"string","minLength":1},"most":{"type":"integer"}},"required":["text"],"additionalProperties":false})"),
                     function("ruby", R"({"type":"object","properties":{"text":{"type":"string"},"most":{"type":"number"}},"required":["text","most"],"additionalProperties":false})")});
  const auto found = schema_differences(group.group.members);
  std::vector<std::string> said;
  for (const auto& one : found) said.push_back(one.what);
  EXPECT_THAT(said, ::testing::UnorderedElementsAre("text: minLength is 1 in python and missing in ruby", "most must be given in ruby and may be left out in python",
                                                    R"(most: type is "integer" in python and "number" in ruby)"));
  EXPECT_EQ(found[0].one, "functions/python/text.python:3");
  EXPECT_EQ(found[0].other, "functions/ruby/text.ruby:3");
  // Only what both take is asked.
  const auto report = compare(group.group, {}, [](const std::string&, const std::string& arguments, auto) -> Result<std::string> {
    EXPECT_FALSE(argument(arguments, "text").as_string().empty());
    EXPECT_TRUE(argument(arguments, "most").is_int64());
    return std::string("1");
  });
  EXPECT_EQ(report.outcome, Outcome::kPassed);
  group.group.settings.schemas_same = true;
  EXPECT_EQ(compare(group.group, {}, [](const std::string&, const std::string&, auto) -> Result<std::string> { return std::string("1"); }).outcome, Outcome::kFailed);
}

TEST(Parity, CasesSayWhatHasToComeOfThem) {
  auto group = made({function("python", kText), function("ruby", kText)});
  auto settings = parse_parity_settings("runs: 0\ncases:\n  - args: {text: a}\n    gives: 1\n  - args: {text: b}\n    fails: true\n", "tests/parity/text.work.yml");
  ASSERT_TRUE(settings) << to_text(settings.error());
  group.group.settings = *settings;
  const auto report = compare(group.group, {}, [](const std::string&, const std::string&, auto) -> Result<std::string> { return std::string("1"); });
  EXPECT_EQ(report.outcome, Outcome::kFailed);
  ASSERT_EQ(report.disagreements.size(), 1U);
  EXPECT_EQ(report.disagreements[0].what, "python does not fail as tests/parity/text.work.yml:5 says");
}

TEST(Parity, AGroupWithoutTimeSaysSo) {
  auto group = made({function("python", kText), function("ruby", kText)});
  group.group.settings.timeout = std::chrono::milliseconds(1);
  const auto report = compare(group.group, {}, [](const std::string&, const std::string&, auto) -> Result<std::string> {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    return std::string("1");
  });
  EXPECT_TRUE(report.out_of_time);
  EXPECT_LE(report.inputs, 1U);
}

TEST(ParitySettings, WhatIsWrongIsToldWithItsPlace) {
  const auto wrong = [](std::string_view text) {
    auto read = parse_parity_settings(text, "tests/parity/a.b.yml");
    return read ? std::string("read") : to_text(read.error());
  };
  EXPECT_THAT(wrong("casses: []\n"), HasSubstr("tests/parity/a.b.yml:1:1"));
  EXPECT_THAT(wrong("casses: []\n"), HasSubstr("cases"));
  EXPECT_THAT(wrong("equal: {tolerance: big}\n"), HasSubstr("tests/parity/a.b.yml:1:9: tolerance must be a number"));
  EXPECT_THAT(wrong("skip: [ruby]\n"), HasSubstr("need a reason"));
  EXPECT_THAT(wrong("cases:\n  - {text: a}\n"), HasSubstr("a.b.yml:2:6"));
  EXPECT_THAT(wrong("effects: yes please\n"), HasSubstr("effects must be `allowed`"));
  EXPECT_THAT(wrong("inputs: {text: {type: strin}}\n"), HasSubstr("a.b.yml:1:10"));
  EXPECT_EQ(wrong(R"({"cases": [{"args": {"text": "a"}}], "equal": {"tolerance": 1e-9}, "skip": ["ruby"], "reason": "r", "runs": 3, "timeout": "5s"})"), "read");
}

}  // namespace
}  // namespace sabir::evals
