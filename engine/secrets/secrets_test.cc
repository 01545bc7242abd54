#include "sabir/secrets/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/json.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/secrets/grants.h"

namespace sabir::secrets {
namespace {

using ::testing::HasSubstr;

class SecretsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() / ("sabir-secrets-" + new_id());
    std::filesystem::create_directories(root_ / "config");
    ::unsetenv("TEST_API_KEY");
    ::unsetenv("OTHER_API_KEY");
  }
  void TearDown() override {
    ::unsetenv("TEST_API_KEY");
    std::filesystem::remove_all(root_);
  }
  std::filesystem::path file() const { return root_ / "config" / "secrets.json"; }
  void write(const std::string& text, int mode = 0600) { ASSERT_TRUE(write_file(file(), text, mode)); }
  int run(const std::string& command) {
    return std::system(("cd '" + root_.string() + "' && (" + command + ") >/dev/null 2>&1").c_str());
  }

  std::filesystem::path root_;
};

TEST_F(SecretsTest, TheEnvironmentComesBeforeTheFile) {
  write(R"({"test_api_key": "from-file"})");
  const Secrets secrets(root_);
  EXPECT_EQ(secrets.resolve("test_api_key").value(), "from-file");
  ::setenv("TEST_API_KEY", "from-env", 1);
  EXPECT_EQ(secrets.resolve("test_api_key").value(), "from-env");
}

TEST_F(SecretsTest, APlaceholderCountsAsMissingAndSaysWhereToPutTheValue) {
  write(R"({"test_api_key": "YOUR_TEST_API_KEY"})");
  const Secrets secrets(root_);
  ::setenv("TEST_API_KEY", "YOUR_TEST_API_KEY", 1);
  const auto value = secrets.resolve("test_api_key");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::kSecretMissing);
  EXPECT_THAT(value.error().message, HasSubstr("placeholder"));
  EXPECT_THAT(value.error().hint, HasSubstr("TEST_API_KEY"));
  EXPECT_THAT(value.error().hint, HasSubstr("sabir secrets set test_api_key"));
}

TEST_F(SecretsTest, WithoutAFileASecretIsMissing) {
  const Secrets secrets(root_);
  const auto value = secrets.resolve("test_api_key");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::kSecretMissing);
}

TEST_F(SecretsTest, AFileOthersCanReadIsRefusedWithTheCommandThatMendsIt) {
  for (const int mode : {0644, 0640, 0604, 0620}) {
    write(R"({"test_api_key": "value-1"})", mode);
    const auto value = Secrets(root_).resolve("test_api_key");
    ASSERT_FALSE(value) << mode;
    EXPECT_EQ(value.error().code, ErrorCode::kConfig);
    EXPECT_THAT(value.error().hint, HasSubstr("chmod 600 config/secrets.json"));
  }
}

TEST_F(SecretsTest, ASymbolicLinkAndAFolderAreRefused) {
  write("{}");
  std::filesystem::rename(file(), root_ / "elsewhere.json");
  std::filesystem::create_symlink(root_ / "elsewhere.json", file());
  EXPECT_EQ(Secrets(root_).resolve("test_api_key").error().code, ErrorCode::kConfig);
  std::filesystem::remove(file());
  std::filesystem::create_directory(file());
  EXPECT_EQ(Secrets(root_).resolve("test_api_key").error().code, ErrorCode::kConfig);
}

TEST_F(SecretsTest, AFileTrackedByGitIsRefusedAndAnIgnoredOneIsNot) {
  ASSERT_EQ(std::system("git --version >/dev/null 2>&1"), 0) << "git is needed: this repository is cloned with it";
  write(R"({"test_api_key": "value-1"})");
  ASSERT_EQ(run("git init -q ."), 0);
  const Secrets secrets(root_);
  EXPECT_TRUE(secrets.resolve("test_api_key"));
  ASSERT_EQ(run("git add config/secrets.json"), 0);
  const auto value = secrets.resolve("test_api_key");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::kConfig);
  EXPECT_THAT(value.error().message, HasSubstr("tracked by git"));
  EXPECT_THAT(value.error().hint, HasSubstr("git rm --cached"));
  ASSERT_EQ(run("git rm --cached -q config/secrets.json"), 0);
  EXPECT_TRUE(secrets.resolve("test_api_key"));
}

TEST_F(SecretsTest, MalformedFilesAreNamedWithLineAndNoContent) {
  write("{\n\"test_api_key\": \"sk-visible\" oops}");
  const auto broken = Secrets(root_).resolve("test_api_key");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, ErrorCode::kConfig);
  EXPECT_EQ(broken.error().line, 2);
  EXPECT_EQ(to_text(broken.error()).find("sk-visible"), std::string::npos);
  write(R"({"test_api_key": 5})");
  EXPECT_THAT(Secrets(root_).resolve("test_api_key").error().message, HasSubstr("not a string"));
  write("[1]");
  EXPECT_THAT(Secrets(root_).resolve("test_api_key").error().message, HasSubstr("not a JSON object"));
}

