#include "aws/settings.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "blanks.h"
#include "sabir/base/file.h"
#include "sabir/deploy/packages.h"

namespace sabir::deploy {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class AwsSettingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    context_.root = fs::temp_directory_path() / ("aws_settings_" + std::to_string(::getpid()));
    fs::create_directories(context_.root / "config");
    write("sabir.yml", "name: shop\n");
    context_.app = "shop";
    context_.environment = "staging";
    context_.secret_names = {"bank_key", "mail_key"};
    context_.settings.file = "config/deployment_config.yml";
    context_.settings.line = 3;
  }
  void TearDown() override { fs::remove_all(context_.root); }
  void write(const std::string& file, const std::string& text) const { ASSERT_TRUE(write_file(context_.root / file, text)); }

  TargetContext context_;
};

TEST_F(AwsSettingsTest, APlaceNeedsABucketWithAName) {
  auto place = aws_place(context_);
  ASSERT_FALSE(place);
  EXPECT_EQ(place.error().line, 3);
  for (const char* bad : {"Shop", "ab", "a_b_c", "-shop", "a..b"}) {
    context_.settings.own = {{"bucket", bad}};
    EXPECT_FALSE(aws_place(context_)) << bad;
  }
  context_.settings.own = {{"bucket", "shop-releases"}, {"region", "eu-central-1"}};
  place = aws_place(context_);
  ASSERT_TRUE(place) << place.error().message;
  EXPECT_EQ(place->prefix, "shop/staging/");
  EXPECT_EQ(place->client.region, "eu-central-1");
}

TEST_F(AwsSettingsTest, SecretsAreNamedWhereTheEnvironmentAsksAws) {
  EXPECT_THAT(secret_ids(context_).value(), IsEmpty());
  write("config/secrets_config.staging.yml", "order: [environment, aws]\n");
  EXPECT_THAT(secret_ids(context_).value(), ElementsAre("shop/staging/bank_key", "shop/staging/mail_key"));
  write("config/secrets_config.staging.yml", "order: [aws]\naws: {prefix: /teams/shop/}\n");
  EXPECT_THAT(secret_ids(context_).value(), ElementsAre("/teams/shop/bank_key", "/teams/shop/mail_key"));
}

TEST(SecretsPolicy, HasExactlyTheseAndNoWildcard) {
  const auto text = json::serialize(secrets_policy({"arn:aws:secretsmanager:eu-central-1:1:secret:shop/staging/bank_key-AbCdEf"}));
  EXPECT_EQ(text, R"({"Version":"2012-10-17","Statement":[{"Sid":"ReadWhatIsGranted","Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":["arn:aws:secretsmanager:eu-central-1:1:secret:shop/staging/bank_key-AbCdEf"]}]})");
  EXPECT_THAT(text, Not(HasSubstr("*")));
}

TEST(Blanks, AreWhatIsEmptyAndSaysSo) {
  const auto found = blanks_in("# x = \"\" # blank\nregion = \"\" # blank: eu-central-1\nids    = [] # blank: two\nnote = \"\"\nset = \"a\" # blank: no\nVpcId: \"\" # blank: vpc\n");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].name, "region");
  EXPECT_EQ(found[0].hint, "eu-central-1");
  EXPECT_EQ(found[0].line, 2);
  EXPECT_EQ(found[2].name, "VpcId");
  const auto refused = refuse_blanks("a = 1\nb = \"\" # blank: what\n", "deploy/terraform/staging.tfvars");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().file, "deploy/terraform/staging.tfvars");
  EXPECT_EQ(refused.error().line, 2);
  EXPECT_TRUE(refuse_blanks("a = \"\"\n", "x"));
}

TEST_F(AwsSettingsTest, PackagesAreThoseOfTheLanguagesInUse) {
  fs::create_directories(context_.root / "functions/ruby");
  fs::create_directories(context_.root / "memory/python");
  EXPECT_THAT(languages_of(context_.root), ElementsAre("python", "ruby"));
  EXPECT_THAT(ubuntu_packages(context_.root), ElementsAre("python3", "python3-venv", "ruby", "ruby-bundler"));
  EXPECT_THAT(debian_packages({"rust", "node"}), ElementsAre("cargo-web"));
}

}  // namespace
}  // namespace sabir::deploy
