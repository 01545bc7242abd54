#include "sabir/functions/kept_listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"

namespace sabir::functions {
namespace {

namespace fs = std::filesystem;

class KeptListing : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = fs::canonical(fs::temp_directory_path()) / ("sabir-listing-" + new_id());
    root_ = base_ / "project";
    place_ = {root_, "development", base_ / "resources"};
    write("sabir.yml", "name: ${SABIR_LISTING_TEST:-x}\nlanguages: [python]\n");
    write("functions/python/a.py", "from acme.models import Order\n\ndef f(order: Order) -> int:\n    return 1\n");
    write("functions/python/deep/b.py", "def g() -> int:\n    return 2\n");
    write("acme/models.py", "import dataclasses\n\n@dataclasses.dataclass\nclass Order:\n    number: int\n");
    write("../resources/languages/python/language.yml", language_yml("python", "grammar: python"));
    write("../resources/languages/python/worker.py", "1\n");
  }
  void TearDown() override {
    ::unsetenv("SABIR_LISTING_TEST");
    fs::remove_all(base_);
  }

  static std::string language_yml(const std::string& name, const std::string& reader) {
    return "name: " + name + "\nextensions: [.py]\ninterpreters: [python3]\nmissing_hint: none\nworker: worker.py\nlaunch: [\"{interpreter}\"]\n" + reader + "\n";
  }
  void write(const std::string& relative, const std::string& text) const {
    fs::create_directories((root_ / relative).parent_path());
    ASSERT_TRUE(write_file(root_ / relative, text).has_value());
  }
  // As an editor that writes in place.
  void overwrite(const std::string& relative, const std::string& text) const {
    std::FILE* const file = std::fopen((root_ / relative).c_str(), "r+");
    ASSERT_NE(file, nullptr);
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
  }
  // What an engine of the project would keep, which began to read so long after the last change.
  void keep(std::chrono::milliseconds after = std::chrono::hours(1)) const {
    const auto begun = std::chrono::system_clock::now() + after;
    const auto languages = project::load_languages(place_.resources / "languages", root_);
    ASSERT_TRUE(languages.has_value()) << to_text(languages.error());
    const auto project = project::load(root_, place_.environment, *languages);
    ASSERT_TRUE(project.has_value()) << to_text(project.error());
    keep_listing(place_, *project, *Registry::build(*project, *languages), {R"({"functions":[]})", project->warnings}, begun);
  }
  bool holds() const { return kept_listing(place_).has_value(); }
  fs::path file() const { return root_ / ".sabir/described/development.listing"; }

  fs::path base_;
  fs::path root_;
  ListingPlace place_;
};

TEST_F(KeptListing, IsToldAgainAsItWasTold) {
  EXPECT_FALSE(holds());
  write("functions/misplaced.py", "");
  keep();
  const auto kept = kept_listing(place_);
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(kept->json, R"({"functions":[]})");
  ASSERT_EQ(kept->warnings.size(), 1U);
  EXPECT_THAT(kept->warnings[0], testing::HasSubstr("functions/misplaced.py"));
}

TEST_F(KeptListing, AnyChangeOfWhatItWasMadeFromEndsIt) {
  const std::vector<std::pair<std::string, std::function<void()>>> changes = {
      {"an edited file of the same size", [&] { overwrite("functions/python/a.py", "from acme.models import Other"); }},
      {"a replaced file of the same size and time",
       [&] {
         const auto time = fs::last_write_time(root_ / "functions/python/deep/b.py");
         write("functions/python/deep/b.py", "def h() -> int:\n    return 2\n");
         fs::last_write_time(root_ / "functions/python/deep/b.py", time);
       }},
      {"a new file", [&] { write("functions/python/c.py", ""); }},
      {"a new file below", [&] { write("functions/python/deep/c.py", ""); }},
      {"a deleted file", [&] { fs::remove(root_ / "functions/python/deep/b.py"); }},
      {"a renamed file", [&] { fs::rename(root_ / "functions/python/deep/b.py", root_ / "functions/python/deep/c.py"); }},
      {"a new folder", [&] { fs::create_directories(root_ / "functions/python/other"); }},
      {"a deleted folder", [&] { fs::remove_all(root_ / "functions/python/deep"); }},
      {"a new folder of a language", [&] { fs::create_directories(root_ / "functions/ruby"); }},
      {"the first assistant", [&] { write("assistants/python/a.py", ""); }},
      {"the first memory module", [&] { write("memory/python/a.py", ""); }},
      {"sabir.yml", [&] { overwrite("sabir.yml", "name: y"); }},
      {"a variable that sabir.yml names", [&] { ::setenv("SABIR_LISTING_TEST", "y", 1); }},
      {"a module that types come from", [&] { overwrite("acme/models.py", "import Dataclasses"); }},
      {"a module that hides one", [&] { write("functions/python/acme/models.py", "class Order: pass\n"); }},
      {"a language's description", [&] { write("../resources/languages/python/language.yml", language_yml("python", "grammar: python") + "\n"); }},
      {"a language's program", [&] { overwrite("../resources/languages/python/worker.py", "2"); }},
      {"a new file of a language", [&] { write("../resources/languages/python/more.py", ""); }},
      {"a new language", [&] { write("../resources/languages/calc/language.yml", language_yml("calc", "grammar: python")); }},
      {"a language of the project's own", [&] { write("languages/calc/language.yml", language_yml("calc", "grammar: python")); }},
      {"grants", [&] { write("config/grants.yml", "{}"); }},
      {"a file that cannot be read", [&] { fs::permissions(root_ / "acme/models.py", fs::perms::none); }},
  };
  for (const auto& [what, change] : changes) {
    fs::remove_all(base_);
    SetUp();
    keep();
    ASSERT_TRUE(holds()) << what;
    // The next tick of the file system's clock: of changes within one, see below.
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
    change();
    EXPECT_FALSE(holds()) << what;
    ::unsetenv("SABIR_LISTING_TEST");
  }
}

