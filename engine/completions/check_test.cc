#include "sabir/completions/check.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sabir/base/ids.h"
#include "sabir/completions/renderer.h"

namespace sabir::completions {
namespace {

class Check : public testing::Test {
 protected:
  void SetUp() override { root_ = std::filesystem::temp_directory_path() / ("sabir-check-" + new_id()); }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, std::string_view text) const {
    const auto path = root_ / "completions" / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  CheckReport report(const CheckOptions& options = {}) const {
    auto report = Renderer(root_, [](const std::string&) { return Tokens("gpt-4o"); }).check(options);
    EXPECT_TRUE(report.has_value()) << to_text(report.error());
    return report ? std::move(*report) : CheckReport();
  }
  // "file:line:column severity code message | hint", a line each; the file without folders.
  std::string found(const CheckOptions& options = {}) const {
    std::string out;
    for (const auto& finding : report(options).findings) {
      out += finding.file.substr(finding.file.rfind('/') + 1) + ":" + std::to_string(finding.line) + ":" + std::to_string(finding.column) + " " + std::string(to_text(finding.severity)) +
             " " + finding.code + " " + finding.message + (finding.hint.empty() ? "" : " | " + finding.hint) + "\n";
    }
    return out;
  }
  // Of one prompt with these properties, all of them required, in place of those that the last test wrote.
  std::string found_in(std::string_view properties, std::string_view body) const {
    std::string names;
    const auto parsed = parse_json(properties);
    for (const auto& member : parsed->get_object()) names += (names.empty() ? "" : ", ") + std::string(member.key());
    write("p.prompt", "---\ninput: {schema: {type: object, required: [" + names + "], properties: " + std::string(properties) + "}}\n---\n" + std::string(body));
    return found();
  }

  std::filesystem::path root_;
};

TEST_F(Check, VariablesThatAreNotDeclaredAreToldWithTheNearest) {
  EXPECT_EQ(found_in(R"({"customer": {"type": "string"}})", "Dear {{ customer }},\n{{ custmer }}"),
            "p.prompt:5:4 error undefined 'custmer' is not declared in input.schema | Did you mean customer? Declared: customer.\n");
  EXPECT_EQ(found_in(R"({"customer": {"type": "string"}})", "Dear {{ custmer }}"),
            "p.prompt:2:67 error unused 'customer' is declared, and read nowhere | Did you mean custmer?\n"
            "p.prompt:4:9 error undefined 'custmer' is not declared in input.schema | Did you mean customer? Declared: customer.\n");
}

TEST_F(Check, WhatMayBeMissingIsNotUndefined) {
  EXPECT_EQ(found_in(R"({"a": {}})",
                     "{{ a }}{{ x | default('') }}{{ y|d }}{% if z is defined %}{{ z.q }}{% elif z is undefined %}{{ a }}{% endif %}"
                     "{{ w if w is defined else a }}{% if v is defined and v > 1 %}{{ v }}{% endif %}"),
            "");
  EXPECT_EQ(found_in(R"({"a": {}})", "{{ a }}{% if z is defined %}{% endif %}{{ z }}"), "p.prompt:4:43 error undefined 'z' is not declared in input.schema | Did you mean a? Declared: a.\n");
  write("o.prompt", "---\ninput: {schema: {properties: {nick: {type: string}}}}\n---\n{{ nick }}{{ nick|default('') }}");
  EXPECT_EQ(report({{"o"}, {}}).count(Severity::kWarning), 1U);
  EXPECT_EQ(report({{"o"}, {}}).count(Severity::kError), 0U);
}

TEST_F(Check, NamesAreScopedAsJinjaScopesThem) {
  EXPECT_EQ(found_in(R"({"l": {"type": "array"}, "d": {"type": "object"}})",
                     "{% set a = 1 %}{% set b %}{{ a }}{% endset %}{{ b }}{% for i in l recursive %}{{ i }}{{ loop.index }}{% set q = i %}{{ q }}{{ loop(l) }}{% else %}{% endfor %}"
                     "{% with w = a, x = l %}{{ w }}{{ x }}{% endwith %}{% macro m(p, r=p) %}{{ p }}{{ r }}{{ varargs }}{{ kwargs }}{{ caller() }}{{ late }}{% endmacro %}"
                     "{% set late = 1 %}{% call(y) m(1) %}{{ y }}{% endcall %}{% set ns = namespace(n=1) %}{% set ns.n = 2 %}{{ ns.n }}{{ range(3) }}{{ dict(a=1) }}"
                     "{% for k, v in d.items() %}{{ k }}{{ v }}{% endfor %}{% if l %}{% set c = 1 %}{% endif %}{{ c }}"),
            "");
  EXPECT_EQ(found_in(R"({"l": {}})", "{% for i in l %}{% set q = i %}{% endfor %}{{ i }}{{ q }}"),
            "p.prompt:4:47 error undefined 'i' is not declared in input.schema | Did you mean l? Declared: l.\np.prompt:4:54 error undefined 'q' is not declared in input.schema | Did you mean l? Declared: l.\n");
}

TEST_F(Check, IncludesImportsAndInheritanceAreFollowed) {
  write("prompt_parts/inner.txt", "{{ tone }}{{ item }}{{ missing }}");
  EXPECT_EQ(found_in(R"({"tone": {}, "l": {}})", "{% for item in l %}{% include 'inner' %}{% endfor %}"),
            "inner.txt:1:24 error undefined 'missing' is not declared in input.schema | Declared: l, tone.\n");
  write("prompt_parts/inner.txt", "{% macro m(a) %}{{ a }}{{ tone }}{% endmacro %}");
  EXPECT_EQ(found_in(R"({"tone": {}})", "{{ tone }}{% from 'inner' import m, mm %}{{ m(1) }}"),
            "p.prompt:4:11 error not_exported the template has no macro or name 'mm' | Did you mean m?\n"
            "inner.txt:1:27 error undefined 'tone' is not to be had here: the template is used without the context | "
            "Give it to the macro as an argument, or write `with context` behind the import or include.\n");
  EXPECT_EQ(found_in(R"({"tone": {}})", "{% from 'inner' import m with context %}{{ m(1) }}"), "");
  write("prompt_parts/inner.txt", "<{% block head %}{{ tone }}{% endblock %}{% block body %}{{ other }}{% endblock %}>");
  EXPECT_EQ(found_in(R"({"tone": {}, "mine": {}})", "{% extends 'inner' %}{% block body %}{{ mine }}{% endblock %}"), "");
  EXPECT_EQ(found_in(R"({"tone": {}, "mine": {}})", "{% extends 'inner' %}{% block body %}{{ mine }}{{ super() }}{% endblock %}"),
            "inner.txt:1:61 error undefined 'other' is not declared in input.schema | Declared: mine, tone.\n");
}

TEST_F(Check, FunctionsThatAPromptGrantsAreNoVariables) {
  write("prompt_parts/inner.txt", "{% macro m(l) %}{{ stats.mean(l) }}{{ mean(l) }}{% endmacro %}");
  write("p.prompt",
        "---\ncalls: [stats.mean, ruby/slugify]\ninput: {schema: {type: object, required: [l], properties: {l: {}}}}\n---\n"
        "{{ stats.mean(l) }}{{ slugify(l) }}{% from 'inner' import m %}{{ m(l) }}\n{{ stat.mean(l) }}");
  EXPECT_EQ(found(),
            "p.prompt:6:4 error undefined 'stat' is not declared in input.schema | Declared: l.\n"
            "inner.txt:1:39 error undefined 'mean' is not to be had here: the template is used without the context | "
            "Give it to the macro as an argument, or write `with context` behind the import or include.\n");
}

TEST_F(Check, WhatIsNeverWrittenIsTold) {
  write("prompt_parts/base.txt", "{% block body %}{% endblock %}");
  EXPECT_EQ(found_in("{}", "{% extends 'base' %}\nlost\n{% block bodi %}x{% block inner %}{% endblock %}{% endblock %}{% set a = 1 %}"),
            "p.prompt:5:1 error unreachable this is never written: it stands outside of the blocks of a template that extends another | Take it out, or mend the condition.\n"
            "p.prompt:6:1 error unreachable this block is never written: 'base' has no block 'bodi' | Did you mean body?\n");
  std::filesystem::remove(root_ / "completions/prompt_parts/base.txt");
  EXPECT_EQ(found_in("{}", "{% if false %}\n a{% elif true %}b{% else %}c{% endif %}{% for i in [] %}d{% endfor %}{% for i in [1] %}{% break %} {{ i }}{% endfor %}{% if not 1 %}{% endif %}"),
            "p.prompt:5:2 error unreachable this is never written: its condition never holds | Take it out, or mend the condition.\n"
            "p.prompt:5:29 error unreachable this is never written: a condition before it always holds | Take it out, or mend the condition.\n"
            "p.prompt:5:58 error unreachable this is never written: the loop has nothing to go through | Take it out, or mend the condition.\n"
            "p.prompt:5:101 error unreachable this is never written: the loop is left before it | Take it out, or mend the condition.\n");
}

TEST_F(Check, PartsThatNoPromptUsesAreToldUnlessThatCannotBeKnown) {
  write("prompt_parts/used.txt", "x");
  write("prompt_parts/unused.txt", "{% include 'other' %}");
  write("prompt_parts/other.txt", "x");
  EXPECT_EQ(found_in("{}", "{% include 'used' %}"),
            "other.txt:1:1 error unused no prompt uses this part | Include it, or delete it.\nunused.txt:1:1 error unused no prompt uses this part | Include it, or delete it.\n");
  EXPECT_EQ(found_in(R"({"a": {}, "b": {}})", "{% include a %}"),
            "p.prompt:4:12 note unknown which template `a` names is known at rendering only, so unused variables and parts are not told\n");
  EXPECT_EQ(report().count(Severity::kError), 0U);
  // Names that can be known.
  EXPECT_EQ(found_in(R"({"a": {"enum": ["used", "other"]}})", "{% include a %}{% for p in ['unused', 'other'] %}{% include p %}{% endfor %}{% set n = 'us' ~ 'ed' %}{% include n if a else 'used' %}"), "");
  EXPECT_EQ(found_in("{}", "{% include ['nothing', 'used'] %}{% include 'no' ignore missing %}{% include 'unused' %}"), "");
}

TEST_F(Check, FilesThatAreNotThereOrCannotBeReadAreTold) {
  write("prompt_parts/tone.txt", "x {{ broken");
  write("q.prompt", "---\nmodle: x\n---\n");
  EXPECT_EQ(found_in("{}", "{% include 'tone' %}\n{% include 'tune' %}"),
            "p.prompt:5:12 error missing there is no part or template 'tune' in completions/ | Did you mean tone?\n"
            "tone.txt:1:5 error syntax template syntax: unexpected end of template inside of a print statement\n"
            "q.prompt:2:1 error invalid unknown key 'modle' | Did you mean model?\n");
}

TEST_F(Check, ReadsThatTheSchemaDoesNotAllowAreTold) {
  constexpr std::string_view kSchema =
      R"({"c": {"type": "object", "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "object", "properties": {"t": {}}}}}}, "n": {"type": "integer"}, "s": {"type": "string"}, "o": {"type": "object"}})";
  EXPECT_EQ(found_in(kSchema,
                     "{{ c.name }}{{ c['name'] }}{{ c.name.upper() }}{{ c.items() }}{{ o.x.y }}{{ s|upper }}{% for t in c.tags[1:]|reverse %}{{ t.t }}{% endfor %}{{ n }}{{ c.more|default('') }}"
                     "{% if c.deep is defined %}{{ c.deep }}{% endif %}"),
            "");
  EXPECT_EQ(found_in(kSchema, "{{ c.nam }}{{ o }}\n{{ n.x }}{{ s }}\n{% for t in c.tags %}{{ t.q }}{% endfor %}{% set d = c %}{{ d.nam }}\n{% for x in n %}{% endfor %}{% for x in s %}{% endfor %}{{ c['tag'] }}"),
            "p.prompt:4:4 error mismatch 'c' has no 'nam' in input.schema | Did you mean name? It has name, tags.\n"
            "p.prompt:5:4 error mismatch 'n' is number in input.schema, and has no 'x'\n"
            "p.prompt:6:25 error mismatch 'c.tags[…]' has no 'q' in input.schema | Did you mean t? It has t.\n"
            "p.prompt:6:61 error mismatch 'c' has no 'nam' in input.schema | Did you mean name? It has name, tags.\n"
            "p.prompt:7:13 error mismatch 'n' is number in input.schema, and cannot be looped over\n"
            "p.prompt:7:41 warning mismatch 's' is string in input.schema: the loop goes through its characters\n"
            "p.prompt:7:60 error mismatch 'c' has no 'tag' in input.schema | Did you mean tags? It has name, tags.\n");
}