TEST_F(SecretsTest, SetCreatesTheFileForItsOwnerOnlyAndKeepsTheOthers) {
  Secrets secrets(root_);
  ASSERT_TRUE(secrets.set("test_api_key", "first-value"));
  ASSERT_TRUE(secrets.set("other_api_key", "second-value"));
  struct stat info {};
  ASSERT_EQ(::stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(secrets.resolve("test_api_key").value(), "first-value");
  EXPECT_EQ(secrets.resolve("other_api_key").value(), "second-value");
  EXPECT_TRUE(secrets.remove("test_api_key").value());
  EXPECT_FALSE(secrets.remove("test_api_key").value());
  EXPECT_FALSE(secrets.resolve("test_api_key"));
  EXPECT_EQ(secrets.resolve("other_api_key").value(), "second-value");
}

TEST_F(SecretsTest, SetRefusesBadNamesAndEmptyValues) {
  Secrets secrets(root_);
  for (const char* name : {"", "Openai", "1key", "a-b", "../x", "a b"}) {
    EXPECT_EQ(secrets.set(name, "value").error().code, ErrorCode::kInvalidArguments) << name;
    EXPECT_EQ(secrets.resolve(name).error().code, ErrorCode::kInvalidArguments) << name;
  }
  EXPECT_FALSE(secrets.set("test_api_key", " \n"));
}

TEST_F(SecretsTest, WritersInParallelLoseNothing) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      Secrets secrets(root_);
      for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE(secrets.set("key_" + std::to_string(t) + "_" + std::to_string(i), "some-value"));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Secrets(root_).list()->size(), 40U);
}

TEST_F(SecretsTest, ListNamesSourcesAndNeverValues) {
  write(R"({"a_key": "value-of-a", "b_key": "YOUR_B_KEY"})");
  ::setenv("TEST_API_KEY", "value-of-test", 1);
  const auto list = Secrets(root_).list({"test_api_key", "other_api_key"});
  ASSERT_TRUE(list);
  std::vector<std::string> lines;
  for (const auto& info : *list) lines.push_back(info.name + "=" + info.source);
  EXPECT_EQ(lines, (std::vector<std::string>{"a_key=config/secrets.json", "b_key=missing", "other_api_key=missing",
                                             "test_api_key=environment"}));
}

TEST_F(SecretsTest, TheLogNeverShowsAValueOfTheFile) {
  write(R"({"test_api_key": "sk-very-secret"})");
  std::string seen;
  {
    const Secrets secrets(root_);
    secrets.install_redactor();
    set_log_sink([&](LogLevel, std::string_view text) { seen += text; });
    log(LogLevel::kError, "request failed: Authorization: Bearer sk-very-secret");
  }
  set_log_sink({});
  set_log_redactor({});
  EXPECT_EQ(seen, "request failed: Authorization: Bearer [secret:test_api_key]");
}

TEST(Redactor, ReplacesAValueInEveryUsualEncoding) {
  Redactor redactor;
  const std::string value = "p@ss/w\"rd+\xC3\xA9!9";
  redactor.add("db_password", value);
  EXPECT_EQ(redactor.redact("a " + value + " b " + value), "a [secret:db_password] b [secret:db_password]");
  EXPECT_EQ(redactor.redact(base64_encode(value)), "[secret:db_password]");
  EXPECT_EQ(redactor.redact("x=p%40ss%2Fw%22rd%2B%C3%A9%219"), "x=[secret:db_password]");
  EXPECT_EQ(redactor.redact("x=p%40ss%2fw%22rd%2b%c3%a9%219"), "x=[secret:db_password]");
  EXPECT_EQ(redactor.redact("704073732f772272642bc3a92139"), "[secret:db_password]");
  EXPECT_EQ(redactor.redact("704073732F772272642BC3A92139"), "[secret:db_password]");
  EXPECT_EQ(redactor.redact("{\"k\":\"p@ss/w\\\"rd+\xC3\xA9!9\"}"), "{\"k\":\"[secret:db_password]\"}");
}

TEST(Redactor, FindsAValueInsideLongerBase64AtEveryOffset) {
  Redactor redactor;
  redactor.add("api_key", "sk-0123456789abcdef");
  for (const char* before : {"", "u", "us", "use", "user:", "user12:"}) {
    for (const char* after : {"", "x", "xy"}) {
      const std::string text = base64_encode(std::string(before) + "sk-0123456789abcdef" + after);
      EXPECT_THAT(redactor.redact(text), HasSubstr("[secret:api_key]")) << before << after;
    }
  }
}

TEST(Redactor, ShortValuesAndStrangersAreLeftAlone) {
  Redactor redactor;
  redactor.add("pin", "12345");
  redactor.add("empty", "");
  EXPECT_EQ(redactor.redact("12345 and more"), "12345 and more");
}

TEST(Redactor, AValueThatContainsAnotherIsReplacedWhole) {
  Redactor redactor;
  redactor.add("short_one", "abcdef");
  redactor.add("long_one", "abcdefghijkl");
  EXPECT_EQ(redactor.redact("abcdefghijkl abcdef"), "[secret:long_one] [secret:short_one]");
}

