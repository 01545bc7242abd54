#include "dev_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dev_events.h"
#include "sabir/terminal/text.h"

namespace sabir::cli {
namespace {

using terminal::Key;
using terminal::Size;
using ::testing::HasSubstr;
using ::testing::Not;

json::object object(const std::string& text) { return parse_json(text).value().as_object(); }

std::string screen(DevView& view, Size size) {
  int cursor = -1;
  std::string out;
  const auto lines = view.lines(size, cursor);
  EXPECT_EQ(static_cast<int>(lines.size()), size.rows);
  for (const auto& line : lines) {
    std::string text;
    for (const auto& span : line) text += span.text;
    out += terminal::clipped(text, size.columns) + "\n";
  }
  return out;
}

Key text(const std::string& character) { return {Key::Code::kText, character}; }

class DevViewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    view_.add(object(R"({"event":"ready","time_ms":0,"project":"notes","environment":"development","address":"http://127.0.0.1:8080","docs":"http://127.0.0.1:8080/docs",
      "mcp":"http://127.0.0.1:8080/mcp","openai":"http://127.0.0.1:8080/v1","asks_who":false,"functions":{"python":3,"ruby":1},
      "unavailable":[{"language":"python","type":"load_failed","message":"syntax error","file":"functions/python/x.py","line":7}],"disabled":[]})"));
  }
  void request(const std::string& path, int status, const std::string& function = "", const std::string& trace = "aabbccddeeff") {
    const json::object line{{"event", "request"}, {"method", "POST"}, {"path", path}, {"status", status}, {"ms", 1.25}, {"function", function}, {"trace", trace}, {"user", "ada"}};
    view_.add(request_event(json::serialize(line)));
  }
  DevView view_;
};

TEST_F(DevViewTest, TheHeadTellsWhereAndWhat) {
  const auto shown = screen(view_, {100, 24});
  for (const char* words : {"notes", "http://127.0.0.1:8080/docs", "http://127.0.0.1:8080/mcp", "http://127.0.0.1:8080/v1", "python 3 functions", "ruby   1 function", "1 unavailable", "functions/python/x.py:7", "syntax error"}) {
    EXPECT_THAT(shown, HasSubstr(words));
  }
}

TEST_F(DevViewTest, EveryLineFitsEverySize) {
  request("/functions/日本語" + std::string(300, 'x'), 500, "python/notes.fail");
  view_.add(failure_event({"python/notes.fail", Error(ErrorCode::kFunctionError, std::string(500, 'm')).at("functions/python/notes.py", 3), {}}));
  view_.add(log_event("python", "\x1b[2Jred"));
  view_.health(object(R"({"uptime_ms":61000,"pools":[{"pool":"python","language":"python","queue":{"length":3,"oldest_ms":5},"crashed":2,"start_failure":"","left_alone":["notes.die"],
    "workers":[{"pid":1,"state":"busy","memory":1000000},{"pid":2,"state":"ready","memory":41000000}]}]})"));
  for (const int columns : {1, 20, 40, 59, 60, 79, 80, 99, 100, 200}) {
    for (const int rows : {1, 3, 8, 13, 14, 24, 60}) {
      int cursor = -1;
      const auto lines = view_.lines({columns, rows}, cursor);
      ASSERT_EQ(static_cast<int>(lines.size()), rows) << columns << "x" << rows;
    }
  }
  const auto shown = screen(view_, {100, 30});
  EXPECT_THAT(shown, HasSubstr("1 warm, 1 busy, 3 waiting, 42 MB, 2 lost"));
  EXPECT_THAT(shown, HasSubstr("crash loop, left alone for a while: notes.die"));
  EXPECT_THAT(shown, HasSubstr("up 1 min"));
  EXPECT_THAT(shown, Not(HasSubstr("\x1b")));
}

TEST_F(DevViewTest, AFilterHidesWhatDoesNotFitAndEscapeShowsItAgain) {
  request("/functions/slugify", 200, "ruby/slugify.slugify");
  request("/functions/notes.fail", 500, "python/notes.fail");
  view_.press(text("f"));
  for (const char* one : {"S", "l", "u", "g"}) view_.press(text(one));
  int cursor = -1;
  view_.lines({80, 24}, cursor);
  EXPECT_EQ(cursor, 23);
  view_.press({Key::Code::kEnter, {}});
  EXPECT_THAT(screen(view_, {80, 24}), Not(HasSubstr("notes.fail")));
  EXPECT_THAT(screen(view_, {80, 24}), HasSubstr("/functions/slugify"));
  view_.press({Key::Code::kEscape, {}});
  EXPECT_THAT(screen(view_, {80, 24}), HasSubstr("notes.fail"));
  view_.press(text("e"));
  EXPECT_THAT(screen(view_, {80, 24}), Not(HasSubstr("/functions/slugify")));
}

