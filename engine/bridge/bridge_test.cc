#include "sabir/bridge/bridge.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

sb_str view(std::string_view text) { return {text.data(), text.size()}; }

std::string take(sb_buf buffer) {
  std::string text(buffer.data == nullptr ? "" : buffer.data, buffer.size);
  sb_free(buffer);
  return text;
}

TEST(BridgeSqlite, IsTheOneWhoseHeaderIsIncludedAndIsThreadSafe) {
  EXPECT_EQ(sqlite3_libversion_number(), SQLITE_VERSION_NUMBER);
  EXPECT_EQ(sqlite3_threadsafe(), 1);
  EXPECT_EQ(sqlite3_compileoption_used("ENABLE_FTS5"), 1);
}

struct Answer {
  int status;
  std::string text;
};

Answer validate(const char* schema_text, std::string_view instance) {
  sb_buf error{};
  sb_schema* schema = sb_schema_compile(view(schema_text), &error);
  EXPECT_NE(schema, nullptr) << take(error);
  sb_buf out{};
  const int status = sb_schema_validate(schema, view(instance), &out);
  sb_schema_free(schema);
  return {status, take(out)};
}

TEST(BridgeSchema, NamesPathKeywordAndWhatCame) {
  constexpr const char* kSchema = R"({"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]})";
  EXPECT_EQ(validate(kSchema, R"({"n":1})").status, 0);
  const Answer wrong = validate(kSchema, R"({"n":"x"})");
  EXPECT_EQ(wrong.status, 1);
  EXPECT_NE(wrong.text.find(R"("path":"/n","keyword":"type")"), std::string::npos) << wrong.text;
  EXPECT_NE(wrong.text.find(R"("expected":"integer","got":"string \"x\"")"), std::string::npos) << wrong.text;
  EXPECT_EQ(validate(kSchema, "{").status, 2);
}

TEST(BridgeSchema, DepthIsBounded) {
  EXPECT_EQ(validate("{}", std::string(200, '[') + std::string(200, ']')).status, 2);
}

