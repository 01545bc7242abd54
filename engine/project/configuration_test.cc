#include "sabir/project/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "sabir/base/ids.h"

namespace sabir::project {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class ConfigurationTest : public testing::Test {
 protected:
  ConfigurationTest() : root_(fs::canonical(fs::temp_directory_path()) / ("sabir-config-" + new_id())) {
    fs::create_directories(root_ / "config");
    write("sabir.yml", "");
  }
  ~ConfigurationTest() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) { std::ofstream(root_ / path) << text; }
  Configuration read(const std::string& file, const std::string& environment = "staging") {
    auto out = read_configuration(root_, *find_config_file(file), environment);
    EXPECT_TRUE(out) << (out ? "" : to_text(out.error()));
    return out ? std::move(*out) : Configuration{};
  }
  std::string error(const std::string& file, const std::string& environment = "staging") {
    auto out = load_configuration(root_, file, environment);
    return out ? "good" : to_text(out.error());
  }
  fs::path root_;
};

TEST_F(ConfigurationTest, MapsAreMergedListsReplacedAndNullTakesAway) {
  write("config/openai_config.yml",
        "default: near\nmodels:\n  near: {provider: openai, model: a, fallbacks: [x, y], headers: {A: '1', B: '2'}}\n  x: {provider: local, model: m}\n  y: x\n");
  write("config/openai_config.staging.yml", "models:\n  near:\n    fallbacks: [x]\n    headers: {B: null, C: '3'}\n  y: ~\n");
  const auto merged = read("config/openai_config.yml");
  EXPECT_EQ(compact_json(merged.value), "{\"default\":\"near\",\"models\":{\"near\":{\"provider\":\"openai\",\"model\":\"a\",\"fallbacks\":[\"x\"],\"headers\":{\"A\":\"1\",\"C\":\"3\"}},"
                                        "\"x\":{\"provider\":\"local\",\"model\":\"m\"}}}");
  EXPECT_TRUE(merged.problems.empty());
  EXPECT_THAT(merged.files, ElementsAre("config/openai_config.yml", "config/openai_config.staging.yml"));
  EXPECT_EQ(*merged.positions.at("/models/near/fallbacks/0").file, "config/openai_config.staging.yml");
  EXPECT_EQ(merged.positions.at("/models/near/fallbacks/0").line, 3);
  EXPECT_FALSE(merged.positions.contains("/models/near/fallbacks/1"));
  EXPECT_FALSE(merged.positions.contains("/models/y"));
  EXPECT_EQ(merged.positions.at("/models/near/model").file, nullptr);
  // Another environment has none of it.
  EXPECT_TRUE(read("config/openai_config.yml", "production").value.at("models").at("near").as_object().contains("fallbacks"));
  EXPECT_THAT(read("config/openai_config.yml", "production").files, ElementsAre("config/openai_config.yml"));
}

TEST_F(ConfigurationTest, AnOverlayStandsAloneToo) {
  write("config/secrets_config.staging.yml", "order: [environment]\n");
  EXPECT_EQ(compact_json(read("secrets_config").value), "{\"order\":[\"environment\"]}");
  EXPECT_FALSE(read("secrets_config", "production").exists());
}

TEST_F(ConfigurationTest, TheSectionOfAnEnvironmentStandsBetweenTheFileAndItsOverlay) {
  write("sabir.yml", "serve:\n  port: 1\n  host: a\n  hosts: [a]\n  environments:\n    staging: {port: 2, hosts: [b]}\n    production: {port: 9}\n");
  write("sabir.staging.yml", "serve: {hosts: [c]}\nname: other\n");
  auto project = load(root_, "staging");
  ASSERT_TRUE(project) << to_text(project.error());
  EXPECT_EQ(project->serving.port, 2);
  EXPECT_EQ(project->serving.host, "a");
  EXPECT_THAT(project->serving.hosts, ElementsAre("c"));
  EXPECT_EQ(project->name, "other");
  EXPECT_EQ(load(root_, "production")->serving.port, 9);
  EXPECT_EQ(load(root_, "development")->serving.port, 1);
  EXPECT_TRUE(project->inputs.contents.contains(root_ / "sabir.staging.yml"));
  EXPECT_TRUE(load(root_, "production")->inputs.missing.contains(root_ / "sabir.production.yml"));
}

