#include "budget.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "explained.h"
#include "sabir/base/ids.h"
#include "sabir/base/text.h"

namespace sabir::completions {
namespace {

class Budgets : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() / ("sabir-budget-" + new_id());
    std::filesystem::create_directories(root_ / "completions" / "prompt_parts");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, std::string_view text) const { std::ofstream(root_ / "completions" / name, std::ios::binary) << text; }
  // With `front` in the front matter.
  Result<Rendered> render(std::string_view front, std::string_view body, const json::object& variables = {}) const {
    write("p.prompt", "---\nmodel: m\n" + std::string(front) + "---\n" + std::string(body));
    const Renderer renderer(root_, [](const std::string&) { return Tokens("gpt-4o"); });
    expect_explained(renderer, "p", variables);
    return renderer.render("p", variables);
  }
  static std::string cuts(const Rendered& rendered) {
    std::string out;
    for (const auto& cut : rendered.budget->cuts) {
      out += cut.part + (cut.is_dropped ? "-" : "~") + std::to_string(cut.before) + ">" + std::to_string(cut.after) + " ";
    }
    return out;
  }
  static std::string budget(int tokens, std::string_view parts) { return "budget: {tokens: " + std::to_string(tokens) + "}\nparts:\n" + std::string(parts); }

  std::filesystem::path root_;
};

constexpr std::string_view kThree =
    "== system ==\nKeep this.\n{% block examples %}one two three four five{% endblock %}\n== user ==\n{% include 'facts' %}\n"
    "{% include \"prompt_parts/tail.md\" %} ask\n";

TEST_F(Budgets, TheLeastImportantPartGoesFirst) {
  write("prompt_parts/facts.txt", "red green blue");
  write("prompt_parts/tail.md", "a b");
  const std::string parts = "  facts: {priority: 20}\n  examples: {priority: 10}\n  tail: {priority: 20}\n";
  const auto whole = render(budget(1000, parts), kThree);
  ASSERT_TRUE(whole.has_value()) << to_text(whole.error());
  EXPECT_EQ(cuts(*whole), "");
  EXPECT_TRUE(whole->budget->is_exact);
  const auto used = static_cast<int>(whole->budget->used);
  EXPECT_EQ(whole->text, render("", kThree)->text) << "the same bytes as without a budget";

  auto less = render(budget(used - 1, parts), kThree);
  ASSERT_TRUE(less.has_value()) << to_text(less.error());
  EXPECT_EQ(cuts(*less), "examples-5>0 ");
  EXPECT_EQ(less->messages[0].at("content").as_string(), "Keep this.");
  EXPECT_EQ(less->messages[1].at("content").as_string(), "red green blue\na b ask");
  // Of two as important the one that is declared first.
  less = render(budget(static_cast<int>(less->budget->used) - 1, parts), kThree);
  EXPECT_EQ(cuts(*less), "examples-5>0 facts-3>0 ");
  EXPECT_EQ(less->messages[1].at("content").as_string(), "a b ask");
  less = render(budget(static_cast<int>(less->budget->used) - 1, parts), kThree);
  EXPECT_EQ(cuts(*less), "examples-5>0 facts-3>0 tail-2>0 ");

  const auto error = render(budget(static_cast<int>(less->budget->used) - 1, parts), kThree).error();
  EXPECT_EQ(error.code, ErrorCode::kLimit);
  EXPECT_EQ(error.file, "completions/p.prompt");
  EXPECT_NE(error.message.find("even without examples, facts, tail"), std::string::npos) << error.message;
  EXPECT_NE(render("budget: {tokens: 3}\n", kThree).error().message.find("tokens, and its budget 3"), std::string::npos);
}

