#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>
#include <limits>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/recordings/recorded_model.h"
#include "sabir/recordings/recordings.h"

namespace sabir::recordings {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "sabir-recordings-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

json::object message(const char* role, std::string content) { return {{"role", role}, {"content", std::move(content)}}; }

json::object ask(std::string question, const char* alias = "openai") {
  return {{"alias", alias}, {"model", "gpt"}, {"messages", json::array{message("user", std::move(question))}}};
}

Entry answer(std::string question, std::string content) {
  Entry entry;
  entry.ask = ask(std::move(question));
  entry.reply.content = std::move(content);
  entry.reply.finish_reason = "stop";
  entry.reply.usage = {40, 7};
  return entry;
}

Entry call(std::string arguments, std::string value) {
  Entry entry;
  entry.kind = Kind::kFunction;
  entry.address = "ruby/text.words";
  entry.effect = "read";
  entry.arguments = std::move(arguments);
  entry.value = std::move(value);
  return entry;
}

Player player_of(Recording recording, Scrubber scrubber = Scrubber(nullptr)) {
  const std::string text = to_text(recording);
  return {std::move(recording), text, {.shown = "tests/recordings/x.json"}, std::move(scrubber)};
}

std::shared_ptr<secrets::Redactor> knows(std::string_view value) {
  auto redactor = std::make_shared<secrets::Redactor>();
  redactor->add("key", value);
  return redactor;
}

// ---- The file ---------------------------------------------------------------------------------------------------------

TEST(Recording, ReadsBackToTheByte) {
  Recording recording;
  recording.name = "chat \"helper\"";
  recording.override_alias = "openai";
  auto first = answer("a\n\nb\n", "Été\r\n\ttwo\u2028lines");
  first.pieces = {"Ét", "é\r\n\ttwo", "\u2028lines"};
  first.prompts = {{"support", 0, "aa", "bb"}};
  first.reply.tool_calls = {{"call_1", "words", R"({"text": "x"}))"}};
  recording.entries = {first, call(R"({"n":123456789012345678901234567890,"f":6.0})", "[1.50, 1e2, \"\\u00e9\"]")};
  recording.entries[1].chunks = {"1.0", "{\"a\":  2}"};
  const std::string text = to_text(recording);
  const auto again = parse_recording(text, "x.json");
  ASSERT_TRUE(again) << to_text(again.error());
  EXPECT_EQ(to_text(*again), text);
  ASSERT_EQ(again->entries.size(), 2U);
  EXPECT_EQ(again->override_alias, "openai");
  EXPECT_EQ(again->entries[0].reply.content, first.reply.content);
  EXPECT_EQ(again->entries[0].pieces, first.pieces);
  EXPECT_EQ(again->entries[0].reply.tool_calls[0].arguments_json, first.reply.tool_calls[0].arguments_json);
  EXPECT_EQ(again->entries[0].ask, first.ask);
  EXPECT_EQ(again->entries[1].value, "[1.50, 1e2, \"\\u00e9\"]");
  EXPECT_THAT(again->entries[1].chunks, ElementsAre("1.0", "{\"a\":  2}"));
  // Each line of a prompt has a line of its own.
  EXPECT_THAT(text, HasSubstr("\n            \"a\",\n            \"\",\n            \"b\",\n            \"\"\n"));
}

TEST(Recording, PiecesThatAreNotTheContentAreKeptAsTexts) {
  Recording recording;
  recording.entries = {answer("q", "the whole")};
  recording.entries[0].pieces = {"the ", "other"};
  const auto again = parse_recording(to_text(recording), "x.json");
  ASSERT_TRUE(again);
  EXPECT_THAT(again->entries[0].pieces, ElementsAre("the ", "other"));
  EXPECT_EQ(again->entries[0].reply.content, "the whole");
}

TEST(Recording, NewerFormatIsRefusedByName) {
  const auto read = parse_recording(R"({"format": 2, "what": "ever"})", "x.json");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kStoreNewer);
  EXPECT_THAT(read.error().message, HasSubstr("format 2"));
  EXPECT_EQ(read.error().file, "x.json");
}

