// sabir setup, doctor.
#include <algorithm>
#include <iterator>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "command.h"
#include "config_schemas.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/functions/introspect.h"
#include "sabir/functions/registry.h"
#include "sabir/languages/environment.h"
#include "sabir/languages/languages.h"
#include "sabir/process/sandbox.h"
#include "sabir/process/spawn.h"
#include "sabir/project/project.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr seconds kStepTime{600};
constexpr std::size_t kMostSaid = 3000;  // of a failed step's output

// ---- steps -----------------------------------------------------------------------------------------------------------

struct Step {
  std::string language;
  const project::SetupStep* said = nullptr;
  std::vector<std::string> argv;
  std::string key;      // what it is kept under
  std::string content;  // fingerprint of the files it depends on
};

// Whether something of what the step makes is there; a step that says nothing of it has nothing to look for.
bool made(const project::SetupStep& step, const fs::path& root) {
  std::error_code error;
  return step.makes.empty() || std::any_of(step.makes.begin(), step.makes.end(), [&](const auto& name) { return fs::exists(root / name, error); });
}

// The steps of language.yml whose files are there. What is active already is used as it is.
std::vector<Step> steps_of(const project::Language& language, const fs::path& root) {
  std::vector<Step> out;
  std::set<std::string> chosen;
  std::optional<std::string> interpreter;
  for (const auto& step : language.setup) {
    std::string content;
    for (const auto& file : step.files) {
      if (auto text = read_file(root / file)) content += file + ":" + fingerprint(*text) + "\n";
    }
    if (content.empty() || (!step.choice.empty() && !chosen.insert(step.choice).second)) continue;
    if (const char* active = step.unless.empty() ? nullptr : std::getenv(step.unless.c_str()); active && *active) continue;
    if (!interpreter) {
      auto found = languages::find_interpreter(language, root);
      if (!found) return out;  // said of the language itself
      interpreter = std::move(*found);
    }
    Step made_of{language.name, &step, languages::filled(step.run, languages::usual_values(language, root, *interpreter)), "", ""};
    // Without the folders of this machine, whose names change with the engine's version.
    made_of.key = language.name + ": " + join(step.run, " ");
    made_of.content = fingerprint(content + made_of.key);
    out.push_back(std::move(made_of));
  }
  return out;
}

fs::path kept_file(const fs::path& root) { return root / ".sabir" / "setup.json"; }

json::object kept_steps(const fs::path& root) {
  if (auto text = read_file(kept_file(root))) {
    if (auto value = parse_json(*text); value && value->is_object()) return std::move(value->get_object());
  }
  return {};
}

constexpr std::string_view kMadeNothing = " made nothing";

bool is_done(const Step& step, const json::object& kept, const fs::path& root) {
  const auto before = string_or(kept, step.key);
  return (before == step.content && made(*step.said, root)) || before == step.content + std::string(kMadeNothing);
}

