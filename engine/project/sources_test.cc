#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "sabir/base/ids.h"
#include "sabir/project/project.h"

namespace sabir::project {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SourcesTest : public testing::Test {
 protected:
  SourcesTest() : root_(fs::canonical(fs::temp_directory_path()) / ("sabir-sources-" + new_id())) { fs::create_directories(root_); }
  ~SourcesTest() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text = "") {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  Result<Project> read(const std::string& sources) {
    write("sabir.yml", "sources:\n" + sources);
    Language ruby;
    ruby.name = "ruby";
    ruby.extensions = {".rb"};
    ruby.boot = {"ruby", "{boot}"};
    Language python;
    python.name = "python";
    python.extensions = {".py"};
    python.packages = {".venv/lib/python3*/site-packages"};
    python.loads_boot = true;
    Language go;
    go.name = "go";
    go.extensions = {".go"};
    go.module_is_folder = true;
    return load(root_, "development", {ruby, python, go});
  }
  static std::vector<std::string> listed(const Project& project) {
    std::vector<std::string> out;
    for (const auto& source : project.sources) out.push_back(source.module + " " + source.relative + " " + source.pool());
    return out;
  }

  fs::path root_;
};

TEST_F(SourcesTest, FilesAreServedWhereTheyStandUnderTheirPathsBelowTheSource) {
  write("app/services/refund_service.rb");
  write("app/services/billing/Invoice.rb");
  write("app/services/refund_service_spec.rb");
  write("app/services/spec/x.rb");
  write("app/services/notes.txt");
  const auto project = read("  - {path: app/services, language: ruby}\n");
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_THAT(listed(*project), ElementsAre("billing.invoice app/services/billing/Invoice.rb ruby", "refund_service app/services/refund_service.rb ruby"));
}

TEST_F(SourcesTest, ABootFileAndVariablesGiveAPoolOfTheirOwn) {
  write("a/x.rb");
  write("b/y.rb");
  write("boot.rb");
  const auto project = read("  - {path: a, language: ruby, boot: boot.rb, env: {pass: [TWO, ONE]}}\n  - {path: b, language: ruby, env: {pass: [ONE]}}\n");
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_THAT(listed(*project), ElementsAre("x a/x.rb ruby:boot.rb+ONE+TWO", "y b/y.rb ruby:+ONE"));
  EXPECT_EQ(project->origins[0]->boot, root_ / "boot.rb");
}

TEST_F(SourcesTest, IncludeNamesTheFilesAndTheFirstEntryHasAFile) {
  write("lib/a/one_service.rb");
  write("lib/a/two.rb");
  write("lib/test_three.rb");
  const auto project = read("  - {path: lib, language: ruby, include: ['**/*_service.rb', test_three.rb], prefix: old}\n  - {path: lib/a, language: ruby}\n");
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_THAT(listed(*project), ElementsAre("old.a.one_service lib/a/one_service.rb ruby", "two lib/a/two.rb ruby", "old.test_three lib/test_three.rb ruby"));
}

TEST_F(SourcesTest, AGoFilesModuleIsItsFolder) {
  write("pricing/total.go");
  write("pricing/tax/tax.go");
  const auto project = read("  - {path: pricing, language: go}\n");
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_THAT(listed(*project), ElementsAre("tax pricing/tax/tax.go go", "pricing pricing/total.go go"));
}

TEST_F(SourcesTest, APackageIsFoundWhereTheLanguageInstallsThem) {
  write(".venv/lib/python3.11/site-packages/acme/__init__.py");
  write(".venv/lib/python3.11/site-packages/acme/deep/sums.py");
  const auto project = read("  - {package: acme, language: python}\n");
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_THAT(listed(*project), ElementsAre("acme .venv/lib/python3.11/site-packages/acme/__init__.py python",
                                            "acme.deep.sums .venv/lib/python3.11/site-packages/acme/deep/sums.py python"));
}

TEST_F(SourcesTest, AnEditablePackageIsFoundByItsPathFile) {
  write("elsewhere/src/acme/one.py");
  write(".venv/lib/python3.11/site-packages/acme.pth", (root_ / "elsewhere/src").string() + "\n");
  const auto project = read("  - {package: acme, language: python}\n");
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_THAT(listed(*project), ElementsAre("acme.one elsewhere/src/acme/one.py python"));
}

TEST_F(SourcesTest, APackageThatIsNotInstalledIsAWarningWithItsPlace) {
  const auto project = read("  - {package: acme, language: python}\n");
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_THAT(project->sources, IsEmpty());
  ASSERT_EQ(project->warnings.size(), 1U);
  EXPECT_THAT(project->warnings[0], HasSubstr("sabir.yml:2:6: the package 'acme' is not installed"));
}

TEST_F(SourcesTest, ALinkThatLeavesTheProjectIsNotFollowed) {
  const fs::path outside = root_.parent_path() / (root_.filename().string() + "-outside");
  fs::create_directories(outside);
  std::ofstream(outside / "x.rb") << "";
  write("lib/own.rb");
  fs::create_directory_symlink(outside, root_ / "lib/out");
  const auto project = read("  - {path: lib, language: ruby}\n");
  fs::remove_all(outside);
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_THAT(listed(*project), ElementsAre("own lib/own.rb ruby"));
}

TEST_F(SourcesTest, APathThatLeavesTheProjectIsRefusedAndTheAbsoluteOneNamed) {
  const auto project = read("  - {path: .., language: ruby}\n");
  ASSERT_FALSE(project);
  EXPECT_THAT(to_text(project.error()), HasSubstr("sabir.yml:2:6"));
  EXPECT_THAT(project.error().hint, HasSubstr(root_.parent_path().string()));
}

TEST(Globs, StarsStayInOnePartAndTwoOfThemDoNot) {
  EXPECT_TRUE(path_matches("*.rb", "a.rb"));
  EXPECT_FALSE(path_matches("*.rb", "a/b.rb"));
  EXPECT_TRUE(path_matches("**/*.rb", "b.rb"));
  EXPECT_TRUE(path_matches("**/*.rb", "a/c/b.rb"));
  EXPECT_TRUE(path_matches("a/**", "a/b/c"));
  EXPECT_TRUE(path_matches("a/**/c?.rb", "a/x/y/c1.rb"));
  EXPECT_FALSE(path_matches("a/**/c?.rb", "a/x/y/c.rb"));
  EXPECT_FALSE(path_matches("a", "a/b"));
  EXPECT_FALSE(path_matches("a/b", "a"));
  EXPECT_TRUE(path_matches("src/*/__init__.py", "src/acme/__init__.py"));
}

TEST(Globs, NamesHaveStarsAnywhere) {
  EXPECT_TRUE(name_matches("RefundService.*", "RefundService.call"));
  EXPECT_TRUE(name_matches("*", ""));
  EXPECT_TRUE(name_matches("*::*Service.call", "Billing::RefundService.call"));
  EXPECT_FALSE(name_matches("RefundService.*", "OldRefundService.call"));
  EXPECT_FALSE(name_matches("", "x"));
}

}  // namespace
}  // namespace sabir::project
