// What templates mean: Jinja2's rules with Python's values, errors at their place, and an end to every endless template.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "sabir/bridge/bridge.h"

namespace {

sb_str view(std::string_view text) { return {text.data(), text.size()}; }

constexpr std::string_view kVariables = R"({"a": 1, "word": "Hello", "list": [3, 1, 2], "dict": {"x": 1, "y": [1, 2.0, null, true]},
  "users": [{"name": "Ana", "group": 2}, {"name": "bo", "group": 1}], "quote": "it's"})";

class Templates : public testing::Test {
 protected:
  static int load(void* user, sb_str name, sb_str* text) {
    const auto& parts = *static_cast<std::map<std::string, std::string, std::less<>>*>(user);
    const auto found = parts.find(std::string_view(name.data, name.size));
    if (found == parts.end()) return 0;
    *text = view(found->second);
    return 1;
  }
  // A prompt's fuel.
  Templates() : templates_(sb_templates_new(&load, &parts_, 1'000'000)) {}
  ~Templates() override { sb_templates_free(templates_); }

  // The rendered text, or the error's JSON.
  std::string rendered(std::string_view text, std::string_view variables = kVariables) {
    sb_buf out{};
    const bool is_text = sb_templates_render_text(templates_, view("page"), view(text), view(variables), &out) == 0;
    std::string result(out.data == nullptr ? "" : out.data, out.size);
    sb_free(out);
    if (is_text) expect_explained(text, variables);
    return result;
  }
  // What is told of the pieces of its text is that text (bridge/src/templates/request.rs), and what is rendered directly as well.
  void expect_explained(std::string_view text, std::string_view variables) const {
    const std::string answer = asked("explain", text, variables);
    EXPECT_NE(answer.find("\"spans\":"), std::string::npos) << text << "\n" << answer;
  }
  std::string asked(const std::string& op, std::string_view text, std::string_view variables) const {
    const auto quoted = [](std::string_view plain) {
      std::string out = "\"";
      for (const char c : plain) {
        char code[8];
        std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned char>(c));
        const bool is_plain = static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
        out += is_plain ? std::string(1, c) : code;
      }
      return out + "\"";
    };
    std::string request = R"({"op": ")" + op + "\", \"template\": \"page\", \"variables\": " + std::string(variables) + ", \"templates\": {\"page\": " + quoted(text);
    for (const auto& [name, part] : parts_) request += ", " + quoted(name) + ": " + quoted(part);
    request += "}}";
    sb_buf out{};
    sb_templates_answer(view(request), &out);
    std::string answer(out.data == nullptr ? "" : out.data, out.size);
    sb_free(out);
    return answer;
  }
  void expect(const std::vector<std::pair<std::string_view, std::string_view>>& cases) {
    for (const auto& [text, expected] : cases) EXPECT_EQ(rendered(text), expected) << text;
  }
  void expect_error(std::string_view text, std::string_view kind, std::string_view message, std::string_view place) {
    const std::string answer = rendered(text);
    EXPECT_NE(answer.find(R"("kind":")" + std::string(kind) + "\""), std::string::npos) << text << "\n" << answer;
    EXPECT_NE(answer.find(message), std::string::npos) << text << "\n" << answer;
    EXPECT_NE(answer.find(place), std::string::npos) << text << "\n" << answer;
  }

  std::map<std::string, std::string, std::less<>> parts_;
  sb_templates* templates_;
};