TEST_F(Check, SchemasAreReadThroughReferencesAndCombinations) {
  write("p.prompt",
        "---\ninput:\n  schema:\n    $defs: {person: {type: object, properties: {name: {}}}}\n    allOf: [{properties: {a: {$ref: '#/$defs/person'}}, required: [a]}, {required: [b]}]\n"
        "    properties: {b: {anyOf: [{type: object, properties: {x: {}}}, {type: 'null'}]}, c: {type: object, additionalProperties: {type: object, properties: {y: {}}}}}\n"
        "    required: [c]\n---\n{{ a.name }}{{ a.nam }}{{ b.x }}{{ b.z }}{% for k, v in c.items() %}{{ v.q }}{% endfor %}{{ c.k.y }}{{ d }}");
  EXPECT_EQ(found(),
            "p.prompt:9:16 error mismatch 'a' has no 'nam' in input.schema | Did you mean name? It has name.\n"
            "p.prompt:9:36 error mismatch 'b' has no 'z' in input.schema | Did you mean x? It has x.\n"
            "p.prompt:9:72 error mismatch 'c[…]' has no 'q' in input.schema | Did you mean y? It has y.\n"
            "p.prompt:9:104 error undefined 'd' is not declared in input.schema | Did you mean a, b or c? Declared: a, b, c.\n");
}