TEST_F(DevViewTest, PausedItKeepsWhatComes) {
  request("/functions/a", 200);
  view_.press(text(" "));
  request("/functions/b", 200);
  EXPECT_THAT(screen(view_, {80, 24}), Not(HasSubstr("/functions/b")));
  EXPECT_THAT(screen(view_, {80, 24}), HasSubstr("paused, 1 new"));
  view_.press(text(" "));
  EXPECT_THAT(screen(view_, {80, 24}), HasSubstr("/functions/b"));
}

TEST_F(DevViewTest, EnterShowsTheErrorsOfARequestAndHowToSeeItsTrace) {
  trace::SpanContext span;
  view_.add([&] {
    auto failed = failure_event({"python/notes.fail", Error(ErrorCode::kFunctionError, "no such note", "Write one.").at("functions/python/notes.py", 63), span});
    failed["trace"] = "aabbccddeeff";
    return failed;
  }());
  request("/functions/notes.fail", 500, "python/notes.fail");
  view_.press({Key::Code::kEnter, {}});
  const auto shown = screen(view_, {80, 40});
  for (const char* words : {"no such note", "functions/python/notes.py:63", "Write one.", "sabir trace aabbccdd", "1.2 ms", "ada"}) EXPECT_THAT(shown, HasSubstr(words));
  view_.press({Key::Code::kEnter, {}});
  EXPECT_THAT(screen(view_, {80, 40}), Not(HasSubstr("sabir trace")));
}

TEST_F(DevViewTest, OnlySoManyRowsAreKept) {
  for (std::size_t i = 0; i < DevView::kMostRows + 10; ++i) request("/functions/n" + std::to_string(i) + ".x", 200);
  view_.press({Key::Code::kHome, {}});
  EXPECT_THAT(screen(view_, {80, 24}), HasSubstr("/functions/n10.x"));
  EXPECT_THAT(screen(view_, {80, 24}), Not(HasSubstr("/functions/n9.x")));
  view_.press({Key::Code::kEnd, {}});
  EXPECT_THAT(screen(view_, {80, 24}), HasSubstr("/functions/n2009.x"));
}

TEST_F(DevViewTest, AnErrorThatGoesThroughSeveralFunctionsIsOneLine) {
  auto inner = failure_event({"ruby/a.b", Error(ErrorCode::kFunctionError, "too small").at("functions/ruby/a.rb", 3), {}});
  inner["trace"] = "aa";
  auto outer = failure_event({"python/c.d", Error(ErrorCode::kFunctionError, "ruby/a.b: too small").at("functions/python/c.py", 9), {}});
  outer["trace"] = "aa";
  view_.add(inner);
  view_.add(outer);
  EXPECT_THAT(screen(view_, {80, 24}), Not(HasSubstr("c.py:9")));
  EXPECT_THAT(screen(view_, {80, 24}), HasSubstr("a.rb:3"));
}

TEST(DevEvents, AReloadTellsWhatBecameOfEachFile) {
  runtime::ReloadReport report;
  report.paths = {"functions/python/x.py", "functions/python/y.py"};
  report.languages = {"python"};
  report.changes = {{"functions/python/x.py", {"python/x.b", "python/x.c"}, {"python/x.a"}, {"python/x.d"}}};
  EXPECT_EQ(plain_text(reload_event(report, "/")).substr(9), "reloaded functions/python/x.py: 1 changed, 2 added, 1 gone (python/x.d)\n" + plain_text(reload_event(report, "/")).substr(0, 9) + "reloaded functions/python/y.py");
  runtime::ReloadReport broken;
  broken.paths = {"sabir.yml"};
  broken.problems.push_back(Error(ErrorCode::kConfig, "unknown key 'x'").at("sabir.yml", 9));
  const auto lines = reload_lines(reload_event(broken, "/"));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], "sabir.yml:9: unknown key 'x'");
  EXPECT_EQ(lines[1], "What worked before keeps serving.");
}

TEST(DevEvents, LostWorkersAreToldOnce) {
  const auto before = object(R"({"pools":[{"pool":"python","crashed":1,"start_failure":"","left_alone":[]}]})");
  const auto now = object(R"({"pools":[{"pool":"python","crashed":3,"start_failure":"no python3","left_alone":["a.b"]}]})");
  const auto events = health_events(before, now);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_THAT(plain_text(events[0]), HasSubstr("python: 2 workers were lost while in use"));
  EXPECT_THAT(plain_text(events[1]), HasSubstr("no worker starts: no python3"));
  EXPECT_THAT(plain_text(events[2]), HasSubstr("crash loop"));
  EXPECT_TRUE(health_events(now, now).empty());
}

TEST(DevEvents, PlainLinesHaveNoControlCharacters) {
  EXPECT_THAT(plain_text(log_event("python", "\x1b]0;title\x07")), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace sabir::cli