TEST_F(Templates, ValuesAreWrittenAsPythonWritesThem) {
  expect({
      {"{{ list }} {{ dict }}", "[3, 1, 2] {'x': 1, 'y': [1, 2.0, None, True]}"},
      {"{{ [quote, 'a\"b', '\\n'] }}", "[\"it's\", 'a\"b', '\\n']"},
      {"{{ (1, 2) }} {{ (1,) }} {{ () }} {{ 1, 2 }}", "(1, 2) (1,) () (1, 2)"},
      {"{{ 1e20 }} {{ 1e15 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 2.0 }}", "1e+20 1000000000000000.0 1e-05 0.30000000000000004 2.0"},
      {"{{ true }} {{ none }} {{ 'a' ~ 1.0 ~ none ~ [1] }}", "True None a1.0None[1]"},
      {"{{ dict|tojson }} {{ \"<é'>\"|tojson }}", R"({"x": 1, "y": [1, 2.0, null, true]} "\u003c\u00e9\u0027\u003e")"},
  });
}

TEST_F(Templates, OperatorsArePythons) {
  expect({
      {"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 4 / 2 }}", "3 -4 2 -2 1024 0.5 2.0"},
      {"{{ 'ab' * 2 }} {{ [0] * 2 }} {{ [1] + [2] }} {{ 'a' 'b' }} {{ '%s-%03d' % ('x', 7) }}", "abab [0, 0] [1, 2] ab x-007"},
      {"{{ 1 < 2 < 3 }} {{ true == 1 }} {{ 1 == '1' }} {{ [1, 2] < [1, 3] }} {{ 'ell' in word }}", "True True False True True"},
      {"{{ word[1:3] }} {{ word[::-1] }} {{ list[-1] }} {{ list[::-1] }} {{ (1, 2, 3)[:2] }}", "el olleH 2 [2, 1, 3] (1, 2)"},
      {"{{ -1|abs }} {{ 'x' if a else 'y' }}{{ 'x' if not a }}", "1 x"},
  });
  expect_error("{{ 1 / 0 }}", "other", "division by zero", R"("line":1,"column":4)");
  expect_error("{{ 1 + 'a' }}", "other", "unsupported operand type(s) for +: 'int' and 'str'", R"("line":1)");
  expect_error("{{ 2 ** 200 }}", "other", "the number is too large", R"("line":1)");
}

TEST_F(Templates, FiltersTestsAndMethodsAreJinja2s) {
  expect({
      {"{{ users|sort(attribute='name')|map(attribute='name')|join(', ') }}", "Ana, bo"},
      {"{% for group, members in users|groupby('group') %}{{ group }}:{{ members|length }} {% endfor %}", "1:1 2:1 "},
      {"{{ list|batch(2)|list }} {{ list|select('odd')|list }} {{ dict|dictsort|first }}", "[[3, 1], [2]] [3, 1] ('x', 1)"},
      {"{{ 'the quick brown fox'|truncate(13, leeway=0) }} {{ 1000|filesizeformat }} {{ 2.5|round }}", "the quick... 1.0 kB 2.0"},
      {"{{ 'see www.x.org'|urlize }}", "see <a href=\"https://www.x.org\" rel=\"noopener\">www.x.org</a>"},
      {"{{ word.center(9, '*') }} {{ '{:>5}|{:,}'.format('a', 1234) }} {{ word.partition('l') }}", "**Hello**     a|1,234 ('He', 'l', 'lo')"},
      {"{{ 3 is divisibleby 3 }} {{ a is sameas 1 }} {{ dict is mapping }} {{ nope is defined }}", "True True True False"},
      {"{{ lipsum(2, html=false)|length > 20 }} {{ dict.get('q', 5) }} {{ dict.items()|list|length }}", "True 5 2"},
  });
}

TEST_F(Templates, ListsAndDictsOfTemplatesMayChange) {
  expect({
      {"{% set seen = [] %}{% for x in list %}{% do seen.append(x * 2) %}{% endfor %}{{ seen }}", "[6, 2, 4]"},
      {"{% set _ = dict.update({'z': 1}) %}{{ dict.z }}{{ list.pop() }}{{ list }}", "12[3, 1]"},
      {"{% set ns = namespace(n=0) %}{% for x in list %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}", "6"},
      {"{% set l = [] %}{% do l.append(l) %}{{ l|length }}", "1"},
  });
}

