#include "granted_calls.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <vector>

#include "prompt_file.h"
#include "sabir/base/ids.h"
#include "sabir/completions/renderer.h"

namespace sabir::completions {
namespace {

// Answers each call by `answer` and keeps what was called.
class Caller final : public FunctionCaller {
 public:
  Result<void> allow_secret(const std::string& prompt, const std::string& file, const std::string& name, const std::vector<std::string>& declared) override {
    if (std::find(declared.begin(), declared.end(), name) != declared.end()) return {};
    return fail(ErrorCode::kNotGranted, prompt + " is not granted " + name, "Add it to " + file + ".");
  }
  Result<std::string> call(const std::string& prompt, const std::string& address, std::string_view positional, std::string_view named) override {
    made.push_back(prompt + ": " + address + std::string(positional) + std::string(named));
    return answer(address, positional, named);
  }
  bool has(const std::string& address) override { return address == "stats.mean" || address == "stats.median" || address == "slugify"; }

  std::function<Result<std::string>(const std::string&, std::string_view, std::string_view)> answer = [](const std::string&, std::string_view positional,
                                                                                                        std::string_view named) {
    return Result<std::string>("[" + std::string(positional) + "," + std::string(named) + "]");
  };
  std::vector<std::string> made;
};

class GrantedCallsTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() / ("sabir-grants-" + new_id());
    std::filesystem::create_directories(root_ / "completions/prompt_parts");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, std::string_view text) const { std::ofstream(root_ / "completions" / name, std::ios::binary) << text; }
  void prompt(std::string_view calls, std::string_view body) const { write("p.prompt", "---\ncalls: [" + std::string(calls) + "]\n---\n" + std::string(body)); }
  std::string text(const std::string& name = "p", const json::object& variables = {}) {
    auto rendered = Renderer(root_).render(name, variables, &caller_);
    return rendered ? rendered->text : "ERROR " + to_text(rendered.error());
  }
  Error error(const std::string& name = "p", const json::object& variables = {}) {
    auto rendered = Renderer(root_).render(name, variables, &caller_);
    EXPECT_FALSE(rendered.has_value()) << rendered->text;
    return rendered ? Error() : rendered.error();
  }

  std::filesystem::path root_;
  Caller caller_;
};

