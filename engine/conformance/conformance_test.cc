#include "sabir/conformance/conformance.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sabir/base/file.h"
#include "sabir/process/spawn.h"

namespace sabir::conformance {
namespace {

const std::filesystem::path kSource = SABIR_SOURCE_DIR;

// The system's interpreter rather than a version manager's script around one, which takes longer to start than a check.
std::string python() { return std::filesystem::exists("/usr/bin/python3") ? "/usr/bin/python3" : "python3"; }

Options options_for(const std::string& language, std::vector<std::string> command, const std::string& extension) {
  const auto folder = kSource / "languages" / language;
  Options options;
  options.command = std::move(command);
  options.testee = (folder / ("testee" + extension)).string();
  auto expected = read_expected_failures(folder / "expected_failures.yaml");
  EXPECT_TRUE(expected.has_value()) << to_text(expected.error());
  if (expected) options.expected_failures = *expected;
  return options;
}

std::string failures(const Report& report) {
  std::string out;
  for (const auto& check : report.checks) {
    if (check.outcome == Outcome::kFail || check.outcome == Outcome::kUnexpectedPass) out += check.id + ": " + check.detail + "\n";
  }
  return out;
}

TEST(Conformance, PythonWorkerKeepsEveryRule) {
  auto report = run(options_for("python", {python(), (kSource / "languages/python/worker.py").string()}, ".py"));
  ASSERT_TRUE(report.has_value()) << to_text(report.error());
  EXPECT_EQ(failures(*report), "");
  EXPECT_EQ(report->language, "python");
  EXPECT_EQ(report->checks.size(), list().size());
}

TEST(Conformance, RubyWorkerKeepsEveryRule) {
  auto report = run(options_for("ruby", {"ruby", (kSource / "languages/ruby/worker.rb").string()}, ".rb"));
  ASSERT_TRUE(report.has_value()) << to_text(report.error());
  EXPECT_EQ(failures(*report), "");
  EXPECT_EQ(report->language, "ruby");
}

TEST(Conformance, CppWorkerKeepsEveryRule) {
  auto report = run(options_for("cpp", {CPP_TESTEE_WORKER}, ".cpp"));
  ASSERT_TRUE(report.has_value()) << to_text(report.error());
  EXPECT_EQ(failures(*report), "");
  EXPECT_EQ(report->language, "cpp");
}

class BrokenWorker : public testing::TestWithParam<std::string> {};

TEST_P(BrokenWorker, IsFoundOut) {
  auto options = options_for("python", {python(), (kSource / "conformance/broken/broken_worker.py").string(), "--break", GetParam()}, ".py");
  options.only = {GetParam()};
  options.patience = std::chrono::milliseconds(2000);
  auto report = run(options);
  ASSERT_TRUE(report.has_value()) << to_text(report.error());
  ASSERT_EQ(report->checks.size(), 1U);
  EXPECT_EQ(report->checks[0].outcome, Outcome::kFail) << GetParam() << " broken, and its check does not see it";
  EXPECT_FALSE(report->checks[0].detail.empty());
  RecordProperty("detail", report->checks[0].detail);
}

std::vector<std::string> all_ids() {
  std::vector<std::string> ids;
  for (const auto& check : list()) ids.push_back(check.id);
  return ids;
}

INSTANTIATE_TEST_SUITE_P(EveryRule, BrokenWorker, testing::ValuesIn(all_ids()), [](const auto& rule) {
  auto name = rule.param;
  std::erase_if(name, [](char c) { return c == '-' || c == '.'; });
  return name;
});

TEST(Conformance, CarriedLanguagesAreFoundWithTheirTestees) {
  auto options = for_language(kSource / "languages", "ruby");
  ASSERT_TRUE(options.has_value()) << to_text(options.error());
  EXPECT_EQ(options->testee, (kSource / "languages/ruby/testee.rb").string());
  options->only = {"MUST-13"};
  auto report = run(*options);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(failures(*report), "");
  auto unknown = for_language(kSource / "languages", "rubby");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, ErrorCode::kUsage);
  EXPECT_NE(unknown.error().hint.find("ruby"), std::string::npos);
}

TEST(Conformance, ListedFailureThatPassesIsAnError) {
  auto options = options_for("python", {python(), (kSource / "languages/python/worker.py").string()}, ".py");
  options.only = {"MUST-13.1"};
  options.expected_failures = {{"MUST-13.1", "out of date"}};
  auto report = run(options);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->checks[0].outcome, Outcome::kUnexpectedPass);
  EXPECT_FALSE(report->ok());
}

TEST(Conformance, ListedFailureIsReportedWithItsReason) {
  auto options = options_for("python", {python(), (kSource / "conformance/broken/broken_worker.py").string(), "--break", "MUST-13.1"}, ".py");
  options.only = {"MUST-13.1"};
  options.patience = std::chrono::milliseconds(1000);
  options.expected_failures = {{"MUST-13.1", "no time yet"}};
  auto report = run(options);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->checks[0].outcome, Outcome::kExpectedFailure);
  EXPECT_NE(report->checks[0].detail.find("no time yet"), std::string::npos);
  EXPECT_TRUE(report->ok());
}

TEST(Conformance, ARuleNamesAllOfItsChecksAndNoOthers) {
  auto options = options_for("python", {python(), (kSource / "languages/python/worker.py").string()}, ".py");
  options.only = {"MUST-1", "VALUE-2"};
  auto report = run(options);
  ASSERT_TRUE(report.has_value());
  std::vector<std::string> ids;
  for (const auto& check : report->checks) ids.push_back(check.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"MUST-1.1", "MUST-1.2", "MUST-1.3", "VALUE-2"}));
}

TEST(Conformance, EveryRuleAndEveryValueOfTheSpecificationHasACheck) {
  auto spec = read_file(kSource / "spec/worker-protocol.md");
  ASSERT_TRUE(spec.has_value());
  const auto has = [](const std::string& rule) {
    const auto checks = list();
    return std::any_of(checks.begin(), checks.end(), [&](const Check& check) { return check.id == rule || check.id.starts_with(rule + "."); });
  };
  std::size_t rules = 0;
  for (const std::string word : {"MUST-", "VALUE-"}) {
    for (int number = 1; spec->find((word[0] == 'M' ? "**" : "| ") + word + std::to_string(number)) != std::string::npos; ++number, ++rules) {
      EXPECT_TRUE(has(word + std::to_string(number))) << word << number << " has no check";
    }
  }
  EXPECT_GE(rules, 45U);
  EXPECT_GE(list().size(), 60U);
}

TEST(Conformance, UnknownIdIsAUsageError) {
  auto options = options_for("python", {python(), "unused"}, ".py");
  options.only = {"MUST-99"};
  auto report = run(options);
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::kUsage);
}

TEST(Conformance, MissingProgramIsSaidPlainly) {
  auto report = run(options_for("python", {"no-such-interpreter", "worker.py"}, ".py"));
  ASSERT_FALSE(report.has_value());
  EXPECT_EQ(report.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace sabir::conformance
