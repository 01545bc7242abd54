#include "sabir/project/mcp_servers.h"

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

class McpServersTest : public testing::Test {
 protected:
  McpServersTest() : root_(fs::canonical(fs::temp_directory_path()) / ("sabir-servers-" + new_id())) {
    fs::create_directories(root_ / "config");
    std::ofstream(root_ / "sabir.yml") << "name: p\n";
  }
  ~McpServersTest() override { fs::remove_all(root_); }
  Result<Project> read(const std::string& text) {
    std::ofstream(root_ / "config" / "mcp.yml") << text;
    return load(root_, "development");
  }
  fs::path root_;
};

TEST_F(McpServersTest, EveryKeyIsRead) {
  const auto project = read(R"(servers:
  git-hub:
    command: npx
    args: [-y, server, 3]
    env: {TOKEN: "${secret:token}", PASSED: null}
    cwd: tools
    timeout: 5s
    start_timeout: 1m
    tools: {allow: [a_*], deny: [a_b]}
    effects: {a_*: read}
    revision: 2025-11-25
  remote:
    url: https://example.com/mcp
    prefix: far
    enabled: false
    headers: {X-Key: "k ${secret:key} ${secret:other}"}
    auth: {client_id: me, client_secret: "${secret:secret}", scopes: [a], redirect_port: 4321}
)");
  ASSERT_TRUE(project) << project.error().message;
  ASSERT_EQ(project->mcp_servers.size(), 2U);
  const auto& local = project->mcp_servers[0];
  EXPECT_EQ(local.line, 2);
  EXPECT_EQ(local.prefix, "git_hub");
  EXPECT_THAT(local.command, ElementsAre("npx", "-y", "server", "3"));
  EXPECT_THAT(local.passed, ElementsAre("PASSED"));
  EXPECT_EQ(local.environment.front().second, "${secret:token}");
  EXPECT_EQ(local.directory, root_ / "tools");
  EXPECT_EQ(local.timeout_ms, 5000);
  EXPECT_EQ(local.start_timeout_ms, 60000);
  EXPECT_TRUE(is_allowed(local, "a_c"));
  EXPECT_FALSE(is_allowed(local, "a_b"));
  EXPECT_FALSE(is_allowed(local, "x"));
  const auto& remote = project->mcp_servers[1];
  EXPECT_FALSE(remote.enabled);
  EXPECT_EQ(remote.prefix, "far");
  EXPECT_EQ(remote.auth.redirect_port, 4321);
  EXPECT_THAT(secrets_of(remote), ElementsAre("key", "other", "secret"));
}

TEST_F(McpServersTest, WithoutTheFileThereAreNone) {
  const auto project = load(root_, "development");
  ASSERT_TRUE(project);
  EXPECT_TRUE(project->mcp_servers.empty());
  EXPECT_TRUE(project->inputs.missing.contains(root_ / "config" / "mcp.yml"));
}

TEST_F(McpServersTest, WhatIsWrongIsSaidAtItsPlace) {
  for (const auto& [text, line, words] :
       {std::tuple("servers:\n  a:\n    comand: x\n", 3, "comand"), std::tuple("servers:\n  a:\n    command: x\n    url: https://h/\n", 2, "not both"), std::tuple("servers:\n  '-a':\n    command: x\n", 2, "cannot name"),
        std::tuple("servers:\n  a:\n    url: https://h/\n    env: [X]\n", 4, "'command'"), std::tuple("servers:\n  a:\n    url: https://u:p@h/\n", 3, "secret"),
        std::tuple("servers:\n  a:\n    command: x\n    env: {A: '${secret:B}'}\n", 4, "no secret's name"), std::tuple("servers:\n  a:\n    command: x\n    prefix: A b\n", 4, "cannot begin"),
        std::tuple("servers:\n  a:\n    url: https://h/\n    auth: {bearer: '${secret:a}', client_id: x}\n", 4, "alone"), std::tuple("servers:\n  a:\n    command: '${secret:x}'\n", 3, "cannot stand")}) {
    const auto project = read(text);
    ASSERT_FALSE(project) << text;
    EXPECT_EQ(project.error().code, ErrorCode::kConfig);
    EXPECT_EQ(project.error().file, "config/mcp.yml");
    EXPECT_EQ(project.error().line, line) << text;
    EXPECT_THAT(project.error().message, HasSubstr(words)) << text;
  }
}

TEST_F(McpServersTest, SecretsAreNamedThereAndNowhereElse) {
  std::ofstream(root_ / "sabir.yml") << "name: '${secret:x}'\n";
  EXPECT_THAT(load(root_, "development").error().message, HasSubstr("a secret cannot stand in name"));
}

}  // namespace
}  // namespace sabir::project
