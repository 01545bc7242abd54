#include <gmock/gmock.h>

#include "sabir/secrets/dotenv.h"
#include "sabir/secrets/scan.h"

namespace sabir::secrets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(Dotenv, ReadsWhatItWrites) {
  for (const std::string value : {"plain", "two words", "a\"b\\c$d`e'f", "lines\nof\ntext", "", " edges ", "#hash", "\xc3\xa9"}) {
    const auto read = parse_dotenv(dotenv_line("A_KEY", value) + "\nB=1\n", "x.env");
    ASSERT_TRUE(read) << value;
    EXPECT_THAT(*read, ElementsAre(Pair("A_KEY", value), Pair("B", "1")));
  }
}

TEST(Dotenv, SaysWhereALineIsNone) {
  const auto lines = parse_dotenv("A='x\ny'\n\nB = 2 # said\nC D\n", "x.env");
  ASSERT_FALSE(lines);
  EXPECT_EQ(lines.error().line, 5);
  const auto open = parse_dotenv("A=1\nB=\"x\n", "x.env");
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().line, 2);
  EXPECT_FALSE(parse_dotenv("A='x' y\n", "x.env"));
}

TEST(Scanner, FindsFormsOfValuesAndShapesOfKeysOnce) {
  const Scanner scanner({{"some_key", "s3cret/value+1"}, {"short", "abc"}});
  std::vector<std::string> found;
  scanner.text("abc\nx = s3cret/value+1 s3cret/value+1\ny = s3cret%2Fvalue%2B1\nz = ghp_abcdefghij0123456789ABCDEFGHIJ012345\n-----BEGIN RSA PRIVATE KEY-----\nw = ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx1\n"
               "v = s3cret/value+1 not-a-secret\n",
               10, [&](int line, const std::string& what, const std::string& shown) { found.push_back(std::to_string(line) + " " + what + " " + shown); });
  EXPECT_THAT(found, ElementsAre("11 the secret some_key ", "11 the secret some_key ", "12 the secret some_key, encoded ", HasSubstr("13 a token of GitHub ghp_abcd"), "14 a private key "));
}

}  // namespace
}  // namespace sabir::secrets
