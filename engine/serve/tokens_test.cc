#include "sabir/serve/tokens.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sabir::serve {
namespace {
namespace fs = std::filesystem;

struct TokensTest : testing::Test {
  fs::path folder = fs::temp_directory_path() / ("sabir-tokens-" + std::to_string(::getpid()));
  void TearDown() override { fs::remove_all(folder); }
  static Token named(const std::string& name) {
    Token token;
    token.name = name;
    token.scopes = {"functions"};
    token.user = "ada";
    return token;
  }
};

TEST_F(TokensTest, OnlyTheWholeTokenIsFound) {
  Tokens tokens(folder);
  const auto text = tokens.add(named("web"));
  ASSERT_TRUE(text) << to_text(text.error());
  EXPECT_EQ(text->size(), 58U);
  const auto found = tokens.find(*text);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->user, "ada");
  for (std::size_t i = 0; i < text->size(); ++i) {
    std::string wrong = *text;
    wrong[i] = wrong[i] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(tokens.find(wrong)) << i;
  }
  EXPECT_FALSE(tokens.find(text->substr(1)));
  EXPECT_FALSE(tokens.find(""));
  std::ifstream file(folder / "tokens.json");
  const std::string kept((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(kept, testing::Not(testing::HasSubstr(text->substr(15))));
  EXPECT_THAT(kept, testing::HasSubstr(sha256(*text)));
}

TEST_F(TokensTest, ExpiredOnesAreNotFound) {
  Tokens tokens(folder);
  auto token = named("old");
  token.expires_ms = 1;
  const auto text = tokens.add(token);
  ASSERT_TRUE(text);
  EXPECT_FALSE(tokens.find(*text));
}

TEST_F(TokensTest, RevokedOnesAreNotFound) {
  Tokens tokens(folder);
  const auto one = tokens.add(named("one"));
  const auto two = tokens.add(named("two"));
  ASSERT_TRUE(one && two);
  ASSERT_TRUE(tokens.revoke("one"));
  ASSERT_TRUE(tokens.reload());
  EXPECT_FALSE(tokens.find(*one));
  EXPECT_TRUE(tokens.find(*two));
  EXPECT_EQ(tokens.revoke("one").error().code, ErrorCode::kNotFound);
}

TEST_F(TokensTest, FilesThatOthersMayReadOrANewerEngineWroteAreRefused) {
  Tokens tokens(folder);
  const auto text = tokens.add(named("web"));
  ASSERT_TRUE(text);
  const auto file = folder / "tokens.json";
  fs::permissions(file, fs::perms::group_read, fs::perm_options::add);
  EXPECT_EQ(tokens.list().error().code, ErrorCode::kConfig);
  EXPECT_FALSE(Tokens(folder).find(*text));
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(Tokens(folder).find(*text));
  std::ofstream(file) << R"({"format": 99, "tokens": []})";
  EXPECT_EQ(tokens.list().error().code, ErrorCode::kStoreNewer);
}

TEST_F(TokensTest, NamesAndScopesAreChecked) {
  Tokens tokens(folder);
  EXPECT_EQ(tokens.add(named("")).error().code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(tokens.add(named("a\nb")).error().code, ErrorCode::kInvalidArguments);
  auto token = named("web");
  token.scopes = {"function"};
  EXPECT_THAT(tokens.add(token).error().hint, testing::HasSubstr("functions"));
  ASSERT_TRUE(tokens.add(named("web")));
  EXPECT_EQ(tokens.add(named("web")).error().code, ErrorCode::kExists);
}

}  // namespace
}  // namespace sabir::serve
