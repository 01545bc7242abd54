// Types that a Python file takes from the project's other files, and classes that contain themselves or each other.
#include <gtest/gtest.h>

#include <map>

#include "sabir/schema/function_schema.h"
#include "sabir/schema/validator.h"

namespace sabir::schema {
namespace {

using Files = std::map<std::string, std::string>;

Description read(const std::string& source, const Files& files = {}, const std::string& path = "functions/python/shop/orders.py") {
  const ReadOther other = [&](const std::string& relative) {
    const auto found = files.find(relative);
    return found == files.end() ? std::nullopt : std::optional(found->second);
  };
  auto description = describe("python", source, path, other);
  EXPECT_TRUE(description) << (description ? "" : to_text(description.error()));
  return description ? std::move(*description) : Description{};
}

// The schema of the first function's first parameter, as text.
std::string first_parameter(const Description& description) {
  return description.functions.empty() ? "" : json::serialize(description.functions[0].parameters.at(0).schema);
}

const char* const kModels = R"(from enum import Enum
class Size(Enum):
    S = "s"
    L = "l"
)";
const std::string kSize = R"({"type":"string","enum":["s","l"]})";

TEST(PythonModules, EveryWayToImportLeadsToTheClass) {
  const Files files = {{"functions/python/shop/models.py", kModels},
                       {"functions/python/shop/__init__.py", "from .models import Size as Exported\n"},
                       {"functions/python/all.py", "from shop.models import *\n"}};
  const std::pair<const char*, const char*> imports[] = {
      {"from .models import Size", "Size"},
      {"from .models import Size as Other", "Other"},
      {"from . import models", "models.Size"},
      {"from . import Exported", "Exported"},
      {"from ..shop.models import Size", "Size"},
      {"from models import Size", "Size"},
      {"import models", "models.Size"},
      {"import models as m", "m.Size"},
      {"from .models import *", "Size"},
      {"from functions.python.shop.models import Size", "Size"},
      {"import functions.python.shop.models", "functions.python.shop.models.Size"},
      {"from functions.python.shop import models", "models.Size"},
      {"if TYPE_CHECKING:\n    from .models import Size", "'Size'"},
      {"try:\n    from .models import Size\nexcept ImportError:\n    Size = None", "Size"},
  };
  for (const auto& [import, hint] : imports) {
    const auto description = read(std::string(import) + "\ndef f(size: " + hint + ") -> None: ...\n", files);
    EXPECT_EQ(first_parameter(description), kSize) << import;
    EXPECT_TRUE(description.functions[0].warnings.empty()) << import;
    EXPECT_FALSE(description.depends.empty()) << import;
  }
}

TEST(PythonModules, NamesInAClassAreThoseOfItsOwnFile) {
  const Files files = {{"functions/python/shop/models.py",
                        "from dataclasses import dataclass\nfrom .units import Unit as Size\n@dataclass\nclass Box:\n    size: Size\n"},
                       {"functions/python/shop/units.py", "from typing import Literal\nUnit = Literal['m']\n"}};
  const auto description = read("from .models import Box\nSize = int\ndef f(box: Box): ...\n", files);
  EXPECT_NE(first_parameter(description).find(R"("size":{"type":"string","enum":["m"]})"), std::string::npos) << first_parameter(description);
  EXPECT_EQ(description.depends, (std::vector<std::string>{"functions/python/shop/models.py", "functions/python/shop/units.py"}));
}

TEST(PythonModules, AnotherPackagesClassIsUnknownEvenWhereItsNameIsKnown) {
  const auto description = read("from acme.files import Path\nimport numpy as np\ndef f(path: Path, array: np.ndarray): ...\n");
  ASSERT_EQ(description.functions.size(), 1U);
  for (const auto& parameter : description.functions[0].parameters) {
    EXPECT_TRUE(parameter.schema.empty());
    EXPECT_TRUE(parameter.unresolved);
  }
  EXPECT_EQ(description.functions[0].warnings.size(), 2U);
}

TEST(PythonModules, ImportsInACircleEnd) {
  const Files files = {{"functions/python/shop/a.py", "from .b import X\n"}, {"functions/python/shop/b.py", "from .a import X\nfrom .a import *\n"}};
  const auto description = read("from .a import X\nfrom .b import *\ndef f(x: X, y: Y): ...\n", files);
  EXPECT_TRUE(description.functions[0].parameters[0].unresolved);
}

TEST(PythonModules, AFileThatDoesNotReadIsAsIfItWereNotThere) {
  const auto description = read("from .models import Size\ndef f(size: Size): ...\n", {{"functions/python/shop/models.py", std::string("\xff\xfe", 2)}});
  EXPECT_TRUE(description.functions[0].parameters[0].unresolved);
}

TEST(PythonModules, ImportsDoNotLeaveTheProject) {
  const auto description = read("from .....etc.passwd import X\ndef f(x: X): ...\n", {{"etc/passwd.py", "X = int\n"}}, "functions/python/x.py");
  EXPECT_TRUE(description.functions[0].parameters[0].unresolved);
}

TEST(PythonClasses, OneThatContainsItselfIsADefinition) {
  const auto description = read(R"(from dataclasses import dataclass
@dataclass
class Tree:
    value: int
    children: list["Tree"]
def f(tree: Tree) -> Tree: ...
)");
  const auto& function = description.functions[0];
  EXPECT_EQ(first_parameter(description), R"({"$ref":"#/$defs/Tree"})");
  auto validator = Validator::compile(function.input_schema);
  ASSERT_TRUE(validator);
  EXPECT_TRUE(validator->check(R"({"tree":{"value":1,"children":[{"value":2,"children":[]}]}})", ErrorCode::kInvalidArguments, "arguments"));
  const auto wrong = validator->check(R"({"tree":{"value":1,"children":[{"value":"2","children":[]}]}})", ErrorCode::kInvalidArguments, "arguments");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("/tree/children/0/value"), std::string::npos) << wrong.error().message;
  EXPECT_TRUE(function.output_schema.contains("$defs"));
}

TEST(PythonClasses, ThoseThatUseEachOtherOftenDoNotMultiply) {
  std::string source = "from dataclasses import dataclass\n@dataclass\nclass C0:\n    x: int\n";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "C" + std::to_string(i - 1);
    source += "@dataclass\nclass C" + std::to_string(i) + ":\n    a: " + before + "\n    b: " + before + "\n    c: list[" + before + "]\n";
  }
  const auto description = read(source + "def f(c: C39): ...\n");
  const auto text = json::serialize(description.functions[0].input_schema);
  EXPECT_LT(text.size(), 50'000U);
  EXPECT_TRUE(Validator::compile(description.functions[0].input_schema));
}

TEST(PythonClasses, MembersOfABaseElsewhereMayBeAny) {
  const auto description = read(R"(from dataclasses import dataclass
from acme import Base
@dataclass
class Order(Base):
    x: int
def f(order: Order): ...
)");
  EXPECT_EQ(first_parameter(description), "{}");
  EXPECT_TRUE(description.functions[0].parameters[0].unresolved);
}

TEST(PythonClasses, TwoOfOneNameStayApart) {
  const Files files = {{"functions/python/shop/a.py", "from __future__ import annotations\nfrom pydantic import BaseModel\nclass Node(BaseModel):\n    a: Node | None\n"},
                       {"functions/python/shop/b.py", "from __future__ import annotations\nfrom pydantic import BaseModel\nclass Node(BaseModel):\n    b: Node | None\n"}};
  const auto description = read("from . import a, b\ndef f(x: a.Node, y: b.Node): ...\n", files);
  const auto text = json::serialize(description.functions[0].input_schema);
  EXPECT_NE(text.find("#/$defs/Node_2"), std::string::npos) << text;
}

}  // namespace
}  // namespace sabir::schema
