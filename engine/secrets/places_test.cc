#include <gmock/gmock.h>

#include "aws/credentials.h"
#include "aws/signature.h"
#include "sabir/secrets/dotenv.h"
#include "sabir/secrets/scan.h"

namespace sabir::secrets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// As botocore signs it: tests/aws compares more of them, byte for byte.
TEST(AwsSignature, IsWhatBotocoreMakes) {
  const aws::Unsigned request{"POST", "secretsmanager.eu-central-1.amazonaws.com", "/",
                              {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "secretsmanager.GetSecretValue"}}, R"({"SecretId":"shop/staging/key"})"};
  const auto headers = aws::sign(request, {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""}, "eu-central-1", "secretsmanager", 1795000000);
  EXPECT_EQ(headers.back().second, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261118/eu-central-1/secretsmanager/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=0d415a7bdfc5adbf2a1e1666dc15f865cd3473117e74f1f222677f7ef01c91fb");
}

TEST(AwsProfiles, AreSectionsOfKeys) {
  const auto profiles = aws::parse_profiles("# comment\n[default]\nregion = eu-west-1\n[profile work]\naws_access_key_id=A\naws_secret_access_key = b = c\ns3 =\n  nested = x\n[broken\nk = v\n");
  EXPECT_EQ(profiles.at("default").at("region"), "eu-west-1");
  EXPECT_EQ(profiles.at("work").at("aws_secret_access_key"), "b = c");
  EXPECT_FALSE(profiles.at("work").contains("nested"));
}

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
