#include <algorithm>

#include "checks.h"
#include "sabir/project/project.h"

namespace sabir::conformance {
namespace {

std::vector<CheckEntry> all_checks() {
  std::vector<CheckEntry> all;
  for (const auto& part : {frame_checks(), life_checks(), call_checks(), blob_checks(), value_checks()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

// Whether `name` is the check's id or the rule that it belongs to.
bool names(std::string_view name, std::string_view id) {
  return id == name || (id.starts_with(name) && id.size() > name.size() && id[name.size()] == '.');
}

Result<void> known_ids(const std::vector<CheckEntry>& checks, const Options& options) {
  const auto unknown = [&](const std::string& id) {
    return fail(ErrorCode::kUsage, "there is no conformance check " + id,
                "They are " + std::string(checks.front().id) + " to " + std::string(checks.back().id) + ".");
  };
  for (const auto& name : options.only) {
    if (std::none_of(checks.begin(), checks.end(), [&](const auto& check) { return names(name, check.id); })) return unknown(name);
  }
  for (const auto& [id, reason] : options.expected_failures) {
    if (std::none_of(checks.begin(), checks.end(), [&wanted = id](const auto& check) { return check.id == wanted; })) return unknown(id);
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
    case Outcome::kNotApplicable: return "not_applicable";
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
          {"not_applicable", count(Outcome::kNotApplicable)},
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
    if (!options.only.empty() && std::none_of(options.only.begin(), options.only.end(), [&](const auto& name) { return names(name, id); })) continue;
    Check check{id, std::string(entry.title), Outcome::kPass, ""};
    try {
      entry.run(options);
    } catch (const Failure& failure) {
      check.outcome = Outcome::kFail;
      check.detail = failure.detail;
    } catch (const NotApplicable& none) {
      check.outcome = Outcome::kNotApplicable;
      check.detail = none.reason;
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