TEST_F(Check, WithoutASchemaOnlyWhatLooksMisspelledIsTold) {
  write("a.j2", "{{ anything }}");
  write("p.prompt", "---\ninput: {defaults: {customer: Ana}}\n---\n{{ custmer }}{{ other }}");
  EXPECT_EQ(found(),
            "p.prompt:2:20 error unused 'customer' is declared, and read nowhere | Did you mean custmer?\n"
            "p.prompt:4:4 error undefined 'custmer' is not declared under input | Did you mean customer?\n");
  write("p.prompt", "---\ninput: {defaults: {customer: Ana}}\n---\n{{ customers }}{{ customer }}");
  EXPECT_EQ(found(), "p.prompt:4:4 warning undefined 'customers' is not declared under input | Did you mean customer?\n");
}

TEST_F(Check, FrontMatterIsHeldAgainstItself) {
  write("p.prompt",
        "---\nmodel: opnai\ninput:\n  defaults: {tone: 3, extra: 1}\n  schema: {type: object, additionalProperties: false, required: [name], properties: {tone: {type: string}, name: {}}}\n"
        "output: {schema: {type: strin}}\nparts: {gone: {priority: 1}}\n---\n{{ tone }}{{ name }}{{ extra }}");
  EXPECT_EQ(found({{}, {{"openai", "local"}}}),
            "p.prompt:2:1 error model there is no model 'opnai' in config/openai_config.yml | Did you mean openai? There are openai, local.\n"
            "p.prompt:4:14 error mismatch the default of 'tone' does not fit input.schema: value is not of type \"string\"\n"
            "p.prompt:4:23 error mismatch the default of 'extra' does not fit input.schema: Additional properties are not allowed ('extra' was unexpected)\n"
            "p.prompt:6:10 error invalid output.schema is not a JSON Schema: the schema is invalid at '/type': \"strin\" is not valid under any of the schemas listed in the 'anyOf' keyword\n"
            "p.prompt:7:1 warning budget without a budget no part is ever shortened or left out | Set budget.tokens.\n"
            "p.prompt:7:9 error unreachable the prompt has no part 'gone' | A part is a block of that name, or an included template.\n");
  write("p.prompt", "---\nmodel: gpt-4o\ninput:\n  schema: {type: strin}\n---\n");
  EXPECT_EQ(report().findings.at(0).line, 4);
}

