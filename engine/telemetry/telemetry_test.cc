#include "sabir/telemetry/telemetry.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "cleaner.h"
#include "exporter.h"
#include "repository.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/telemetry/trace_store.h"
#include "settings.h"
#include "stand_ins/raw_server.h"

namespace sabir::telemetry {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "sabir-telemetry-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

// What is logged while it is there.
class Log {
 public:
  Log() {
    set_log_sink([this](LogLevel, std::string_view text) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(text);
    });
  }
  ~Log() { set_log_sink({}); }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

std::int64_t now_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::shared_ptr<trace::Span> span(trace::Tracer& tracer, const std::string& name, const trace::SpanContext& parent = {}) {
  auto out = tracer.begin(parent);
  out->name = name;
  return out;
}

void end(trace::Tracer& tracer, const std::shared_ptr<trace::Span>& span) { tracer.end(span); }

// A project whose traces are looked at once its telemetry has ended.
class Kept {
 public:
  explicit Kept(project::Capture capture) {
    auto project = std::make_shared<project::Project>();
    project->root = folder.path;
    project->name = "demo";
    project->environment = "development";
    project->tracing.capture = capture;
    secrets = std::make_shared<secrets::Secrets>(folder.path);
    telemetry = Telemetry::start(project, secrets, [this] { ++learned; });
    state = project->state_dir();
  }
  trace::Tracer& tracer() { return telemetry->tracer(); }
  std::unique_ptr<TraceStore> ended() {
    telemetry.reset();
    auto store = TraceStore::open_reading(state);
    EXPECT_TRUE(store) << to_text(store.error());
    return store ? std::move(*store) : nullptr;
  }
  Folder folder;
  fs::path state;
  std::shared_ptr<secrets::Secrets> secrets;
  std::unique_ptr<Telemetry> telemetry;
  std::atomic<int> learned = 0;
};

// A run of two spans with a text each; the inner one fails where `fails`.
std::string run_with_texts(trace::Tracer& tracer, bool fails) {
  auto root = span(tracer, "python/outer");
  auto inner = span(tracer, "ruby/inner", root->context);
  inner->text("inner", "inner's own words");
  if (fails) inner->fail(Error(ErrorCode::kFunctionError, "no luck"));
  end(tracer, inner);
  root->text("outer", "outer's own words");
  end(tracer, root);
  return trace::hex(root->context.trace);
}

std::size_t texts_of(TraceStore& store, const std::string& trace) {
  std::size_t count = 0;
  const auto spans = store.spans(trace);
  for (const auto& one : *spans) count += one.texts.size();
  return count;
}

TEST(Telemetry, KeepsTheTreeOfARunAndWhatItWasMadeFrom) {
  Kept kept(project::Capture::kAll);
  const auto id = run_with_texts(kept.tracer(), false);
  const auto store = kept.ended();
  const auto run = store->run(id);
  ASSERT_TRUE(run) << to_text(run.error());
  EXPECT_EQ(run->name, "python/outer");
  EXPECT_EQ(run->spans, 2);
  EXPECT_EQ(run->error, "");
  const auto spans = store->spans(id);
  ASSERT_EQ(spans->size(), 2U);
  EXPECT_EQ((*spans)[1].parent, (*spans)[0].span);
  EXPECT_EQ(string_or((*spans)[0].attributes, "sabir.environment"), "development");
  EXPECT_EQ(string_or((*spans)[1].texts, "inner"), "inner's own words");
  EXPECT_GE(kept.learned, 1);
  EXPECT_EQ(*store->find("last"), id);
  EXPECT_EQ(*store->find(id.substr(0, 12)), id);
  EXPECT_EQ(store->find("zz").error().code, ErrorCode::kNotFound);
}

TEST(Telemetry, ThePolicyDecidesAboutTextsAndNeverAboutStructure) {
  const struct {
    project::Capture capture;
    std::size_t of_good, of_failed;
  } cases[] = {{project::Capture::kNone, 0, 0}, {project::Capture::kErrors, 0, 2}, {project::Capture::kAll, 2, 2}};
  for (const auto& one : cases) {
    Kept kept(one.capture);
    const auto good = run_with_texts(kept.tracer(), false);
    const auto failed = run_with_texts(kept.tracer(), true);
    const auto store = kept.ended();
    EXPECT_EQ(texts_of(*store, good), one.of_good) << static_cast<int>(one.capture);
    EXPECT_EQ(texts_of(*store, failed), one.of_failed) << static_cast<int>(one.capture);
    EXPECT_EQ(store->spans(good)->size(), 2U);
    const auto spans = store->spans(failed);
    ASSERT_EQ(spans->size(), 2U);
    EXPECT_EQ((*spans)[1].error, "function_error");
    EXPECT_EQ((*spans)[1].message, one.capture == project::Capture::kNone ? "" : "no luck");
  }
}

TEST(Telemetry, AFolderThatCannotBeWrittenIsSaidOnceAndFailsNothing) {
  const Log log;
  {
    Kept kept(project::Capture::kAll);
    // A file where the folder would be; permissions do not bind whoever runs this as root.
    std::ofstream(kept.folder.path / ".sabir") << "x";
    for (int i = 0; i < 3; ++i) {
      run_with_texts(kept.tracer(), false);
      std::this_thread::sleep_for(600ms);
    }
    kept.telemetry.reset();
  }
  const auto lines = log.lines();
  ASSERT_EQ(lines.size(), 1U) << ::testing::PrintToString(lines);
  EXPECT_THAT(lines[0], StartsWith("traces are not kept: "));
}

TEST(Telemetry, NothingIsDoneWhereNothingHappens) {
  Kept kept(project::Capture::kAll);
  kept.telemetry.reset();
  EXPECT_EQ(kept.learned, 0);
  EXPECT_FALSE(fs::exists(kept.state));
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    auto opened = TraceStore::open(folder_.path);
    ASSERT_TRUE(opened) << to_text(opened.error());
    store_ = std::move(*opened);
  }
  // A run of `days` ago.
  std::string write(std::int64_t days, const std::string& user, const std::string& text, std::size_t size = 0) {
    auto root = span(tracer_, "invoke_agent helper");
    root->operation = "invoke_agent";
    root->add("gen_ai.agent.name", std::string("helper"));
    root->add("sabir.run.id", std::string("01J0000000000000000000000") + (user.empty() ? "0" : "1"));
    root->who = std::make_unique<CallContext>(CallContext{user, "acme", "c1", ""});
    root->begun_ns -= days * 86'400'000'000'000;
    root->ended_ns = root->begun_ns + 1'500'000'000;
    auto chat = span(tracer_, "chat m", root->context);
    chat->operation = "chat";
    chat->begun_ns = root->begun_ns;
    chat->ended_ns = root->ended_ns;
    chat->add("gen_ai.usage.input_tokens", std::int64_t{30});
    chat->add("gen_ai.usage.output_tokens", std::int64_t{12});
    chat->add("sabir.cost.usd", 0.00025);
    chat->text("gen_ai.input.messages", text + std::string(size, 'x'), size + 1000);
    // What the model took is counted once.
    root->add("gen_ai.usage.input_tokens", std::int64_t{30});
    EXPECT_TRUE(store_->write({chat, root}, {}, 0, now_ms()));
    return trace::hex(root->context.trace);
  }
  std::vector<std::string> found(const RunFilter& filter) {
    std::vector<std::string> out;
    const auto rows = store_->runs(filter);
    for (const auto& row : *rows) out.push_back(row.trace);
    return out;
  }
  Folder folder_;
  trace::Tracer tracer_{{1}};
  std::unique_ptr<TraceStore> store_;
};