TEST_F(ConfigurationTest, WhatIsWrongIsSaidAtItsOwnFileLineAndColumn) {
  write("config/openai_config.yml", "models:\n  a: {provider: openai, model: m}\n");
  write("config/openai_config.staging.yml", "# staging\nmodels:\n  a:\n    retrys: 3\n");
  EXPECT_EQ(error("config/openai_config.yml"), "config/openai_config.staging.yml:4:5: unknown key 'retrys'\n  Did you mean retries?");
  write("config/openai_config.staging.yml", "models:\n  a:\n    retries: many\n");
  EXPECT_EQ(error("config/openai_config.yml"), "config/openai_config.staging.yml:3:5: models.a.retries must be a whole number from 0 to 10, not \"many\"");
  write("config/openai_config.staging.yml", "models:\n  a: {provider: null}\n");
  EXPECT_THAT(error("config/openai_config.yml"), HasSubstr("the key 'provider' is missing"));
  write("config/openai_config.staging.yml", "- x\n");
  EXPECT_THAT(error("config/openai_config.yml"), HasSubstr("config/openai_config.staging.yml:1:1: config/openai_config.staging.yml must be a mapping"));
  write("config/grants.yml", "functions:\n  a.b: sk-live-1\n  c.d: [OPENAI_KEY]\n");
  const auto grants = read("grants");
  ASSERT_EQ(grants.problems.size(), 2U);
  EXPECT_THAT(to_text(grants.problems[0]), HasSubstr("config/grants.yml:2:3"));
  EXPECT_THAT(to_text(grants.problems[1]), HasSubstr("config/grants.yml:3:9: functions.c.d.0 is not a secret's name"));
  write("config/deployment_config.yml", "environments:\n  here: {target: lokal}\n");
  EXPECT_EQ(error("config/deployment_config.yml"), "config/deployment_config.yml:2:10: environments.here.target cannot be 'lokal'\n  Did you mean local?");
}

TEST_F(ConfigurationTest, SecretsMayStandWhereTheyAreSentAndNowhereElse) {
  write("config/mcp.yml", "servers:\n  a: {url: 'https://h/', headers: {X: 'Bearer ${secret:token}'}}\n");
  EXPECT_EQ(error("mcp.yml"), "good");
  write("config/mcp.yml", "servers:\n  a: {url: 'https://h/${secret:token}'}\n");
  EXPECT_THAT(error("mcp.yml"), HasSubstr("config/mcp.yml:2:7: a secret cannot stand in servers.a.url"));
  write("config/openai_config.yml", "models: {a: {provider: openai, model: m, parameters: {user: ['${secret:x}']}}}\n");
  EXPECT_THAT(error("openai_config"), HasSubstr("a secret cannot stand in models.a.parameters.user.0"));
  write("config/openai_config.yml", "models: {a: {provider: openai, model: m, headers: {X: '${secret:Not-A-Name}'}}}\n");
  EXPECT_THAT(error("openai_config"), HasSubstr("no secret's name"));
}

TEST_F(ConfigurationTest, AnEnvironmentCannotLeaveTheFolder) {
  for (const char* name : {"../x", "", "A", "a/b"}) EXPECT_FALSE(read_configuration(root_, *find_config_file("mcp"), name)) << name;
}

TEST_F(ConfigurationTest, EachValueTellsWhereItCameFrom) {
  ::setenv("SABIR_TEST_PORT", "7000", 1);
  write("sabir.yml", "name: shop\nserve: {port: '${SABIR_TEST_PORT}', host: '${SABIR_TEST_HOST:-0.0.0.0}'}\n");
  write("sabir.staging.yml", "timeout: 3s\n");
  const auto all = effective_values(read("sabir.yml"));
  const auto of = [&](const std::string& key) {
    for (const auto& one : all) {
      if (one.key == key) return compact_json(one.value) + " " + one.source + " " + one.file + ":" + std::to_string(one.line) + ":" + std::to_string(one.column) + (one.variables.empty() ? "" : " " + one.variables.front());
    }
    return std::string("none");
  };
  EXPECT_EQ(of("name"), "\"shop\" file sabir.yml:1:1");
  EXPECT_EQ(of("timeout"), "\"3s\" overlay sabir.staging.yml:1:1");
  EXPECT_EQ(of("serve.port"), "\"7000\" file sabir.yml:2:9 SABIR_TEST_PORT");
  EXPECT_EQ(of("serve.host"), "\"0.0.0.0\" file sabir.yml:2:37 SABIR_TEST_HOST (its default)");
  EXPECT_EQ(of("serve.limits.timeout"), "\"10m\" default :0:0");
  EXPECT_EQ(of("serve.tls.certificate"), "none");
}

TEST_F(ConfigurationTest, WhatLooksLikeASecretIsMarked) {
  ::setenv("SABIR_TEST_TOKEN", "tok-123456", 1);
  write("config/mcp.yml", "servers:\n  a: {url: 'https://h/', headers: {Authorization: Bearer abc, X-Team: shop, Y: '${secret:y}'}}\n  b: {command: x, args: ['--t=${SABIR_TEST_TOKEN}']}\n");
  std::vector<std::string> marked;
  for (const auto& one : effective_values(read("mcp.yml"))) {
    if (one.is_secret) marked.push_back(one.key);
  }
  EXPECT_THAT(marked, ElementsAre("servers.a.headers.Authorization", "servers.b.args"));
}

// ---- The schema itself -----------------------------------------------------------------------------------------------

