// Source files and what they must be described as: testdata/<grammar>/*.txt holds the source, a line "---", and the
// description as JSON (or the error). SABIR_UPDATE_GOLDEN=1 writes what comes out; read the difference before you keep it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "sabir/base/file.h"
#include "sabir/schema/function_schema.h"

namespace sabir::schema {
namespace {

std::string described(const std::string& grammar, const std::string& source) {
  const auto description = describe(grammar, source, "file");
  if (!description) return pretty_json(to_json(description.error()));
  return pretty_json(to_json(*description));
}

class Golden : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Golden, SourceIsDescribedAsExpected) {
  const auto text = read_file(GetParam());
  ASSERT_TRUE(text) << to_text(text.error());
  const std::size_t mark = text->find("\n---\n");
  ASSERT_NE(mark, std::string::npos) << "no line '---'";
  const std::string source = text->substr(0, mark + 1);
  const std::string grammar = GetParam().parent_path().filename();
  const std::string actual = described(grammar, source);
  if (std::getenv("SABIR_UPDATE_GOLDEN")) {
    ASSERT_TRUE(write_file(GetParam(), source + "---\n" + actual + "\n"));
    return;
  }
  EXPECT_EQ(actual + "\n", text->substr(mark + 5));
}

std::vector<std::filesystem::path> cases() {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SABIR_SCHEMA_TESTDATA)) {
    if (entry.path().extension() == ".txt") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

INSTANTIATE_TEST_SUITE_P(All, Golden, testing::ValuesIn(cases()), [](const auto& param) {
  std::string name = param.param.parent_path().filename().string() + "_" + param.param.stem().string();
  std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

TEST(GoldenCases, EachGrammarHasItsShare) {
  std::map<std::string, int> counts;
  for (const auto& path : cases()) ++counts[path.parent_path().filename()];
  EXPECT_GE(counts["python"], 20);
  EXPECT_GE(counts["ruby"], 12);
  EXPECT_GE(counts["cpp"], 15);
}

}  // namespace
}  // namespace sabir::schema
