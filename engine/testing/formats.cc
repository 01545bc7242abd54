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
      cases.push_back(std::move(entry));
    }
    json::object entry = {{"name", suite.name},
                          {"ok", suite.ok()},
                          {"files", suite.files},
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
  json::array notes;
  for (const auto& note : summary.notes) notes.emplace_back(note);
  return {{"ok", summary.ok()},
          {"passed", summary.count(Outcome::kPassed)},
          {"failed", summary.failed()},
          {"skipped", summary.count(Outcome::kSkipped)},
          {"seconds", summary.seconds},
          {"interrupted", summary.interrupted},
          {"suites", std::move(suites)},
          {"notes", std::move(notes)}};
}

std::string to_junit(const Summary& summary) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites time=\"" + seconds_text(summary.seconds) + "\">\n";
  for (const auto& suite : summary.suites) {
    const bool problem = !suite.problem.empty();
    out += "  <testsuite name=\"" + xml(suite.name) + "\" tests=\"" + std::to_string(suite.cases.size() + (problem ? 1 : 0)) +
           "\" failures=\"" + std::to_string(suite.count(Outcome::kFailed)) + "\" errors=\"" + (problem ? "1" : "0") +
           "\" skipped=\"" + std::to_string(suite.count(Outcome::kSkipped)) + "\" time=\"" + seconds_text(suite.seconds) + "\">\n";
    for (const auto& one : suite.cases) {
      out += "    <testcase classname=\"" + xml(suite.name) + "\" name=\"" + xml(one.id) + "\" time=\"" + seconds_text(one.seconds) + "\"";
      if (!one.file.empty()) out += " file=\"" + xml(one.file) + "\"";
      if (one.line > 0) out += " line=\"" + std::to_string(one.line) + "\"";
      if (one.outcome == Outcome::kPassed) {
        out += "/>\n";
      } else if (one.outcome == Outcome::kSkipped) {
        out += "><skipped message=\"" + xml(one.message) + "\"/></testcase>\n";
      } else {
        out += "><failure message=\"" + xml(one.message) + "\">" + xml(one.text) + "</failure></testcase>\n";
      }
    }
    if (problem) {
      out += "    <testcase classname=\"" + xml(suite.name) + "\" name=\"the suite itself\"><error message=\"" + xml(suite.problem) + "\">" +
             xml(suite.output) + "</error></testcase>\n";
    }
    out += "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

}  // namespace sabir::testing