// Runs the steps of each language in order, the languages side by side; false when one failed. A step that has succeeded
// with the same files before is not run again.
bool run_steps(Globals& globals, const fs::path& root, const std::vector<Step>& steps, json::array& done) {
  json::object kept = kept_steps(root);
  std::map<std::string, std::vector<const Step*>> by_language;
  for (const auto& step : steps) by_language[step.language].push_back(&step);
  std::mutex mutex;
  bool ok = true;
  const auto run_language = [&](const std::vector<const Step*>& own) {
    for (const Step* step : own) {
      const std::string& what = step->said->what;
      {
        const std::lock_guard lock(mutex);
        if (is_done(*step, kept, root)) {
          done.push_back(json::object{{"language", step->language}, {"what", what}, {"ok", true}, {"unchanged", true}});
          continue;
        }
        if (!globals.json) note(styled(step->language + ": " + what, "1") + "  " + join(step->said->run.front() == "sh" ? std::vector<std::string>{} : step->argv, " "));
      }
      const auto begin = std::chrono::steady_clock::now();
      std::string said;
      bool good = false;
      if (process::find_program(step->argv.front()).empty()) {
        said = step->argv.front() + " is not installed" + (step->said->missing_hint.empty() ? "" : "\n" + step->said->missing_hint);
      } else {
        process::SpawnSpec spec;
        spec.argv = step->argv;
        spec.directory = root;
        spec.environment = process::environment_with(step->said->environment);
        auto result = process::run(std::move(spec), kStepTime);
        good = result && !result->timed_out && result->status.code == 0;
        said = !result ? result.error().message : result->timed_out ? "it took over ten minutes" : result->output;
      }
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count();
      const std::lock_guard lock(mutex);
      json::object line{{"language", step->language}, {"what", what}, {"ok", good}, {"unchanged", false}, {"ms", took}};
      if (!good) line["message"] = said.size() > kMostSaid ? said.substr(said.size() - kMostSaid) : said;
      done.push_back(line);
      if (good) {
        kept[step->key] = step->content + (made(*step->said, root) ? "" : std::string(kMadeNothing));
        if (!globals.json) note(styled(step->language + ": " + what, "2") + "  done in " + std::to_string(took / 1000) + "." + std::to_string(took / 100 % 10) + " s");
        continue;
      }
      ok = false;
      note("sabir: " + step->language + ": " + what + " failed:\n" + std::string(line["message"].as_string()));
      return;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (const auto& [language, own] : by_language) threads.emplace_back([&run_language, &own] { run_language(own); });
  }
  std::error_code ignored;
  fs::create_directories(kept_file(root).parent_path(), ignored);
  // Where it cannot be kept, the steps run again next time.
  (void)write_file(kept_file(root), compact_json(kept));
  return ok;
}

// ---- setup -----------------------------------------------------------------------------------------------------------

struct Loaded {
  std::vector<project::Language> languages;
  std::optional<project::Project> project;
  std::set<std::string> used;  // languages of its sources
};

Result<Loaded> load(Globals& globals) {
  auto folder = resources();
  if (!folder) return fail(std::move(folder.error()));
  auto root = project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
  auto languages = project::load_languages(*folder / "languages", root ? *root : fs::path());
  if (!languages) return fail(std::move(languages.error()));
  Loaded out;
  out.languages = std::move(*languages);
  if (!root) return out;
  auto loaded = project::load(*root, globals.session.environment, out.languages);
  if (!loaded) return fail(std::move(loaded.error()));
  out.project = std::move(*loaded);
  for (const auto& source : out.project->sources) out.used.insert(source.language);
  // A source may name a package that is still to be installed.
  for (const auto& origin : out.project->origins) out.used.insert(origin->language);
  return out;
}

// What the languages' own means tell of the sources, as the report's lines.
json::array introspect(const Globals& globals, const Loaded& loaded) {
  json::array out;
  const auto registry = functions::Registry::build(*loaded.project, loaded.languages);
  for (const auto& one : functions::introspect(*loaded.project, loaded.languages, *registry)) {
    out.push_back(json::object{{"language", one.language}, {"file", one.file}, {"functions", one.told}, {"unchanged", one.unchanged}, {"problem", one.problem}});
    if (globals.json || one.unchanged) continue;
    const std::string where = one.file.empty() ? one.language : one.file;
    if (!one.problem.empty()) note("sabir: " + where + ": its types stay unknown: " + one.problem);
    else if (one.told > 0) note(styled(where, "1") + ": types of " + std::to_string(one.told) + (one.told == 1 ? " function" : " functions") + " introspected");
  }
  return out;
}

void setup(Globals& globals) {
  globals.session.join_running = false;
  auto loaded = load(globals);
  if (!loaded) return fail_with(globals, loaded.error());
  if (!loaded->project) {
    return fail_with(globals, project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory).error());
  }
  std::vector<Step> steps;
  for (const auto& language : loaded->languages) {
    if (!loaded->used.contains(language.name)) continue;
    auto own = steps_of(language, loaded->project->root);
    std::move(own.begin(), own.end(), std::back_inserter(steps));
  }
  if (auto written = write_config_schemas(loaded->project->root); !written) return fail_with(globals, written.error());
  json::array done;
  bool ok = run_steps(globals, loaded->project->root, steps, done);

  // With the packages there, the languages' own means can tell what the sources alone do not; so can sources of a package
  // that has just been installed be found.
  loaded = load(globals);
  if (!loaded) return fail_with(globals, loaded.error());
  const json::array introspected = introspect(globals, *loaded);

  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  const auto report = (*session)->engine().prepare();
  json::array lines;
  for (const auto& line : report) {
    lines.push_back(line);
    ok = ok && line.at("ok").as_bool();
    if (globals.json) continue;
    const bool good = line.at("ok").as_bool();
    print(styled(good ? "ready    " : "missing  ", good ? "32" : "31") + std::string(string_or(line, "language")) + "  " + std::string(string_or(line, "message")));
  }
  if (globals.json) print_json({{"ok", ok}, {"steps", done}, {"introspected", introspected}, {"languages", lines}});
  if (!ok) globals.exit_code = 1;
}

