#include "report.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "sabir/base/text.h"

namespace sabir::testing {
namespace {

// Cuts at a character's boundary.
std::string bounded(std::string_view text, std::size_t most = kMostText) {
  if (text.size() <= most) return std::string(text);
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "…";
}

double seconds_of(const json::object& event) {
  const auto* value = event.if_contains("seconds");
  if (value == nullptr || !value->is_number()) return 0;
  const double seconds = value->to_number<double>();
  return std::isfinite(seconds) && seconds > 0 ? seconds : 0;
}

int whole(const json::object& event, std::string_view key) {
  const auto* value = event.if_contains(key);
  if (value == nullptr || !value->is_int64() || value->get_int64() < 0 || value->get_int64() > 1'000'000'000) return 0;
  return static_cast<int>(value->get_int64());
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::optional<int> take_number(std::string_view& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

struct CtestResult {
  std::string name;
  std::string status;  // "Passed", "***Failed", "***Not Run", "***Timeout", "***Exception: SegFault", …
  double seconds = 0;
};

// "  2/10 Test  #2: stats.MeanOfNothing ......***Failed    0.01 sec".
std::optional<CtestResult> ctest_result(std::string_view text) {
  text = trim(text);
  if (!take_number(text) || !take(text, "/") || !take_number(text) || !take(text, " Test")) return std::nullopt;
  text = trim(text);
  if (!take(text, "#") || !take_number(text) || !take(text, ": ")) return std::nullopt;
  CtestResult result;
  if (!text.ends_with(" sec")) return std::nullopt;
  text.remove_suffix(4);
  const std::size_t before_seconds = text.find_last_of(' ');
  if (before_seconds == std::string_view::npos) return std::nullopt;
  const std::string_view number = text.substr(before_seconds + 1);
  std::from_chars(number.data(), number.data() + number.size(), result.seconds);
  text = trim(text.substr(0, before_seconds));
  // The name ends at the dots that lead to the status; ctest writes at least two.
  std::size_t status = text.rfind("..");
  if (status == std::string_view::npos) {
    status = text.rfind("***");
    if (status == std::string_view::npos) return std::nullopt;
    result.status = trim(text.substr(status));
  } else {
    result.status = trim(text.substr(status + 2));
  }
  std::string_view name = text.substr(0, status);
  while (!name.empty() && (name.back() == '.' || name.back() == ' ')) name.remove_suffix(1);
  if (name.empty() || result.status.empty()) return std::nullopt;
  result.name = name;
  if (!std::isfinite(result.seconds) || result.seconds < 0) result.seconds = 0;
  return result;
}

// "/path/stats_test.cpp:12: Failure" as GoogleTest writes it.
bool find_failure_place(std::string_view text, const std::string& root, Case& into) {
  const std::size_t end = text.find(": Failure");
  if (end == std::string_view::npos) return false;
  const std::size_t colon = text.rfind(':', end - (end > 0 ? 1 : 0));
  if (colon == std::string_view::npos || colon + 1 >= end) return false;
  std::string_view number = text.substr(colon + 1, end - colon - 1);
  const auto line = take_number(number);
  if (!line || !number.empty()) return false;
  std::string_view file = trim(text.substr(0, colon));
  if (file.starts_with(root) && file.size() > root.size() && file[root.size()] == '/') file.remove_prefix(root.size() + 1);
  into.file = file;
  into.line = *line;
  return true;
}

}  // namespace

void EventReader::line(std::string_view text, Suite& suite) {
  auto value = parse_json(text);
  if (!value || !value->is_object()) return;
  const auto& event = value->get_object();
  const auto kind = string_or(event, "event");
  if (kind == "collected") {
    collected_ = true;
    suite.expected = whole(event, "count");
  } else if (kind == "broken") {
    if (broken_.size() < 100) broken_.emplace_back(bounded(string_or(event, "file"), 1000), bounded(string_or(event, "text")));
  } else if (kind == "case" && suite.cases.size() < kMostCases) {
    Case one;
    one.id = bounded(string_or(event, "id"), 2000);
    const auto outcome = string_or(event, "outcome");
    one.outcome = outcome == "passed" ? Outcome::kPassed : outcome == "skipped" ? Outcome::kSkipped : Outcome::kFailed;
    one.seconds = seconds_of(event);
    one.file = bounded(string_or(event, "file"), 1000);
    one.line = whole(event, "line");
    one.message = bounded(string_or(event, "message"));
    one.text = bounded(string_or(event, "text"));
    one.test_file = bounded(string_or(event, "test_file"), 1000);
    one.rerun = bounded(string_or(event, "rerun"), 2000);
    suite.cases.push_back(std::move(one));
  }
}

void CtestReader::close(Suite& suite) {
  if (!in_failure_) return;
  in_failure_ = false;
  if (suite.cases.size() < kMostCases) suite.cases.push_back(std::move(failure_));
  failure_ = {};
}

void CtestReader::line(std::string_view text, Suite& suite) {
  if (const auto result = ctest_result(text)) {
    close(suite);
    Case one;
    one.id = bounded(result->name, 2000);
    one.seconds = result->seconds;
    one.rerun = one.id;
    if (result->status == "Passed") {
      if (suite.cases.size() < kMostCases) suite.cases.push_back(std::move(one));
    } else if (result->status.find("Skipped") != std::string::npos || result->status.find("Disabled") != std::string::npos) {
      one.outcome = Outcome::kSkipped;
      if (suite.cases.size() < kMostCases) suite.cases.push_back(std::move(one));
    } else {
      one.outcome = Outcome::kFailed;
      std::string_view status = result->status;
      take(status, "***");
      if (status != "Failed") one.message = status;
      failure_ = std::move(one);
      in_failure_ = true;
    }
    return;
  }
  if (!in_failure_) return;
  const auto trimmed = trim(text);
  // ctest goes on with the next test's start or its summary.
  if ((trimmed.starts_with("Start ") && trimmed.find(": ") != std::string_view::npos) ||
      trimmed.find("% tests passed, ") != std::string_view::npos) {
    close(suite);
    return;
  }
  if (failure_.file.empty() && find_failure_place(trimmed, root_, failure_)) return;
  if (trimmed.starts_with("[") || trimmed.starts_with("Note: Google Test filter") || trimmed.starts_with("Running main()")) return;
  if (failure_.text.size() + text.size() < kMostText) {
    if (!failure_.text.empty() || !trimmed.empty()) failure_.text += std::string(text) + "\n";
    if (failure_.message.empty()) failure_.message = bounded(trimmed, 2000);
  }
}

void CtestReader::end(Suite& suite) { close(suite); }

void Tail::line(std::string_view text) {
  text_.append(text);
  text_ += '\n';
  // Trimmed at twice the bound, so that a long output costs one copy per bound.
  if (text_.size() <= most_ * 2) return;
  std::size_t cut = text_.size() - most_;
  const std::size_t next = text_.find('\n', cut);
  cut = next == std::string::npos || next + 1 == text_.size() ? cut : next + 1;
  text_.erase(0, cut);
}

}  // namespace sabir::testing