// A dict of many entries is another structure than one of few: both, and the way from one to the other, against a plain list.
TEST_F(Templates, DictsOfEverySizeKeepTheirOrder) {
  std::mt19937 random(1);
  std::vector<std::pair<int, int>> expected;
  std::string text = "{% set d = {} %}";
  std::string written;
  for (int step = 0; step < 600; ++step) {
    // Grows to some forty entries and back, and again.
    const int key = static_cast<int>(random() % (step % 200 < 100 ? 60 : 12));
    const auto at = std::find_if(expected.begin(), expected.end(), [&](const auto& entry) { return entry.first == key; });
    const std::string name = key % 2 == 0 ? std::to_string(key) : "'k" + std::to_string(key) + "'";
    const int what = static_cast<int>(random() % 8);
    if (what == 0 || (what < 4 && step % 200 >= 100)) {
      text += "{% do d.pop(" + name + ", none) %}";
      if (at != expected.end()) expected.erase(at);
    } else if (what == 1 && !expected.empty()) {
      text += "{% do d.popitem() %}";
      expected.pop_back();
    } else if (what == 2) {
      text += "{% do d.setdefault(" + name + ", " + std::to_string(step) + ") %}";
      if (at == expected.end()) expected.emplace_back(key, step);
    } else {
      text += "{% do d.update({" + name + ": " + std::to_string(step) + "}) %}";
      if (at == expected.end()) expected.emplace_back(key, step);
      else at->second = step;
    }
    text += "{{ d }} {{ " + name + " in d }} {{ d.k1|d('-') }}\n";
    std::string list;
    std::string first = "-";
    bool is_in = false;
    for (const auto& [known, value] : expected) {
      list += (list.empty() ? "" : ", ") + (known % 2 == 0 ? std::to_string(known) : "'k" + std::to_string(known) + "'") + ": " + std::to_string(value);
      is_in = is_in || known == key;
      if (known == 1) first = std::to_string(value);
    }
    written += "{" + list + "} " + (is_in ? "True" : "False") + " " + first + "\n";
  }
  EXPECT_EQ(rendered(text) + "\n", written);
}