TEST(BridgeSchema, InvalidSchemaIsAnErrorText) {
  sb_buf error{};
  EXPECT_EQ(sb_schema_compile(view(R"({"type": 12})"), &error), nullptr);
  EXPECT_NE(take(error).find("invalid"), std::string::npos);
  EXPECT_EQ(sb_schema_compile(view(R"({"$ref": "https://schema.invalid/x.json"})"), &error), nullptr);
  EXPECT_FALSE(take(error).empty());
}

TEST(BridgeTree, IsFlatInPreorder) {
  for (const char* language : {"python", "ruby", "cpp", "java"}) {
    sb_buf error{};
    sb_tree* tree = sb_tree_parse(view(language), view("f(1, 2)"), &error);
    ASSERT_NE(tree, nullptr) << take(error);
    const sb_node* nodes = sb_tree_nodes(tree);
    const std::size_t count = sb_tree_node_count(tree);
    ASSERT_GT(count, 4U);
    for (std::size_t i = 1; i < count; ++i) {
      EXPECT_LT(nodes[i].parent, i);
      if (nodes[i].next_sibling != 0xffffffff) {
        EXPECT_GT(nodes[i].next_sibling, i);
        EXPECT_EQ(nodes[nodes[i].next_sibling].parent, nodes[i].parent);
      }
    }
    const sb_str kind = sb_tree_kind_name(tree, nodes[0].kind);
    EXPECT_FALSE(std::string_view(kind.data, kind.size).empty());
    sb_tree_free(tree);
  }
}

// tree-sitter-ruby keeps the length of a here-document's word in one byte.
TEST(BridgeTree, ALongWordOfARubyHeredocEndsNothing) {
  for (const std::size_t length : {200, 255, 256, 300, 1015, 1019, 1020, 3000}) {
    const std::string word(length, 'W');
    const std::string whole = "A = <<~" + word + "\n  kept\n" + word + "\nB = 1\n";
    for (const std::string& source : {whole, "A = <<'" + word, "f <<A, <<'" + word + "'\n  a\nA\n  b\n" + word + "\n"}) {
      sb_buf error{};
      sb_tree* tree = sb_tree_parse(view("ruby"), view(source), &error);
      ASSERT_NE(tree, nullptr) << take(error);
      if (length <= 255 && source == whole) {
        EXPECT_EQ(sb_tree_nodes(tree)[0].has_error, 0) << length;
      }
      sb_tree_free(tree);
    }
  }
}

TEST(BridgeTree, DepthAndGrammarAreChecked) {
  sb_buf error{};
  EXPECT_EQ(sb_tree_parse(view("cobol"), view(""), &error), nullptr);
  EXPECT_NE(take(error).find("cobol"), std::string::npos);
  EXPECT_EQ(sb_tree_parse(view("python"), view(std::string(5000, '(') + std::string(5000, ')')), &error), nullptr);
  EXPECT_NE(take(error).find("nested deeper"), std::string::npos);
}

class BridgeTemplates : public testing::Test {
 protected:
  static int load(void* user, sb_str name, sb_str* text) {
    const auto& parts = *static_cast<std::map<std::string, std::string, std::less<>>*>(user);
    const auto found = parts.find(std::string_view(name.data, name.size));
    if (found == parts.end()) return 0;
    *text = view(found->second);
    return 1;
  }
  BridgeTemplates() : templates_(sb_templates_new(&load, &parts_, 100'000)) {}
  ~BridgeTemplates() override { sb_templates_free(templates_); }
  Answer render(std::string_view name, std::string_view context) {
    sb_buf out{};
    const int status = sb_templates_render(templates_, view(name), view(context), &out);
    return {status, take(out)};
  }
  std::map<std::string, std::string, std::less<>> parts_;
  sb_templates* templates_;
};

TEST_F(BridgeTemplates, IncludesPartsAndTrimsAsJinja2Does) {
  parts_["page"] = "{% include 'part' %}!\n";
  parts_["part"] = "Hello {{ name.upper() }}\n";
  EXPECT_EQ(render("page", R"({"name": "ada"})").text, "Hello ADA!");
  parts_["part"] = "<{{ name }}>";
  EXPECT_EQ(render("page", R"({"name": "a & b"})").text, "<a & b>!") << "changed parts are seen, nothing is escaped";
}

TEST_F(BridgeTemplates, UndefinedVariableNamesPartLineAndExpression) {
  parts_["page"] = "x\n{% include 'part' %}";
  parts_["part"] = "a\nb {{ user.name }}";
  const Answer answer = render("page", R"({"user": {}})");
  EXPECT_EQ(answer.status, 1);
  EXPECT_EQ(answer.text,
            R"({"kind":"undefined","message":"'user.name' is undefined","template":"part","line":2,"column":6})");
}

TEST_F(BridgeTemplates, MissingPartSyntaxAndEndlessLoopAreToldApart) {
  parts_["a"] = "{% include 'nope' %}";
  parts_["b"] = "{% if %}";
  parts_["c"] = "{% for x in range(10000) %}{% for y in range(10000) %}{{ y }}{% endfor %}{% endfor %}";
  parts_["d"] = "{% include 'd' %}";
  EXPECT_NE(render("a", "{}").text.find(R"("kind":"not_found")"), std::string::npos);
  EXPECT_NE(render("b", "{}").text.find(R"("kind":"syntax")"), std::string::npos);
  EXPECT_NE(render("c", "{}").text.find(R"("kind":"fuel")"), std::string::npos);
  EXPECT_EQ(render("d", "{}").status, 1);
  EXPECT_NE(render("a", "[]").text.find(R"("kind":"bad_json")"), std::string::npos);
}

TEST_F(BridgeTemplates, ListsTheVariablesThatItReads) {
  parts_["a"] = "{% set x = 1 %}{{ x }} {{ user.name }} {% for i in range(n) %}{{ i }}{% endfor %}";
  sb_buf out{};
  EXPECT_EQ(sb_templates_variables(templates_, view("a"), &out), 0);
  EXPECT_EQ(take(out), R"(["n","user"])");
}

// Texts by name, with a number for each content.
struct Numbered {
  std::map<std::string, std::pair<std::uint64_t, std::string>, std::less<>> texts;
  static int load(void* self, sb_str name, sb_str* text, std::uint64_t* version) {
    auto& texts = static_cast<Numbered*>(self)->texts;
    const auto found = texts.find(std::string_view(name.data, name.size));
    if (found == texts.end()) return 0;
    *version = found->second.first;
    *text = view(found->second.second);
    return 1;
  }
};

TEST(BridgeKeptTemplates, AreParsedOnceForEachNumber) {
  Numbered numbered;
  sb_templates* const templates = sb_templates_keeping(1'000'000, view("<<mark"));
  const auto render = [&](std::string_view name, std::string_view defaults = "") {
    const sb_reading reading{&Numbered::load, nullptr, &numbered, view("<<secret"), nullptr, view("")};
    sb_buf out{};
    const int status = sb_templates_render_kept(templates, &reading, view(name), view(R"({"x": 1})"), view(defaults), &out);
    return std::to_string(status) + take(out);
  };
  numbered.texts = {{"page", {1, "{% include 'part' %} {{ x }}"}}, {"part", {2, "one {% if false %}"}}};
  EXPECT_NE(render("page").find(R"("template":"part","line":1)"), std::string::npos) << render("page");
  numbered.texts["part"] = {3, "two"};
  EXPECT_EQ(render("page"), "0two 1");
  numbered.texts["part"] = {3, "what the same number says is not read again"};
  EXPECT_EQ(render("page"), "0two 1");
  numbered.texts["part"] = {4, "{{ y }}"};
  EXPECT_EQ(render("page", R"({"x": 5, "y": 6})"), "06 1");
  EXPECT_NE(render("page").find(R"("message":"'y' is undefined","template":"part","line":1,"column":4)"), std::string::npos) << render("page");
  numbered.texts["h"] = {5, "<<mark0\xee\x80\x81 {{ '<<mark' }}1\xee\x80\x81 {{ '\\n<<mark2\xee\x80\x81'|upper }}"};
  EXPECT_EQ(render("h"), "0<<secret0\xee\x80\x81 <<mark1\xee\x80\x81 \n<<SECRET2\xee\x80\x81");
  for (std::uint64_t i = 10; i < 2000; ++i) {
    numbered.texts["page"] = {i, std::to_string(i)};
    ASSERT_EQ(render("page"), "0" + std::to_string(i));
  }
  sb_templates_free(templates);
}

// Simple templates are rendered directly from the second time on; what comes of it is the same.
TEST(BridgeKeptTemplates, AreTheSameHoweverTheyAreRendered) {
  Numbered numbered;
  sb_templates* const kept = sb_templates_keeping(1'000'000, view("<<mark"));
  const auto render = [&](std::string_view name, std::string_view variables, std::string_view defaults) {
    const sb_reading reading{&Numbered::load, nullptr, &numbered, view("<<secret"), nullptr, view("")};
    sb_buf out{};
    const int status = sb_templates_render_kept(kept, &reading, view(name), view(variables), view(defaults), &out);
    return std::to_string(status) + take(out);
  };
  std::uint64_t version = 0;
  const std::string nested(200, '[');
  for (const std::string text : {"{{ x }}", "<<mark1\xee\x80\x81{{ x.y }}{{ z }}", "{% for x in x %}{{ x }},{% else %}{{ z }}{% endfor %}", "{% if x %}{{ z }}{% endif %}"}) {
    for (const std::string variables :
         {R"({"x": 1})", R"({"x": 1, "x": "last"})", R"({"x": {"y": 1, "y": "\ud83d\ude00 \u00e9"}})", R"({"x": "\ud800"})", R"({"x": 1e999})", R"({"x": -0})",
          R"({"x": 340282366920938463463374607431768211456})", R"({"x": 18446744073709551616})", R"({"x": 18446744073709551615})", R"({"x": 2.0})",
          R"({"x": [1, "two", null, true, 2.5]})", R"({"x": [1, "two"]})", R"({"x": []})", R"({"z": 2})", R"({"x": "a", "z": null})", "{", "[]", "{}", "", "null",
          "{\"x\": \"\xff\"}", "{\"x\": \"\n\"}", R"({"x": 01})", R"({"x": 1} 2)", R"({"y": nul})", R"({"x": "__sb_", "__sb_x": 1})"}) {
      for (const std::string defaults : {"", R"({"z": "default", "x": "other"})", R"({"z": "default"})"}) {
        numbered.texts["page"] = {++version, text};
        const std::string first = render("page", variables, defaults);
        EXPECT_EQ(render("page", variables, defaults), first) << text << " of " << variables << " and " << defaults;
        numbered.texts["same"] = {++version, text + "{{ '' }}"};
        const std::string other = render("same", variables, defaults);
        EXPECT_EQ(first[0] == '0' ? first : "1", other[0] == '0' ? other : "1") << text << " of " << variables << " and " << defaults;
      }
    }
    const std::string deep = R"({"x": "1", "deep": )" + nested + std::string(200, ']') + "}";
    EXPECT_NE(render("page", deep, "").find("recursion limit"), std::string::npos);
  }
  sb_templates_free(kept);
}

TEST(BridgeDigest, MatchesTheStandardsExample) {
  sb_sha256* state = sb_sha256_new();
  sb_sha256_update(state, view("a"));
  sb_sha256_update(state, view("bc"));
  char out[64];
  sb_sha256_finish(state, out);
  EXPECT_EQ(std::string_view(out, 64), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