TEST_F(Budgets, APartIsShortenedBeforeItIsLeftOut) {
  const std::string words = "{% block w %}{{ words }}{% endblock %}|end";
  json::object variables{{"words", "one two three. four five six. seven eight nine ten"}};
  const auto text = [&](const std::string& rule, int tokens) {
    auto rendered = render(budget(tokens, "  w: {" + rule + "}\n"), words, variables);
    return rendered ? rendered->text + " " + cuts(*rendered) : to_text(rendered.error());
  };
  // 7 tokens are the chat's, 2 the rest.
  EXPECT_EQ(text("shorten: end", 16), "one two three. four five six|end w~12>7 ");
  EXPECT_EQ(text("shorten: sentences", 16).substr(0, 20), "one two three.|end w");
  EXPECT_EQ(text("shorten: start", 14), ". seven eight nine ten|end w~12>5 ");
  EXPECT_EQ(text("shorten: end, min_tokens: 9", 16), "|end w-12>0 ") << "less than its least is nothing";
  EXPECT_EQ(text("shorten: none", 20), "|end w-12>0 ");
  variables["words"] = "👩‍👩‍👧‍👦 é 漢字漢字漢字 ńńńń 👩‍👩‍👧‍👦👩‍👩‍👧‍👦";
  for (const char* how : {"end", "start", "sentences"}) {
    for (int tokens = 10; tokens < 50; ++tokens) {
      const auto rendered = render(budget(tokens, "  w: {shorten: " + std::string(how) + "}\n"), words, variables);
      ASSERT_TRUE(rendered.has_value());
      EXPECT_LE(rendered->budget->used, static_cast<std::size_t>(tokens));
      EXPECT_EQ(find_invalid_utf8(rendered->text), std::string::npos) << how << tokens;
      EXPECT_TRUE(rendered->text.ends_with("|end"));
    }
  }
}