TEST(Grants, AFunctionSeesWhatItIsGrantedAndNoMore) {
  const auto grants = Grants::from_config(parse_json(R"({"functions": {"weather.current": ["weather_api_key"],
      "ruby/mail.send": ["mail_key"], "billing.*": ["bank_key"], "slugify": ["word_key"]}})")
                                              ->get_object());
  ASSERT_TRUE(grants) << to_text(grants.error());
  EXPECT_TRUE(grants->allowed("python/weather.current", "weather_api_key", {}));
  EXPECT_TRUE(grants->allowed("weather.current", "weather_api_key", {}));
  EXPECT_FALSE(grants->allowed("python/weather.forecast", "weather_api_key", {}));
  EXPECT_FALSE(grants->allowed("python/weather.current", "mail_key", {}));
  EXPECT_TRUE(grants->allowed("ruby/mail.send", "mail_key", {}));
  EXPECT_FALSE(grants->allowed("python/mail.send", "mail_key", {}));
  EXPECT_TRUE(grants->allowed("python/billing.charge", "bank_key", {}));
  EXPECT_FALSE(grants->allowed("python/billing2.charge", "bank_key", {}));
  EXPECT_TRUE(grants->allowed("ruby/slugify.slugify", "word_key", {}));
  EXPECT_TRUE(grants->allowed("python/other.thing", "own_key", {"own_key"}));
  EXPECT_FALSE(grants->allowed("python/other.thing", "bank_key", {"own_key"}));
  const Error refusal = Grants::refusal(Holder::kFunction, "python/weather.current", "weather_api_key");
  EXPECT_EQ(refusal.code, ErrorCode::kNotGranted);
  EXPECT_THAT(refusal.hint, HasSubstr("weather.current: [weather_api_key]"));
}

TEST(Grants, AssistantsAndPromptsHaveSectionsOfTheirOwn) {
  const auto grants = Grants::from_config(parse_json(R"({"functions": {"keeper.respond": ["function_key"], "keeper.*": ["function_key"]},
      "assistants": {"keeper": ["archive_key"], "ruby/guard": ["guard_key"]}, "prompts": {"support/refund": ["account_id"], "bank/*": ["bank_id"]}})")
                                              ->get_object());
  ASSERT_TRUE(grants) << to_text(grants.error());
  EXPECT_TRUE(grants->allowed(Holder::kAssistant, "python/keeper", "archive_key", {}));
  EXPECT_FALSE(grants->allowed(Holder::kAssistant, "python/keeper", "function_key", {}));
  EXPECT_FALSE(grants->allowed(Holder::kFunction, "python/keeper.respond", "archive_key", {}));
  EXPECT_TRUE(grants->allowed(Holder::kAssistant, "ruby/guard", "guard_key", {}));
  EXPECT_FALSE(grants->allowed(Holder::kAssistant, "python/guard", "guard_key", {}));
  EXPECT_TRUE(grants->allowed(Holder::kPrompt, "support/refund", "account_id", {}));
  EXPECT_FALSE(grants->allowed(Holder::kPrompt, "support/other", "account_id", {}));
  EXPECT_TRUE(grants->allowed(Holder::kPrompt, "bank/deep/er", "bank_id", {}));
  EXPECT_FALSE(grants->allowed(Holder::kPrompt, "banking", "bank_id", {}));
  EXPECT_TRUE(grants->allowed(Holder::kPrompt, "own", "own_key", {"own_key"}));
  EXPECT_EQ(grants->names(), (std::vector<std::string>{"account_id", "archive_key", "bank_id", "function_key", "guard_key"}));
  EXPECT_EQ(Grants::refusal(Holder::kPrompt, "own", "x", "completions/own.prompt").hint,
            "Add `own: [x]` under prompts in config/grants.yml, or `secrets: [x]` to its front matter (completions/own.prompt).");
  EXPECT_EQ(Grants::refusal(Holder::kPrompt, "own", "x", "completions/own.j2").hint, "Add `own: [x]` under prompts in config/grants.yml.");
}

TEST(References, WhatOnlyLooksLikeOneStaysAsItIs) {
  EXPECT_EQ(find_reference("a ${secret:b}"), 2U);
  EXPECT_EQ(find_reference("a $${secret:b}"), std::string::npos);
  EXPECT_EQ(find_reference("$${secret:b} ${secret:c}"), 13U);
}

TEST(Grants, MalformedGrantsAreRefused) {
  for (const char* text : {R"({"functons": {}})", R"({"functions": []})", R"({"functions": {"a.b": "key"}})",
                           R"({"functions": {"a.b": ["Bad Name"]}})", R"({"functions": {"a.b": [1]}})"}) {
    const auto grants = Grants::from_config(parse_json(text)->get_object());
    ASSERT_FALSE(grants) << text;
    EXPECT_EQ(grants.error().code, ErrorCode::kConfig);
  }
  EXPECT_TRUE(Grants::from_config({}));
  EXPECT_TRUE(Grants::from_config(parse_json(R"({"functions": null})")->get_object()));
}

}  // namespace
}  // namespace sabir::secrets
