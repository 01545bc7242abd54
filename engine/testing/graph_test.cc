#include "graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "state.h"

namespace sabir::testing {
namespace {
using ::testing::UnorderedElementsAre;

// A project of texts, and which of its tests a change of a file reaches.
class Project {
 public:
  Project& file(const std::string& path, const std::string& text) {
    texts_[path] = text;
    return *this;
  }
  Project& source(const std::string& module, const std::string& language, const std::string& path, const std::string& text, bool assistant = false) {
    layout_.sources.push_back({module, language, path, assistant, ""});
    return file(path, text);
  }
  Project& test(const std::string& path, const std::string& language, const std::string& text) {
    layout_.test_language[path] = language;
    return file(path, text);
  }
  Layout& layout() { return layout_; }

  std::vector<std::string> reached_by(const std::string& changed) const {
    std::map<std::string, std::vector<Ref>> refs;
    std::vector<FileNode> nodes;
    for (const auto& [path, text] : texts_) refs[path] = scan(path, text);
    for (const auto& [path, text] : texts_) nodes.push_back({path, 1, &refs.at(path)});
    const Graph graph(nodes, layout_);
    std::vector<bool> goal(graph.node_count());
    goal.at(graph.find(changed)) = true;
    std::vector<std::string> out;
    for (const auto& [path, language] : layout_.test_language) {
      if (!graph.path_to(graph.find(path), goal).empty()) out.push_back(path);
    }
    return out;
  }