TEST(Recording, WhatIsWrongIsNamedWithItsLine) {
  const auto error_of = [](const std::string& text) {
    const auto read = parse_recording(text, "x.json");
    return read ? Error() : read.error();
  };
  const Error piece = error_of(
      "{\"format\": 1,\n\"entries\": [\n{\"ask\": {\"alias\": \"a\", \"model\": \"\", \"messages\": []},\n\"reply\": {\"content\": \"ab\", \"pieces\": [3]}}]}");
  EXPECT_THAT(piece.message, HasSubstr("longer than the content"));
  EXPECT_EQ(piece.line, 4);
  EXPECT_THAT(error_of("{\"format\":1,\"entires\":[]}").message, HasSubstr("entires"));
  EXPECT_THAT(error_of("{\"format\":1,\"entries\":[{\"function\":\"a\",\"reply\":{}}]}").message, HasSubstr("'reply' stands in an entry of a function"));
  EXPECT_THAT(error_of("{}").message, HasSubstr("format number"));
  EXPECT_THAT(error_of("[").message, HasSubstr("not a recording"));
  EXPECT_THAT(error_of("{\"format\":\"1\"}").message, HasSubstr("format number"));
  EXPECT_THAT(error_of("{\"format\":1,\"entries\":[{\"function\":\"a\"}]}").message, HasSubstr("no answer"));
  EXPECT_THAT(error_of("{\"format\":1,\"entries\":[{\"value\":1}]}").message, HasSubstr("neither"));
}

// ---- Order ------------------------------------------------------------------------------------------------------------

TEST(Recorder, OrderIsThatOfBeginningWhoeverEndsFirst) {
  const auto text_of = [](bool first_ends_first) {
    Recorder recorder({.file = "unused.json", .name = "x"}, Scrubber(nullptr));
    const auto a = recorder.begin(0);
    const auto b = recorder.begin(0);
    const auto below_b = recorder.begin(b);
    const auto below_a = recorder.begin(a);
    recorder.finish(first_ends_first ? below_a : below_b, call(first_ends_first ? R"({"n":2})" : R"({"n":4})", "0"));
    recorder.finish(first_ends_first ? below_b : below_a, call(first_ends_first ? R"({"n":4})" : R"({"n":2})", "0"));
    recorder.finish(first_ends_first ? a : b, call(first_ends_first ? R"({"n":1})" : R"({"n":3})", "0"));
    recorder.finish(first_ends_first ? b : a, call(first_ends_first ? R"({"n":3})" : R"({"n":1})", "0"));
    recorder.begin(0);  // never ends, and is left out
    return to_text(recorder.recording());
  };
  EXPECT_EQ(text_of(true), text_of(false));
  const auto read = parse_recording(text_of(true), "x.json");
  ASSERT_TRUE(read);
  std::vector<std::string> order;
  for (const auto& entry : read->entries) order.push_back(entry.arguments);
  EXPECT_THAT(order, ElementsAre(R"({"n":1})", R"({"n":2})", R"({"n":3})", R"({"n":4})"));
}

TEST(Recorder, EnginesOfOneTestRunAddToAFileAndALaterRunReplacesIt) {
  const Folder folder;
  const fs::path file = folder.path / "deep/down/x.json";
  const auto add = [&](std::int64_t since, const char* question) {
    Recorder recorder({.file = file, .name = "x", .lock = folder.path / "lock", .since_ms = since}, Scrubber(nullptr));
    recorder.finish(recorder.begin(0), answer(question, "a"));
    ASSERT_TRUE(recorder.flush(false));
    ASSERT_TRUE(recorder.flush(true));
  };
  const auto count = [&] { return parse_recording(*read_file(file), "x.json")->entries.size(); };
  add(1, "one");
  add(1, "two");
  EXPECT_EQ(count(), 2U);
  add(std::int64_t{1} << 50U, "three");
  EXPECT_EQ(count(), 1U);
  add(0, "four");
  EXPECT_EQ(count(), 1U);
}

// ---- Secrets ----------------------------------------------------------------------------------------------------------

