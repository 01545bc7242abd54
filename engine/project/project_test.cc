#include "sabir/project/project.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "sabir/base/ids.h"

namespace sabir::project {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ProjectTest : public testing::Test {
 protected:
  ProjectTest() : root_(fs::canonical(fs::temp_directory_path()) / ("sabir-project-" + new_id())) { fs::create_directories(root_); }
  ~ProjectTest() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text = "") {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::string load_error(const std::string& sabir_yml) {
    write("sabir.yml", sabir_yml);
    auto project = load(root_, "development", languages());
    return project ? "loaded" : to_text(project.error());
  }
  static std::vector<Language> languages() {
    Language python;
    python.name = "python";
    python.extensions = {".py"};
    Language ruby;
    ruby.name = "ruby";
    ruby.extensions = {".rb"};
    Language cpp;
    cpp.name = "cpp";
    cpp.extensions = {".cpp", ".cc"};
    return {cpp, python, ruby};
  }
  static std::vector<std::string> paths(const Project& project) {
    std::vector<std::string> out;
    for (const auto& source : project.sources) out.push_back(source.relative);
    return out;
  }

  fs::path root_;
};

TEST_F(ProjectTest, RootIsFoundFromAnyFolderInside) {
  write("sabir.yml");
  write("functions/python/deep/x.py");
  EXPECT_EQ(*find_root(root_ / "functions/python/deep"), root_);
  EXPECT_EQ(*find_root(root_), root_);
}

TEST_F(ProjectTest, OutsideAProjectTheErrorNamesTheCommandThatMakesOne) {
  auto found = find_root(root_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kNoProject);
  EXPECT_THAT(found.error().hint, HasSubstr("sabir new"));
  auto loaded = load(root_, "development");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kNoProject);
}

TEST_F(ProjectTest, TreeIsReadWithTestsAndPrivateFilesLeftOut) {
  write("sabir.yml", "engine: 0.1.0\nname: shop\nlanguages: [ruby, python]\n");
  for (const char* path : {"functions/python/function1.py", "functions/python/__init__.py", "functions/python/_private.py",
                           "functions/python/.hidden.py", "functions/python/test_function1.py", "functions/python/notes.md",
                           "functions/python/tests/test_function1.py", "functions/python/conftest.py",
                           "functions/python/billing/LookupOrder.py", "functions/ruby/text-tools.rb",
                           "functions/ruby/text_spec.rb", "functions/cpp/stats.cpp", "functions/cpp/stats_test.cpp",
                           "assistants/ruby/helper.rb", "memory/python/memory_management.py", "functions/cobol/pay.cob"}) {
    write(path);
  }
  auto project = load(root_, "development", languages());
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_THAT(paths(*project),
              ElementsAre("assistants/ruby/helper.rb", "functions/cpp/stats.cpp", "functions/python/billing/LookupOrder.py",
                          "functions/python/function1.py", "functions/ruby/text-tools.rb", "memory/python/memory_management.py"));
  EXPECT_EQ(project->sources[2].module, "billing.lookup_order");
  EXPECT_EQ(project->sources[4].module, "text_tools");
  EXPECT_EQ(project->sources[0].kind, SourceKind::kAssistant);
  EXPECT_EQ(project->sources[5].kind, SourceKind::kMemory);
  EXPECT_EQ(project->name, "shop");
  EXPECT_THAT(project->preference, ElementsAre("ruby", "python", "cpp"));
  ASSERT_EQ(project->unsupported.size(), 1U);
  EXPECT_EQ(project->unsupported[0].relative, "functions/cobol");
  EXPECT_EQ(project->state_dir(), root_ / ".sabir" / "development");
}

TEST_F(ProjectTest, NameDefaultsToTheFolders) {
  write("sabir.yml");
  auto project = load(root_, "development", languages());
  ASSERT_TRUE(project);
  EXPECT_EQ(project->name, root_.filename().string());
}

TEST_F(ProjectTest, AFileOutsideALanguageFolderIsPointedOut) {
  write("sabir.yml");
  write("functions/slugify.py");
  write("functions/README.md");
  auto project = load(root_, "development", languages());
  ASSERT_TRUE(project);
  EXPECT_THAT(project->warnings,
              ElementsAre("functions/slugify.py: not in a language's folder; move it to functions/python/"));
}

