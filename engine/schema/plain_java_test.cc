#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sabir/schema/plain.h"

namespace sabir::schema {
namespace {

std::optional<json::object> plain(const std::string& members, const std::string& before = "") {
  return describe_plain("java", before + "public class Code {\n" + members + "}\n", "functions/java/Code.java");
}

std::string described(const std::string& members) {
  const auto entry = plain(members);
  return entry ? json::serialize(entry->at("functions")) : "left to the program";
}

TEST(PlainJava, SaysWhatTheProgramSays) {
  const auto entry = plain(
      "    /**\n     * Finds a thing.\n     *\n     * More of it.\n     * @param text the text\n     *     to look at\n     * @return what there is\n     * @effect read\n     */\n"
      "    public static String find(String text, int limit) {\n        return text;\n    }\n",
      "import java.util.List;\n\n/** Things. */\n");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(json::serialize(*entry),
            R"({"module_doc":"Things.","constants":{},"functions":[{"name":"find","line":14,"doc":"Finds a thing.\n\nMore of it.\n\nEffect: read",)"
            R"("result":{"schema":{"type":"string"},"type":"String","doc":"what there is"},"parameters":[)"
            R"({"name":"text","type":"String","required":true,"doc":"the text to look at","schema":{"type":"string"}},)"
            R"({"name":"limit","type":"int","required":true,"doc":"","schema":{"type":"integer","minimum":-2147483648,"maximum":2147483647}}],)"
            R"("warnings":[]}],"unavailable":[],"depends":[],"path":"functions/java/Code.java"})");
}

TEST(PlainJava, TypesOfTheJdkAreKnownByWhatIsImported) {
  const auto entry = plain("public static Map<String, List<Integer>> f(Set<String> a, byte[] b, Object c) { return null; }\n", "import java.util.*;\n");
  ASSERT_TRUE(entry.has_value());
  EXPECT_THAT(json::serialize(*entry), testing::HasSubstr(R"("schema":{"type":"object","additionalProperties":{"type":"array","items":{"type":"integer",)"));
  EXPECT_THAT(json::serialize(*entry), testing::HasSubstr(R"({"type":"array","items":{"type":"string"},"uniqueItems":true})"));
  EXPECT_FALSE(plain("public static List<String> f() { return null; }\n").has_value());
  EXPECT_FALSE(plain("public static List f() { return null; }\n", "import java.awt.List;\n").has_value());
}

TEST(PlainJava, WhatIsNotPlainIsLeftToTheProgram) {
  for (const char* members : {
           "public static int f(Order a) { return 1; }\n",                       // a type of another file
           "public static int f(int... a) { return 1; }\n",                      // variadic
           "public static int f(int a) { return 1; }\npublic static int f() { return 1; }\n",
           "public int f() { return 1; }\n",                                      // not static
           "public static <T> T f(T a) { return a; }\n",
           "@Deprecated\npublic static int f() { return 1; }\n",
           "record Order(int id) {}\n",
           "public static final String NAME = \"x\";\n",                          // a constant
           "/** See {@link Code}. */\npublic static int f() { return 1; }\n",
           "/** One <b>word</b>. */\npublic static int f() { return 1; }\n",
           "/** F.\n * @deprecated no */\npublic static int f() { return 1; }\n",
           "/** F.\n * @param a it (default 3) */\npublic static int f(int a) { return 1; }\n",
           "/** One. */\n/** Two. */\npublic static int f() { return 1; }\n",
           "public static int f(/** a */ int a) { return 1; }\n",
       }) {
    EXPECT_EQ(described(members), "left to the program") << members;
  }
}

TEST(PlainJava, WhatJavacMightRefuseIsLeftToTheProgram) {
  for (const char* body : {"return 1", "a + 1; return 1;", "return 99999999999;", "return 08;", "if (a > 1) int b = 2; return 1;", "String s = \"\\q\"; return 1;",
                           "char c = 'ab'; return 1;", "var b; return 1;", "for (a; a < 3; a++) {} return 1;", "switch (a) { case 1: return 1; } return 2;",
                           "int _ = 1; return 1;", "return 1_000;", "String s = \"\"\"\n x\n\"\"\"; return 1;", "int \\u0061 = 1; return 1;"}) {
    EXPECT_EQ(described(std::string("public static int f(int a) { ") + body + " }\n"), "left to the program") << body;
  }
  EXPECT_EQ(described("public public static int f() { return 1; }\n"), "left to the program");
}

TEST(PlainJava, ATypeBesideMayHideOneOfTheJdk) {
  EXPECT_TRUE(hides_plain_types("java", "class Other {}\nrecord  String(int a) {}\n"));
  EXPECT_TRUE(hides_plain_types("java", "interface List {}"));
  EXPECT_FALSE(hides_plain_types("java", "class Strings { String a; }"));
  EXPECT_FALSE(describe_plain("java", "class String {}", "functions/java/String.java").has_value());
  EXPECT_FALSE(describe_plain("java", "public class Other {}", "functions/java/Code.java").has_value());
}

TEST(PlainJava, NoOtherLanguageHasPlainFiles) {
  EXPECT_FALSE(describe_plain("go", "package functions", "functions/go/a.go").has_value());
  EXPECT_TRUE(hides_plain_types("go", ""));
}

}  // namespace
}  // namespace sabir::schema