TEST_F(KeptListing, ALinkThatLeadsElsewhereEndsIt) {
  write("shared/one.py", "def one() -> int:\n    return 1\n");
  write("shared/two.py", "def one() -> int:\n    return 2\n");
  fs::create_symlink("../../shared/one.py", root_ / "functions/python/linked.py");
  fs::create_symlink("nowhere", root_ / "functions/python/dangling");
  keep();
  ASSERT_TRUE(holds());
  std::this_thread::sleep_for(std::chrono::milliseconds(25));
  fs::create_directories(root_ / "functions/python/nowhere");
  EXPECT_FALSE(holds());
  keep();
  ASSERT_TRUE(holds());
  fs::remove(root_ / "functions/python/linked.py");
  fs::create_symlink("../../shared/two.py", root_ / "functions/python/linked.py");
  EXPECT_FALSE(holds());
}

TEST_F(KeptListing, WhatChangedJustBeforeItWasReadMayChangeAgainUnseen) {
  keep(std::chrono::milliseconds(0));
  EXPECT_FALSE(holds());
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  keep(std::chrono::milliseconds(0));
  EXPECT_TRUE(holds());
  overwrite("functions/python/a.py", "from");
  keep(std::chrono::milliseconds(0));
  EXPECT_FALSE(holds());
}

TEST_F(KeptListing, IsOfOneProjectOneEnvironmentAndOneSetOfResources) {
  keep();
  ASSERT_TRUE(holds());
  auto other = place_;
  other.environment = "production";
  EXPECT_FALSE(kept_listing(other).has_value());
  other.environment = "../described/development";
  EXPECT_FALSE(kept_listing(other).has_value());
  other = place_;
  other.resources = base_ / "other";
  EXPECT_FALSE(kept_listing(other).has_value());
  other = place_;
  other.root = base_ / "moved";
  fs::rename(root_, other.root);
  EXPECT_FALSE(kept_listing(other).has_value());
}

TEST_F(KeptListing, BrokenOrForeignContentIsNotTold) {
  keep();
  const std::string good = read_file(file()).value();
  ASSERT_TRUE(holds());
  std::vector<std::string> contents = {"", "\n\n", "sabir-listing 1\n{}\n{}", std::string(1000, '\0'), good.substr(0, good.size() / 2), good + " ", "sabir-listing 1 " + fingerprint_of_content("{}\n{}") + "\n{}\n{}"};
  for (const std::size_t at : {std::size_t{0}, std::size_t{14}, std::size_t{40}, good.size() / 2, good.size() - 3}) {
    contents.push_back(good);
    contents.back()[at] ^= 1;
  }
  for (const auto& content : contents) {
    ASSERT_TRUE(write_file(file(), content).has_value());
    EXPECT_FALSE(holds()) << content.substr(0, 60);
  }
  fs::remove(file());
  fs::create_directories(file());
  EXPECT_FALSE(holds());
  fs::remove(file());
  ASSERT_TRUE(write_file(file(), good).has_value());
  EXPECT_TRUE(holds());
}

TEST_F(KeptListing, WhatAProgramCouldNotTellIsAskedAgain) {
  write("languages/calc/language.yml", "name: calc\nextensions: [.calc]\ninterpreters: [sabir-no-such-program]\nmissing_hint: none\nworker: w\nlaunch: [x]\ndescribe: [\"{interpreter}\"]\n");
  write("functions/calc/a.calc", "");
  keep();
  EXPECT_FALSE(holds());
  fs::remove(root_ / "functions/calc/a.calc");
  keep();
  EXPECT_TRUE(holds());
}

}  // namespace
}  // namespace sabir::functions
