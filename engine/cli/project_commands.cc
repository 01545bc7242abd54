// sabir new.
#include <sstream>

#include "command.h"
#include "config_schemas.h"
#include "new_project.h"
#include "resources.h"
#include "sabir/base/text.h"

namespace sabir::cli {
namespace {

// ---- new -------------------------------------------------------------------------------------------------------------

void new_command(Globals& globals, const std::string& path, const std::string& languages) {
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  NewProjectOptions options;
  options.path = path;
  options.templates_dir = *folder / "templates";
  options.engine_version = SABIR_VERSION;
  std::stringstream list(languages);
  for (std::string name; std::getline(list, name, ',');) {
    if (!name.empty()) options.languages.push_back(name);
  }
  auto report = new_project(options);
  if (!report) return fail_with(globals, report.error());
  // The configuration files' first lines name them. Without them an editor checks nothing, and the project works all the same.
  [[maybe_unused]] const auto schemas = write_config_schemas(report->root);
  if (globals.json) {
    json::array files;
    for (const auto& file : report->files) files.push_back(json::value(file));
    json::array names;
    for (const auto& name : report->languages) names.push_back(json::value(name));
    return print_json({{"root", report->root.string()}, {"name", report->name}, {"languages", names}, {"files", files}});
  }
  print("Made " + styled(report->name, "1") + " with " + join(report->languages, ", ") + " (" + std::to_string(report->files.size()) + " files).");
  print("\nNext:\n  cd " + path + "\n  sabir setup       make the languages' environments\n  sabir functions   what can be called\n  sabir test        run all of its tests");
}

}  // namespace

void add_project_commands(Command& app, Globals& globals) {
  auto* const making = app.add_subcommand("new", "Make a project: functions, prompts, an assistant, memory, tests.");
  auto path = std::make_shared<std::string>();
  auto languages = std::make_shared<std::string>("python,ruby,cpp");
  making->add_flag("--json", globals.json, "print JSON alone on standard output");
  making->add_option("PATH", *path, "the new folder; it must not exist, or be empty").required();
  making->add_option("-l,--languages", *languages, "in order of preference").show_default();
  making->callback([&globals, path, languages] { new_command(globals, *path, *languages); });
}

}  // namespace sabir::cli