TEST_F(Budgets, AHistoryLosesItsOldestMessagesWhole) {
  const std::string body =
      "== system ==\nObey.\n{% block history %}{% for turn in turns %}\n== user ==\n{{ turn.q }}\n== assistant ==\n{{ turn.a }}\n{% endfor %}{% endblock %}\n"
      "== user ==\nlast\n";
  json::array turns;
  for (int i = 0; i < 6; ++i) turns.push_back({{"q", "question number " + std::to_string(i)}, {"a", "answer number " + std::to_string(i)}});
  const json::object variables{{"turns", turns}};
  const auto whole = render(budget(10'000, "  history: {shorten: start}\n"), body, variables);
  ASSERT_TRUE(whole.has_value()) << to_text(whole.error());
  ASSERT_EQ(whole->messages.size(), 14U);
  std::size_t before = 14;
  for (int tokens = static_cast<int>(whole->budget->used) - 1; tokens >= 16; --tokens) {
    for (const char* how : {"start", "end", "sentences"}) {
      const auto rendered = render(budget(tokens, "  history: {shorten: " + std::string(how) + "}\n"), body, variables);
      ASSERT_TRUE(rendered.has_value()) << tokens << to_text(rendered.error());
      EXPECT_EQ(rendered->messages.front().at("content").as_string(), "Obey.") << tokens;
      EXPECT_EQ(rendered->messages.back().at("content").as_string(), "last") << tokens;
      EXPECT_EQ(rendered->text.find("\xee\x80\x80"), std::string::npos) << "half a heading's mark";
      if (std::string_view(how) != "start") continue;
      EXPECT_LE(rendered->messages.size(), before);
      before = rendered->messages.size();
      if (before > 2) {
        EXPECT_EQ(rendered->messages[before - 2].at("content").as_string(), "answer number 5");
      }
    }
  }
  EXPECT_EQ(before, 2U);
}

TEST_F(Budgets, WithinItsBudgetAPromptIsTheSameToTheByte) {
  write("base.j2", "<{% block a %}base {{ x }}{% endblock %}|{% block b %}{% set y = 2 %}{{ y }}{% endblock %}>");
  write("prompt_parts/m.txt", "{% macro f(v) %}[{{ v }}]{% endmacro %}{% block a %}inner{% endblock %}");
  write("prompt_parts/w.txt", "{% include 'm' %}{{ x }}\n");
  for (const std::string_view body : {
           "{% extends 'base' %}{% block a %}{{ super() }} more {{ super()|upper }}{% endblock %}",
           "{% include ['none', 'm'] %}{% include 'none' ignore missing %}x",
           "{% from 'm' import f %}{{ f(x) }}{{ self.a() }}{% block a %}{% for i in [1, 2] %}{% include 'w' %}{% endfor %}{% endblock %}",
           "{% set c %}{% include 'w' %}{% endset %}{{ c|length }}{{ c|upper }}", "{% filter upper %}{% include 'w' without context %}{% endfilter %}",
           "{% set n = cycler('m', 'w') %}{% include n.next() %}{% include n.next() %}",
           "{% for i in [1, 2, 3] %}{% if i == 2 %}{% continue %}{% endif %}{% include 'm' %}{{ loop.index }}{% endfor %}",
           "{% block a scoped %}{% set z = 1 %}{{ z }}{% endblock %}{% block c %}{% block d %}d{% endblock %}{% endblock %}",
           "{% include nothing %}", "{% include 'no_such' %}", "{% block a %}\n{{ missing }}{% endblock %}"}) {
    const json::object variables{{"x", "value"}};
    const auto plain = render("", body, variables);
    const auto bounded = render(budget(1000, "  a: {}\n  m: {}\n  w: {shorten: end}\n"), body, variables);
    ASSERT_EQ(plain.has_value(), bounded.has_value()) << body << (bounded ? "" : to_text(bounded.error()));
    if (plain) {
      EXPECT_EQ(plain->text, bounded->text) << body;
    } else {
      EXPECT_EQ(plain.error().message, bounded.error().message) << body;
      // The budget's lines stand before those of the prompt.
      const int more = plain.error().file == "completions/p.prompt" ? 5 : 0;
      EXPECT_EQ(plain.error().line + more, bounded.error().line) << body;
      EXPECT_EQ(plain.error().file, bounded.error().file) << body;
      EXPECT_EQ(plain.error().column, bounded.error().column) << body;
    }
  }
}

TEST_F(Budgets, WhatStandsWithinAPartGoesWithIt) {
  write("prompt_parts/w.txt", "inner words");
  const auto rendered = render(budget(9, "  a: {priority: 5}\n  w: {priority: 50}\n"), "{% block a %}outer {% include 'w' %}{% endblock %}x");
  ASSERT_TRUE(rendered.has_value()) << to_text(rendered.error());
  EXPECT_EQ(rendered->text, "x");
  EXPECT_EQ(cuts(*rendered), "a-3>0 ");
  EXPECT_EQ(json::serialize(to_json(*rendered->budget)),
            R"({"tokens":9,"used":8,"exact":true,"parts":[{"part":"a","action":"dropped","tokens_before":3,"tokens":0}]})");
}

TEST_F(Budgets, AWrongKeyIsShownAtItsPlace) {
  const std::vector<std::tuple<std::string, int, std::string>> wrong = {
      {"budget: 5\n", 3, "'budget' must be a mapping"},
      {"budget: {}\n", 3, "'budget' needs 'tokens'"},
      {"budget: {tokens: 0}\n", 3, "whole number from 1"},
      {"budget: {tokens: 1.5}\n", 3, "whole number from 1"},
      {"budget:\n  token: 5\n", 4, "token"},
      {"parts: [a]\n", 3, "'parts' must be a mapping"},
      {"parts:\n  a: 5\n", 4, "must be a mapping"},
      {"parts:\n  a:\n    priority: 101\n", 5, "from 1 to 100"},
      {"parts:\n  a:\n    prority: 1\n", 5, "prority"},
      {"parts:\n  a: {shorten: middle}\n", 4, "none, end, start or sentences"},
      {"parts:\n  a: {min_tokens: 5}\n", 4, "'min_tokens' needs 'shorten'"},
      {"parts:\n  a: {shorten: end, min_tokens: -1}\n", 4, "whole number from 0"},
  };
  for (const auto& [front, line, message] : wrong) {
    const auto rendered = render(front, "x");
    ASSERT_FALSE(rendered.has_value()) << front;
    EXPECT_EQ(rendered.error().code, ErrorCode::kTemplate) << front;
    EXPECT_EQ(rendered.error().line, line) << front;
    EXPECT_NE(rendered.error().message.find(message), std::string::npos) << rendered.error().message;
  }
  EXPECT_FALSE(render("parts:\n  a: {priority: 5}\n", "x")->budget.has_value());
}

}  // namespace
}  // namespace sabir::completions
