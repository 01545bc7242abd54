#include "new_project.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>

#include "sabir/base/file.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class NewProject : public ::testing::Test {
 protected:
  NewProject() {
    std::string pattern = (fs::temp_directory_path() / "new_project_test.XXXXXX").string();
    folder_ = fs::canonical(::mkdtemp(pattern.data()));
    templates_ = folder_ / "templates";
    write("template.yml", R"(format: 1
languages: [python, ruby, cpp]
aliases: {c++: cpp}
files:
  - {from: sabir.yml.j2, to: sabir.yml, render: true}
  - {from: dot-gitignore, to: .gitignore}
  - {from: functions/python/a.py, languages: [python]}
  - {from: both.txt, languages: [python, ruby]}
)");
    write("sabir.yml.j2", "engine: {{ version }}\n# {{ name }}\nlanguages: [{{ languages | join(', ') }}]\n{% if cpp %}cpp\n{% endif %}");
    write("dot-gitignore", "/.sabir/\n");
    write("functions/python/a.py", "def a():\n    return '{{ not rendered }}'\n");
    write("both.txt", "both\n");
  }
  ~NewProject() override { fs::remove_all(folder_); }

  void write(const std::string& path, const std::string& text) {
    fs::create_directories((templates_ / "project" / path).parent_path());
    std::ofstream(templates_ / "project" / path) << text;
  }
  Result<NewProjectReport> make(const fs::path& path, std::vector<std::string> languages = {}) {
    return new_project({folder_ / path, std::move(languages), templates_, "1.2.3"});
  }
  std::string text(const fs::path& path) { return *read_file(folder_ / path); }
  // What stands in the folder beside the templates.
  std::vector<std::string> entries(const fs::path& path = {}) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / path)) {
      if (entry.path() != templates_) names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  fs::path folder_;
  fs::path templates_;
};

TEST_F(NewProject, WritesTheFilesOfTheManifest) {
  const auto report = make("shop");
  ASSERT_TRUE(report) << to_text(report.error());
  EXPECT_EQ(report->root, folder_ / "shop");
  EXPECT_EQ(report->name, "shop");
  EXPECT_THAT(report->languages, ElementsAre("python", "ruby", "cpp"));
  EXPECT_THAT(report->files, ElementsAre("sabir.yml", ".gitignore", "functions/python/a.py", "both.txt"));
  EXPECT_EQ(text("shop/sabir.yml"), "engine: 1.2.3\n# shop\nlanguages: [python, ruby, cpp]\ncpp\n");
  EXPECT_EQ(text("shop/functions/python/a.py"), "def a():\n    return '{{ not rendered }}'\n");
  EXPECT_THAT(entries(), ElementsAre("shop"));
}

TEST_F(NewProject, TheChosenLanguagesDecideWhichFilesAreWritten) {
  const auto report = make("shop", {"Ruby", "c++", "ruby"});
  ASSERT_TRUE(report) << to_text(report.error());
  EXPECT_THAT(report->languages, ElementsAre("ruby", "cpp"));
  EXPECT_THAT(entries("shop"), ElementsAre(".gitignore", "sabir.yml"));
}

TEST_F(NewProject, AnUnknownLanguageIsRefusedWithTheNearestName) {
  const auto report = make("shop", {"pyhton"});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kUsage);
  EXPECT_THAT(report.error().message, HasSubstr("pyhton"));
  EXPECT_THAT(report.error().hint, HasSubstr("python"));
  EXPECT_TRUE(entries().empty());
}

TEST_F(NewProject, AnEmptyFolderIsFilled) {
  fs::create_directory(folder_ / "shop");
  ASSERT_TRUE(make("shop"));
  EXPECT_TRUE(fs::exists(folder_ / "shop/sabir.yml"));
}

TEST_F(NewProject, TheCurrentFolderIsFilledAndStaysTheSame) {
  fs::create_directory(folder_ / "shop");
  const auto before = fs::current_path();
  fs::current_path(folder_ / "shop");
  const auto report = new_project({".", {}, templates_, "1.2.3"});
  const bool stays = fs::exists("sabir.yml");
  fs::current_path(before);
  ASSERT_TRUE(report) << to_text(report.error());
  EXPECT_TRUE(stays);
  EXPECT_THAT(entries("shop"), ElementsAre(".gitignore", "both.txt", "functions", "sabir.yml"));
}

TEST_F(NewProject, AFolderWithAFileIsLeftAlone) {
  fs::create_directory(folder_ / "shop");
  std::ofstream(folder_ / "shop/.keep") << "mine";
  const auto report = make("shop");
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kExists);
  EXPECT_THAT(entries("shop"), ElementsAre(".keep"));
  EXPECT_THAT(entries(), ElementsAre("shop"));
}

TEST_F(NewProject, AFileOrALinkToNowhereIsLeftAlone) {
  std::ofstream(folder_ / "file") << "mine";
  fs::create_symlink("nowhere", folder_ / "link");
  EXPECT_EQ(make("file").error().code, ErrorCode::kExists);
  EXPECT_EQ(make("link").error().code, ErrorCode::kExists);
  EXPECT_EQ(text("file"), "mine");
}

TEST_F(NewProject, NothingIsLeftWhenAFileCannotBeWritten) {
  fs::remove(templates_ / "project/both.txt");
  const auto report = make("a/b/shop");
  ASSERT_FALSE(report);
  EXPECT_TRUE(entries().empty());
}

TEST_F(NewProject, MissingParentsAreMade) {
  ASSERT_TRUE(make("a/b/shop"));
  EXPECT_TRUE(fs::exists(folder_ / "a/b/shop/sabir.yml"));
}

TEST_F(NewProject, NamesThatCannotBeAreRefusedWithOneThatCan) {
  for (const char* name : {"my shop", "-shop", ".shop", "shop\n", "été"}) {
    const auto report = make(name);
    ASSERT_FALSE(report) << name;
    EXPECT_EQ(report.error().code, ErrorCode::kUsage) << name;
  }
  EXPECT_THAT(make("my shop").error().hint, HasSubstr("my_shop"));
  EXPECT_THAT(make(std::string(101, 'a')).error().message, HasSubstr("longer"));
  EXPECT_TRUE(entries().empty());
}

TEST_F(NewProject, TheProjectIsOpenedToOthersAsTheUsersUmaskSays) {
  const auto old = ::umask(027);
  const auto report = make("shop");
  ::umask(old);
  ASSERT_TRUE(report);
  EXPECT_EQ(fs::status(folder_ / "shop").permissions() & fs::perms::all, fs::perms(0750));
}

TEST_F(NewProject, ABrokenManifestIsNamed) {
  write("template.yml", "format: 2\nlanguages: [python]\nfiles: []\n");
  EXPECT_THAT(make("shop").error().message, HasSubstr("format"));
  write("template.yml", "format: 1\nlanguages: [python]\nfiles: [../outside]\n");
  EXPECT_THAT(make("shop").error().message, HasSubstr("../outside"));
  EXPECT_TRUE(entries().empty());
}

}  // namespace
}  // namespace sabir::cli