// ---- doctor ----------------------------------------------------------------------------------------------------------

// The numbers of the first version that a text names: "v22.7.1" is {22, 7, 1}.
std::vector<int> numbers_of_version(std::string_view text) {
  std::vector<int> numbers;
  const std::size_t begin = text.find_first_of("0123456789");
  if (begin == std::string_view::npos) return numbers;
  int number = 0;
  for (const char c : text.substr(begin)) {
    if (c >= '0' && c <= '9') {
      number = std::min(number * 10 + (c - '0'), 1'000'000);
    } else {
      numbers.push_back(std::exchange(number, 0));
      if (c != '.') return numbers;
    }
  }
  numbers.push_back(number);
  return numbers;
}

// What a language that does not run takes with it.
json::array disabled_by(const functions::Registry& registry, const std::string& language) {
  json::array out;
  for (const auto& function : registry.functions()) {
    if (function.language == language) out.push_back(json::value(function.address));
  }
  for (const auto& missing : registry.unavailable()) {
    if (missing.language == language && missing.name.empty()) out.push_back(json::value(missing.relative));
  }
  return out;
}

json::object look_at(const project::Language& language, const Loaded& loaded, const functions::Registry* registry) {
  const fs::path root = loaded.project ? loaded.project->root : fs::path();
  const bool used = !loaded.project || loaded.used.contains(language.name);
  auto found = languages::find_environment(language, root);
  std::string version = found ? languages::version_of(language, found->program, root.empty() ? fs::current_path() : root) : "";
  const bool too_old = !version.empty() && !language.minimum.empty() && numbers_of_version(version) < numbers_of_version(language.minimum);
  const bool broken = found && version.empty() && !language.version.empty();
  const bool good = found && !too_old && !broken;
  json::object row{{"language", language.name}, {"used", used}, {"ok", good}, {"program", found ? found->program : ""}, {"version", version},
                   {"why", found ? found->why : ""}, {"hint", ""}};
  if (found && found->asked) row["asked"] = json::object{{"file", found->asked->file}, {"version", found->asked->text}};
  if (!found) {
    row["hint"] = found.error().message.find("asks for") == std::string::npos ? found.error().hint : found.error().message + ". " + found.error().hint;
  } else if (too_old) {
    row["hint"] = found->program + " is " + version + ", older than " + language.minimum + ": " + language.missing_hint;
  } else if (broken) {
    row["hint"] = found->program + " does not run: try `" + join(languages::filled(language.version, languages::usual_values(language, root, found->program)), " ") + "`";
  }
  if (registry && used && !good) row["disables"] = disabled_by(*registry, language.name);
  return row;
}

// The steps of `sabir setup` that are still to be done, with what they lack.
json::array steps_left(const Loaded& loaded) {
  json::array out;
  if (!loaded.project) return out;
  const auto kept = kept_steps(loaded.project->root);
  for (const auto& language : loaded.languages) {
    if (!loaded.used.contains(language.name)) continue;
    for (const auto& step : steps_of(language, loaded.project->root)) {
      if (is_done(step, kept, loaded.project->root)) continue;
      const bool installed = !process::find_program(step.argv.front()).empty();
      out.push_back(json::object{{"language", language.name}, {"what", step.said->what}, {"ok", installed},
                                 {"hint", installed ? "run `sabir setup`" : step.argv.front() + " is not installed: " + step.said->missing_hint}});
    }
  }
  return out;
}

