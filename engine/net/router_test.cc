#include "sabir/net/router.h"

#include <gtest/gtest.h>

namespace sabir::net {
namespace {

HttpHandler named(std::string& out, const std::string& name) {
  return [&out, name](const std::shared_ptr<Exchange>&) { out = name; };
}

struct RouterTest : testing::Test {
  std::string asked;
  Router router;
  void SetUp() override {
    router.add("GET", "/functions", named(asked, "list"));
    router.add("GET", "/functions/{address...}", named(asked, "one"));
    router.add("POST", "/functions/{address...}", named(asked, "call"));
    router.add("GET", "/prompts/{name}", named(asked, "prompt"));
    router.add("POST", "/prompts/{name}/render", named(asked, "render"));
    router.add("GET", "/prompts/special", named(asked, "special"));
  }
  Router::Match find(std::string_view method, std::string_view path) {
    auto match = router.find(method, path);
    asked.clear();
    if (match.handler) (*match.handler)(nullptr);
    return match;
  }
};

TEST_F(RouterTest, PlainSegmentsGoBeforeNames) {
  find("GET", "/functions");
  EXPECT_EQ(asked, "list");
  EXPECT_EQ(find("GET", "/prompts/a%20b").captures.at(0).second, "a b");
  EXPECT_EQ(asked, "prompt");
  find("GET", "/prompts/special");
  EXPECT_EQ(asked, "special");
  find("POST", "/prompts/special/render");
  EXPECT_EQ(asked, "render");
}

TEST_F(RouterTest, TheRestOfAPathMayHaveSlashes) {
  EXPECT_EQ(find("POST", "/functions/python/reports.summarize").captures.at(0).second, "python/reports.summarize");
  EXPECT_EQ(asked, "call");
  EXPECT_EQ(find("POST", "/functions/python%2Freports.summarize").captures.at(0).second, "python/reports.summarize");
  EXPECT_EQ(find("GET", "/functions/").captures.at(0).second, "");
}

TEST_F(RouterTest, AnotherMethodIsToldWhichOnesThereAre) {
  EXPECT_EQ(find("PUT", "/functions/a").allowed, "GET, HEAD, POST");
  EXPECT_EQ(find("POST", "/functions").allowed, "GET, HEAD");
  EXPECT_EQ(find("GET", "/elsewhere").allowed, "");
  find("HEAD", "/functions");
  EXPECT_EQ(asked, "list");
}

TEST_F(RouterTest, BrokenEscapesAreMalformed) {
  for (const char* path : {"/functions/%", "/functions/%4", "/functions/%zz", "/functions/%00", "/functions/%0d%0a", "/functions/%ff"}) {
    EXPECT_TRUE(find("GET", path).malformed) << path;
  }
}

TEST(PercentDecoded, ReadsEscapesAndBlanks) {
  EXPECT_EQ(percent_decoded("a%2Fb+c"), "a/b+c");
  EXPECT_EQ(percent_decoded("a%2fb+c", true), "a/b c");
  EXPECT_EQ(percent_decoded("%C3%A9"), "é");
  EXPECT_FALSE(percent_decoded("%C3"));
}

}  // namespace
}  // namespace sabir::net
