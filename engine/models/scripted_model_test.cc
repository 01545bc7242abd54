#include "scripted_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"

namespace sabir::models {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::shared_ptr<Model> scripted(const char* script) {
  auto value = parse_json(script);
  EXPECT_TRUE(value) << script;
  auto model = make_scripted_model(*value, "replies.json", "scripted");
  EXPECT_TRUE(model) << to_text(model.error());
  return *model;
}

Request asking(const std::string& text) {
  Request request;
  request.messages.push_back(json::object{{"role", "user"}, {"content", text}});
  return request;
}

// The request after the model's calls have been carried out with `results`.
Request answered(Request request, const Reply& reply, const std::vector<std::string>& results) {
  json::array calls;
  for (const auto& call : reply.tool_calls) {
    calls.push_back(json::object{{"id", call.id}, {"type", "function"},
                                 {"function", json::object{{"name", call.name}, {"arguments", call.arguments_json}}}});
  }
  request.messages.push_back(json::object{{"role", "assistant"}, {"content", nullptr}, {"tool_calls", calls}});
  for (std::size_t i = 0; i < results.size(); ++i) {
    request.messages.push_back(json::object{{"role", "tool"}, {"tool_call_id", reply.tool_calls[i].id}, {"content", results[i]}});
  }
  return request;
}

TEST(ScriptedModel, CallsToolsThenSpeaksWithTheirResults) {
  const auto model = scripted(R"([
    {"contains": "SLUG", "tool_calls": [{"name": "text.slugify", "arguments": {"text": "{user}"}}, {"name": "mean", "arguments": {"values": [1, 2]}}],
     "text": "Slug {tool:text.slugify}, mean {tool:mean}, {braces} stay."}])");
  Request request = asking("make a slug of Été");
  request.tools = parse_json(R"([{"type": "function", "function": {"name": "text_slugify"}}, {"type": "function", "function": {"name": "stats_mean"}}])")->get_array();
  const auto first = model->complete(request, {});
  ASSERT_TRUE(first) << to_text(first.error());
  ASSERT_EQ(first->tool_calls.size(), 2U);
  EXPECT_EQ(first->tool_calls[0].name, "text_slugify");
  EXPECT_EQ(first->tool_calls[0].arguments_json, R"({"text":"make a slug of Été"})");
  EXPECT_EQ(first->tool_calls[1].name, "stats_mean");
  EXPECT_NE(first->tool_calls[0].id, first->tool_calls[1].id);
  EXPECT_EQ(first->finish_reason, "tool_calls");
  EXPECT_EQ(first->provider, "scripted");

  std::string streamed;
  int pieces = 0;
  const auto second = model->complete(answered(request, *first, {"\"ete\"", "{\"value\":1.5}"}), [&](const Event& event) {
    streamed += event.content;
    ++pieces;
  });
  ASSERT_TRUE(second) << to_text(second.error());
  EXPECT_EQ(second->content, "Slug ete, mean 1.5, {braces} stay.");
  EXPECT_EQ(streamed, second->content);
  EXPECT_GT(pieces, 2);
  EXPECT_EQ(second->finish_reason, "stop");
}

TEST(ScriptedModel, StepsChainOneToolsResultIntoTheNextCall) {
  const auto model = scripted(R"x({"model": "script-1", "replies": [{"matches": "chain of (\\w+)", "steps": [
    {"tool_calls": [{"name": "a", "arguments": {"x": "{match:1}"}}]},
    {"tool_calls": [{"name": "b", "arguments": {"value": "{tool:a}", "label": "got {tool:a}"}}]},
    {"json": {"answer": "{tool:b}"}}]}]})x");
  Request request = asking("A chain of seven");
  const auto first = model->complete(request, {});
  ASSERT_TRUE(first) << to_text(first.error());
  EXPECT_EQ(first->model, "script-1");
  EXPECT_EQ(first->tool_calls[0].arguments_json, R"({"x":"seven"})");
  request = answered(request, *first, {"[1,2]"});
  const auto second = model->complete(request, {});
  ASSERT_TRUE(second) << to_text(second.error());
  EXPECT_EQ(second->tool_calls[0].arguments_json, R"({"value":[1,2],"label":"got [1,2]"})");
  request = answered(request, *second, {"42"});
  EXPECT_EQ(model->complete(request, {})->content, R"({"answer":42})");
  request.messages.push_back(json::object{{"role", "assistant"}, {"content", "x"}});
  EXPECT_FALSE(model->complete(request, {}));
}

TEST(ScriptedModel, RepliesWithoutConditionsAreGivenInOrder) {
  const auto model = scripted(R"([{"text": "one"}, {"contains": "special", "text": "rule"}, {"text": "two"}])");
  EXPECT_EQ(model->complete(asking("x"), {})->content, "one");
  EXPECT_EQ(model->complete(asking("a special thing"), {})->content, "rule");
  EXPECT_EQ(model->complete(asking("x"), {})->content, "two");
  const auto over = model->complete(asking("x"), {});
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, ErrorCode::kModel);
  EXPECT_THAT(over.error().message, HasSubstr("no reply for turn 1 after the message \"x\""));
  EXPECT_THAT(over.error().hint, HasSubstr("contains \"special\""));
  EXPECT_THAT(over.error().hint, HasSubstr("2 in order, all used"));
}

TEST(ScriptedModel, AnUnansweredToolInATextIsNamed) {
  const auto reply = scripted(R"([{"contains": "x", "text": "{tool:slugify}"}])")->complete(asking("x"), {});
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().message, HasSubstr("{tool:slugify}"));
}

