#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sabir/schema/function_schema.h"

namespace sabir::schema {
namespace {
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> names(const Description& description) {
  std::vector<std::string> out;
  for (const auto& function : description.functions) out.push_back(function.receiver + " " + function.name);
  return out;
}

Description read(std::string_view grammar, std::string_view source, Written written = Written::kBefore) {
  auto description = describe(grammar, source, "file", {}, written);
  EXPECT_TRUE(description) << to_text(description.error());
  return description ? *description : Description{};
}

TEST(ExistingCode, MethodsOfAClassThatNeedsNothingAreCalledOnNewObjects) {
  const char* const source = "class Numbers\n  def following(last)\n  end\n  private\n  def helper\n  end\nend\n";
  EXPECT_THAT(names(read("ruby", source)), ElementsAre("Numbers.new following"));
  EXPECT_THAT(names(read("ruby", source, Written::kForTheProject)), IsEmpty());
}

TEST(ExistingCode, WhatHasAConstructorOrAParentIsNotMadeByTheEngine) {
  EXPECT_THAT(names(read("ruby", "class A\n  def initialize(x)\n  end\n  def call\n  end\nend\nclass B < A\n  def call\n  end\nend\n")), IsEmpty());
}

TEST(ExistingCode, TwoClassesOfOneFileMayHaveMethodsOfOneName) {
  const char* const source = "class A\n  def self.call\n  end\nend\nclass B\n  def self.call\n  end\nend\n";
  EXPECT_THAT(names(read("ruby", source)), ElementsAre("A call", "B call"));
  EXPECT_EQ(read("ruby", source, Written::kForTheProject).unavailable.size(), 1U);
}

TEST(ExistingCode, ACallThatForwardsToTheConstructorTakesWhatThatTakes) {
  const auto told = read("ruby", "class Refund\n  def self.call(...)\n    new(...).call\n  end\n  def initialize(order:, cents: 0)\n  end\n  def call\n  end\nend\n");
  ASSERT_EQ(told.functions.size(), 1U);
  ASSERT_EQ(told.functions[0].parameters.size(), 2U);
  EXPECT_EQ(told.functions[0].parameters[0].name, "order");
  EXPECT_FALSE(told.functions[0].parameters[1].required);
}

TEST(ExistingCode, AHeadersDeclarationsAreFunctions) {
  const char* const source =
      "#pragma once\n#include <string>\nnamespace shop {\nclass Thing;\n/// Adds.\nint add(int a, int b = 2);\nconst std::string& name();\n"
      "void use(Thing& thing);\nextern int counter;\nint (*pointer)(int);\n}\n";
  const auto told = read("cpp", source);
  EXPECT_THAT(names(told), ElementsAre("shop add", "shop name"));
  EXPECT_EQ(told.functions[0].summary, "Adds.");
  EXPECT_EQ(told.unavailable.size(), 1U);
  EXPECT_THAT(names(read("cpp", source, Written::kForTheProject)), IsEmpty());
}

}  // namespace
}  // namespace sabir::schema