void print_row(const json::object& object) {
  const bool good = object.at("ok").as_bool();
  const bool used = object.at("used").as_bool();
  std::string name(string_or(object, "language"));
  name.resize(std::max<std::size_t>(name.size(), 8), ' ');
  print((good ? styled("  ok       ", "32") : used ? styled("  missing  ", "31") : styled("  absent   ", "2")) + name + "  " +
        (good ? std::string(string_or(object, "version")) + styled("  " + std::string(string_or(object, "program")) + "  (" + std::string(string_or(object, "why")) + ")", "2")
              : std::string(string_or(object, "hint"))));
  const auto* disabled = object.if_contains("disables");
  if (!disabled || disabled->get_array().empty()) return;
  std::vector<std::string> names;
  for (const auto& one : disabled->get_array()) {
    if (names.size() < 6) names.emplace_back(one.get_string());
  }
  const std::size_t more = disabled->get_array().size() - names.size();
  print("                     without it these do not run: " + join(names, ", ") + (more > 0 ? " and " + std::to_string(more) + " more" : ""));
}

void doctor(Globals& globals) {
  auto loaded = load(globals);
  if (!loaded) return fail_with(globals, loaded.error());
  std::shared_ptr<const functions::Registry> registry;
  if (loaded->project) registry = functions::Registry::build(*loaded->project, loaded->languages);
  json::array rows(loaded->languages.size());
  {
    // Each asks a program for its version.
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < loaded->languages.size(); ++i) {
      threads.emplace_back([&, i] { rows[i] = look_at(loaded->languages[i], *loaded, registry.get()); });
    }
  }
  const bool ok = std::all_of(rows.begin(), rows.end(), [](const auto& row) { return row.get_object().at("ok").as_bool() || !row.get_object().at("used").as_bool(); });
  const auto left = steps_left(*loaded);
  const bool installed = std::all_of(left.begin(), left.end(), [](const auto& step) { return step.get_object().at("ok").as_bool(); });
  const bool confines = loaded->project && std::any_of(loaded->project->isolation.begin(), loaded->project->isolation.end(),
                                                       [](const auto& rule) { return rule.level == project::Isolation::kSandbox; });
  const auto sandboxes = process::sandbox_works();
  const bool all = ok && installed && (sandboxes || !confines);
  if (!all) globals.exit_code = 1;
  const json::object sandbox{{"used", confines}, {"ok", sandboxes.has_value()}, {"program", process::find_program("bwrap")},
                             {"message", sandboxes ? "" : sandboxes.error().message}, {"hint", sandboxes ? "" : sandboxes.error().hint}};
  if (globals.json) {
    return print_json({{"ok", all}, {"project", loaded->project ? loaded->project->root.string() : ""}, {"languages", rows}, {"setup", left}, {"sandbox", sandbox}});
  }
  print(loaded->project ? "Project " + loaded->project->root.string() : std::string("No project here; all languages that this engine serves:"));
  for (const auto& row : rows) print_row(row.get_object());
  if (sandboxes) print(styled("  ok       ", "32") + "sandbox   " + styled(process::find_program("bwrap"), "2"));
  else print((confines ? styled("  missing  ", "31") : styled("  absent   ", "2")) + "sandbox   " + sandboxes.error().message + ". " + sandboxes.error().hint);
  for (const auto& one : left) {
    const auto& step = one.get_object();
    print((step.at("ok").as_bool() ? styled("  to do    ", "33") : styled("  missing  ", "31")) + std::string(string_or(step, "language")) + ": " +
          std::string(string_or(step, "what")) + ": " + std::string(string_or(step, "hint")));
  }
  if (!loaded->project) return;
  for (const auto& warning : loaded->project->warnings) note("sabir: " + warning);
}

}  // namespace

void add_environment_commands(Command& app, Globals& globals) {
  auto* const preparing = app.add_subcommand("setup", "Make each language's environment and build what is compiled.");
  add_common(*preparing, globals);
  preparing->callback([&globals] { setup(globals); });

  auto* const looking = app.add_subcommand("doctor", "Say what is missing on this machine, and the command that fixes it.");
  add_common(*looking, globals);
  looking->callback([&globals] { doctor(globals); });
}

}  // namespace sabir::cli