TEST_F(StoreTest, RunsAreFoundByUserTimeAssistantAndText) {
  const auto ann = write(0, "ann", "where is my parcel");
  const auto ben = write(3, "ben", "100%_sure");
  const auto rows = store_->runs({});
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ((*rows)[0].trace, ann);
  EXPECT_EQ((*rows)[0].input_tokens, 30);
  EXPECT_EQ((*rows)[0].output_tokens, 12);
  EXPECT_EQ((*rows)[0].nusd, 250'000);
  EXPECT_EQ((*rows)[0].ended_us - (*rows)[0].begun_us, 1'500'000);
  EXPECT_THAT(found({.user = "ben"}), ElementsAre(ben));
  EXPECT_THAT(found({.tenant = "other"}), IsEmpty());
  EXPECT_THAT(found({.assistant = "helper"}), ElementsAre(ann, ben));
  EXPECT_THAT(found({.assistant = "other"}), IsEmpty());
  EXPECT_THAT(found({.text = "MY Parcel"}), ElementsAre(ann));
  EXPECT_THAT(found({.text = "0%_s"}), ElementsAre(ben));
  EXPECT_THAT(found({.text = "0_%s"}), IsEmpty());
  EXPECT_THAT(found({.since_ms = now_ms() - 86'400'000}), ElementsAre(ann));
  EXPECT_THAT(found({.until_ms = now_ms() - 86'400'000}), ElementsAre(ben));
  EXPECT_THAT(found({.failed = true}), IsEmpty());
  EXPECT_THAT(found({.limit = 1}), ElementsAre(ann));
  EXPECT_EQ(store_->find("01j00000000000000000000001").error().code, ErrorCode::kInvalidArguments);
}

TEST_F(StoreTest, WhatIsTooOldGoesAsAWhole) {
  const auto old = write(20, "ann", "old");
  const auto young = write(2, "ben", "young");
  ASSERT_TRUE(store_->prune(14, 256, now_ms()));
  EXPECT_THAT(found({}), ElementsAre(young));
  EXPECT_THAT(*store_->spans(old), IsEmpty());
  EXPECT_EQ(texts_of(*store_, young), 1U);
}

TEST_F(StoreTest, WhatIsTooMuchMakesRoomFromTheOldestOn) {
  std::vector<std::string> all;
  for (int i = 0; i < 60; ++i) all.push_back(write(0, "ann", "run", 50'000));
  const auto before = *store_->size();
  ASSERT_GT(before, std::int64_t{2} << 20U);
  ASSERT_TRUE(store_->prune(14, 2, now_ms()));
  EXPECT_LT(*store_->size(), (std::int64_t{2} << 20U) / 10 * 9);
  const auto left = found({.limit = 100});
  ASSERT_FALSE(left.empty());
  EXPECT_LT(left.size(), all.size());
  EXPECT_EQ(left.front(), all.back());
  // Those that are left are whole.
  for (const auto& one : left) EXPECT_EQ(store_->spans(one)->size(), 2U);
  // And the file is no larger than what is in it.
  store_.reset();
  EXPECT_LT(fs::file_size(folder_.path / "traces.db"), std::uintmax_t{2} << 20U);
}

TEST_F(StoreTest, OneThatIsBeingMadeHasNothingInItYet) {
  const fs::path folder = folder_.path / "other";
  EXPECT_EQ(TraceStore::open_reading(folder).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(store::Connection::open(folder / "traces.db"));
  EXPECT_EQ(TraceStore::open_reading(folder).error().code, ErrorCode::kNotFound);
}

TEST_F(StoreTest, ANewerFormatIsLeftAlone) {
  store_.reset();
  {
    auto raw = store::Connection::open(folder_.path / "traces.db");
    ASSERT_TRUE((*raw)->execute("PRAGMA user_version=99"));
  }
  EXPECT_EQ(TraceStore::open(folder_.path).error().code, ErrorCode::kStoreNewer);
}

TEST(Cleaner, ASecretIsTakenOutWhereverItStandsAlsoWhereATextWasCut) {
  const std::string secret = "hunter2-hunter2";
  auto redactor = std::make_shared<secrets::Redactor>();
  redactor->add("door_key", secret);
  Cleaner cleaner(redactor);
  trace::Span one;
  one.keeps_text = true;
  one.name = "render " + secret;
  one.fail(Error(ErrorCode::kFunctionError, "bad key " + secret));
  one.subject = std::make_shared<trace::Subject>(trace::Subject{"python/" + secret, {{"list", std::vector<std::string>{secret}}}});
  one.add("text", "x" + base64_encode("user:" + secret));
  one.events.push_back({"try", 0, {{"why", secret}}});
  one.who = std::make_unique<CallContext>(CallContext{secret, "", "", ""});
  one.text("whole", R"({"a":"{\"b\":\")" + secret + R"(\"}"})");
  const std::string long_text = std::string(90, '.') + secret + "and more";
  for (std::size_t most = 80; most < long_text.size() + 3; ++most) one.text("cut", long_text, most);
  one.text("bytes", "caf\xC3\xA9", 4);
  one.add("long", std::string(10'000, 'y'));
  cleaner.clean(one);
  std::string all = one.shown_name() + one.message + one.who->user + compact_json(trace::attributes_json(one)) + compact_json(trace::events_json(one));
  for (const auto& text : one.texts) all += "\n" + text.text;
  EXPECT_THAT(all, HasSubstr("[secret:door_key]"));
  EXPECT_THAT(all, Not(HasSubstr("hunter")));
  EXPECT_THAT(all, Not(HasSubstr("h…")));
  EXPECT_EQ(one.subject->name, "python/[secret:door_key]");
  EXPECT_EQ(one.texts.back().text, "caf… [the first of 5 bytes]");
  EXPECT_THAT(all, HasSubstr("y… [the first of 10000 bytes]"));
  EXPECT_EQ(find_invalid_utf8(all), std::string::npos);
}

TEST(Settings, TheEnvironmentWinsOverTheFile) {
  project::Project project;
  project.name = "shop";
  project.environment = "production";
  project.tracing.endpoint = "http://file:4318/";
  std::map<std::string, std::string> variables;
  const auto read = [&] {
    return settings_of(project, [&](const char* name) { return variables.contains(name) ? variables.at(name).c_str() : nullptr; });
  };
  EXPECT_EQ(read().url, "http://file:4318/v1/traces");
  EXPECT_EQ(read().resource.front().second, "shop");
  variables = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:1/base"}, {"OTEL_SERVICE_NAME", "other"}, {"OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20abc, x-a=1"},
               {"OTEL_EXPORTER_OTLP_TIMEOUT", "2500"}, {"OTEL_RESOURCE_ATTRIBUTES", "service.name=unused,team=red,deployment.environment.name=eu"}};
  auto settings = read();
  EXPECT_EQ(settings.url, "http://env:1/base/v1/traces");
  EXPECT_THAT(settings.headers, ElementsAre(std::pair("Authorization", "Bearer abc"), std::pair("x-a", "1")));
  EXPECT_EQ(settings.timeout, 2500ms);
  const std::map<std::string, std::string> resource(settings.resource.begin(), settings.resource.end());
  EXPECT_EQ(resource.at("service.name"), "other");
  EXPECT_EQ(resource.at("team"), "red");
  EXPECT_EQ(resource.at("deployment.environment.name"), "eu");
  variables = {{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://exact/path"}};
  EXPECT_EQ(read().url, "http://exact/path");
  variables["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc";
  EXPECT_EQ(read().url, "");
  EXPECT_THAT(read().warnings, ElementsAre(HasSubstr("grpc")));
  variables = {{"OTEL_TRACES_EXPORTER", "none"}};
  EXPECT_EQ(read().url, "");
  EXPECT_TRUE(read().enabled);
  variables = {{"OTEL_SDK_DISABLED", "TRUE"}};
  EXPECT_FALSE(read().enabled);
}

TEST(Repository, ReadsWhatGitSays) {
  const std::string oid(40, 'a');
  EXPECT_FALSE(parse_revision("# branch.oid (initial)\n"));
  EXPECT_FALSE(parse_revision(""));
  EXPECT_FALSE(parse_revision("# branch.oid " + oid + "\n# branch.head main\n")->dirty);
  const auto dirty = parse_revision("# branch.oid " + oid + "\n1 .M N... 100644 100644 100644 b c x.py\n");
  EXPECT_EQ(dirty->commit, oid);
  EXPECT_TRUE(dirty->dirty);
}

// ---- export ----------------------------------------------------------------------------------------------------------

std::string answer(const std::string& status, const std::string& body, const std::string& more = {}) {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more + "\r\n" + body;
}

ExportOptions to(const tests::RawServer& server) {
  ExportOptions options;
  options.url = server.url("/v1/traces");
  options.headers = [] { return net::HttpHeaders{{"x-key", "value"}}; };
  options.first_pause = 20ms;
  options.timeout = 2000ms;
  return options;
}

std::shared_ptr<const trace::Span> some_span(trace::Tracer& tracer) {
  auto one = tracer.begin({});
  one->name = "python/text.words";
  one->ended_ns = one->begun_ns + 1000;
  return one;
}

TEST(Exporter, WhatPassesIsTriedAgainAndTheRestIsNot) {
  const struct {
    const char* status;
    const char* more;
    int requests;
  } cases[] = {{"429 Too Many Requests", "Retry-After: 0\r\n", 2}, {"502 Bad Gateway", "", 2}, {"503 Service Unavailable", "", 2}, {"504 Gateway Timeout", "", 2},
               {"400 Bad Request", "", 1},       {"401 Unauthorized", "", 1}, {"413 Content Too Large", "", 1}, {"500 Internal Server Error", "", 1}};
  for (const auto& one : cases) {
    const Log log;
    std::mutex mutex;
    std::vector<std::string> requests;
    tests::RawServer server([&](const auto& peer, int number, const std::string& request) {
      {
        const std::lock_guard lock(mutex);
        requests.push_back(request);
      }
      peer.send(number == 1 ? answer(one.status, R"({"message":"why"})", one.more) : answer("200 OK", "{}"));
    });
    {
      trace::Tracer tracer({1});
      Exporter exporter(to(server));
      exporter.add(some_span(tracer));
    }
    EXPECT_EQ(requests.size(), static_cast<std::size_t>(one.requests)) << one.status;
    EXPECT_THAT(requests.front(), StartsWith("POST /v1/traces HTTP/1.1\r\n"));
    EXPECT_THAT(requests.front(), HasSubstr("x-key: value\r\n"));
    EXPECT_THAT(requests.front(), HasSubstr("Content-Type: application/json\r\n"));
    EXPECT_THAT(requests.front(), HasSubstr("python/text.words"));
    if (one.requests == 2) {
      EXPECT_THAT(log.lines(), IsEmpty());
    } else {
      EXPECT_THAT(log.lines(), ElementsAre(HasSubstr(std::string("answered ").append(one.status, 3))));
    }
  }
}

TEST(Exporter, AConnectionThatBreaksIsTriedAgain) {
  std::atomic<int> seen = 0;
  tests::RawServer server([&](const auto& peer, int number, const std::string&) {
    ++seen;
    if (number > 1) peer.send(answer("200 OK", "{}"));
  });
  {
    trace::Tracer tracer({1});
    Exporter exporter(to(server));
    exporter.add(some_span(tracer));
  }
  EXPECT_EQ(seen, 2);
}

TEST(Exporter, APartialSuccessIsSaidAndNeverSentAgain) {
  const Log log;
  std::atomic<int> seen = 0;
  tests::RawServer server([&](const auto& peer, int, const std::string&) {
    ++seen;
    peer.send(answer("200 OK", R"({"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}})"));
  });
  {
    trace::Tracer tracer({1});
    Exporter exporter(to(server));
    exporter.add(some_span(tracer));
  }
  EXPECT_EQ(seen, 1);
  EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("refused 1 of 1 spans: too old")));
}

TEST(Exporter, AServerThatSaysNothingHoldsUpNeitherCallsNorTheEnd) {
  const Log log;
  tests::RawServer server([&](const auto& peer, int, const std::string&) { peer.stall(); });
  {
    trace::Tracer tracer({1});
    auto options = to(server);
    options.timeout = 600'000ms;
    Exporter exporter(std::move(options));
    for (std::size_t i = 0; i < Exporter::kMostWaiting + 2000; ++i) exporter.add(some_span(tracer));
  }
  EXPECT_THAT(::testing::PrintToString(log.lines()), HasSubstr("the engine ended first"));
}

}  // namespace
}  // namespace sabir::telemetry