 private:
  std::map<std::string, std::string> texts_;
  Layout layout_;
};

Project shop() {
  Project p;
  p.source("weather", "python", "functions/python/weather.py", "from functions.python import net\n");
  p.source("net", "python", "functions/python/net.py", "");
  p.source("slugify", "ruby", "functions/ruby/slugify.rb", "require_relative \"text/fold\"\n");
  p.file("functions/ruby/text/fold.rb", "");
  p.source("helper", "python", "assistants/python/helper.py", "functions = [\"slugify\"]\nprompt = \"summary\"\n", true);
  p.file("completions/summary.j2", "{% include \"prompt_parts/role.txt\" %}");
  p.file("completions/other.j2", "{% include \"rules\" %}");
  p.file("completions/prompt_parts/role.txt", "You are.");
  p.file("completions/prompt_parts/rules.txt", "Be.");
  p.test("functions/python/tests/test_weather.py", "python", "from functions.python import weather\n");
  p.test("tests/test_talk.py", "python", "import sabir\nsabir.ask(\"helper\", \"x\")\n");
  p.test("tests/test_prompt.py", "python", "import sabir\nsabir.render(\"other\")\n");
  p.test("functions/ruby/tests/test_slugify.rb", "ruby", "require_relative \"../slugify\"\n");
  p.file("conftest.py", "");
  p.file("tests/conftest.py", "");
  p.file("config/openai_config.yml", "default: x\n");
  p.file("requirements.txt", "");
  return p;
}

TEST(Graph, AChangeReachesExactlyWhatDependsOnIt) {
  const Project p = shop();
  EXPECT_THAT(p.reached_by("completions/prompt_parts/role.txt"), UnorderedElementsAre("tests/test_talk.py"));
  EXPECT_THAT(p.reached_by("completions/prompt_parts/rules.txt"), UnorderedElementsAre("tests/test_prompt.py"));
  EXPECT_THAT(p.reached_by("functions/python/net.py"), UnorderedElementsAre("functions/python/tests/test_weather.py"));
  EXPECT_THAT(p.reached_by("functions/ruby/text/fold.rb"), UnorderedElementsAre("functions/ruby/tests/test_slugify.rb", "tests/test_talk.py"));
  EXPECT_THAT(p.reached_by("assistants/python/helper.py"), UnorderedElementsAre("tests/test_talk.py"));
  EXPECT_THAT(p.reached_by("tests/conftest.py"), UnorderedElementsAre("tests/test_talk.py", "tests/test_prompt.py"));
  EXPECT_THAT(p.reached_by("conftest.py"), UnorderedElementsAre("tests/test_talk.py", "tests/test_prompt.py", "functions/python/tests/test_weather.py"));
  EXPECT_THAT(p.reached_by("config/openai_config.yml"), UnorderedElementsAre("tests/test_talk.py", "tests/test_prompt.py"));
}

TEST(Graph, WhatCannotBeKnownReachesAllOfItsKind) {
  Project p = shop();
  p.test("tests/test_any.py", "python", "import sabir\nfor name in names: sabir.render(name)\n");
  EXPECT_THAT(p.reached_by("completions/prompt_parts/role.txt"), UnorderedElementsAre("tests/test_talk.py", "tests/test_any.py"));
  p.test("tests/test_load.rb", "ruby", "require name\n");
  EXPECT_THAT(p.reached_by("functions/ruby/slugify.rb"), UnorderedElementsAre("functions/ruby/tests/test_slugify.rb", "tests/test_talk.py", "tests/test_load.rb"));
}

TEST(Graph, CyclesEnd) {
  Project p;
  p.file("a.py", "import b\n").file("b.py", "import a\n").test("test_a.py", "python", "import a\n");
  EXPECT_THAT(p.reached_by("b.py"), UnorderedElementsAre("test_a.py"));
}

TEST(Graph, OtherLanguagesFindTheirFiles) {
  Project p;
  p.file("functions/node/models.ts", "");
  p.file("functions/node/invoices.ts", "import {x} from \"./models.js\";\n");
  p.test("functions/node/tests/test_invoices.ts", "node", "import {total} from \"../invoices.ts\";\n");
  p.file("functions/shell/backups.sh", "source \"$(dirname \"$0\")/common.sh\"\n");
  p.file("functions/shell/common.sh", "");
  p.test("functions/shell/tests/backups.bats", "shell", "source \"$BATS_TEST_DIRNAME/../backups.sh\"\n");
  p.file("functions/java/Gardens.java", "public class Gardens { Beds b; }");
  p.file("functions/java/Beds.java", "class Beds {}");
  p.test("functions/java/tests/GardensTest.java", "java", "class GardensTest { Gardens g; }");
  p.file("functions/php/calendar.php", "<?php\n");
  p.test("functions/php/tests/CalendarTest.php", "php", "<?php require_once __DIR__ . '/../calendar.php';\n");
  p.file("functions/rust/shipping.rs", "use crate::rates;\n");
  p.file("functions/rust/rates.rs", "");
  p.test("functions/rust/tests/shipping_test.rs", "rust", "use crate::shipping::quote;\n#[test] fn a() {}\n");
  p.file("functions/go/distances.go", "package functions\n");
  p.test("functions/go/distances_test.go", "go", "package functions\n");
  p.file("functions/cpp/stats.cpp", "#include \"own.hpp\"\n");
  p.file("functions/cpp/own.hpp", "");
  p.test("functions/cpp/tests/test_stats.cpp", "cpp", "#include \"../stats.cpp\"\n");
  EXPECT_THAT(p.reached_by("functions/node/models.ts"), UnorderedElementsAre("functions/node/tests/test_invoices.ts"));
  EXPECT_THAT(p.reached_by("functions/shell/common.sh"), UnorderedElementsAre("functions/shell/tests/backups.bats"));
  EXPECT_THAT(p.reached_by("functions/java/Beds.java"), UnorderedElementsAre("functions/java/tests/GardensTest.java"));
  EXPECT_THAT(p.reached_by("functions/php/calendar.php"), UnorderedElementsAre("functions/php/tests/CalendarTest.php"));
  EXPECT_THAT(p.reached_by("functions/rust/rates.rs"), UnorderedElementsAre("functions/rust/tests/shipping_test.rs"));
  EXPECT_THAT(p.reached_by("functions/go/distances.go"), UnorderedElementsAre("functions/go/distances_test.go"));
  EXPECT_THAT(p.reached_by("functions/cpp/own.hpp"), UnorderedElementsAre("functions/cpp/tests/test_stats.cpp"));
}

TEST(Graph, ATestsDataAndRecordingsAreItsOwn) {
  Project p;
  p.test("tests/test_a.py", "python", "open(HERE / \"cases\" / \"one.json\")\n").test("tests/test_b.py", "python", "");
  p.file("tests/cases/one.json", "").file("tests/recordings/tests-test_a.py-test_x.json", "");
  EXPECT_THAT(p.reached_by("tests/cases/one.json"), UnorderedElementsAre("tests/test_a.py"));
  EXPECT_THAT(p.reached_by("tests/recordings/tests-test_a.py-test_x.json"), UnorderedElementsAre("tests/test_a.py"));
}

TEST(State, WhatIsWrittenIsReadAgain) {
  State state;
  state.files["a.py"] = {{1, 2, 3, 4, 5, 6}, 7, {{RefKind::kModule, "b"}, {RefKind::kTalks, ""}}};
  state.tests["a.py"] = {true, {1, 2}, {3, 4}, 0.5, 2, {"a.py::x"}, {{"a.py", 7}}};
  const auto bytes = to_bytes(state);
  auto read = parse_state(bytes);
  ASSERT_TRUE(read) << to_text(read.error());
  EXPECT_EQ(to_bytes(*read), bytes);
  EXPECT_EQ(read->files.at("a.py").refs.size(), 2U);
  EXPECT_EQ(read->tests.at("a.py").failed.front(), "a.py::x");
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(parse_state(std::string_view(bytes).substr(0, cut))) << cut;
}

TEST(State, ANewerFormatIsRefused) {
  auto bytes = to_bytes({});
  bytes[8] = 99;
  auto read = parse_state(bytes);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kStoreNewer);
}

}  // namespace
}  // namespace sabir::testing
