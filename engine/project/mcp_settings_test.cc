#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "sabir/base/ids.h"
#include "sabir/project/project.h"

namespace sabir::project {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

class McpSettingsTest : public testing::Test {
 protected:
  McpSettingsTest() : root_(fs::canonical(fs::temp_directory_path()) / ("sabir-mcp-" + new_id())) { fs::create_directories(root_); }
  ~McpSettingsTest() override { fs::remove_all(root_); }
  Result<Project> read(const std::string& mcp) {
    std::ofstream(root_ / "sabir.yml") << "mcp:\n" << mcp;
    return load(root_, "development");
  }
  fs::path root_;
};

TEST_F(McpSettingsTest, EveryKeyIsRead) {
  const auto project = read("  title: Shop\n  instructions: Be kind.\n  irreversible: client\n  memory: [default, orders]\n  prompts: {review: reviews.prompt}\n"
                            "  resources:\n    orders://{id}: orders.as_text\n    docs://terms: {function: docs.terms, type: text/markdown, title: Terms, description: All.}\n"
                            "  headers: {orders.find: {region: Region}}\n");
  ASSERT_TRUE(project) << project.error().message;
  const auto& mcp = project->mcp;
  EXPECT_EQ(mcp.title, "Shop");
  EXPECT_FALSE(mcp.asks);
  EXPECT_EQ(mcp.memory, (std::vector<std::string>{"default", "orders"}));
  ASSERT_EQ(mcp.resources.size(), 2U);
  EXPECT_EQ(mcp.resources[0].function, "orders.as_text");
  EXPECT_EQ(mcp.resources[1].media_type, "text/markdown");
  EXPECT_EQ(mcp.prompts.front(), (std::pair<std::string, std::string>("review", "reviews.prompt")));
  EXPECT_EQ(mcp.headers.at("orders.find").at("region"), "Region");
}

TEST_F(McpSettingsTest, WithoutItEverythingHasItsDefault) {
  std::ofstream(root_ / "sabir.yml") << "name: x\n";
  const auto project = load(root_, "development");
  ASSERT_TRUE(project);
  EXPECT_TRUE(project->mcp.asks);
  EXPECT_EQ(project->mcp.memory, std::vector<std::string>{"default"});
}

TEST_F(McpSettingsTest, WhatIsWrongIsSaidAtItsLine) {
  for (const auto& [text, line, words] : {std::tuple("  titel: x\n", 2, "titel"), std::tuple("  irreversible: never\n", 2, "irreversible"), std::tuple("  resources:\n    here: f\n", 3, "no URI"),
                                          std::tuple("  resources:\n    sabir://parts/x: f\n", 3, "engine's own"), std::tuple("  resources:\n    a://b: {type: text/plain}\n", 3, "'function' is missing"),
                                          std::tuple("  headers:\n    f:\n      x: 'a b'\n", 4, "header"), std::tuple("  memory: 3\n", 2, "")}) {
    const auto project = read(text);
    ASSERT_FALSE(project) << text;
    EXPECT_EQ(project.error().line, line) << text;
    EXPECT_THAT(project.error().message, HasSubstr(words)) << text;
  }
}

}  // namespace
}  // namespace sabir::project