TEST_F(Templates, MacrosTakeWhatJinja2sTake) {
  expect({
      {"{% macro m(x, y='d') %}{{ x }}{{ y }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }} {{ m(1, 2, 3, k=4) }}", "1d(){} 12(3,){'k': 4}"},
      {"{% macro m() %}[{{ caller(5) }}]{% endmacro %}{% call(v) m() %}v{{ v }}{% endcall %}", "[v5]"},
      {"{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "3210"},
      {"{% for x in [1, 9] if x < 5 recursive %}{{ x }}{{ loop([8]) }}{{ loop([2]) if x == 1 }}{% endfor %}", "12"},
  });
  expect_error("{% macro m(x) %}{% endmacro %}\n{{ m(1, 2) }}", "other", "takes not more than 1 argument", R"("line":2)");
}

TEST_F(Templates, ImportsSeeTheirCallersVariablesOnlyWithContext) {
  parts_["tools"] = "{% macro who() %}{{ a|default('nobody') }}{% endmacro %}{% set version = 3 %}";
  parts_["part"] = "{% set a = 5 %}{{ a }}";
  expect({
      {"{% import 'tools' as t %}{{ t.who() }}{{ t.version }}", "nobody3"},
      {"{% from 'tools' import who with context %}{{ who() }}", "1"},
      {"{% include 'part' %}{{ a }}", "51"},
      {"{% include 'tools' without context %}{% include ['nope', 'part'] %}{% include 'nope' ignore missing %}", "5"},
  });
  expect_error("{% from 'tools' import nope %}\n{{ nope() }}", "undefined", "does not export the requested name 'nope'", R"("line":2)");
}

TEST_F(Templates, WhatIsUndefinedIsNamedWhereItStands) {
  expect_error("x\n{{ 'a' ~\n   nope }}", "undefined", "'nope' is undefined", R"("line":3,"column":4)");
  expect_error("{{ a + nope + 1 }}", "undefined", "'nope' is undefined", R"("column":8)");
  expect_error("{{ nope|upper }}", "undefined", "'nope' is undefined", R"("column":4)");
  expect_error("{% if a and nope is odd %}{% endif %}", "undefined", "'nope' is undefined", R"("column":13)");
  expect_error("{% for x in nope %}{% endfor %}", "undefined", "'nope' is undefined", R"("column":13)");
  expect_error("{{ nope[0] }}", "undefined", "'nope' is undefined", R"("column":4)");
  expect_error("{{ nope(1) }}", "undefined", "'nope' is undefined", R"("column":4)");
  expect_error("{{ users|map(attribute='nam')|list }}", "undefined", "has no attribute 'nam'", R"("line":1)");
}

TEST_F(Templates, SyntaxErrorsAreJinja2sOwnWithTheirPlace) {
  expect_error("a\n{% if a %}b{% endfor %}", "syntax", "Encountered unknown tag 'endfor'.", R"("line":2,"column":15)");
  expect_error("{% for x in list %}", "syntax", "Unexpected end of template.", R"("line":1)");
  expect_error("{{ a|nope }}", "syntax", "No filter named 'nope'.", R"("line":1,"column":6)");
  expect_error("\r\n{{ (a }}", "syntax", "unexpected '}', expected ')'", R"("line":2,"column":7)");
  expect_error("{{ __sb_list }}", "syntax", "names that begin with __sb_ are reserved", R"("column":4)");
  EXPECT_EQ(rendered("{{ range(2) }}", R"({"__sb_list": "mine"})"), "[0, 1]") << "a variable is no helper";
}

TEST_F(Templates, TextThatLooksLikeTagsIsKept) {
  expect({
      {"{ {{ a }} }{% raw %}{{ a }}{% endraw %}{", "{ 1 }{{ a }}{"},
      {"{{ '{{' }}{{ '%}' }}{{ \"\\\\\" }}", "{{%}\\"},
      {"a\r\nb\rc\n", "a\nb\nc"},
      {"  {%- if a %} x {%- endif %}\n{#- c -#}  y", " xy"},
  });
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWED
#endif
#ifdef SLOWED  // every allocation is a sanitizer's
constexpr double kMostMs = 2000;
constexpr long kMostMegabytes = 1000;
#else
constexpr double kMostMs = 100;
constexpr long kMostMegabytes = 100;
#endif

// Processor time of this thread, and the most memory of this process.
class Cost {
 public:
  Cost() : start_(used()), memory_(peak()) {}
  double milliseconds() const { return (used() - start_) / 1e6; }
  long megabytes() const { return (peak() - memory_) / 1024; }

 private:
  static double used() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
  }
  static long peak() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
      if (word == "VmHWM:") {
        long kilobytes = 0;
        status >> kilobytes;
        return kilobytes;
      }
    }
    return 0;
  }
  double start_;
  long memory_;
};

