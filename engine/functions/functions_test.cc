#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "bind.h"
#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/functions/registry.h"

namespace sabir::functions {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

schema::FunctionSchema function_of(const std::string& grammar, const std::string& source) {
  auto description = schema::describe(grammar, source, "test");
  EXPECT_TRUE(description.has_value()) << to_text(description.error());
  return description->functions.at(0);
}

TEST(Bind, ArgumentsThatAreNamedAsWrittenPassUntouched) {
  const auto function = function_of("python", "def f(a: int, b: str = 'x') -> int:\n    return a\n");
  const std::string arguments = R"({ "a" : 1e2 })";
  const auto bound = bind(function, {arguments, {}});
  ASSERT_TRUE(bound.has_value());
  EXPECT_EQ(bound->native.json, arguments);
  EXPECT_EQ(bound->binding, R"("positional":["a"])");
}

TEST(Bind, EverySpellingOfANameReachesItsParameter) {
  const auto function = function_of("python", "def f(order_id: int, userName: str) -> int:\n    return 1\n");
  const auto bound = bind(function, {R"({"orderId":1,"user_name":"x"})", {{"/user_name", false, "big"}}});
  ASSERT_TRUE(bound.has_value());
  EXPECT_EQ(bound->to_check().json, R"({"order_id":1,"user_name":"x"})");
  EXPECT_EQ(bound->native.json, R"({"order_id":1,"userName":"x"})");
  EXPECT_EQ(bound->native.blobs.at(0).at, "/userName");
}

TEST(Bind, AParameterGivenTwiceIsRefused) {
  const auto function = function_of("python", "def f(order_id: int) -> int:\n    return 1\n");
  const auto bound = bind(function, {R"({"orderId":1,"order_id":2})", {}});
  ASSERT_FALSE(bound.has_value());
  EXPECT_EQ(bound.error().code, ErrorCode::kInvalidArguments);
  EXPECT_THAT(bound.error().message, HasSubstr("twice"));
  EXPECT_FALSE(bind(function, {"[1]", {}}).has_value());
}

TEST(Bind, PositionsEndAtTheFirstGap) {
  const auto function = function_of("ruby", "def f(a, b = 1, c = 2, d: 3)\n  a\nend\n");
  const auto bound = bind(function, {R"({"a":1,"c":2,"d":4})", {}});
  ASSERT_TRUE(bound.has_value());
  EXPECT_EQ(bound->binding, R"("positional":["a"])");
}

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("sabir-registry-" + new_id());
    project_.root = root_;
    project_.preference = {"python", "ruby"};
    for (const char* name : {"python", "ruby"}) {
      project::Language language;
      language.name = name;
      language.grammar = name;
      languages_.push_back(language);
    }
  }
  void TearDown() override { fs::remove_all(root_); }

  void add(const std::string& relative, const std::string& text, project::SourceKind kind = project::SourceKind::kFunction) {
    const auto path = root_ / relative;
    fs::create_directories(path.parent_path());
    ASSERT_TRUE(write_file(path, text).has_value());
    const auto language = fs::path(relative).parent_path().filename().string();
    project_.sources.push_back({kind, language, path.stem().string(), path, relative});
  }
  std::shared_ptr<const Registry> registry() { return Registry::build(project_, languages_); }

  fs::path root_;
  project::Project project_;
  std::vector<project::Language> languages_;
};

TEST_F(RegistryTest, AnAddressMayNameItsLanguageItsModuleOrOnlyTheFunction) {
  add("functions/ruby/text.rb", "# Shouts.\ndef shout(text)\n  text\nend\n");
  add("functions/python/text.py", "def shout(text: str) -> str:\n    return text\n\ndef whisper(text: str) -> str:\n    return text\n");
  const auto all = registry();
  EXPECT_EQ(all->find("text.shout").value()->language, "python");
  EXPECT_EQ(all->find("ruby/text.shout").value()->language, "ruby");
  EXPECT_EQ(all->find("whisper").value()->address, "text.whisper");
  EXPECT_EQ(all->find("Text.Whisper").value()->address, "text.whisper");
  EXPECT_EQ(all->by_tool_name("whisper")->address, "text.whisper");
}

TEST_F(RegistryTest, AnAddressThatIsTakenInItsLanguageIsToldWithWhoHasIt) {
  add("functions/python/text.py", "def shout(text: str) -> str:\n    return text\n");
  add("functions/python/deep/text.py", "def shout(text: str) -> str:\n    return text\n");
  project_.sources.back().language = "python";
  const auto all = registry();
  ASSERT_EQ(all->functions().size(), 1U);
  ASSERT_EQ(all->unavailable().size(), 1U);
  EXPECT_THAT(all->unavailable()[0].error.message, HasSubstr("text.shout is taken by functions/python/text.py:1"));
}

TEST_F(RegistryTest, AnUnknownAddressNamesTheNearest) {
  add("functions/python/text.py", "def slugify(text: str) -> str:\n    return text\n");
  const auto found = registry()->find("text.slugfy");
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, ErrorCode::kUnknownFunction);
  EXPECT_THAT(found.error().hint, HasSubstr("text.slugify"));
}

TEST_F(RegistryTest, AFileThatDoesNotParseDisablesItsOwnFunctionsAndSaysWhere) {
  add("functions/python/broken.py", "def f(:\n    pass\n");
  add("functions/python/whole.py", "def g() -> int:\n    return 1\n");
  const auto all = registry();
  ASSERT_EQ(all->unavailable().size(), 1U);
  EXPECT_EQ(all->unavailable()[0].error.file, "functions/python/broken.py");
  EXPECT_EQ(all->unavailable()[0].error.line, 1);
  EXPECT_TRUE(all->find("whole.g").has_value());
  EXPECT_EQ(all->find("broken.f").error().code, ErrorCode::kLoadFailed);
}

TEST_F(RegistryTest, TwoFunctionsOfOneNameGetDifferentToolNames) {
  add("functions/python/a.py", "def run() -> int:\n    return 1\n");
  add("functions/python/b.py", "def run() -> int:\n    return 1\n");
  const auto all = registry();
  EXPECT_EQ(all->by_tool_name("a_run")->address, "a.run");
  EXPECT_EQ(all->by_tool_name("b_run")->address, "b.run");
  EXPECT_THAT(all->find("run").error().hint, HasSubstr("a.run, b.run"));
}

TEST_F(RegistryTest, AnAssistantIsReadFromItsLiterals) {
  add("assistants/python/helper.py",
      "instructions = \"Help.\"\nfunctions = [\"text.slugify\"]\n\ndef respond(message: str, context):\n    return message\n",
      project::SourceKind::kAssistant);
  const auto all = registry();
  const auto assistant = all->find_assistant("helper");
  ASSERT_TRUE(assistant.has_value());
  EXPECT_TRUE((*assistant)->has_respond);
  EXPECT_EQ((*assistant)->respond_context_parameter, "context");
  EXPECT_EQ(string_or((*assistant)->constants, "instructions"), "Help.");
  EXPECT_THAT(all->find_assistant("helpr").error().hint, HasSubstr("helper"));
}

}  // namespace
}  // namespace sabir::functions
