#include <algorithm>

#include "checks.h"
#include "sabir/project/project.h"

namespace sabir::conformance {
namespace {

std::vector<CheckEntry> all_checks() {
  std::vector<CheckEntry> all;
  for (const auto& part : {frame_checks(), life_checks(), call_checks(), blob_checks()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

Result<void> known_ids(const std::vector<CheckEntry>& checks, const Options& options) {
  std::vector<std::string> known;
  for (const auto& check : checks) known.emplace_back(check.id);
  std::vector<std::string> named = options.only;
  for (const auto& [id, reason] : options.expected_failures) named.push_back(id);
  for (const auto& id : named) {
    if (std::find(known.begin(), known.end(), id) == known.end()) {
      return fail(ErrorCode::kUsage, "there is no conformance check " + id, "They are " + known.front() + " to " + known.back() + ".");
    }
  }
  return {};
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPass: return "pass";
    case Outcome::kFail: return "fail";
    case Outcome::kExpectedFailure: return "expected_failure";
    case Outcome::kUnexpectedPass: return "unexpected_pass";
  }
  return "fail";
}

int Report::count(Outcome outcome) const {
  return static_cast<int>(std::count_if(checks.begin(), checks.end(), [&](const Check& check) { return check.outcome == outcome; }));
}

json::object Report::to_json() const {
  json::array listed;
  for (const auto& check : checks) {
    listed.push_back({{"id", check.id}, {"title", check.title}, {"outcome", outcome_name(check.outcome)}, {"detail", check.detail}});
  }
  return {{"language", language},
          {"runtime", runtime},
          {"ok", ok()},
          {"passed", count(Outcome::kPass)},
          {"failed", count(Outcome::kFail)},
          {"expected_failures", count(Outcome::kExpectedFailure)},
          {"unexpected_passes", count(Outcome::kUnexpectedPass)},
          {"checks", std::move(listed)}};
}

std::vector<Check> list() {
  std::vector<Check> listed;
  for (const auto& check : all_checks()) listed.push_back({std::string(check.id), std::string(check.title), Outcome::kPass, ""});
  return listed;
}

Result<Report> run(const Options& options) {
  const auto checks = all_checks();
  if (auto known = known_ids(checks, options); !known) return fail(std::move(known.error()));
  if (options.command.empty()) return fail(ErrorCode::kUsage, "there is no worker to check", "Name its command.");
  if (process::find_program(options.command[0]).empty()) {
    return fail(ErrorCode::kUnavailable, "the worker's program " + options.command[0] + " was not found");
  }
  Report report;
  try {
    Session session(options);
    session.greet();
    report.language = string_or(session.hello_result, "language");
    report.runtime = string_or(session.hello_result, "runtime");
  } catch (const Failure&) {
    // The checks say what is wrong.
  }
  for (const auto& entry : checks) {
    const std::string id(entry.id);
    if (!options.only.empty() && std::find(options.only.begin(), options.only.end(), id) == options.only.end()) continue;
    Check check{id, std::string(entry.title), Outcome::kPass, ""};
    try {
      entry.run(options);
    } catch (const Failure& failure) {
      check.outcome = Outcome::kFail;
      check.detail = failure.detail;
    } catch (const std::exception& error) {
      // A member of the worker's messages that a check takes for granted.
      check.outcome = Outcome::kFail;
      check.detail = std::string("the worker's messages are not of the expected shape: ") + error.what();
    }
    if (const auto expected = options.expected_failures.find(id); expected != options.expected_failures.end()) {
      if (check.outcome == Outcome::kFail) {
        check.outcome = Outcome::kExpectedFailure;
        check.detail = expected->second + " (" + check.detail + ")";
      } else {
        check.outcome = Outcome::kUnexpectedPass;
        check.detail = "listed as failing (" + expected->second + "), but it passes: remove it from the list";
      }
    }
    if (options.progress) options.progress(check);
    report.checks.push_back(std::move(check));
  }
  return report;
}

Result<std::map<std::string, std::string>> read_expected_failures(const std::filesystem::path& path) {
  std::map<std::string, std::string> listed;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return listed;
  auto value = project::read_yaml(path);
  if (!value) return fail(std::move(value.error()));
  if (value->is_null()) return listed;
  if (!value->is_object()) return fail(Error(ErrorCode::kConfig, "expected failures are a mapping from a check's id to the reason").at(path.string()));
  for (const auto& member : value->get_object()) {
    if (!member.value().is_string() || member.value().get_string().empty()) {
      return fail(Error(ErrorCode::kConfig, "the expected failure " + std::string(member.key()) + " has no reason").at(path.string()));
    }
    listed[member.key()] = member.value().get_string();
  }
  return listed;
}

}  // namespace sabir::conformance
