#include "sabir/conformance/conformance.h"

#include <gtest/gtest.h>

#include "sabir/process/spawn.h"

namespace sabir::conformance {
namespace {

const std::filesystem::path kSource = SABIR_SOURCE_DIR;

Options options_for(const std::string& language, const std::string& interpreter, const std::string& extension) {
  const auto folder = kSource / "languages" / language;
  Options options;
  options.command = {interpreter, (folder / ("worker" + extension)).string()};
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
  auto report = run(options_for("python", "python3", ".py"));
  ASSERT_TRUE(report.has_value()) << to_text(report.error());
  EXPECT_EQ(failures(*report), "");
  EXPECT_EQ(report->language, "python");
  EXPECT_EQ(report->checks.size(), list().size());
}

TEST(Conformance, RubyWorkerKeepsEveryRule) {
  auto report = run(options_for("ruby", "ruby", ".rb"));
  ASSERT_TRUE(report.has_value()) << to_text(report.error());
  EXPECT_EQ(failures(*report), "");
  EXPECT_EQ(report->language, "ruby");
}

}  // namespace
}  // namespace sabir::conformance
