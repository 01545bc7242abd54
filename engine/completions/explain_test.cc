#include "sabir/completions/explain.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "explained.h"
#include "sabir/base/ids.h"

namespace sabir::completions {
namespace {

class Explain : public testing::Test {
 protected:
  void SetUp() override { root_ = std::filesystem::temp_directory_path() / ("sabir-explain-" + new_id()); }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, std::string_view text) const {
    const auto path = root_ / "completions" / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  Renderer renderer() const {
    return Renderer(root_, [](const std::string&) { return Tokens("gpt-4o"); });
  }
  Explanation explained(const std::string& name, const json::object& variables) const {
    expect_explained(renderer(), name, variables);
    auto explanation = renderer().explain(name, json::serialize(variables));
    EXPECT_TRUE(explanation.has_value()) << to_text(explanation.error());
    return explanation ? std::move(*explanation) : Explanation();
  }
  // "file:line:column kind expression|text", a line each; the file without folders, and what of it is not of use left out.
  std::string told(const std::string& name, const json::object& variables = {}) const {
    std::string out;
    const auto explanation = explained(name, variables);
    for (const auto& span : explanation.spans) {
      out += span.file.substr(span.file.rfind('/') + 1) + ":" + std::to_string(span.line) + ":" + std::to_string(span.column) + " " + std::string(to_text(span.kind)) +
             (span.part.empty() ? "" : " in " + span.part) + (span.message ? " #" + std::to_string(*span.message) : "") + (span.expression.empty() ? "" : " " + span.expression) + "|";
      for (const char c : explanation.rendered.text.substr(span.from, span.to - span.from)) out += c == '\n' ? '/' : c;
      out += "\n";
    }
    return out;
  }

  std::filesystem::path root_;
};

TEST_F(Explain, EveryPieceHasItsFileAndPlace) {
  write("prompt_parts/tone.txt", "Be {{ tone }}.\n");
  write("a.j2", "Été {{ who.name }}:\n  {%- include 'tone' %}\n{{ 'x' }}{{ who.name|upper }}");
  EXPECT_EQ(told("a", {{"who", {{"name", "Zoë"}}}, {"tone", "kind"}}),
            "a.j2:1:1 literal #0|Été \n"
            "a.j2:1:8 value #0 who.name|Zoë\n"
            "a.j2:1:19 literal #0|:\n"
            "tone.txt:1:1 literal #0|Be \n"
            "tone.txt:1:7 value #0 tone|kind\n"
            "tone.txt:1:14 literal #0|.\n"
            "a.j2:2:24 literal #0|/\n"
            "a.j2:3:4 literal #0 'x'|x\n"
            "a.j2:3:13 derived #0 who.name|upper|ZOË\n");
}

TEST_F(Explain, WhatATemplateTakesInHandIsOneDerivedPieceAndKeepsItsValue) {
  write("prompt_parts/inner.txt", "in{{ x }}");
  write("a.j2",
        "{% macro m(a) %}<{{ a }}{% include 'inner' %}>{% endmacro %}{{ m(1) }}{{ m(1)|length }}"
        "{% set b %}b{{ x }}{% endset %}{{ b }}{{ b|length }}{{ b == 'b7' }}"
        "{% filter upper %}f{{ x }}{% endfilter %}{% call(y) m(2) %}{{ y }}{% endcall %}");
  write("prompt_parts/call.txt", "{% macro twice() %}{{ caller() }}{{ caller()|length }}{% endmacro %}");
  EXPECT_FALSE(renderer().render("a", {{"x", 7}}).has_value()) << "m takes no caller";
  expect_explained(renderer(), "a", {{"x", 7}});
  write("b.j2",
        "{% macro m(a) %}<{{ a }}{% include 'inner' %}>{% endmacro %}{{ m(1) }}{{ m(1)|length }}"
        "{% set b %}b{{ x }}{% endset %}{{ b }}{{ b|length }}{{ b == 'b7' }}"
        "{% filter upper %}f{{ x }}{% endfilter %}{% from 'call' import twice %}{% call twice() %}c{{ x }}{% endcall %}");
  EXPECT_EQ(told("b", {{"x", 7}}),
            "b.j2:1:64 derived #0 m(1)|<1in7>\n"
            "b.j2:1:74 derived #0 m(1)|length|6\n"
            "b.j2:1:122 derived #0 b|b7\n"
            "b.j2:1:129 derived #0 b|length|2\n"
            "b.j2:1:143 derived #0 b == 'b7'|True\n"
            "b.j2:1:165 derived #0 upper|F7\n"
            "b.j2:1:234 derived #0 twice()|c72\n");
  // What an included template prints of it is derived, too.
  write("c.j2", "{% set x %}1{% endset %}{% include 'inner' %}");
  EXPECT_EQ(told("c", {{"x", 7}}), "inner.txt:1:1 literal #0|in\ninner.txt:1:6 derived #0 x|1\n");
}

TEST_F(Explain, InheritanceLoopsAndBlocksAreFollowed) {
  write("base.j2", "<{% block t %}base {{ v }}{% endblock %}{{ self.t()|length }}>");
  write("a.j2", "{% extends 'base' %}{% block t %}a{{ super() }}{{ super()|length }}{% endblock %}");
  EXPECT_EQ(told("a", {{"v", 5}}),
            "base.j2:1:1 literal #0|<\n"
            "a.j2:1:34 literal #0|a\n"
            "base.j2:1:15 literal #0|base \n"
            "base.j2:1:23 value #0 v|5\n"
            "a.j2:1:51 derived #0 super()|length|6\n"
            "base.j2:1:44 derived #0 self.t()|length|8\n"
            "base.j2:1:62 literal #0|>\n");
  write("l.j2", "{% for i in l recursive %}[{{ i.n }}{{ loop(i.c) }}{{ loop.index }}]{% endfor %}");
  EXPECT_EQ(told("l", {{"l", json::array{json::object{{"n", 1}, {"c", json::array{json::object{{"n", 2}, {"c", json::array()}}}}}}}}),
            "l.j2:1:27 literal #0|[\nl.j2:1:31 value #0 i.n|1\nl.j2:1:27 literal #0|[\nl.j2:1:31 value #0 i.n|2\n"
            "l.j2:1:55 value #0 loop.index|1\nl.j2:1:68 literal #0|]\nl.j2:1:55 value #0 loop.index|1\nl.j2:1:68 literal #0|]\n");
}

TEST_F(Explain, HeadingsPartTheMessages) {
  write("p.prompt", "---\nmodel: m\n---\n\n== system ==\nBe {{ tone }}.\n\n== user ==\n{% for q in qs %}\n== user ==\n{{ q }}\n{% endfor %}\n");
  EXPECT_EQ(told("p", {{"tone", "kind"}, {"qs", {"a", "b"}}}),
            "p.prompt:4:1 literal|/\n"
            "p.prompt:5:1 heading|== system ==\n"
            "p.prompt:6:1 literal #0|/Be \n"
            "p.prompt:6:7 value #0 tone|kind\n"
            "p.prompt:6:14 literal #0|.//\n"
            "p.prompt:8:1 heading|== user ==\n"
            "p.prompt:9:1 literal|/\n"
            "p.prompt:9:18 literal|/\n"
            "p.prompt:10:1 heading|== user ==\n"
            "p.prompt:11:1 literal|/\n"
            "p.prompt:11:4 value #1 q|a\n"
            "p.prompt:11:8 literal|/\n"
            "p.prompt:9:18 literal|/\n"
            "p.prompt:10:1 heading|== user ==\n"
            "p.prompt:11:1 literal|/\n"
            "p.prompt:11:4 value #2 q|b\n"
            "p.prompt:11:8 literal|/\n");
  // A heading in a text that spans lines.
  write("s.prompt", "== user ==\n{{ \"a\n== assistant ==\nb\" }}\n");
  EXPECT_EQ(told("s"),
            "s.prompt:1:1 heading|== user ==\ns.prompt:2:1 literal|/\ns.prompt:2:4 literal #0 \"a\n== … ==\nb\"|a/\ns.prompt:2:4 heading|== assistant ==\ns.prompt:2:4 literal #1 \"a\n== … ==\nb\"|/b\n");
}

TEST_F(Explain, WhatABudgetKeptIsOfItsPart) {
  write("prompt_parts/facts.txt", "red {{ x }} green");
  write("p.prompt",
        "---\nmodel: m\nbudget: {tokens: 28}\nparts:\n  hints: {priority: 1}\n  text: {priority: 2, shorten: start}\n  facts: {priority: 3}\n---\n"
        "== user ==\n{% block hints %}Think.{% endblock %}{% include 'facts' %}\n{% block text %}one two three four {{ x }} five{% endblock %} done {{ x }}\n");
  const json::object variables{{"x", "a b c d e f g"}};
  const auto told_of = told("p", variables);
  EXPECT_EQ(told_of,
            "p.prompt:9:1 heading|== user ==\n"
            "p.prompt:10:1 literal|/\n"
            "facts.txt:1:1 literal in facts #0|red \n"
            "facts.txt:1:8 value in facts #0 x|a b c d e f g\n"
            "facts.txt:1:12 literal in facts #0| green\n"
            "p.prompt:10:59 literal #0|/\n"
            "p.prompt:11:39 value in text #0 x| f g\n"
            "p.prompt:11:43 literal in text #0| five\n"
            "p.prompt:11:62 literal #0| done \n"
            "p.prompt:11:71 value #0 x|a b c d e f g\n");
  const auto explanation = explained("p", variables);
  ASSERT_EQ(explanation.parts.size(), 3U);
  EXPECT_EQ(explanation.parts[0].name, "hints");
  EXPECT_EQ(explanation.parts[0].from, explanation.parts[0].to);
  EXPECT_EQ(explanation.parts[0].line, 10);
  const auto json = to_json(explanation, Tokens("gpt-4o"));
  EXPECT_EQ(json.at("parts").at(1).at("action").as_string(), "dropped") << json;
  EXPECT_EQ(json.at("parts").at(1).at("tokens_before"), 2) << json;
  EXPECT_EQ(json.at("budget").at("used"), json.at("tokens"));
}

TEST_F(Explain, ACutWithinATextMovesItsPlace) {
  write("p.prompt", "---\nbudget: {tokens: 11}\nparts:\n  text: {shorten: start}\n---\n{% block text %}one\ntwo\nthree four five six seven{% endblock %}");
  const auto explanation = explained("p", {});
  ASSERT_EQ(explanation.spans.size(), 1U);
  EXPECT_EQ(explanation.rendered.text, " four five six seven") << explanation.rendered.text;
  EXPECT_EQ(explanation.spans[0].line, 8);
  EXPECT_EQ(explanation.spans[0].column, 6);
}

TEST_F(Explain, ARenderingUpToItsBoundsCanBeExplained) {
  write("a.j2", "{% for i in range(90000) %}{% set x %}{% endset %}{% if i == 5 %}{{ i }}{% endif %}{% endfor %}");
  expect_explained(renderer(), "a", {});
  write("b.j2", "{% for i in range(20000) %}{{ i }},{% endfor %}");
  expect_explained(renderer(), "b", {});
}

TEST_F(Explain, ATokenThatStraddlesIsOfThePieceInWhichItEnds) {
  write("a.j2", "hel{{ x }}");
  const auto explanation = explained("a", {{"x", "lo"}});
  EXPECT_EQ(tokens_of_spans(explanation, Tokens("gpt-4o")), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(to_json(explanation, Tokens("gpt-4o")).at("tokens"), 8);
}

}  // namespace
}  // namespace sabir::completions