TEST(Scrubber, AValueIsFoundWhereverItStands) {
  const std::string secret = "pä\"ss/w\\rd+42";
  const Scrubber scrub(knows(secret));
  const std::string quoted = json::serialize(json::string(secret));
  const std::string nested = json::serialize(json::string(json::serialize(json::string("x" + quoted))));
  Entry entry = answer("my key is " + secret, "you said " + secret);
  entry.pieces = {"you said p", "ä\"ss/w", "\\rd+42"};
  entry.prompts = {{"support", 0, fingerprint("my key is " + secret), "v"}};
  entry.reply.tool_calls = {{"id", "words", "{\"text\":" + quoted + "}"}};
  entry.caller = "x" + secret;
  Entry made = call("{\"p\\u00e4\\\"ss/w\\\\rd+42\": " + nested + "}", "{\"b\":\"" + base64_encode("user:" + secret) + "\",\"u\":\"p%C3%A4%22ss%2Fw%5Crd%2B42\"}");
  made.chunks = {quoted};
  made.error = json::object{{"type", "function_error"}, {"message", "bad key " + secret}};
  Recording recording;
  recording.entries = {scrub.entry(entry), scrub.entry(made)};
  const std::string text = to_text(recording);
  EXPECT_EQ(knows(secret)->redact(text), text);
  for (const char* part : {"ss/w", "u00e4", "ss%2Fw", "rd+42"}) EXPECT_THAT(text, Not(HasSubstr(part))) << part;
  EXPECT_THAT(text, HasSubstr("my key is [secret:key]"));
  EXPECT_EQ(recording.entries[0].prompts[0].text, fingerprint("my key is [secret:key]"));
  ASSERT_TRUE(parse_recording(text, "x.json"));
}

TEST(Recorder, ASecretThatBecomesKnownLateIsTakenOutAfterwards) {
  const Folder folder;
  auto redactor = std::make_shared<secrets::Redactor>();
  Recorder recorder({.file = folder.path / "x.json"}, Scrubber(redactor));
  recorder.finish(recorder.begin(0), answer("the key is hunter2hunter2", "ok"));
  ASSERT_TRUE(recorder.flush(false));
  redactor->add("key", "hunter2hunter2");
  ASSERT_TRUE(recorder.flush(true));
  EXPECT_THAT(*read_file(folder.path / "x.json"), Not(HasSubstr("hunter2")));
}

TEST(Scrubber, ANumberThatIsASecretBecomesAText) {
  const Scrubber scrub(knows("73519284"));
  EXPECT_EQ(scrub.json_text(R"({"pin":73519284,"n":[1, 2]})"), R"({"pin":"[secret:key]","n":[1,2]})");
  EXPECT_EQ(scrub.json_text(R"({"n":[1,  2.50]})"), R"({"n":[1,  2.50]})");
}

TEST(Player, ASecretMatchesWhateverItsValueIsNow) {
  Recording recording;
  recording.entries = {Scrubber(knows("hunter2hunter2")).entry(answer("key hunter2hunter2", "ok"))};
  auto player = player_of(recording, Scrubber(knows("another-value")));
  EXPECT_TRUE(player.model(ask("key another-value"), {}, {}));
}

// ---- Replay -----------------------------------------------------------------------------------------------------------

TEST(Player, EachEntryAnswersOnceInOrder) {
  Recording recording;
  recording.entries = {answer("q", "first"), answer("other", "x"), answer("q", "second")};
  auto player = player_of(recording);
  EXPECT_EQ((*player.model(ask("q"), {}, {}))->reply.content, "first");
  EXPECT_EQ((*player.model(ask("q"), {}, {}))->reply.content, "second");
  const auto third = player.model(ask("q"), {}, {});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::kRecordingMissing);
  EXPECT_THAT(third.error().message, HasSubstr("2 times, and it was asked once more"));
  EXPECT_THAT(player.report().used, ElementsAre(0U, 2U));
}

TEST(Player, OrderOfMembersDoesNotMatter) {
  Recording recording;
  recording.entries = {call(R"({"a":1,"b":{"c":2,"d":3}})", "1")};
  auto player = player_of(recording);
  EXPECT_TRUE(player.function("ruby/text.words", false, R"({ "b": {"d":3, "c":2}, "a":1 })"));
  EXPECT_FALSE(player.function("ruby/text.words", false, R"({"a":1})"));
}

TEST(Recording, EmbeddingsComeBackToTheBit) {
  Recording recording;
  Entry entry;
  entry.ask = {{"alias", "e"}, {"model", "m"}, {"texts", json::array{"a\nb", "c"}}};
  entry.vectors = {{0.1F, -1.0e-38F}, {std::numeric_limits<float>::denorm_min(), 3.4e38F}};
  entry.reply.model = "m-1";
  entry.reply.usage.input_tokens = 4;
  recording.entries = {entry};
  const auto text = to_text(recording);
  const auto read = parse_recording(text, "x.json");
  ASSERT_TRUE(read) << to_text(read.error());
  EXPECT_EQ(read->entries[0].vectors, entry.vectors);
  EXPECT_EQ(to_text(*read), text);
  for (const auto& [from, to] : {std::pair(R"("texts": [)", R"("messages": [], "texts": [)"), std::pair(R"("vectors": [)", R"("vectors": ["AAAAAA==",)"),
                                 std::pair(R"("c")", R"("c", "d")"), std::pair(R"("c")", "7"), std::pair(R"("vectors": [)", R"("vectors": ["AACAfwAAgH8=",)")}) {
    std::string wrong = text;
    ASSERT_NE(wrong.find(from), std::string::npos) << from;
    wrong.replace(wrong.find(from), std::string(from).size(), to);
    EXPECT_FALSE(parse_recording(wrong, "x.json")) << wrong;
  }
}

