#include "sabir/project/deployment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "sabir/base/ids.h"

namespace sabir::project {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class DeploymentTest : public testing::Test {
 protected:
  DeploymentTest() : root_(fs::canonical(fs::temp_directory_path()) / ("sabir-deployment-" + new_id())) { fs::create_directories(root_ / "config"); }
  ~DeploymentTest() override { fs::remove_all(root_); }

  void write(const std::string& text, const std::string& overlay = {}) { std::ofstream(root_ / ("config/deployment_config" + (overlay.empty() ? "" : "." + overlay) + ".yml")) << text; }
  std::string error(const std::string& environment = "staging") {
    auto out = read_deployment(root_, environment);
    return out ? "good" : to_text(out.error());
  }
  fs::path root_;
};

TEST_F(DeploymentTest, AnEnvironmentHasTheCommonKeysAndThoseOfItsTarget) {
  write("environments:\n  staging: {target: docker, port: 80, health: 3m, smoke: false, keep: 5, approval: typed}\n  production: {target: local}\n");
  write("environments:\n  staging: {port: 8080}\n", "staging");
  auto one = read_deployment(root_, "staging");
  ASSERT_TRUE(one) << to_text(one.error());
  EXPECT_EQ(one->target, "docker");
  EXPECT_EQ(one->health, std::chrono::minutes(3));
  EXPECT_FALSE(one->smoke);
  EXPECT_EQ(one->keep, 5);
  EXPECT_EQ(one->approval, DeployApproval::kTyped);
  EXPECT_EQ(one->whole("port", 0, 1, 65535).value_or(0), 8080);
  // A place is that of the file which the value came from.
  EXPECT_THAT(to_text(one->wrong("/port", "no")), StartsWith("config/deployment_config.staging.yml:2:13: no"));
  EXPECT_THAT(to_text(one->wrong("/keep", "no")), StartsWith("config/deployment_config.yml:2:"));
  EXPECT_EQ(read_deployment(root_, "production")->approval, DeployApproval::kTyped);
}

TEST_F(DeploymentTest, AServiceOfContainersIsRefusedWithTheReason) {
  for (const char* name : {"ecs", "Fargate", "cloud-run", "App Runner"}) {
    write(std::string("environments:\n  staging: {target: ") + name + "}\n");
    EXPECT_THAT(error(), StartsWith("config/deployment_config.yml:2:13: '" + std::string(name) + "' is a service of containers")) << name;
    EXPECT_THAT(error(), HasSubstr("SQLite"));
    EXPECT_THAT(error(), HasSubstr("PostgreSQL"));
  }
  write("environments:\n  staging: {target: dockr}\n");
  EXPECT_THAT(error(), HasSubstr("Did you mean docker?"));
}

TEST_F(DeploymentTest, WhatIsMissingOrMisplacedIsNamed) {
  EXPECT_THAT(error(), StartsWith("config/deployment_config.yml is not there"));
  write("environments:\n  staging: {port: 80}\n");
  EXPECT_THAT(error(), HasSubstr("config/deployment_config.yml:2:"));
  EXPECT_THAT(error(), HasSubstr("'target' is missing"));
  for (const char* text : {"environments:\n  staging:\n", "environments:\n  staging: ~\n  other: {target: local}\n"}) {
    write(text);
    EXPECT_THAT(error(), HasSubstr("the environment staging has no target")) << text;
  }
  write("environments:\n  staging: {target: local}\n");
  EXPECT_THAT(error("stagng"), HasSubstr("Did you mean staging?"));
  write("environments:\n  staging: ~\n", "staging");
  EXPECT_THAT(error(), HasSubstr("the environment staging has no target"));
  write("environments:\n  production: {target: local}\n", "staging");
  EXPECT_THAT(error(), HasSubstr("config/deployment_config.staging.yml:2:3: config/deployment_config.staging.yml is about staging alone"));
}

}  // namespace
}  // namespace sabir::project