TEST_F(ProjectTest, LinksThatLeaveTheProjectAreIgnoredWithAWarning) {
  write("sabir.yml");
  write("functions/python/own.py");
  fs::create_symlink("/etc/hostname", root_ / "functions/python/outside.py");
  fs::create_symlink("nowhere.py", root_ / "functions/python/broken.py");
  fs::create_symlink("own.py", root_ / "functions/python/alias.py");
  fs::create_directory_symlink(root_, root_ / "functions/python/loop");
  fs::create_directory_symlink("/etc", root_ / "functions/ruby");
  auto project = load(root_, "development", languages());
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_THAT(project->warnings, ElementsAre("functions/python/broken.py: a link that leads nowhere; ignored",
                                             "functions/python/loop: a link to a folder that contains it; ignored",
                                             "functions/python/outside.py: a link that leaves the project; ignored",
                                             "functions/ruby: a link that leaves the project; ignored"));
  EXPECT_THAT(paths(*project), testing::IsSupersetOf({std::string("functions/python/alias.py"), std::string("functions/python/own.py")}));
}

TEST_F(ProjectTest, ConfigErrorsNameTheirPlaceAndTheWayOut) {
  EXPECT_EQ(load_error("engine: 0.1.0\nlangages: [python]\n"), "sabir.yml:2:1: unknown key 'langages'\n  Did you mean languages?");
  EXPECT_EQ(load_error("languages: [python, rubby]\n"), "sabir.yml:1:21: no language called 'rubby'\n  Did you mean ruby?");
  EXPECT_THAT(load_error("languages: [python, python]\n"), HasSubstr("listed twice"));
  EXPECT_THAT(load_error("languages: python\n"), HasSubstr("sabir.yml:1:1: languages must be a list, not \"python\"\n  Write [python]."));
  EXPECT_THAT(load_error("pools: {python: {max: two}}\n"),
              HasSubstr("sabir.yml:1:18: pools.python.max must be a whole number from 1 to 256, not \"two\""));
  EXPECT_THAT(load_error("pools: {python: {min: 3, max: 2}}\n"), HasSubstr("above its max"));
  EXPECT_THAT(load_error("pools: {pyton: {max: 2}}\n"), HasSubstr("Did you mean python?"));
  EXPECT_THAT(load_error("timeout: soon\n"), HasSubstr("timeout must be a time such as 30s or 5m, not \"soon\""));
  EXPECT_THAT(load_error("tests: {timeot: 3s}\n"), HasSubstr("Did you mean timeout?"));
  EXPECT_THAT(load_error("engine: 99.0.0\n"), HasSubstr("written for Sabir 99.0.0; this is"));
  EXPECT_THAT(load_error("engine: 0.1\n"), HasSubstr("sabir.yml:1:1: engine must be a version"));
  EXPECT_THAT(load_error("- a\n- b\n"), HasSubstr("sabir.yml must be a mapping, not a list"));
  EXPECT_THAT(load_error("name: [x\n"), HasSubstr("sabir.yml:2:1: not valid YAML"));
  EXPECT_EQ(load_error("engine: 0.1.0\n"), "loaded");
}

TEST_F(ProjectTest, PoolsAndTimeoutsAreRead) {
  write("sabir.yml", "timeout: 45s\npools: {python: {min: 1, max: 2}}\ntests: {timeout: 10m}\n");
  auto project = load(root_, "development", languages());
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_EQ(project->timeout_ms, 45000);
  EXPECT_EQ(project->test_timeout_ms, 600000);
  EXPECT_EQ(project->pools.at("python").min, 1);
  EXPECT_EQ(project->pools.at("python").max, 2);
}

TEST_F(ProjectTest, AnEnvironmentNameThatCouldLeaveTheStateFolderIsRefused) {
  write("sabir.yml");
  for (const char* name : {"", "..", "../x", "Prod", "a b", "-x"}) EXPECT_FALSE(load(root_, name)) << name;
  EXPECT_TRUE(load(root_, "staging-2"));
}

TEST_F(ProjectTest, ReadYamlShowsPathsFromTheProjectsRoot) {
  write("sabir.yml");
  write("config/openai_config.yml", "models:\n  local: {provider: [}\n");
  auto value = read_yaml(root_ / "config/openai_config.yml");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().file, "config/openai_config.yml");
  EXPECT_EQ(value.error().line, 2);
}

TEST(Duration, UnitsAndBounds) {
  EXPECT_EQ(parse_duration_ms("250ms"), 250);
  EXPECT_EQ(parse_duration_ms("5"), 5000);
  EXPECT_EQ(parse_duration_ms(" 2m "), 120000);
  EXPECT_EQ(parse_duration_ms("1h"), 3600000);
  for (const char* bad : {"", "s", "0s", "-1s", "25h", "9999999999s", "1.5s", "5 s", "3d"}) {
    EXPECT_EQ(parse_duration_ms(bad), std::nullopt) << bad;
  }
}