TEST_F(Templates, EveryEndlessTemplateEndsSoonAndSmall) {
  const std::string grow = "{% set ns = namespace(x='a', l=[1], t=(1,)) %}{% for i in range(100) %}";
  const std::string doubled =
      "{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(60) %}{% set ns.l, ns.m = [ns.l, ns.l], [ns.m, ns.m] %}{% endfor %}";
  const std::string thousand(1000, 'x');
  parts_["self"] = "{% include 'self' %}";
  parts_["twice"] = "{% include 'again' %}{% include 'again' %}";
  parts_["again"] = "{% include 'twice' %}{% include 'twice' %}";
  parts_["empty"] = "";
  const std::vector<std::string> endless = {
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
      "{% include 'self' %}",
      "{% include 'twice' %}",
      "{% for i in range(100000) %}{% include 'empty' %}{% endfor %}",
      "{% for x in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
      "{% block b %}{{ self.b() }}{% endblock %}",
      grow + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      grow + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
      grow + "{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}",
      grow + "{% set ns.x = ns.x|replace('a', 'aa') %}{% endfor %}",
      grow + "{% set ns.x = [ns.x, ns.x]|join %}{% endfor %}",
      grow + "{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
      grow + "{% set ns.l = ns.l + ns.l %}{% endfor %}",
      "{{ range(10 ** 9) }}",
      "{% for i in range(10 ** 9) %}{% endfor %}",
      "{{ 'a' * 10 ** 9 }}",
      "{{ [1] * 10 ** 9 }}",
      "{% set l = [] %}{% for i in range(100000) %}{% do l.append('a' * 1000000) %}{% endfor %}",
      "{{ 'a'|center(10 ** 9) }}",
      "{{ 'a'.ljust(10 ** 9) }}",
      "{{ '1'.zfill(10 ** 9) }}",
      "{{ 'a\nb'|indent(10 ** 9) }}",
      "{{ '%1000000000d' % 1 }}",
      "{{ '{:1000000000}'.format(1) }}",
      "{{ [1]|batch(10 ** 9, 0) }}",
      "{{ [1]|slice(10 ** 9) }}",
      "{{ lipsum(10 ** 9) }}",
      "{{ 10 ** 10 ** 10 }}",
      doubled + "{{ ns.l }}",
      doubled + "{{ ns.l == ns.m }}",
      doubled + "{{ ns.l|tojson }}",
      "{% set ns = namespace(t=()) %}{% for i in range(60) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}{{ {ns.t: 1} }}",
      "{% set l = 'a' * 1000000 %}{% for i in range(100000) %}{% if l|length %}{% endif %}{% if l[-1] %}{% endif %}{% endfor %}",
      "{% for i in range(100000) %}{% set x %}{% for j in range(100000) %}" + thousand + "{% endfor %}{% endset %}{% endfor %}",
      "{% for i in range(100000) %}" + thousand + "{% endfor %}",
      "{% set l = [] %}{% do l.append(l) %}{% set m = [] %}{% do m.append(m) %}{{ l == m }}",
      "{{ ('a ' * 1000000)|wordwrap(1) }}",
  };
  for (const auto& text : endless) {
    const Cost cost;
    const std::string answer = rendered(text);
    EXPECT_NE(answer.find(R"("kind":")"), std::string::npos) << text.substr(0, 200) << "\n" << answer.substr(0, 200);
    EXPECT_EQ(answer.find("internal error"), std::string::npos) << answer;
    EXPECT_LT(cost.milliseconds(), kMostMs) << text.substr(0, 200);
    EXPECT_LT(cost.megabytes(), kMostMegabytes) << text.substr(0, 200);
  }
}

TEST_F(Templates, WhatIsSimpleIsRenderedDirectly) {
  constexpr std::string_view kSimple = R"({"name": "Ana \"A\" é", "n": -3, "big": 18446744073709551615, "yes": true, "nil": null, "zero": 0.0, "tiny": 0.5,
    "empty": [], "nothing": "", "messages": [{"role": "user", "content": "Hi,\nyou {{ x }}", "tags": ["a", "b"]}, {"role": "tool", "content": "42", "tags": []}],
    "deep": {"a": {"b": [[1, 2], []]}}, "items": {"items": "own"}})";
  const auto expect_direct = [&](std::string_view text, std::string_view expected) {
    EXPECT_EQ(asked("direct", text, kSimple), R"({"text":")" + std::string(expected) + "\"}") << text;
    EXPECT_EQ(asked("render", text, kSimple), R"({"text":")" + std::string(expected) + "\"}") << text;
  };
  expect_direct("a {# note #}b{% raw %} {{ c }} {% endraw %}", "a b {{ c }} ");
  expect_direct("{{ n }} {{ big }} {{ yes }} {{ nil }} {{ items.items }}", "-3 18446744073709551615 True None own");
  expect_direct("{% for m in messages %}{{ loop.index }}/{{ loop.length }} {{ m.role }}: {{ m.content }}{% if not loop.last %}|{% endif %}{% endfor %}",
                "1/2 user: Hi,\\nyou {{ x }}|2/2 tool: 42");
  expect_direct("{% for name in messages -%} {% for t in name.tags %}{{ loop.first }}{{ t }}{{ loop.index0 }}{% else %}{{ loop.index }}{% endfor %}; {% endfor %}{{ n }}",
                "Truea0Falseb1; 2; -3");
  expect_direct("{% for x in deep.a.b %}{% for y in x %}{{ y }}{% endfor %}{% endfor %}{% for x in empty %}x{% else %}none{% endfor %}", "12none");
  expect_direct("{% if name and n and tiny and big and yes and messages and deep %}1{% endif %}{% if nil or zero or empty or nothing %}2{% else %}3{% endif %}", "13");
  expect_direct("{% for m in messages %}{% if m.role == 'user' %}U{% elif m.role != 'tool' or n == '-3' %}?{% else %}T{% endif %}{% endfor %}", "UT");
  // What an error, a limit, a method, a filter or another value would be is left to minijinja.
  for (const std::string_view text :
       {"{{ missing }}", "{{ name.missing }}", "{% if deep.missing %}{% endif %}", "{{ messages }}", "{{ tiny }}", "{{ deep }}", "{{ name|upper }}",
        "{{ messages[0].role }}", "{{ 1 }}", "{% set x = 1 %}", "{% for x in name %}{% endfor %}", "{% for x in deep %}{% endfor %}", "{{ loop.index }}",
        "{% for m in messages %}{{ loop.depth }}{% endfor %}", "{% for m in messages if m %}{% endfor %}", "{% for a, b in empty %}{% endfor %}",
        "{% include 'a' %}", "{% block a %}{% endblock %}", "{{ self }}", "{{ range(3) }}", "{{ name.__class__ }}", "{% if n == 3 %}{% endif %}"}) {
    EXPECT_EQ(asked("direct", text, kSimple), R"({"text":null})") << text;
    EXPECT_EQ(asked("render", text, kSimple).find(R"("kind":"panic")"), std::string::npos) << text;
  }
  std::string many = R"({"l": [0)";
  for (int i = 0; i < 70'000; ++i) many += ",0";
  EXPECT_EQ(asked("direct", "{% for x in l %}{% endfor %}", many + "]}"), R"({"text":null})") << "its steps are counted";
  EXPECT_EQ(asked("render", "{% for x in l %}{% endfor %}", many + "]}"), R"({"text":""})");
}

