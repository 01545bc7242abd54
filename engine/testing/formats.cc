#include <cstdio>

#include "sabir/testing/testing.h"

namespace sabir::testing {
namespace {

// XML 1.0 forbids most control characters even as references.
std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\n': out += "&#10;"; break;
      case '\t': out += "&#9;"; break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
        else out += '?';
    }
  }
  return out;
}

std::string seconds_text(double seconds) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.3f", seconds);
  return buffer;
}

}  // namespace

json::object to_json(const Summary& summary) {
  json::array suites;
  for (const auto& suite : summary.suites) {
    json::array cases;
    for (const auto& one : suite.cases) {
      json::object entry = {{"id", one.id}, {"outcome", outcome_name(one.outcome)}, {"seconds", one.seconds}};
      if (!one.file.empty()) entry["file"] = one.file;
      if (one.line > 0) entry["line"] = one.line;
      if (!one.message.empty()) entry["message"] = one.message;
      if (!one.text.empty()) entry["text"] = one.text;
      if (!one.test_file.empty()) entry["test_file"] = one.test_file;
      if (one.attempts > 1) entry["attempts"] = one.attempts;
      cases.push_back(std::move(entry));
    }
    json::object entry = {{"name", suite.name},
                          {"ok", suite.ok()},
                          {"files", suite.files},
                          {"unchanged", suite.unchanged},
                          {"passed", suite.count(Outcome::kPassed)},
                          {"failed", suite.count(Outcome::kFailed)},
                          {"skipped", suite.count(Outcome::kSkipped)},
                          {"seconds", suite.seconds},
                          {"cases", std::move(cases)}};
    if (!suite.problem.empty()) entry["problem"] = suite.problem;
    if (!suite.hint.empty()) entry["hint"] = suite.hint;
    if (!suite.output.empty()) entry["output"] = suite.output;
    suites.push_back(std::move(entry));
  }
  json::array flaky;
  for (const auto& one : summary.flaky) flaky.emplace_back(one);
  json::array notes;
  for (const auto& note : summary.notes) notes.emplace_back(note);
  return {{"ok", summary.ok()},
          {"passed", summary.count(Outcome::kPassed)},
          {"failed", summary.failed()},
          {"skipped", summary.count(Outcome::kSkipped)},
          {"seconds", summary.seconds},
          {"interrupted", summary.interrupted},
          {"unchanged", summary.unchanged},
          {"flaky", std::move(flaky)},
          {"suites", std::move(suites)},
          {"notes", std::move(notes)}};
}

std::string to_junit(const Summary& summary) {
  std::string body;
  std::size_t tests = 0;
  std::size_t failures = 0;
  std::size_t errors = 0;
  for (const auto& suite : summary.suites) {
    const bool problem = !suite.problem.empty();
    const int failed = suite.count(Outcome::kFailed);
    tests += suite.cases.size() + (problem ? 1 : 0);
    failures += static_cast<std::size_t>(failed);
    errors += problem ? 1 : 0;
    body += "  <testsuite name=\"" + xml(suite.name) + "\" tests=\"" + std::to_string(suite.cases.size() + (problem ? 1 : 0)) + "\" failures=\"" + std::to_string(failed) +
            "\" errors=\"" + (problem ? "1" : "0") + "\" skipped=\"" + std::to_string(suite.count(Outcome::kSkipped)) + "\" time=\"" + seconds_text(suite.seconds) + "\">\n";
    body += "    <properties><property name=\"files\" value=\"" + std::to_string(suite.files) + "\"/><property name=\"unchanged files\" value=\"" + std::to_string(suite.unchanged) +
            "\"/></properties>\n";
    for (const auto& one : suite.cases) {
      // Servers group by the class; a place has no attribute in the schema, and stands before the text.
      const std::string group = one.test_file.empty() ? suite.name : one.test_file;
      const std::string place = one.file.empty() ? "" : one.file + (one.line > 0 ? ":" + std::to_string(one.line) : "") + "\n";
      body += "    <testcase classname=\"" + xml(group) + "\" name=\"" + xml(one.id) + "\" time=\"" + seconds_text(one.seconds) + "\"";
      if (one.outcome == Outcome::kSkipped) {
        body += "><skipped message=\"" + xml(one.message) + "\"/></testcase>\n";
      } else if (one.outcome == Outcome::kFailed) {
        body += "><failure type=\"failure\" message=\"" + xml(one.message) + "\">" + xml(place + one.text) + "</failure></testcase>\n";
      } else if (one.attempts > 1) {
        body += "><system-out>" + xml("flaky: passed at attempt " + std::to_string(one.attempts) + "; before:\n" + place + one.text) + "</system-out></testcase>\n";
      } else {
        body += "/>\n";
      }
    }
    if (problem) {
      body += "    <testcase classname=\"" + xml(suite.name) + "\" name=\"the suite itself\" time=\"0.000\"><error type=\"error\" message=\"" + xml(suite.problem) + "\">" +
              xml(suite.output) + "</error></testcase>\n";
    }
    body += "  </testsuite>\n";
  }
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sabir test\" tests=\"" + std::to_string(tests) + "\" failures=\"" + std::to_string(failures) + "\" errors=\"" +
         std::to_string(errors) + "\" time=\"" + seconds_text(summary.seconds) + "\">\n" + body + "</testsuites>\n";
}

}  // namespace sabir::testing