TEST_F(Check, ABudgetThatCannotBeMetIsTold) {
  write("p.prompt", "---\nbudget: {tokens: 12}\nparts: {b: {shorten: end, min_tokens: 9}}\n---\n== user ==\none two three four five six seven{% block b %}{{ x }}{% endblock %}\n");
  EXPECT_EQ(found(),
            "p.prompt:3:27 error budget shortened, 'b' has at least 9 tokens, and beside the text that is always there 0 of 12 are left | "
            "It is left out whole whenever it is too long. Lower `min_tokens`, or raise the budget.\n");
  write("p.prompt", "---\nbudget: {tokens: 12}\nparts: {b: {shorten: end}}\n---\n== user ==\none two three four five six seven eight{% block b %}{{ x }}{% endblock %}\n");
  EXPECT_EQ(found(),
            "p.prompt:2:10 error budget the text that is always there has at least 13 tokens, and the budget 12 | Raise it, or declare under `parts` what else may be shortened or left out.\n");
  write("p.prompt", "---\nbudget: {tokens: 12}\n---\n{% if x %}one two three four five six seven eight nine ten eleven twelve{% endif %}{% for i in x %}one two three four five six seven eight nine ten{% endfor %}\n");
  EXPECT_EQ(found(), "");
}

TEST_F(Check, ATemplateWithoutEndIsToldInTime) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "{% include 'a' %}{% include 'b' %}";
  write("a.j2", text);
  write("b.j2", text);
  write("c.j2", "{% extends 'c' %}");
  const auto all = report();
  EXPECT_EQ(all.count(Severity::kError), 1U) << found();
  EXPECT_EQ(all.count(Severity::kNote), 2U) << found();
}

}  // namespace
}  // namespace sabir::completions