void each_key(const std::vector<ConfigKey>& keys, const std::string& at, const std::function<void(const ConfigKey&, const std::string&)>& look) {
  const std::function<void(const ConfigType&, const std::string&)> inside = [&](const ConfigType& type, const std::string& place) {
    each_key(type.keys, place + ".", look);
    if (type.item) inside(*type.item, place);
    for (const auto& [name, one] : type.cases) inside(one, place + "(" + name + ")");
  };
  for (const auto& key : keys) {
    look(key, at + key.name);
    inside(key.type, at + key.name);
  }
}

TEST(ConfigSchema, EveryKeyIsExplainedByOneSentenceAndAnExampleThatIsValid) {
  for (const auto& file : config_files()) {
    each_key(file.type.keys, file.path + ": ", [](const ConfigKey& key, const std::string& at) {
      EXPECT_TRUE(key.meaning.ends_with(".") || key.meaning.ends_with("`.")) << at << ": " << key.meaning;
      ASSERT_FALSE(key.example.empty()) << at;
      auto example = parse_yaml(key.example, at, nullptr, SecretNames::kKept);
      ASSERT_TRUE(example) << at << to_text(example.error());
      for (const auto& problem : check_config(*example, key.type, at, {})) ADD_FAILURE() << at << ": the example: " << to_text(problem);
      if (key.otherwise.empty() || key.otherwise.starts_with('(')) return;
      EXPECT_FALSE(key.is_required) << at;
      auto otherwise = parse_yaml(key.otherwise, at);
      ASSERT_TRUE(otherwise) << at << to_text(otherwise.error());
      for (const auto& problem : check_config(*otherwise, key.type, at, {})) ADD_FAILURE() << at << ": the default: " << to_text(problem);
    });
  }
}

// YAML of all defaults of a map that are values.
json::object defaults(const std::vector<ConfigKey>& keys) {
  json::object out;
  for (const auto& key : keys) {
    if (key.type.kind == ConfigKind::kMap) {
      bool needs = false;
      for (const auto& inner : key.type.keys) needs = needs || inner.is_required;
      if (auto inner = defaults(key.type.keys); !needs && !inner.empty()) out[key.name] = std::move(inner);
    } else if (!key.otherwise.empty() && !key.otherwise.starts_with('(')) {
      out[key.name] = *parse_yaml(key.otherwise, "default");
    }
  }
  return out;
}

TEST_F(ConfigurationTest, TheDefaultsThatAreToldAreThoseThatHold) {
  write("config/secrets_config.yml", "");
  auto plain = load(root_, "production");
  auto plain_secrets = read_configuration(root_, *find_config_file("secrets_config"), "production");
  ASSERT_TRUE(plain && plain_secrets);
  write("sabir.yml", compact_json(defaults(find_config_file("sabir.yml")->type.keys)));
  auto told = load(root_, "production");
  ASSERT_TRUE(told) << to_text(told.error());
  const auto& a = plain->serving;
  const auto& b = told->serving;
  EXPECT_TRUE(a.host == b.host && a.port == b.port && a.hosts == b.hosts && a.origins == b.origins && a.body_bytes == b.body_bytes && a.head_bytes == b.head_bytes);
  EXPECT_TRUE(a.connections == b.connections && a.running == b.running && a.at_once == b.at_once && a.timeout == b.timeout && a.drain == b.drain && a.start == b.start && a.keep_answers == b.keep_answers);
  EXPECT_EQ(plain->mcp.memory, told->mcp.memory);
  EXPECT_EQ(plain->mcp.asks, told->mcp.asks);
  EXPECT_EQ(plain->approval_time, told->approval_time);
  EXPECT_EQ(plain->tracing.sample, told->tracing.sample);
  EXPECT_EQ(plain->tracing.keep_days, told->tracing.keep_days);
  EXPECT_EQ(plain->tracing.keep_mb, told->tracing.keep_mb);
  EXPECT_EQ(told->timeout_ms, 30000);       // functions/route.cc has it for 0
  EXPECT_EQ(told->test_timeout_ms, 600000);  // testing/testing.cc likewise
  EXPECT_EQ(plain->exposure.rest, told->exposure.rest);
}

TEST(ConfigSchema, FilesAreFoundByPathNameStemAndOverlay) {
  for (const char* name : {"config/mcp.yml", "mcp.yml", "mcp", "config/mcp.staging.yml", "./config/mcp.yml"}) {
    ASSERT_NE(find_config_file(name), nullptr) << name;
    EXPECT_EQ(find_config_file(name)->path, "config/mcp.yml");
  }
  EXPECT_EQ(find_config_file("sabir.staging.yml")->path, "sabir.yml");
  for (const char* name : {"", "mcpx", "config/other.yml", "mcp.yaml", "x/mcp.yml"}) EXPECT_EQ(find_config_file(name), nullptr) << name;
}

}  // namespace
}  // namespace sabir::project