TEST(Player, AMissShowsTheDifferenceToTheNearestEntry) {
  Recording recording;
  recording.entries = {answer("something else altogether", "x"), answer("What is the mean of 3, 5 and 10?\nBe brief.", "6")};
  auto player = player_of(recording);
  const auto miss = player.model(ask("What is the mean of 3, 5 and 11?\nBe brief."), {}, {});
  ASSERT_FALSE(miss);
  EXPECT_EQ(miss.error().code, ErrorCode::kRecordingMissing);
  EXPECT_THAT(miss.error().message, HasSubstr("entry 2 is nearest"));
  EXPECT_THAT(miss.error().message, HasSubstr("- user: What is the mean of 3, 5 and 10?\n+ user: What is the mean of 3, 5 and 11?"));
  EXPECT_THAT(miss.error().message, Not(HasSubstr("Be brief")));
}

TEST(Player, AnEditedPromptIsStaleWithItsPriceAndAnotherVariableIsNot) {
  Recording recording;
  Entry entry;
  entry.ask = {{"alias", "openai"}, {"model", "gpt"}, {"messages", json::array{message("system", "You are kind to Ada."), message("user", "hi")}}};
  entry.prompts = {{"support/tone", 0, "old", "ada"}};
  entry.reply.usage = {100, 20};
  recording.entries = {entry};
  json::object edited = entry.ask;
  edited["messages"].as_array()[0] = message("system", "You are short with Ada.");
  {
    auto player = player_of(recording);
    const auto miss = player.model(edited, {{"support/tone", 0, "new", "ada"}}, {});
    ASSERT_FALSE(miss);
    EXPECT_EQ(miss.error().code, ErrorCode::kRecordingStale);
    EXPECT_THAT(miss.error().message, HasSubstr("support/tone"));
    EXPECT_THAT(miss.error().hint, HasSubstr("+ 20 tokens"));
    ASSERT_EQ(player.report().missed.size(), 1U);
    EXPECT_EQ(player.report().missed[0].stale, 0U);
    EXPECT_NEAR(static_cast<double>(player.report().missed[0].cost.input_tokens), 100, 10);
  }
  for (const auto& [uses, question] : {std::pair(std::vector<PromptUse>{{"support/tone", 0, "new", "bob"}}, "hi"),
                                       std::pair(std::vector<PromptUse>{{"support/other", 0, "new", "ada"}}, "hi"),
                                       std::pair(std::vector<PromptUse>{}, "hi"),
                                       std::pair(std::vector<PromptUse>{{"support/tone", 0, "new", "ada"}}, "bye")}) {
    auto player = player_of(recording);
    json::object other = edited;
    other["messages"].as_array()[1] = message("user", question);
    const auto miss = player.model(other, uses, {});
    ASSERT_FALSE(miss);
    EXPECT_EQ(miss.error().code, ErrorCode::kRecordingMissing);
  }
}

TEST(Player, MoneyIsToldWhereAPriceIsKnown) {
  Recording recording;
  recording.entries = {answer("q", "x")};
  Player player(recording, "", {.shown = "x.json", .price = [](const std::string& model, const models::Usage& usage) -> std::optional<double> {
                  return model == "gpt" ? std::optional(static_cast<double>(usage.output_tokens) * 0.5) : std::nullopt;
                }},
                Scrubber(nullptr));
  const auto miss = player.model(ask("r"), {}, {});
  ASSERT_FALSE(miss);
  EXPECT_THAT(miss.error().hint, HasSubstr("7 tokens, 3.5 USD)"));
}

