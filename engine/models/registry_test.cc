#include "sabir/models/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"

namespace sabir::models {
namespace {

using ::testing::HasSubstr;

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.root = std::filesystem::temp_directory_path() / ("sabir-models-" + new_id());
    std::filesystem::create_directories(options_.root / "config");
  }
  void TearDown() override { std::filesystem::remove_all(options_.root); }
  Result<std::shared_ptr<const Models>> load(const std::string& yaml) {
    EXPECT_TRUE(write_file(options_.root / "config" / "openai_config.yml", yaml));
    return Models::load(options_);
  }
  ModelsOptions options_;
};

constexpr const char* kGood = R"(default: scripted
models:
  local: {provider: local, model: small-model, parameters: {temperature: 0}, context: 4096, idle: 5m}
  openai:
    provider: openai
    model: gpt-test
  near: {provider: openai, base_url: "http://127.0.0.1:8080/v1/", model: any, timeout: 30s}
  scripted: {provider: scripted, replies: [{text: hello}]}
  fast: near
)";

TEST_F(RegistryTest, AliasesDefaultsAndDescriptions) {
  const auto models = load(kGood);
  ASSERT_TRUE(models) << to_text(models.error());
  std::vector<std::string> lines;
  for (const auto& info : (*models)->list()) lines.push_back(info.alias + ": " + info.description + " [" + info.secret + "]" + (info.is_default ? " *" : ""));
  EXPECT_EQ(lines, (std::vector<std::string>{"fast: any (openai, 127.0.0.1:8080) []", "local: small-model (local) []",
                                             "near: any (openai, 127.0.0.1:8080) []",
                                             "openai: gpt-test (openai, api.openai.com:443) [openai_api_key]",
                                             "scripted: scripted (scripted, config/openai_config.yml: model 'scripted') [] *"}));
  Request request;
  request.messages.push_back(json::object{{"role", "user"}, {"content", "hi"}});
  EXPECT_EQ((*models)->get().value()->complete(request, {})->content, "hello");
  EXPECT_EQ((*models)->get("local").value()->complete(request, {}).error().code, ErrorCode::kUnavailable);
}

TEST_F(RegistryTest, AKeyGoesUnaskedToItsOwnProviderOnly) {
  const auto models = load(R"(default: a
models:
  a: {provider: anthropic, model: claude-test}
  b: {provider: anthropic, model: claude-test, base_url: "https://gateway.example/v1"}
  c: {provider: openai, model: gpt-test, base_url: "https://api.anthropic.com/v1"}
  d: {provider: anthropic, model: claude-test, base_url: "https://gateway.example/v1", key: gateway_key}
)");
  ASSERT_TRUE(models) << to_text(models.error());
  std::vector<std::string> lines;
  for (const auto& info : (*models)->list()) lines.push_back(info.alias + ": " + info.description + " [" + info.secret + "]");
  EXPECT_EQ(lines, (std::vector<std::string>{"a: claude-test (anthropic, api.anthropic.com:443) [anthropic_api_key]",
                                             "b: claude-test (anthropic, gateway.example:443) []",
                                             "c: gpt-test (openai, api.anthropic.com:443) []",
                                             "d: claude-test (anthropic, gateway.example:443) [gateway_key]"}));
}

TEST_F(RegistryTest, TheEnvironmentVariableOverridesTheDefault) {
  options_.alias_override = "openai";
  EXPECT_EQ(load(kGood).value()->get().value()->description(), "gpt-test (openai, api.openai.com:443)");
  options_.alias_override = "opnai";
  const auto model = load(kGood).value()->get();
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(model.error().message, HasSubstr("SABIR_MODEL"));
  EXPECT_THAT(model.error().hint, HasSubstr("openai"));
}

TEST_F(RegistryTest, AnUnknownAliasGetsTheNearest) {
  const auto model = load(kGood).value()->get("scriptd");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().hint, "Did you mean scripted?");
}

TEST_F(RegistryTest, TheEnvironmentsFileIsLaidOnTop) {
  ASSERT_TRUE(write_file(options_.root / "config" / "openai_config.production.yml", "default: near\nmodels: {near: {model: bigger}}\n"));
  EXPECT_EQ(load(kGood).value()->default_alias(), "scripted");
  options_.environment = "production";
  EXPECT_EQ(load(kGood).value()->get().value()->description(), "bigger (openai, 127.0.0.1:8080)");
  // What is wrong there is said there.
  ASSERT_TRUE(write_file(options_.root / "config" / "openai_config.production.yml", "models:\n  near: {timeout: 3s, modle: bigger}\n"));
  const auto wrong = load(kGood);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(to_text(wrong.error()), "config/openai_config.production.yml:2:23: unknown key 'modle'\n  Did you mean model?");
}

