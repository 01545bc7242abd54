#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sabir/base/file.h"
#include "sabir/evals/eval_file.h"
#include "sabir/evals/expect.h"
#include "sabir/evals/kept_runs.h"

namespace sabir::evals {
namespace {
using ::testing::HasSubstr;

Result<Eval> read(std::string_view text, const std::string& table = "") {
  return parse_eval(text, "tests/evals/helper.yml", "helper", [&](const std::string&) -> Result<std::string> { return table; });
}
std::string wrong(std::string_view text, const std::string& table = "") {
  auto eval = read(text, table);
  return eval ? std::string("read") : to_text(eval.error());
}

TEST(EvalFile, CasesHaveTheirOwnPlacesAndTheFilesExpectations) {
  auto eval = read("assistant: helper\nsamples: 2\nexpect: {steps: 4, not_contains: sorry}\ncases:\n  - id: mean\n    ask: What is the mean of 3 and 5?\n    expect:\n      contains: [\"4\"]\n      called: {function: stats.mean, with: {values: [3, 5]}, times: 1}\n  - ask: [Hello, \"And now?\"]\n    samples: 1\n");
  ASSERT_TRUE(eval) << to_text(eval.error());
  ASSERT_EQ(eval->cases.size(), 2U);
  EXPECT_EQ(eval->cases[0].place.line, 5);
  EXPECT_EQ(eval->cases[0].samples, 2);
  EXPECT_EQ(eval->cases[0].expect.contains[0].place.line, 8);
  EXPECT_EQ(eval->cases[0].expect.called[0].times, 1);
  EXPECT_EQ(eval->cases[0].expect.most_steps->first, 4);
  EXPECT_EQ(eval->cases[1].id, "case 2");
  EXPECT_EQ(eval->cases[1].asks, (std::vector<std::string>{"Hello", "And now?"}));
  EXPECT_EQ(eval->cases[1].samples, 1);
  EXPECT_EQ(recording_name(*eval, eval->cases[0], 2), "tests/evals/helper.yml::mean#2");
}

TEST(EvalFile, VariablesFillTextsAndKeepTheirKind) {
  auto eval = read("assistant: helper\nask: \"What is the mean of {{ a }} and {{ b }}?\"\nexpect: {contains: \"{{ mean }}\", called: {function: stats.mean, with: {values: [\"{{ a }}\", \"{{ b }}\"]}}}\ncases:\n  - vars: {a: 3, b: 5, mean: \"4\"}\n");
  ASSERT_TRUE(eval) << to_text(eval.error());
  EXPECT_EQ(eval->cases[0].asks[0], "What is the mean of 3 and 5?");
  EXPECT_EQ(eval->cases[0].expect.contains[0].text, "4");
  EXPECT_EQ(compact_json(eval->cases[0].expect.called[0].with), R"({"values":[3,5]})");
}

TEST(EvalFile, TablesAreReadWithTheirLines) {
  auto csv = read("assistant: helper\nexpect: {contains: \"{{ answer }}\"}\ncases: {file: t.csv}\n", "id,ask,answer\none,\"What, is \"\"it\"\"?\",yes\r\n\n\"two\",\"a\nb\",no\n");
  ASSERT_TRUE(csv) << to_text(csv.error());
  ASSERT_EQ(csv->cases.size(), 2U);
  EXPECT_EQ(csv->cases[0].asks[0], "What, is \"it\"?");
  EXPECT_EQ(csv->cases[1].asks[0], "a\nb");
  EXPECT_EQ(csv->cases[1].place.file, "tests/evals/t.csv");
  EXPECT_EQ(csv->cases[1].place.line, 4);
  auto lines = read("prompt: summary\ncases: {file: t.jsonl}\n", "{\"id\": 7, \"text\": \"long\", \"expect\": {\"contains\": \"x\"}}\n");
  ASSERT_TRUE(lines) << to_text(lines.error());
  EXPECT_EQ(lines->cases[0].id, "7");
  EXPECT_EQ(compact_json(lines->cases[0].with), R"({"text":"long"})");
  EXPECT_THAT(wrong("assistant: h\nexpect: {contains: x}\ncases: {file: t.csv}\n", "id,ask\na,b,c\n"), HasSubstr("tests/evals/t.csv:2: 3 fields"));
  EXPECT_THAT(wrong("assistant: h\nexpect: {contains: x}\ncases: {file: t.csv}\n", "id,ask\na,\"b\n"), HasSubstr("t.csv:2: a quote that is not closed"));
  EXPECT_THAT(wrong("assistant: h\nexpect: {contains: x}\ncases: {file: t.jsonl}\n", "{}\n[]\n"), HasSubstr("t.jsonl:2: a line has to be a JSON object"));
  EXPECT_THAT(wrong("assistant: h\ncases: {file: ../t.csv}\n"), HasSubstr("beside the eval"));
}

TEST(EvalFile, WhatIsWrongIsToldWithLineAndColumn) {
  EXPECT_THAT(wrong("assistent: h\ncases: []\n"), HasSubstr("tests/evals/helper.yml:1:1"));
  EXPECT_THAT(wrong("assistent: h\ncases: []\n"), HasSubstr("assistant"));
  EXPECT_THAT(wrong("cases: []\n"), HasSubstr("an eval asks an assistant or a prompt"));
  EXPECT_THAT(wrong("assistant: h\ncases: []\n"), HasSubstr("has no case"));
  EXPECT_THAT(wrong("assistant: h\ncases:\n  - ask: a\n"), HasSubstr("helper.yml:3:5: the case expects nothing"));
  EXPECT_THAT(wrong("assistant: h\ncases:\n  - ask: a\n    expect: {contain: b}\n"), HasSubstr("helper.yml:4:14"));
  EXPECT_THAT(wrong("assistant: h\ncases:\n  - ask: a\n    expect: {regex: \"(\"}\n"), HasSubstr("helper.yml:4:14: '(' is no regular expression"));
  EXPECT_THAT(wrong("assistant: h\ncases:\n  - ask: a\n    expect: {latency: soon}\n"), HasSubstr("helper.yml:4:14: latency must be a time"));
  EXPECT_THAT(wrong("assistant: h\ncases:\n  - ask: a\n    expect: {judge: {pass: 2, rubric: r}}\n"), HasSubstr("pass must lie between 0 and 1"));
  EXPECT_THAT(wrong("assistant: h\nexpect: {steps: 1}\ncases:\n  - {id: a, ask: a}\n  - {id: a, ask: b}\n"), HasSubstr("helper.yml:5:"));
  EXPECT_THAT(wrong("assistant: h\nexpect: {steps: 1}\ncases:\n  - {id: a b, ask: a}\n  - {id: a-b, ask: b}\n"), HasSubstr("would share one recording"));
  EXPECT_THAT(wrong("assistant: h\nexpect: {steps: 1}\ncases:\n  - {ask: \"{{ nam }}\", vars: {name: x}}\n"), HasSubstr("Did you mean name?"));
  EXPECT_THAT(wrong("prompt: p\nexpect: {steps: 1}\ncases:\n  - {ask: a}\n"), HasSubstr("a prompt is not asked"));
  EXPECT_THAT(wrong("assistant: h\nexpect: {steps: 1}\nsamples: 0\ncases: [{ask: a}]\n"), HasSubstr("helper.yml:3:1: samples must lie between 1 and 100"));
}

Observed seen() {
  Observed out;
  out.answer = "The mean is 6 and the slug is ete-a-paris.";
  out.calls = {{"cpp/stats.mean", json::parse(R"({"values":[3,5,10]})").as_object(), "6", true}, {"ruby/slugify.slugify", json::parse(R"({"text":"Été à Paris"})").as_object(), "\"ete-a-paris\"", true}};
  out.steps = 2;
  out.usage = {100, 20, 0, 0, 0};
  out.usd = 0.002;
  out.ms = 900;
  out.live = true;
  return out;
}

// What does not hold of `seen()`, of the expectations in YAML.
std::vector<std::string> failing(const std::string& expect, Observed observed = seen()) {
  auto eval = read("assistant: h\ncases:\n  - ask: a\n    expect: " + expect + "\n");
  if (!eval) return {to_text(eval.error())};
  std::vector<std::string> out;
  for (const auto& one : check(eval->cases[0].expect, observed)) out.push_back(one.what);
  return out;
}

TEST(Expect, EachKindHoldsAndFails) {
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  EXPECT_THAT(failing("{contains: ete-a-paris, not_contains: sorry, regex: 'mean is \\d+', steps: 2, calls: 2, latency: 1s, cost: {usd: 0.01, tokens: 200}}"), IsEmpty());
  EXPECT_THAT(failing("{contains: [mean, median]}"), ElementsAre("contains: 'median' is not in the answer"));
  EXPECT_THAT(failing("{not_contains: slug}"), ElementsAre("not_contains: 'slug' is in the answer"));
  EXPECT_THAT(failing("{regex: '^mean'}"), ElementsAre("regex: ^mean does not match the answer"));
  EXPECT_THAT(failing("{equals: no}"), ElementsAre("equals: the answer is not 'no'"));
  EXPECT_THAT(failing("{steps: 1}"), ElementsAre("steps: at most 1, and it took 2"));
  EXPECT_THAT(failing("{calls: 1}"), ElementsAre("calls: at most 1, and it took 2"));
  EXPECT_THAT(failing("{latency: 500ms}"), ElementsAre("latency: at most 500 ms, and it took 900 ms"));
  EXPECT_THAT(failing("{cost: 0.001}"), ElementsAre("cost: at most 0.001 USD, and it took 0.002 USD"));
  EXPECT_THAT(failing("{cost: {tokens: 100}}"), ElementsAre("cost: at most 100 tokens, and it took 120 tokens"));
  auto recorded = seen();
  recorded.live = false;
  EXPECT_THAT(failing("{latency: 500ms}", recorded), IsEmpty());
  recorded.usd.reset();
  EXPECT_THAT(failing("{cost: 1}", recorded), ElementsAre(HasSubstr("nobody knows the price")));
}

TEST(Expect, CallsAreFoundByAddressArgumentsTimesAndOrder) {
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  EXPECT_THAT(failing("{called: stats.mean, not_called: shop.*, order: [mean, slugify]}"), IsEmpty());
  EXPECT_THAT(failing("{called: {function: cpp/stats.mean, with: {values: [3, 5, 10.0]}, times: 1}}"), IsEmpty());
  EXPECT_THAT(failing("{called: {function: slugify, with: {text: {contains: Paris, regex: '^É'}}}}"), IsEmpty());
  EXPECT_THAT(failing("{called: {function: stats.mean, with: {values: {contains: 5, schema: {minItems: 3}}}}}"), IsEmpty());
  EXPECT_THAT(failing("{called: python/stats.mean}"), ElementsAre("called: python/stats.mean was not called"));
  EXPECT_THAT(failing("{called: {function: stats.mean, with: {values: [1]}}}"), ElementsAre("called: stats.mean was not called with {\"values\":[1]}"));
  EXPECT_THAT(failing("{called: {function: stats.mean, times: 2}}"), ElementsAre("called: stats.mean was called 1 times, not 2"));
  EXPECT_THAT(failing("{called: {function: shop.buy, times: 0}}"), IsEmpty());
  EXPECT_THAT(failing("{not_called: 'stats.*'}"), ElementsAre("not_called: cpp/stats.mean was called"));
  EXPECT_THAT(failing("{order: [slugify, mean]}"), ElementsAre("order: mean was not called after slugify"));
}

TEST(Expect, AnswersThatAreJson) {
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  auto observed = seen();
  observed.answer = "```json\n{\"points\": [\"a\", \"b\"], \"n\": 2}\n```";
  EXPECT_THAT(failing("{json: {n: 2}, schema: {required: [points]}}", observed), IsEmpty());
  EXPECT_THAT(failing("{json: {n: {min: 3}}}", observed), ElementsAre(HasSubstr("json: the answer does not fit")));
  EXPECT_THAT(failing("{equals: {n: 2, points: [a, b]}}", observed), IsEmpty());
  EXPECT_THAT(failing("{equals: {n: 2, points: [a]}}", observed), ElementsAre(HasSubstr("differs at /points/1")));
  EXPECT_THAT(failing("{schema: {properties: {points: {maxItems: 1}}}}", observed), ElementsAre(HasSubstr("schema: ")));
  EXPECT_THAT(failing("{json: true}"), ElementsAre(HasSubstr("json: the answer is no JSON")));
}

TEST(Judge, OnlyAScoreWithAReasonIsAVerdict) {
  EXPECT_EQ(parse_judgement(R"({"reason": "good", "score": 1})")->score, 1);
  EXPECT_FALSE(parse_judgement("I give it a 9"));
  EXPECT_FALSE(parse_judgement(R"({"reason": "good", "score": 9})"));
  EXPECT_FALSE(parse_judgement(R"({"score": 0.5})"));
}

KeptRun run_of(const std::string& outcome, const std::string& answer, double usd, bool second) {
  KeptRun out;
  out.id = "01";
  out.cases.push_back({"helper", "mean", outcome, {answer}, "why", usd, 100, 5});
  if (second) out.cases.push_back({"helper", "two", "passed", {"x"}, "", 0.0, 1, 1});
  return out;
}

TEST(KeptRuns, TheDifferenceNamesOutcomesAnswersAndCost) {
  const auto difference = difference_of(run_of("passed", "one\ntwo", 0.5, true), run_of("failed", "one\nthree", 0.75, false));
  ASSERT_EQ(difference.changes.size(), 2U);
  EXPECT_EQ(difference.changes[0].before, "passed");
  EXPECT_EQ(difference.changes[0].after, "failed");
  EXPECT_EQ(difference.changes[0].answer, (std::vector<std::string>{"- two", "+ three"}));
  EXPECT_EQ(*difference.changes[0].usd, 0.25);
  EXPECT_EQ(difference.changes[1].after, "");
  EXPECT_EQ(difference_of(run_of("passed", "a", 0, true), run_of("passed", "a", 0, true)).same, 2U);
}

TEST(KeptRuns, ANewerFormatAndWhatIsNoneAreRefused) {
  EXPECT_EQ(parse_kept_run(R"({"format": 2})", "f").error().code, ErrorCode::kStoreNewer);
  EXPECT_EQ(parse_kept_run(R"([])", "f").error().code, ErrorCode::kConfig);
  EXPECT_EQ(parse_kept_run(R"({"evals": []})", "f").error().code, ErrorCode::kConfig);
  EXPECT_TRUE(parse_kept_run(R"({"format": 1, "evals": [{"name": "a", "cases": [{"id": "b", "samples": [3, {}]}]}]})", "f"));
}

}  // namespace
}  // namespace sabir::evals
