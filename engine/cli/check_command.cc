// sabir check: everything that can be told of a project without running it.
#include <algorithm>

#include "checks.h"
#include "command.h"
#include "config_schemas.h"
#include "sabir/base/text.h"
#include "sabir/completions/check.h"
#include "sabir/completions/renderer.h"

namespace sabir::cli {
namespace {

// What sabir.yml exposes, by door, and its entries that lead to nothing.
json::object exposed(const project::Project& project, const functions::Registry& registry, const std::vector<completions::PromptInfo>& prompts, runtime::Engine& engine,
                     std::vector<CheckFinding>& findings) {
  std::vector<std::string> names;  // all but functions and memory
  for (const auto& assistant : registry.assistants()) names.push_back("assistants/" + assistant.name);
  for (const auto& prompt : prompts) {
    if (!prompt.is_part) names.push_back("prompts/" + prompt.name);
  }
  // Only who exposes a model needs a configuration of them that can be read.
  const auto& entries = project.exposure.model;
  if (std::any_of(entries.begin(), entries.end(), [](const std::string& entry) { return entry.starts_with("models/"); })) {
    if (auto models = engine.models()) {
      for (const auto& model : *models) names.push_back("models/" + model.alias);
    }
  }
  auto read = project::read_configuration(project.root, *project::find_config_file("sabir.yml"), project.environment);
  project::Exposure elsewhere = project.exposure;
  elsewhere.everything = false;
  json::object out;
  for (const auto door : {project::Door::kRest, project::Door::kMcp, project::Door::kModel}) {
    const std::string name(project::door_name(door));
    json::array reached;
    for (const auto& function : registry.functions()) {
      if (elsewhere.reaches_function(door, function.language, function.address)) reached.push_back(json::value(function.language + "/" + function.address));
    }
    for (const auto& one : names) {
      if (elsewhere.reaches(door, one)) reached.push_back(json::value(one));
    }
    if (elsewhere.reaches(door, "memory")) reached.push_back("memory");
    std::size_t index = 0;
    for (const auto& entry : elsewhere.entries(door)) {
      const std::string pointer = "/expose/" + name + "/" + std::to_string(index++);
      project::Exposure one;
      one.rest = {entry};
      const bool leads = entry == "memory" ||
                         std::any_of(registry.functions().begin(), registry.functions().end(), [&](const auto& f) { return one.reaches_function(project::Door::kRest, f.language, f.address); }) ||
                         std::any_of(names.begin(), names.end(), [&](const std::string& known) { return one.reaches(project::Door::kRest, known); });
      if (leads) continue;
      Error dead(ErrorCode::kConfig, "expose." + name + ": '" + entry + "' leads to nothing", "Write a function's address, assistants/NAME, prompts/NAME, models/ALIAS or memory as it is there, or remove it.");
      findings.push_back(finding_of(Level::kWarning, "exposure", read ? project::at_position(std::move(dead), read->positions, pointer, "sabir.yml") : std::move(dead).at("sabir.yml")));
    }
    out[name] = std::move(reached);
  }
  return out;
}

const char* name_of(Level level) { return level == Level::kError ? "error" : "warning"; }

json::object to_json(const CheckFinding& one) {
  json::object out{{"severity", name_of(one.level)}, {"area", one.area}, {"file", one.file}, {"line", one.line}, {"column", one.column}, {"message", one.message}};
  if (!one.hint.empty()) out["hint"] = one.hint;
  return out;
}

std::string place_of(const CheckFinding& one) {
  std::string out = one.file;
  if (one.line > 0) out += ":" + std::to_string(one.line);
  if (one.line > 0 && one.column > 0) out += ":" + std::to_string(one.column);
  return out.empty() ? out : out + ": ";
}

struct Report {
  std::vector<CheckFinding> findings;
  std::size_t functions = 0;
  std::size_t prompts = 0;
  json::object more;  // for --json