TEST(Player, ReportReadsBackAndIsAddedToWithinOneRun) {
  const Folder folder;
  const auto once = [&](std::int64_t since, const char* question) {
    Recording recording;
    recording.entries = {answer("q", "x")};
    Player player(recording, "text", {.shown = "x.json", .report = folder.path / "r.json", .lock = folder.path / "lock", .since_ms = since}, Scrubber(nullptr));
    ASSERT_TRUE(player.model(ask("q"), {}, {}));
    ASSERT_FALSE(player.model(ask(question), {{"p", 0, "t", "v"}}, {}));
    ASSERT_TRUE(player.flush());
  };
  once(1, "one");
  once(1, "two");
  const auto report = parse_replay_report(*read_file(folder.path / "r.json"), "r.json");
  ASSERT_TRUE(report);
  EXPECT_EQ(report->missed.size(), 2U);
  EXPECT_THAT(report->used, ElementsAre(0U));
  EXPECT_EQ(report->missed[1].ask, ask("two"));
  EXPECT_EQ(report->missed[1].prompts[0].name, "p");
  once(0, "three");
  EXPECT_EQ(parse_replay_report(*read_file(folder.path / "r.json"), "r.json")->missed.size(), 1U);
  EXPECT_EQ(parse_replay_report(R"({"format":2})", "r.json").error().code, ErrorCode::kStoreNewer);
}

// ---- Models -----------------------------------------------------------------------------------------------------------

class Parrot final : public models::Model {
 public:
  Result<models::Reply> complete(const models::Request& request, const models::OnEvent& on_event) override {
    const std::string text(string_or(request.messages.back().as_object(), "content"));
    if (text == "fail") return fail(ErrorCode::kModel, "429: too many");
    if (text == "stop") return fail(ErrorCode::kCancelled, "stopped");
    streamed = static_cast<bool>(on_event);
    if (on_event) {
      on_event({.content = "I say "});
      on_event({.content = "", .progress = 0.5});
      on_event({.content = text});
    }
    models::Reply reply;
    reply.content = "I say " + text;
    reply.provider = "parrot";
    return reply;
  }
  std::string description() const override { return "parrot"; }
  bool streamed = false;
};

TEST(RecordedModel, StreamErrorAndAnswerComeBackAsTheyWere) {
  auto parrot = std::make_shared<Parrot>();
  auto recorder = std::make_shared<Recorder>(Recorder::Options{.file = "unused.json"}, Scrubber(nullptr));
  auto prompts = std::make_shared<Prompts>();
  const Asked asked{"pet", "parrot-1", {{"temperature", 0}}, "cli", 0};
  auto model = make_recording_model(parrot, asked, recorder, prompts);
  models::Request request;
  request.messages = {message("user", "hello")};
  request.parameters = {{"max_tokens", 5}};
  std::vector<std::string> live;
  ASSERT_TRUE(model->complete(request, [&](const models::Event& event) { live.push_back(event.content); }));
  ASSERT_TRUE(model->complete(request, {}));
  EXPECT_FALSE(parrot->streamed);
  for (const char* text : {"fail", "stop"}) {
    request.messages = {message("user", text)};
    ASSERT_FALSE(model->complete(request, {}));
  }
  Recording recording = recorder->recording();
  ASSERT_EQ(recording.entries.size(), 3U);
  EXPECT_EQ(recording.entries[0].ask.at("parameters"), (json::object{{"temperature", 0}, {"max_tokens", 5}}));

  const std::string text = to_text(recording);
  auto player = std::make_shared<Player>(recording, text, Player::Options{.shown = "x.json"}, Scrubber(nullptr));
  auto replaying = make_replaying_model(asked, player, prompts);
  request.messages = {message("user", "hello")};
  std::vector<std::string> replayed;
  const auto reply = replaying->complete(request, [&](const models::Event& event) { replayed.push_back(event.content); });
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->content, "I say hello");
  EXPECT_EQ(reply->provider, "parrot");
  EXPECT_THAT(replayed, ElementsAre("I say ", "hello"));
  request.messages = {message("user", "fail")};
  const auto failed = replaying->complete(request, {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kModel);
  EXPECT_EQ(failed.error().message, "429: too many");
  request.messages = {message("user", "stop")};
  EXPECT_EQ(replaying->complete(request, {}).error().code, ErrorCode::kRecordingMissing);
}

TEST(RecordedModel, ToolsAreKnownByNameAndHash) {
  models::Request request;
  request.messages = {message("user", "q")};
  request.tools = {json::object{{"type", "function"}, {"function", {{"name", "words"}, {"description", "a"}}}}};
  const json::object one = ask_of({"a", "m", {}, "", 0}, request);
  request.tools.front().as_object()["function"].as_object()["description"] = "b";
  const json::object other = ask_of({"a", "m", {}, "", 0}, request);
  EXPECT_EQ(one.at("tools").as_array()[0].at("name"), "words");
  EXPECT_NE(one, other);
}