TEST(ScriptedModel, ErrorsDelaysAndBadArgumentsCanBeScripted) {
  const auto model = scripted(R"([
    {"contains": "down", "error": {"type": "model_unreachable", "message": "no route"}},
    {"contains": "slow", "delay_ms": 60000, "text": "late"},
    {"contains": "bad", "tool_calls": [{"name": "a", "arguments": "{oops"}]},
    {"contains": "long", "text": "cut", "finish_reason": "length"}])");
  EXPECT_EQ(model->complete(asking("down"), {}).error().code, ErrorCode::kModelUnreachable);
  EXPECT_EQ(model->complete(asking("bad"), {})->tool_calls[0].arguments_json, "{oops");
  EXPECT_EQ(model->complete(asking("long"), {})->finish_reason, "length");
  Request slow = asking("slow");
  slow.timeout = 50ms;
  EXPECT_EQ(model->complete(slow, {}).error().code, ErrorCode::kTimeout);
  slow.timeout = 60s;
  slow.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::thread canceller([&] {
    std::this_thread::sleep_for(50ms);
    *slow.cancelled = true;
  });
  EXPECT_EQ(model->complete(slow, {}).error().code, ErrorCode::kCancelled);
  canceller.join();
}

TEST(ScriptedModel, APatternIsFoundInALongText) {
  const auto model = scripted(R"x([{"matches": "é(.*) END of (x)?(\\w+)$", "text": "{match:1}|{match:2}|{match:3}"}])x");
  const std::string filler(200'000, 'a');
  const auto reply = model->complete(asking("É" + filler + " end of Text"), {});
  ASSERT_TRUE(reply) << to_text(reply.error());
  EXPECT_EQ(reply->content, filler + "||Text");
  EXPECT_FALSE(model->complete(asking(filler), {}));
  EXPECT_THAT(make_scripted_model(*parse_json(R"x([{"matches": "a(?=b)", "text": "x"}])x"), "s.json", "s").error().message, HasSubstr("look-around"));
}

TEST(ScriptedModel, PiecesNeverCutACharacter) {
  const auto model = scripted(R"({"piece_bytes": 1, "replies": [{"text": "é日😀"}]})");
  std::vector<std::string> pieces;
  ASSERT_TRUE(model->complete(asking("x"), [&](const Event& event) { pieces.push_back(event.content); }));
  EXPECT_EQ(pieces, (std::vector<std::string>{"é", "日", "😀"}));
}

TEST(ScriptedModel, MalformedScriptsAreRefusedWithAnExample) {
  for (const char* script : {"{}", "5", R"([{"txt": "x"}])", R"([{"text": 5}])", R"([{}])", R"([{"matches": "(", "text": "x"}])",
                             R"([{"tool_calls": [{"arguments": {}}]}])", R"([{"steps": [5]}])", R"([{"delay_ms": -1, "text": "x"}])",
                             R"({"piece_bytes": 0, "replies": []})"}) {
    const auto model = make_scripted_model(*parse_json(script), "replies.json", "scripted");
    ASSERT_FALSE(model) << script;
    EXPECT_EQ(model.error().code, ErrorCode::kConfig) << script;
    EXPECT_THAT(model.error().hint, HasSubstr("tool_calls")) << script;
  }
}

TEST(ScriptedModel, EmbeddingsAreNearWhereTextsShareWords) {
  const auto model = make_scripted_model(json::array{}, "inline", "test").value();
  const auto out = model->embed({.texts = {"the red apple", "The apple, red!", "the red pear", "rain over Oslo", "…"}});
  ASSERT_TRUE(out);
  const auto near = [&](std::size_t a, std::size_t b) {
    float sum = 0;
    for (std::size_t i = 0; i < out->vectors[a].size(); ++i) sum += out->vectors[a][i] * out->vectors[b][i];
    return sum;
  };
  EXPECT_EQ(out->vectors[0].size(), 64U);
  EXPECT_NEAR(near(0, 1), 1, 1e-5);
  EXPECT_GT(near(0, 2), 0.4F);
  EXPECT_LT(near(0, 3), 0.4F);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(near(i, i), 1, 1e-5);
  EXPECT_EQ(model->embed({.texts = {"a"}, .parameters = {{"dimensions", 3}}})->vectors.front().size(), 3U);
  EXPECT_EQ(model->embed({.texts = {"a"}, .parameters = {{"dimensions", 0}}}).error().code, ErrorCode::kInvalidArguments);
}

TEST(ScriptedModel, AFileIsReadAgainWhenItChanges) {
  const auto file = std::filesystem::temp_directory_path() / ("sabir-script-" + new_id() + ".json");
  const auto model = make_scripted_model(file, "tests/replies.json", "scripted");
  const auto missing = model->complete(asking("x"), {});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("tests/replies.json is not there"));
  ASSERT_TRUE(write_file(file, R"([{"contains": "x", "text": "old"}])"));
  EXPECT_EQ(model->complete(asking("x"), {})->content, "old");
  ASSERT_TRUE(write_file(file, R"([{"contains": "x", "text": "new"}])"));
  std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() + 2s);
  EXPECT_EQ(model->complete(asking("x"), {})->content, "new");
  ASSERT_TRUE(write_file(file, "[\n{]"));
  std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() + 4s);
  const auto broken = model->complete(asking("x"), {});
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, ErrorCode::kConfig);
  EXPECT_EQ(broken.error().line, 2);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace sabir::models