TEST_F(Templates, DepthIsBoundedWhateverIsDeep) {
  const auto repeated = [](const std::string& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  for (const auto& text : {"{{ " + repeated("(", 50000), "{{ " + repeated("[", 50000), "{{ " + repeated("not ", 50000) + "1 }}",
                           "{{ " + repeated("-", 50000) + "1 }}", "{{ a" + repeated(".b", 50000) + " }}", "{{ 1" + repeated("|string", 50000) + " }}",
                           "{{ " + repeated("1 + ", 50000) + "1 }}", "{{ " + repeated("a or ", 50000) + "1 }}", repeated("{% if a %}", 50000),
                           "{{ " + repeated("1 if a else ", 50000) + "1 }}", "{% if a %}" + repeated("{% elif a %}", 50000) + "{% endif %}"}) {
    EXPECT_NE(rendered(text).find(R"("kind":"syntax")"), std::string::npos) << text.substr(0, 40);
  }
  EXPECT_EQ(rendered("{{ " + repeated("(1 + ", 15) + "1" + repeated(")", 15) + " }}"), "16");
  EXPECT_EQ(rendered("{% set ns = namespace(x=[]) %}{% for i in range(40000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x|length }}"), "1")
      << "what is deep is dropped without as deep a stack";
}

}  // namespace
