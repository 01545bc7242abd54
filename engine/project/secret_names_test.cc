#include "sabir/project/secret_names.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "sabir/base/file.h"

namespace sabir::project {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::Key;

class SecretNamesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("secret_names_" + std::to_string(::getpid()));
    fs::create_directories(root_ / "config");
    write("sabir.yml", "name: shop\n");
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const std::string& file, const std::string& text) const { ASSERT_TRUE(write_file(root_ / file, text)); }

  fs::path root_;
};

TEST_F(SecretNamesTest, AreThoseThatGrantsModelsAndConfigurationName) {
  write("config/grants.yml", "functions:\n  weather.current: [weather_key]\n  billing.*: [bank_key, weather_key]\n");
  write("config/openai_config.yml", "models:\n  a: {provider: openai, model: m}\n  b: {provider: openai, model: m, base_url: 'http://own.example/v1'}\n  c: {provider: openai, model: m, key: other_key}\n  d: {provider: local, model: m}\n");
  write("config/mcp.yml", "servers:\n  t: {url: 'https://x.example', headers: {Authorization: 'Bearer ${secret:tickets_token}'}}\n");
  write("sabir.yml", "name: shop\ntracing: {otlp: {endpoint: 'https://t.example', headers: {Authorization: trace_token}}}\n");
  const auto names = secret_names(root_, "staging");
  ASSERT_TRUE(names) << names.error().message;
  EXPECT_THAT(*names, ElementsAre(Key("bank_key"), Key("openai_api_key"), Key("other_key"), Key("tickets_token"), Key("trace_token"), Key("weather_key")));
  EXPECT_THAT(names->at("tickets_token"), ElementsAre("config/mcp.yml"));
}

TEST_F(SecretNamesTest, AreThoseOfTheEnvironmentAlone) {
  write("config/openai_config.yml", "models:\n  a: {provider: openai, model: m, key: common_key}\n");
  write("config/openai_config.staging.yml", "models:\n  a: {key: staging_key}\n");
  write("config/openai_config.production.yml", "models:\n  a: {key: production_key}\n");
  EXPECT_THAT(secret_names(root_, "staging").value(), ElementsAre(Key("staging_key")));
  EXPECT_THAT(secret_names(root_, "production").value(), ElementsAre(Key("production_key")));
  EXPECT_THAT(secret_names(root_, "development").value(), ElementsAre(Key("common_key")));
}

TEST_F(SecretNamesTest, SayWhereAFileIsWrong) {
  write("config/grants.yml", "functions:\n  a.b: weather_key\n");
  const auto names = secret_names(root_, "staging");
  ASSERT_FALSE(names);
  EXPECT_EQ(names.error().file, "config/grants.yml");
}

}  // namespace
}  // namespace sabir::project
