#include "scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sabir::testing {

// In gtest's failures.
void PrintTo(const Ref& ref, std::ostream* out) { *out << static_cast<int>(ref.kind) << ":" << ref.text; }

namespace {
using ::testing::Contains;
using ::testing::IsSupersetOf;
using ::testing::Not;

Ref module(std::string text) { return {RefKind::kModule, std::move(text)}; }
Ref of(RefKind kind, std::string text = "") { return {kind, std::move(text)}; }

TEST(Scan, PythonImportsAreFoundHoweverTheyAreWritten) {
  const auto refs = scan("tests/test_a.py",
                         "import os, functions.python.a as a\nfrom memory.python import (x,  # why\n   y as z)\nfrom . import near\nfrom ..up.deep import *\n"
                         "try: import lazy\nexcept ImportError: pass\nif True:\n    from inner import name; import last\nimportlib.import_module('by.name')\n");
  EXPECT_THAT(refs, IsSupersetOf({module("os"), module("functions.python.a"), module("memory.python:x"), module("memory.python:y"), module(".:near"), module("..up.deep:*"), module("lazy"),
                                  module("inner:name"), module("last"), module("by.name")}));
  EXPECT_THAT(refs, Not(Contains(module("memory.python:z"))));
  EXPECT_THAT(refs, Not(Contains(of(RefKind::kAnyFile))));
}

TEST(Scan, AnImportThatIsPutTogetherMayBeAnyFile) {
  EXPECT_THAT(scan("a.py", "importlib.import_module('plugins.' + name)\n"), Contains(of(RefKind::kModule, "plugins.")));
  EXPECT_THAT(scan("a.py", "importlib.import_module(name)\n"), Contains(of(RefKind::kAnyFile)));
  EXPECT_THAT(scan("a.rb", "Dir['x/*.rb'].each { |file| require file }\n"), Contains(of(RefKind::kAnyFile)));
  EXPECT_THAT(scan("a.ts", "await import(`./${name}.ts`)\n"), Contains(of(RefKind::kAnyFile)));
  EXPECT_THAT(scan("a.sh", "source \"$file\"\n"), Contains(of(RefKind::kAnyFile)));
}

TEST(Scan, CommentsOfWholeLinesReferToNothing) {
  EXPECT_THAT(scan("a.py", "# import secret\n"), Not(Contains(module("secret"))));
  EXPECT_THAT(scan("a.ts", "// import x from './secret'\n"), Not(Contains(module("./secret"))));
}

TEST(Scan, CallsOfFunctionsAreTheirAddresses) {
  EXPECT_THAT(scan("a.py", "import sabir\nsabir.call(\"text.words\", text=1)\n"), IsSupersetOf({of(RefKind::kCall, "text.words"), of(RefKind::kTalks)}));
  EXPECT_THAT(scan("a.py", "import sabir as s\ns.call(name)\n"), Contains(of(RefKind::kAnyFunction)));
  EXPECT_THAT(scan("a.py", "from sabir import call\ncall(name)\n"), Contains(of(RefKind::kAnyFunction)));
  EXPECT_THAT(scan("a.py", "import sabir\nsabir.call(f\"text.{name}\")\n"), Contains(of(RefKind::kAnyFunction)));
  EXPECT_THAT(scan("a.py", "import sabir\nsabir.call(\"text.\" + name)\n"), Contains(of(RefKind::kAnyFunction)));
  EXPECT_THAT(scan("a.rb", "Sabir.call(\"text.words\", a: 1)\n"), Contains(of(RefKind::kCall, "text.words")));
  EXPECT_THAT(scan("a.rb", "Sabir.call \"text.words\", a: 1\n"), Contains(of(RefKind::kCall, "text.words")));
  EXPECT_THAT(scan("a.rb", "block.call(value) # sabir\n"), Not(Contains(of(RefKind::kAnyFunction))));
  EXPECT_THAT(scan("a.ts", "import * as sabir from \"sabir\";\nawait sabir.call<number>('stats.mean', {})\n"), Contains(of(RefKind::kCall, "stats.mean")));
  EXPECT_THAT(scan("a_test.go", "import \"sabir\"\nsabir.Call(ctx, \"stats.mean\", args)\n"), Contains(of(RefKind::kCall, "stats.mean")));
  EXPECT_THAT(scan("A.java", "Sabir.call(new TypeRef<List<A.B>>() { }, \"stats.mean\", x)\n"), Not(Contains(of(RefKind::kAnyFunction))));
  EXPECT_THAT(scan("a_test.go", "import \"sabir\"\nsabir.Ask(context.Background(), \"navigator\", x)\n"), Not(Contains(of(RefKind::kAnyAssistant))));
  EXPECT_THAT(scan("a.rs", "sabir::call::<f64>(\"stats.mean\", args![])\n"), Contains(of(RefKind::kCall, "stats.mean")));
  EXPECT_THAT(scan("a.cpp", "sabir::call<double>(\"stats.mean\", {})\n"), Contains(of(RefKind::kCall, "stats.mean")));
  EXPECT_THAT(scan("a.bats", "run sabir_call --json stats.mean values:=[1]\n"), Contains(of(RefKind::kCall, "stats.mean")));
  EXPECT_THAT(scan("a.bats", "run sabir_call \"$address\"\n"), Contains(of(RefKind::kAnyFunction)));
  EXPECT_THAT(scan("a.php", "<?php Sabir\\call('stats.mean', []);\n"), Contains(of(RefKind::kCall, "stats.mean")));
  EXPECT_THAT(scan("A.java", "Sabir.call(\"stats.mean\", Map.of())\n"), Contains(of(RefKind::kCall, "stats.mean")));
}

TEST(Scan, PromptsAndAssistantsAreNamed) {
  const auto refs = scan("a.py", "import sabir\nsabir.render('summary', text='x')\nsabir.ask(\"helper\", question)\n");
  EXPECT_THAT(refs, IsSupersetOf({of(RefKind::kPrompt, "summary"), of(RefKind::kAssistant, "helper")}));
  EXPECT_THAT(scan("a.py", "import sabir\nsabir.render(name)\n"), Contains(of(RefKind::kAnyPrompt)));
  EXPECT_THAT(scan("completions/a.j2", "{% include \"role.txt\" %}{%- include 'x' ignore missing -%}"), IsSupersetOf({of(RefKind::kPrompt, "role.txt"), of(RefKind::kPrompt, "x")}));
  EXPECT_THAT(scan("completions/a.j2", "{% include name %}"), Contains(of(RefKind::kAnyPrompt)));
  EXPECT_THAT(scan("completions/a.prompt", "---\ncalls: [stats.mean]\nfunctions:\n  - slugify\n---\n{{ call(\"x\") }}"), IsSupersetOf({of(RefKind::kCall, "stats.mean"), of(RefKind::kCall, "slugify")}));
}

TEST(Scan, AnAssistantsFunctionsAreFoundInEveryLanguage) {
  EXPECT_THAT(scan("assistants/python/a.py", "functions = [\n  \"slugify\",\n  \"stats.mean\",\n]\n"), IsSupersetOf({of(RefKind::kCall, "slugify"), of(RefKind::kCall, "stats.mean")}));
  EXPECT_THAT(scan("assistants/ruby/a.rb", "FUNCTIONS = %w[slugify text.words].freeze\n"), IsSupersetOf({of(RefKind::kCall, "slugify"), of(RefKind::kCall, "text.words")}));
  EXPECT_THAT(scan("assistants/go/a.go", "Functions: []string{\"distances.route\"},\n"), Contains(of(RefKind::kCall, "distances.route")));
  EXPECT_THAT(scan("assistants/shell/a.sh", "functions=(backups.readable backups.expired)\n"), Contains(of(RefKind::kCall, "backups.expired")));
  EXPECT_THAT(scan("assistants/rust/a.rs", "pub const FUNCTIONS: &[&str] = &[\"shipping.quote\"];\n"), Contains(of(RefKind::kCall, "shipping.quote")));
  EXPECT_THAT(scan("assistants/python/a.py", "functions = choose()\n"), Contains(of(RefKind::kAnyFunction)));
  EXPECT_THAT(scan("assistants/python/a.py", "functions = [\"*\"]\n"), Contains(of(RefKind::kAnyFunction)));
}

TEST(Scan, TheEnginesOwnCommandsAreReadOrReachEverything) {
  EXPECT_THAT(scan("a.py", "def test(engine):\n  engine(\"functions\")\n# sabir\n"), Contains(of(RefKind::kAnyFunction)));
  EXPECT_THAT(scan("a.py", "def test(engine, sabir):\n  engine(\"call\", \"text.words\")\n"), IsSupersetOf({of(RefKind::kText, "text.words"), of(RefKind::kCall, "text.words")}));
  EXPECT_THAT(scan("a.py", "import subprocess\nsubprocess.run([os.environ['SABIR_BIN'], *words])\n"), Contains(of(RefKind::kEverything)));
  const auto worded = scan("a.py", "import subprocess\nsubprocess.run([os.environ['SABIR_BIN'], \"prompt\", \"tokens\", \"key_points\", x])\n");
  EXPECT_THAT(worded, Contains(of(RefKind::kPrompt, "key_points")));
  EXPECT_THAT(worded, Not(Contains(of(RefKind::kEverything))));
  EXPECT_THAT(scan("a.sh", "sabir check\n"), Contains(of(RefKind::kEverything)));
  EXPECT_THAT(scan("a.bats", "source \"$(sabir sdk path shell)/sabir.sh\"\n"), Not(Contains(of(RefKind::kEverything))));
}

TEST(Scan, WhatAnAuthorSaysTakesThePlaceOfWhatCannotBeKnown) {
  const auto refs = scan("a.py", "# sabir depends: data/cases, text.words\nimport subprocess\nsubprocess.run([os.environ['SABIR_BIN'], *words])\nimport helper\n");
  EXPECT_THAT(refs, IsSupersetOf({of(RefKind::kDepends, "data/cases"), of(RefKind::kDepends, "text.words"), module("helper")}));
  EXPECT_THAT(refs, Not(Contains(of(RefKind::kEverything))));
  EXPECT_THAT(scan("a.py", "# sabir depends: nothing\nimportlib.import_module(x)\n"), Not(Contains(of(RefKind::kAnyFile))));
}

TEST(Scan, EveryLanguageSaysWhatItLoads) {
  EXPECT_THAT(scan("a.rb", "require_relative \"../slugify\"\nrequire 'spec_helper'\nautoload :X, \"x/y\"\n"), IsSupersetOf({module("../slugify"), module("spec_helper"), module("x/y")}));
  EXPECT_THAT(scan(".rspec", "--require spec_helper\n--pattern x\n"), Contains(module("spec_helper")));
  EXPECT_THAT(scan("a.ts", "import {a} from \"../a.ts\";\nexport * from './b';\nconst c = require('./c');\nimport './d.js';\nvi.mock('../e')\n"),
              IsSupersetOf({module("../a.ts"), module("./b"), module("./c"), module("./d.js"), module("../e")}));
  EXPECT_THAT(scan("a.rs", "use crate::shipping::{quote, Offer};\nmod deep;\nuse super::x;\n"), IsSupersetOf({module("shipping"), module("deep"), module("x")}));
  EXPECT_THAT(scan("a.cpp", "#include \"../stats.cpp\"\n# include <own/x.h>\n"), IsSupersetOf({of(RefKind::kFile, "../stats.cpp"), of(RefKind::kFile, "own/x.h")}));
  EXPECT_THAT(scan("A.java", "class A { Gardens g; }\n"), IsSupersetOf({of(RefKind::kDeclares, "A"), of(RefKind::kUses, "Gardens")}));
  EXPECT_THAT(scan("a.bats", "source \"$BATS_TEST_DIRNAME/../backups.sh\"\nload test_helper\n"), IsSupersetOf({of(RefKind::kFile, "/../backups.sh"), of(RefKind::kFile, "test_helper")}));
  EXPECT_THAT(scan("a.php", "<?php require_once __DIR__ . '/../calendar.php';\n"), Contains(of(RefKind::kText, "/../calendar.php")));
  EXPECT_THAT(scan("a.go", "//go:embed data/*.json\nimport \"example.com/shop/inner\"\n"), IsSupersetOf({of(RefKind::kFile, "."), of(RefKind::kText, "example.com/shop/inner")}));
}

TEST(Scan, QuotesOfOtherKindsHideNoLiteral) {
  EXPECT_THAT(scan("a.rs", "fn a<'a>(x: &'a str) { sabir::call(\"stats.mean\", &'a x) }\n"), Contains(of(RefKind::kText, "stats.mean")));
  EXPECT_THAT(scan("a.rb", "x = '\"' + \"stats.mean\" # sabir\n"), Contains(of(RefKind::kText, "stats.mean")));
}

TEST(Scan, AFileOfTooManyReferencesRefersToEverything) {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += "import module_" + std::to_string(i) + "\n";
  EXPECT_THAT(scan("a.py", text), Contains(of(RefKind::kEverything)));
}

}  // namespace
}  // namespace sabir::testing