TEST_F(GrantedCallsTest, ArgumentsGoOutAsTheyAreAndValuesComeBackAsTheTemplatesOwn) {
  prompt("stats.mean, ruby/slugify", "{{ stats.mean([1, 2.5, 10 ** 20], 'é\"', none, deep={'a': [true, {}]}) }}|{{ slugify() }}");
  EXPECT_EQ(text(), R"([[[1, 2.5, 100000000000000000000], 'é"', None], {'deep': {'a': [True, {}]}}]|[[], {}])");
  EXPECT_EQ(caller_.made, (std::vector<std::string>{R"(p: stats.mean[[1,2.5,100000000000000000000],"é\"",null]{"deep":{"a":[true,{}]}})", "p: ruby/slugify[]{}"}));
  caller_.answer = [](const auto&, auto, auto) { return Result<std::string>(R"({"b": 1, "a": [1.0, "x"]})"); };
  EXPECT_EQ(text(), "{'b': 1, 'a': [1.0, 'x']}|{'b': 1, 'a': [1.0, 'x']}");
  prompt("stats.mean", "{% set m = stats.mean() %}{{ m.a[1] ~ m['b'] }}{% for k in m %}{{ k }}{% endfor %}{% do m.a.append(3) %}{{ stats.mean().a|length }}");
  EXPECT_EQ(text(), "x1ba2") << "what a template does to a value is its own business";
}

TEST_F(GrantedCallsTest, ASecretIsItsNameUntilAModelIsAsked) {
  write("prompt_parts/part.txt", "<{{ secret(\"account_id\") }}>");
  write("p.prompt", "---\nsecrets: [account_id]\n---\n{{ secret('account_id') }} {% include 'part' %}");
  EXPECT_EQ(text(), "[secret:account_id] <[secret:account_id]>");
  auto rendered = Renderer(root_).render("p", {}, &caller_);
  EXPECT_EQ(rendered->secrets, std::vector<std::string>{"account_id"});
  // Without an engine nobody is asked, and the name is all there is.
  EXPECT_EQ(Renderer(root_).render("p", {})->text, "[secret:account_id] <[secret:account_id]>");
  write("p.prompt", "---\nsecrets: [account_id]\n---\n{{ secret('other') }}");
  EXPECT_EQ(error().code, ErrorCode::kNotGranted);
  EXPECT_EQ(error().file + ":" + std::to_string(error().line), "completions/p.prompt:4");
  EXPECT_TRUE(Renderer(root_).variables("p")->empty());
  write("p.prompt", "---\nsecrets: [Account]\n---\nx");
  EXPECT_EQ(error().line, 2);
  // A variable of that name is one where no secret is read.
  write("p.prompt", "{{ secret }}");
  EXPECT_EQ(text("p", {{"secret", "mine"}}), "mine");
  EXPECT_NE(error().hint.find("secrets: [NAME]"), std::string::npos) << error().hint;
}

TEST_F(GrantedCallsTest, PartsAndImportedMacrosCallWhatThePromptGrants) {
  write("prompt_parts/part.txt", "<{{ slugify(title) }}>");
  write("prompt_parts/macros.txt", "{% macro slug(x) %}({{ slugify(text=x) }}){% endmacro %}");
  write("own.prompt", "---\ncalls: [stats.mean]\n---\n{{ stats.mean() }}");
  prompt("slugify", "{% include 'part' %}{% from 'macros' import slug %}{{ slug(1) }}");
  EXPECT_EQ(text("p", {{"title", "A"}}), "<[['A'], {}]>([[], {'text': 1}])");
  prompt("slugify", "{% include 'own.prompt' %}");
  EXPECT_EQ(error().message, "'stats.mean()' is undefined") << "the grant of a part is not the prompt's";
}

TEST_F(GrantedCallsTest, ADistinctCallIsMadeOnceInOneRenderingWhateverItsPasses) {
  write("p.prompt", "---\ncalls: [slugify]\nbudget: {tokens: 40}\nparts: {long: {shorten: end}}\n---\n"
                    "{{ slugify(1) }}{{ slugify(1) }}{{ slugify(2) }}{% block long %}{% for i in range(100) %}word {% endfor %}{% endblock %}");
  auto rendered = Renderer(root_).render("p", json::object{}, &caller_);
  ASSERT_TRUE(rendered.has_value()) << to_text(rendered.error());
  EXPECT_FALSE(rendered->budget->cuts.empty());
  EXPECT_EQ(caller_.made.size(), 2U);
}

TEST_F(GrantedCallsTest, WhatIsNotGrantedIsUndefinedAndTheHintNamesTheKey) {
  prompt("stats.mean", "\n{{ stats.median([1]) }}");
  const Error other = error();
  EXPECT_EQ(other.message, "'stats.median' is undefined");
  EXPECT_NE(other.hint.find("add `calls: [stats.median]`"), std::string::npos) << other.hint;
  EXPECT_EQ(other.line, 5);
  write("p.prompt", "{{ slugify(text='x') }}");
  EXPECT_EQ(error().message, "'slugify' is undefined");
  EXPECT_NE(error().hint.find("`calls: [slugify]`"), std::string::npos) << error().hint;
  write("p.prompt", "{{ stats.mean([1]) }}");
  EXPECT_NE(error().hint.find("`calls: [stats.mean]`"), std::string::npos) << to_text(error());
  write("q.j2", "{{ slugify('x') }}");
  EXPECT_NE(error("q").hint.find("call it in a .prompt file"), std::string::npos) << error("q").hint;
  write("q.j2", "{{ slugifi('x') }}");
  EXPECT_EQ(error("q").hint.find("function"), std::string::npos) << error("q").hint;
  EXPECT_TRUE(caller_.made.empty());
}

TEST_F(GrantedCallsTest, AVariableOfAFunctionsNameIsRefused) {
  prompt("stats.mean, stats.median", "{{ stats.mean() }}");
  const Error hidden = error("p", {{"stats", json::object{{"mean", 1}}}});
  EXPECT_EQ(hidden.code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(hidden.message, "the variable 'stats' has the name of a function that this prompt calls");
  EXPECT_TRUE(Renderer(root_).variables("p")->empty());
}

TEST_F(GrantedCallsTest, AFunctionsErrorIsToldWhereItWasCalled) {
  write("prompt_parts/part.txt", "one\n  {{ stats.mean(values) }}");
  prompt("stats.mean", "{% include 'part' %}");
  caller_.answer = [](const auto&, auto, auto) {
    return Result<std::string>(fail(Error(ErrorCode::kFunctionError, "no values", "Give it some.").at("functions/cpp/stats.cpp", 7)));
  };
  const Error failed = error("p", {{"values", json::array{}}});
  EXPECT_EQ(to_text(failed), "completions/prompt_parts/part.txt:2:6: stats.mean(): functions/cpp/stats.cpp:7: no values\n  Give it some.");
  EXPECT_EQ(failed.code, ErrorCode::kTemplate);
  EXPECT_NE(failed.data.find(R"("cause":{"type":"function_error")"), std::string::npos) << failed.data;
  caller_.answer = [](const auto&, auto, auto) { return Result<std::string>(fail(ErrorCode::kRecordingMissing, "nothing recorded")); };
  EXPECT_EQ(error("p", {{"values", json::array{}}}).code, ErrorCode::kRecordingMissing);
}

TEST_F(GrantedCallsTest, ArgumentsThatAreNoJsonAreRefusedBeforeTheCall) {
  const auto refused = [&](const std::string& argument, std::string_view wanted) {
    prompt("slugify", "{{ slugify(" + argument + ") }}");
    const Error told = error();
    EXPECT_NE(told.message.find(wanted), std::string::npos) << to_text(told);
    EXPECT_EQ(told.line, 4);
  };
  refused("1e300 * 1e300", "inf cannot be");
  refused("{1: 2}", "names of type str, not int");
  refused("range", "cannot be an argument");
  refused("slugify", "cannot be an argument");
  refused("nothing", "'nothing' is undefined");
  prompt("slugify", "{% set l = [] %}{% do l.append(l) %}{{ slugify(l) }}");
  EXPECT_NE(error().message.find("too deeply"), std::string::npos) << error().message;
  EXPECT_TRUE(caller_.made.empty());
}

TEST_F(GrantedCallsTest, CallsAreBounded) {
  prompt("slugify", "{% for i in range(100) %}{{ slugify(i) }}{% endfor %}");
  EXPECT_FALSE(text().starts_with("ERROR"));
  prompt("slugify", "{% for i in range(101) %}{{ slugify(i) }}{% endfor %}");
  EXPECT_NE(error().message.find("at most 100 different calls"), std::string::npos) << error().message;
  caller_.answer = [](const auto&, auto, auto) { return Result<std::string>("\"" + std::string(std::size_t{5} << 20U, 'x') + "\""); };
  prompt("slugify", "{{ slugify()|length }}");
  EXPECT_NE(error().message.find("too much text"), std::string::npos) << error().message;
  caller_.answer = [](const auto&, auto, auto) { return Result<std::string>(std::string(1000, '[') + std::string(1000, ']')); };
  EXPECT_NE(error().message.find("what slugify() gave"), std::string::npos) << error().message;
}

TEST_F(GrantedCallsTest, NobodyToCallIsAnErrorAndNoCrash) {
  prompt("slugify", "{{ slugify(1) }}");
  const auto rendered = Renderer(root_).render("p", json::object{});
  ASSERT_FALSE(rendered.has_value());
  EXPECT_EQ(rendered.error().message, "slugify(): functions are not called here");
  EXPECT_TRUE(Renderer(root_).calls_functions("p"));
  write("q.j2", "x");
  EXPECT_FALSE(Renderer(root_).calls_functions("q"));
}

TEST_F(GrantedCallsTest, ListsOfAddressesAreCheckedWithTheirPlace) {
  const auto problem = [](const std::string& line) {
    auto parsed = parse_prompt("---\n" + line + "\n---\nx", "completions/p.prompt");
    return parsed ? std::string("fine") : to_text(parsed.error());
  };
  for (const char* good : {"calls: [stats.mean, ruby/slugify, shop.orders.total]", "functions: [stats.mean, 'ruby/text.*', '*', 'stats.*', 'python/*']", "calls: []"}) {
    EXPECT_EQ(problem(good), "fine") << good;
  }
  for (const char* bad : {"calls: stats.mean", "calls: [3]", "calls: ['stats.*']", "calls: [a-b]", "calls: ['.x']", "calls: ['a/b/c']", "calls: ['/a']", "functions: ['st*']",
                          "functions: {a: b}", "functions: ['']", "functions: [a b]"}) {
    EXPECT_TRUE(problem(bad).starts_with("completions/p.prompt:2:")) << bad << " " << problem(bad);
  }
}

}  // namespace
}  // namespace sabir::completions
