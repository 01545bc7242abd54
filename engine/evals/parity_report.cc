// A comparison in words and as JSON.
#include <algorithm>
#include <cstdio>

#include "sabir/base/text.h"
#include "sabir/evals/parity.h"

namespace sabir::evals {
namespace {

constexpr std::size_t kMostShown = 200;

std::string shown(const std::string& text) {
  if (text.size() <= kMostShown) return text;
  std::size_t end = kMostShown - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end) + "…";
}

std::string place_of(const functions::Function& function) { return function.source.relative + ":" + std::to_string(function.schema.line); }

std::string fixed(double x, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

std::string left(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}
std::string right(const std::string& text, std::size_t width) { return text.size() < width ? std::string(width - text.size(), ' ') + text : text; }

std::string answer_text(const Answer& answer) {
  if (!answer.error) return shown(answer.value);
  std::string message = answer.error->message;
  if (!answer.error->detail.empty() && (answer.error->code == ErrorCode::kWorkerCrashed || answer.error->code == ErrorCode::kOutcomeUnknown)) message += ": " + std::string(trim(answer.error->detail));
  std::replace(message.begin(), message.end(), '\n', ' ');
  return std::string(error_code_name(answer.error->code)) + ": " + shown(message);
}

// For a shell: between single quotes.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

std::string languages_of(const ParityReport& report) {
  std::vector<std::string> names;
  for (const auto* member : report.members) names.push_back(member->language);
  return join(names, ", ");
}

}  // namespace

std::string command_of(const functions::Function& function, const std::string& input) { return "sabir call " + function.language + "/" + function.address + " --args " + quoted(input); }

json::object to_json(const ParityReport& report) {
  json::array members;
  for (std::size_t i = 0; i < report.members.size(); ++i) {
    const auto& member = *report.members[i];
    json::object one{{"address", member.language + "/" + member.address}, {"language", member.language}, {"file", member.source.relative}, {"line", member.schema.line}};
    if (i < report.latencies.size() && report.latencies[i].calls > 0) {
      const auto& latency = report.latencies[i];
      one["latency"] = json::object{{"calls", latency.calls}, {"p50_ms", latency.p50_ms}, {"p99_ms", latency.p99_ms}, {"per_second", latency.per_second}};
    }
    members.push_back(std::move(one));
  }
  json::array schemas;
  for (const auto& one : report.schemas) schemas.push_back({{"difference", one.what}, {"one", one.one}, {"other", one.other}});
  json::array disagreements;
  for (const auto& one : report.disagreements) {
    json::array answers;
    for (std::size_t i = 0; i < one.answers.size(); ++i) {
      const auto& member = *report.members[i];
      json::object answer{{"address", member.language + "/" + member.address}, {"place", place_of(member)}, {"command", command_of(member, one.input)}};
      if (one.answers[i].error) {
        answer["error"] = sabir::to_json(*one.answers[i].error);
      } else {
        auto value = parse_json(one.answers[i].value);
        answer["value"] = value ? *value : json::value(one.answers[i].value);
      }
      answers.push_back(std::move(answer));
    }
    auto input = parse_json(one.input);
    json::object object{{"what", one.what}, {"input", input ? *input : json::value(one.input)}, {"shrunk_from_bytes", one.original.size()}, {"answers", std::move(answers)}};
    if (!one.expected.empty()) object["expected"] = one.expected;
    disagreements.push_back(std::move(object));
  }
  json::object out{{"address", report.address}, {"outcome", outcome_name(report.outcome)}, {"inputs", report.inputs}, {"disagreeing", report.disagreeing}, {"members", std::move(members)}};
  if (!report.why.empty()) out["why"] = report.why;
  if (report.out_of_time) out["out_of_time"] = true;
  if (!report.left_out.empty()) {
    json::array list;
    for (const auto& one : report.left_out) list.push_back(json::value(one));
    out["left_out"] = std::move(list);
  }
  out["schema_differences"] = std::move(schemas);
  out["disagreements"] = std::move(disagreements);
  out["seconds"] = report.seconds;
  return out;
}

std::string to_text(const ParityReport& report, const std::function<std::string(std::string_view, const char*)>& styled) {
  std::string out = styled(report.address, "1") + "  " + languages_of(report) + "  ";
  const std::string inputs = std::to_string(report.inputs) + (report.inputs == 1 ? " input" : " inputs") + (report.out_of_time ? ", then its time was over" : "");
  switch (report.outcome) {
    case Outcome::kPassed: out += styled("agree", "32") + " on " + inputs; break;
    case Outcome::kSkipped: return out + styled("skipped: " + report.why, "2") + "\n";
    case Outcome::kError: out += styled("not compared", "31"); break;
    case Outcome::kFailed: out += report.disagreeing > 0 ? styled("disagree", "31") + " on " + std::to_string(report.disagreeing) + " of " + inputs : styled("cannot agree", "31"); break;
  }
  out += "\n";
  if (!report.why.empty()) out += "  " + report.why + "\n";
  for (const auto& one : report.left_out) out += styled("  without " + one, "2") + "\n";
  for (const auto& one : report.schemas) out += "  schemas: " + one.what + "  " + styled("(" + one.one + ", " + one.other + ")", "2") + "\n";
  for (const auto& one : report.disagreements) {
    out += "  " + one.what + ", given " + styled(shown(one.input), "1") + (one.expected.empty() ? "" : ", which has to give " + shown(one.expected)) + "\n";
    std::size_t wide = 0;
    for (const auto* member : report.members) wide = std::max(wide, member->language.size());
    for (std::size_t i = 0; i < one.answers.size(); ++i) {
      out += "    " + left(report.members[i]->language, wide) + "  " + answer_text(one.answers[i]) + "  " + styled(place_of(*report.members[i]), "2") + "\n";
    }
    for (const auto* member : report.members) out += "    " + styled(command_of(*member, one.input), "36") + "\n";
  }
  std::size_t timed = 0;
  for (const auto& latency : report.latencies) timed = std::max(timed, latency.calls);
  if (timed > 0) {
    std::size_t wide = 8;
    for (const auto* member : report.members) wide = std::max(wide, member->language.size());
    out += styled("  " + left("language", wide) + "    p50 ms    p99 ms    calls/s", "2") + "\n";
    for (std::size_t i = 0; i < report.latencies.size(); ++i) {
      const auto& latency = report.latencies[i];
      out += "  " + left(report.members[i]->language, wide) + right(fixed(latency.p50_ms, "%.3f"), 10) + right(fixed(latency.p99_ms, "%.3f"), 10) + right(fixed(latency.per_second, "%.0f"), 11) + "\n";
    }
  }
  return out;
}

Verdict verdict_of(const ParityReport& report) {
  Verdict out;
  out.name = report.address;
  out.outcome = report.outcome;
  out.seconds = report.seconds;
  if (!report.members.empty()) {
    out.file = report.members.front()->source.relative;
    out.line = report.members.front()->schema.line;
  }
  out.message = report.why;
  if (!report.disagreements.empty()) {
    const auto& first = report.disagreements.front();
    out.message = first.what + ", given " + shown(first.input);
  }
  if (report.outcome != Outcome::kPassed) out.text = to_text(report, [](std::string_view text, const char*) { return std::string(text); });
  return out;
}

}  // namespace sabir::evals