TEST_F(RegistryTest, MistakesAreNamedWithTheirLine) {
  const struct {
    const char* yaml;
    int line;
    const char* says;
  } cases[] = {
      {"modls: {}\n", 1, "models"},
      {"default: a\nmodels:\n  a: {provider: opnai, model: x}\n", 3, "openai"},
      {"models:\n  a:\n    provider: openai\n    modle: x\n", 4, "model"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    base_url: api.example.com\n", 5, "base_url"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    key: sk-abcdef\n", 5, "secret"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    timeout: soon\n", 5, "such as 30s"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    retries: 99\n", 5, "0 to 10"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    api: completions\n", 5, "one of responses, chat"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    parameters: {messages: []}\n", 5, "messages"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    limits: {request_per_minute: 3}\n", 5, "requests_per_minute"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    limits: {concurrency: 0}\n", 5, "1 to 10000"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    circuit_breaker: {failures: many}\n", 5, "failures"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    fallbacks: [a]\n", 5, "twice"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    fallbacks: [bb]\n  bc: {provider: scripted, replies: [{text: x}]}\n", 5, "Did you mean bc?"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    fallbacks: [c, b]\n  b: {provider: scripted, replies: [{text: x}]}\n  c: b\n", 5, "twice"},
      {"models:\n  a:\n    provider: openai\n    model: x\n    fallbacks: [1]\n", 5, "must be text"},
      {"models:\n  a: {provider: scripted, replies: [{text: x}]}\nbudgets:\n  dya: {usd: 1}\n", 4, "day"},
      {"models:\n  a: {provider: scripted, replies: [{text: x}]}\nbudgets:\n  day: {usd: much}\n", 4, "budgets.day.usd must be a number from 0"},
      {"models:\n  a: {provider: scripted, replies: [{text: x}]}\nbudgets:\n  day: {euro: 1}\n", 4, "euro"},
      {"models:\n  a: {provider: scripted, replies: [{text: x}]}\nprices:\n  m: {input: 1}\n", 4, "'output' is missing"},
      {"models:\n  a: {provider: scripted, replies: [{text: x}]}\nprices:\n  m: {input: -1, output: 1}\n", 4, "m.input must be a number from 0"},
      {"models:\n  a: {provider: scripted}\n", 2, "script"},
      {"models:\n  a:\n    provider: anthropic\n    model: x\n    api: chat\n", 5, "api"},
      {"models:\n  a:\n    provider: anthropic\n    model: x\n    version: newest\n", 5, "2023-06-01"},
      {"models:\n  a:\n    provider: anthropic\n    model: x\n    structured_output: maybe\n", 5, "one of native, prompt"},
      {"models:\n  a: {provider: anthropic}\n", 2, "'model' is missing"},
      {"models:\n  a: {provider: local}\n", 2, "'model' is missing"},
      {"models:\n  a: {provider: scripted, replies: [{txt: x}]}\n", 2, "txt"},
      {"models:\n  a: b\n  b: a\n", 2, "no model"},
      {"default: c\nmodels:\n  a: {provider: scripted, replies: [{text: x}]}\n", 1, "not under models"},
      {"models:\n  a: {provider: scripted, replies: [{text: x}]}\n  b: a\n", 0, "no `default`"},
      {"{}\n", 0, "'models' is missing"},
      {"models: {}\n", 1, "names no models"},
  };
  for (const auto& test : cases) {
    const auto models = load(test.yaml);
    ASSERT_FALSE(models) << test.yaml;
    EXPECT_EQ(models.error().code, ErrorCode::kConfig) << test.yaml;
    EXPECT_EQ(models.error().file, "config/openai_config.yml") << test.yaml;
    if (test.line > 0) {
      EXPECT_EQ(models.error().line, test.line) << test.yaml << to_text(models.error());
    }
    EXPECT_THAT(to_text(models.error()), HasSubstr(test.says)) << test.yaml;
  }
}

TEST_F(RegistryTest, AMissingFileIsNamed) {
  const auto models = Models::load(options_);
  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(models.error().file, "config/openai_config.yml");
}

TEST_F(RegistryTest, AKeyThatWasPastedIntoTheConfigIsNotRepeated) {
  const auto models = load("models:\n  a: {provider: openai, model: x, key: sk-proj-abcdef}\n");
  ASSERT_FALSE(models);
  EXPECT_EQ(to_text(models.error()).find("sk-proj"), std::string::npos);
}

}  // namespace
}  // namespace sabir::models