  std::size_t count(Level level) const {
    return static_cast<std::size_t>(std::count_if(findings.begin(), findings.end(), [&](const auto& one) { return one.level == level; }));
  }
};

void add(Report& report, std::vector<CheckFinding> more) { std::move(more.begin(), more.end(), std::back_inserter(report.findings)); }

// A configuration that cannot be read ends it: what the project is depends on it.
std::optional<Error> look(Globals& globals, Report& report) {
  auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : std::filesystem::path(globals.session.directory));
  if (!root) return root.error();
  add(report, check_configuration(*root, globals.session.environment));
  globals.session.join_running = false;
  auto session = Session::open(globals.session);
  if (!session) {
    const Error& error = session.error();
    const bool told = std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& one) { return one.level == Level::kError; });
    if (error.code != ErrorCode::kConfig || error.file.empty()) return told ? std::nullopt : std::optional<Error>(error);
    const bool same = std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& one) { return one.file == error.file && one.line == error.line && one.message == error.message; });
    if (!same) report.findings.push_back(finding_of(Level::kError, "config", error));
    return std::nullopt;
  }
  auto& engine = (*session)->engine();
  const auto& project = engine.project();
  const auto registry = engine.registry();
  for (const auto& warning : project.warnings) {
    const std::size_t colon = warning.find(": ");
    report.findings.push_back({Level::kWarning, "layout", colon == std::string::npos ? "" : warning.substr(0, colon), 0, 0, colon == std::string::npos ? warning : warning.substr(colon + 2), ""});
  }
  json::array problems;
  for (const auto& missing : registry->unavailable()) {
    problems.push_back(sabir::to_json(missing.error));
    report.findings.push_back(finding_of(Level::kError, "functions", missing.error));
  }
  json::array warnings;
  for (const auto& function : registry->functions()) {
    for (const auto& warning : function.schema.warnings) {
      warnings.push_back({{"file", function.source.relative}, {"line", function.schema.line}, {"message", function.address + ": " + warning}});
      report.findings.push_back({Level::kWarning, "functions", function.source.relative, function.schema.line, 0, function.address + ": " + warning, ""});
    }
  }
  for (const auto& folder : project.unsupported) {
    warnings.push_back({{"file", folder.relative}, {"line", 0}, {"message", "no installed language serves this folder"}});
    report.findings.push_back({Level::kWarning, "layout", folder.relative, 0, 0, "no installed language serves this folder", "`sabir doctor` tells which languages there are."});
  }
  if (const auto models = engine.models(); !models && models.error().code != ErrorCode::kNotFound) {
    const Error& error = models.error();
    const bool told = std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& one) { return one.area == "config" && one.file == error.file; });
    if (!told) report.findings.push_back(finding_of(Level::kError, "config", error));
  }
  const auto prompts = check_prompts(engine, {});
  if (!prompts) return prompts.error();
  for (const auto& one : prompts->findings) {
    if (one.severity == completions::Severity::kNote) continue;
    report.findings.push_back({one.severity == completions::Severity::kError ? Level::kError : Level::kWarning, one.code == "unused_part" ? "unused" : "prompts", one.file, one.line, one.column, one.message, one.hint});
  }
  const auto listed = completions::Renderer(project.root).list();
  const std::vector<completions::PromptInfo> names = listed ? *listed : std::vector<completions::PromptInfo>();
  const auto reach = exposed(project, *registry, names, engine, report.findings);
  const CheckContext context{project, *registry, names, read_tests(project.root)};
  for (const auto& area : {check_references, check_grants, check_secrets, check_tests, check_unused}) add(report, area(context));
  report.functions = registry->functions().size();
  report.prompts = prompts->prompts;
  report.more = {{"problems", std::move(problems)}, {"warnings", std::move(warnings)}, {"prompts", completions::to_json(*prompts)}, {"exposed", reach}};
  // Editors look for them there, and a fresh clone has none.
  [[maybe_unused]] const auto written = write_config_schemas(project.root);
  return std::nullopt;
}

void check(Globals& globals, bool strict) {
  Report report;
  if (const auto error = look(globals, report)) return fail_with(globals, *error);
  std::stable_sort(report.findings.begin(), report.findings.end(), [](const auto& a, const auto& b) {
    return std::tie(a.level, a.file, a.line, a.column) < std::tie(b.level, b.file, b.line, b.column);
  });
  const std::size_t errors = report.count(Level::kError);
  const std::size_t warnings = report.count(Level::kWarning);
  if (errors > 0 || (strict && warnings > 0)) globals.exit_code = 1;
  if (globals.json) {
    json::array findings;
    for (const auto& one : report.findings) findings.push_back(to_json(one));
    json::object out{{"ok", globals.exit_code == 0}, {"errors", errors}, {"findings", std::move(findings)}, {"functions", report.functions}};
    for (auto& member : report.more) out[member.key()] = std::move(member.value());
    return print_json(out);
  }
  for (const auto& one : report.findings) {
    print(place_of(one) + styled(name_of(one.level), one.level == Level::kError ? "31" : "33") + ": " + one.message);
    if (!one.hint.empty()) print("  " + one.hint);
  }
  const auto counted = [](std::size_t count, const std::string& what) { return std::to_string(count) + " " + what + (count == 1 ? "" : "s"); };
  print(counted(report.functions, "function") + ", " + counted(report.prompts, "prompt") + ", " + counted(errors, "error") + ", " + counted(warnings, "warning"));
  const auto* doors = report.more.if_contains("exposed");
  if (doors == nullptr) return;
  for (const auto& door : doors->get_object()) {
    std::vector<std::string> names;
    for (const auto& name : door.value().get_array()) names.emplace_back(name.get_string());
    if (!names.empty()) print("exposed to " + std::string(door.key()) + ": " + join(names, ", "));
  }
}

}  // namespace

void add_check_command(Command& app, Globals& globals) {
  auto* const checking = app.add_subcommand("check", "Read everything and run nothing: layout, configuration, functions, prompts, grants, secrets, what is exposed, untested and unused.");
  auto strict = std::make_shared<bool>(false);
  add_common(*checking, globals);
  checking->add_flag("--strict", *strict, "warnings fail it too");
  checking->callback([&globals, strict] { check(globals, *strict); });
}

}  // namespace sabir::cli