TEST_F(ProjectTest, LanguagesAreReadFromTheirFolders) {
  write("languages/lua/language.yml",
        "name: lua\nextensions: [.lua]\ninterpreters: [lua5.4, lua]\nmissing_hint: Install lua5.4.\n"
        "launch: ['{interpreter}', '{worker}']\nworker: worker.lua\ngrammar: lua\n");
  write("languages/README.md");
  auto found = load_languages(root_ / "languages");
  ASSERT_TRUE(found) << to_text(found.error());
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ((*found)[0].name, "lua");
  EXPECT_THAT((*found)[0].launch, ElementsAre("{interpreter}", "{worker}"));
  EXPECT_THAT((*found)[0].build, IsEmpty());
  EXPECT_EQ((*found)[0].resources, root_ / "languages/lua");
}

TEST_F(ProjectTest, ALanguageFileWithoutItsKeysSaysWhich) {
  write("languages/lua/language.yml", "name: lua\nextensions: [lua]\n");
  auto found = load_languages(root_ / "languages");
  ASSERT_FALSE(found);
  EXPECT_THAT(to_text(found.error()), HasSubstr("languages/lua/language.yml"));
  EXPECT_THAT(to_text(found.error()), HasSubstr("the key 'missing_hint' is missing"));
}

TEST_F(ProjectTest, TheMostSpecificEntryOfIsolationDecides) {
  write("functions/python/open/a.py");
  write("functions/python/closed/b.py");
  write("functions/python/closed/c.py");
  write("functions/ruby/d.rb");
  write("sabir.yml",
        "isolation:\n  '*': sandbox\n  functions/python/closed: {level: sandbox, paths: {read: [data/in, /srv], write: [data/out/]}, memory: 64MB, processes: 9}\n"
        "  python: process\n  functions/python/closed/c.py: process\n");
  const auto project = load(root_, "development", languages());
  ASSERT_TRUE(project.has_value()) << to_text(project.error());
  std::map<std::string, const IsolationRule*> rules;
  for (const auto& source : project->sources) rules[source.relative] = isolation_of(*project, source);
  EXPECT_EQ(rules.at("functions/python/open/a.py")->level, Isolation::kProcess);
  EXPECT_EQ(rules.at("functions/python/closed/c.py")->level, Isolation::kProcess);
  EXPECT_EQ(rules.at("functions/ruby/d.rb")->level, Isolation::kSandbox);
  EXPECT_FALSE(rules.at("functions/ruby/d.rb")->network);
  const auto& closed = *rules.at("functions/python/closed/b.py");
  EXPECT_EQ(closed.level, Isolation::kSandbox);
  EXPECT_THAT(closed.read, ElementsAre("data/in", "/srv"));
  EXPECT_THAT(closed.write, ElementsAre("data/out"));
  EXPECT_EQ(closed.memory, 64U << 20U);
  EXPECT_EQ(closed.processes, 9);
}

TEST_F(ProjectTest, AnIsolationThatWouldConfineNothingIsRefusedAtItsLine) {
  write("functions/python/a.py");
  EXPECT_THAT(load_error("isolation:\n  functions/python/b.py: sandbox\n"), testing::AllOf(HasSubstr("there is no functions/python/b.py"), HasSubstr("sabir.yml:2")));
  EXPECT_THAT(load_error("isolation:\n  pyhton: sandbox\n"), HasSubstr("python"));
  EXPECT_THAT(load_error("isolation: sandbx\n"), HasSubstr("isolation cannot be 'sandbx'"));
  EXPECT_THAT(load_error("isolation: {python: {level: sandbox, paths: {write: [.git/hooks]}}}\n"), HasSubstr("hidden from every sandbox"));
  EXPECT_THAT(load_error("isolation: {python: {level: sandbox, paths: {read: [data/../../other]}}}\n"), HasSubstr("no path below"));
  EXPECT_THAT(load_error("isolation: {python: {level: sandbox, paths: {write: [functions/python]}}}\n"), HasSubstr("cannot be granted to write"));
  EXPECT_THAT(load_error("isolation: {functions/python/a.py: in_process}\n"), HasSubstr("cannot run inside the engine"));
}

}  // namespace
}  // namespace sabir::project