TEST(Prompts, AMessageIsKnownByWhatItWasRenderedFrom) {
  Prompts prompts;
  prompts.note("\nBe kind.\n", "tone", "v");
  const auto uses = prompts.uses({message("system", "Be kind."), message("user", "hi"), json::object{{"role", "assistant"}, {"content", nullptr}}});
  ASSERT_EQ(uses.size(), 1U);
  EXPECT_EQ(uses[0].name, "tone");
  EXPECT_EQ(uses[0].message, 0U);
  for (int i = 0; i < 5000; ++i) prompts.note("text " + std::to_string(i), "many", "");
  EXPECT_THAT(prompts.uses({message("system", "Be kind.")}), IsEmpty());
  EXPECT_EQ(prompts.uses({message("user", "text 4999")}).size(), 1U);
}

// ---- Files ------------------------------------------------------------------------------------------------------------

TEST(Recordings, FileNamesAreFitForAnyFileSystem) {
  EXPECT_EQ(file_name("tests/test_a.py::test_b[x-1]"), "tests-test_a.py-test_b-x-1.json");
  EXPECT_EQ(file_name("../../etc/passwd"), "etc-passwd.json");
  EXPECT_EQ(file_name(""), "run.json");
  EXPECT_LE(file_name(std::string(500, 'a')).size(), 130U);
  EXPECT_NE(file_name(std::string(500, 'a')), file_name(std::string(501, 'a')));
}

TEST(Recordings, AFolderHasAFileForEachNameAndAMissingOneIsAnError) {
  const Folder folder;
  const fs::path place = folder.path / "tests/recordings";
  {
    Recordings book({.mode = Mode::kRecord, .path = place, .name = "chat a"}, folder.path, "", nullptr, {});
    book.recorder()->finish(book.recorder()->begin(0), answer("q", "1"));
    book.use("tests/t.py::test_x");
    book.recorder()->finish(book.recorder()->begin(0), answer("q", "2"));
    book.flush(true);
  }
  EXPECT_TRUE(fs::exists(place / "chat-a.json"));
  EXPECT_TRUE(fs::exists(place / "tests-t.py-test_x.json"));
  Recordings book({.mode = Mode::kReplay, .path = place, .name = "chat a"}, folder.path, "", nullptr, {});
  auto player = book.player();
  ASSERT_TRUE(player && *player);
  EXPECT_EQ((*(*player)->model(ask("q"), {}, {}))->reply.content, "1");
  book.use("chat b");
  player = book.player();
  ASSERT_TRUE(player && *player);
  const auto miss = (*player)->model(ask("q"), {}, {});
  ASSERT_FALSE(miss);
  EXPECT_EQ(miss.error().code, ErrorCode::kRecordingMissing);
  EXPECT_EQ(miss.error().message, "there is no recording tests/recordings/chat-b.json of chat b");
  EXPECT_EQ((*player)->report().missed.size(), 1U);
  Recordings one({.mode = Mode::kReplay, .path = place / "none.json"}, folder.path, "", nullptr, {});
  EXPECT_EQ(one.player().error().code, ErrorCode::kRecordingMissing);
  Recordings optional({.mode = Mode::kReplay, .path = place, .where_present = true, .name = "chat b"}, folder.path, "", nullptr, {});
  ASSERT_TRUE(optional.player());
  EXPECT_EQ(*optional.player(), nullptr);
}

TEST(Recordings, ManyThreadsRecordAtOnce) {
  const Folder folder;
  std::atomic<int> changed = 0;
  Recordings book({.mode = Mode::kRecord, .path = folder.path / "x.json"}, folder.path, "", nullptr, [&] { ++changed; });
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&book, i] {
      for (int n = 0; n < 50; ++n) {
        const auto recorder = book.recorder();
        recorder->finish(recorder->begin(0), answer(std::to_string(i * 100 + n), "a"));
        book.flush(false);
      }
    });
  }
  threads.clear();
  book.flush(true);
  const auto read = parse_recording(*read_file(folder.path / "x.json"), "x.json");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->entries.size(), 200U);
  EXPECT_EQ(changed, 200);
}

}  // namespace
}  // namespace sabir::recordings
