// Hot reload: what a saved file changes is read and built beside the running functions, and served once it is good. While a
// file of a language is broken, that language's functions stay as they were.
#include <algorithm>

#include "engine_state.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/project/configuration.h"

namespace sabir::runtime {
namespace {

using Clock = std::chrono::steady_clock;

// The language whose workers a changed path concerns; "" for none.
std::string language_of(const std::string& path) {
  const std::size_t first = path.find('/');
  if (first == std::string::npos) return "";
  const std::string_view folder(path.data(), first);
  if (folder != "functions" && folder != "assistants" && folder != "memory" && folder != "languages") return "";
  const std::size_t second = path.find('/', first + 1);
  return path.substr(first + 1, second == std::string::npos ? std::string::npos : second - first - 1);
}

// The languages of the existing code that a changed path belongs to; a boot file's or the path's own.
std::set<std::string> languages_served_from(const std::string& path, const project::Project& project, bool& boot_changed) {
  std::set<std::string> out;
  const std::filesystem::path full = path.starts_with('/') ? std::filesystem::path(path) : project.root / path;
  for (const auto& origin : project.origins) {
    if (full == origin->boot) {
      boot_changed = true;
      out.insert(origin->language);
    }
    if (std::mismatch(origin->path.begin(), origin->path.end(), full.begin(), full.end()).first == origin->path.end()) out.insert(origin->language);
  }
  return out;
}

// The languages of the files that were read with the help of `path`: a signature, a header.
std::set<std::string> languages_read_from(const std::string& path, const functions::Registry& registry) {
  std::set<std::string> out;
  for (const auto& one : registry.described()) {
    const auto& depends = one.description.depends;
    if (std::any_of(depends.begin(), depends.end(), [&](const auto& d) { return d == path || (d.ends_with('/') && (path + "/").starts_with(d)); })) out.insert(one.source.language);
  }
  return out;
}

}  // namespace

struct Engine::State::Reading {
  std::set<std::string> paths;
  std::set<std::string> changed;  // languages
  std::set<std::string> built;    // compiled languages in use
  std::shared_ptr<const project::Project> project;
  std::shared_ptr<const functions::Registry> previous;
  std::shared_ptr<const functions::Registry> registry;
  std::map<std::string, languages::Built> programs;
  std::vector<Error> problems;
  bool boot_changed = false;
  Clock::time_point begin = Clock::now();
};

void Engine::State::sources_changed(std::set<std::string> paths) {
  if (reading) {
    // One at a time; what came meanwhile is read next.
    changed_meanwhile.merge(paths);
    again = true;
    return;
  }
  auto next = std::make_shared<Reading>();
  next->paths = std::move(paths);
  next->previous = registry;
  next->built = functions->built_languages();
  for (const auto& path : next->paths) {
    if (path.starts_with("config/mcp.")) next->changed.insert("mcp");
    if (auto name = language_of(path); !name.empty()) next->changed.insert(std::move(name));
    next->changed.merge(languages_served_from(path, served ? *served : *project, next->boot_changed));
    next->changed.merge(languages_read_from(path, *registry));
  }
  const std::string overlay = "sabir." + project->environment + ".yml";
  const bool project_saved = next->paths.contains("sabir.yml") || next->paths.contains(overlay);
  if (next->paths.empty() || project_saved) {
    next->boot_changed = true;
    for (const auto& language : languages) {
      // A source may be the first of its language.
      if (project_saved) next->changed.insert(language.name);
    }
    for (const auto& one : registry->described()) next->changed.insert(one.source.language);
    next->changed.insert("mcp");
  }
  std::set<std::string> settings;
  std::copy_if(next->paths.begin(), next->paths.end(), std::inserter(settings, settings.end()), [](const auto& p) { return p.starts_with("config/"); });
  if (next->paths.empty() || !settings.empty()) read_configuration(std::move(settings));
  if (next->changed.empty()) return;
  reading = true;
  const bool taken = long_jobs->submit([this, next] {
    read_again(*next);
    loop.post([this, next] { go_over(*next); });
  });
  if (!taken) reading = false;
}

void Engine::State::note_configuration(const std::string& part, std::vector<Error> problems) {
  const std::lock_guard lock(configuration_mutex);
  if (problems.empty()) configuration_problems.erase(part);
  else configuration_problems[part] = std::move(problems);
}

std::vector<Error> Engine::configuration_problems() const {
  const std::lock_guard lock(state_->configuration_mutex);
  std::vector<Error> out;
  for (const auto& [part, problems] : state_->configuration_problems) out.insert(out.end(), problems.begin(), problems.end());
  return out;
}

Result<secrets::Grants> Engine::State::read_grants() const {
  auto config = project::load_configuration(project->root, "config/grants.yml", project->environment);
  if (!config) return fail(std::move(config.error()));
  return secrets::Grants::from_config(config->value);
}

bool Engine::State::has_models() const {
  std::error_code ec;
  const auto* const file = project::find_config_file("config/openai_config.yml");
  return std::filesystem::exists(project->root / file->path, ec) || std::filesystem::exists(project->root / file->overlay(project->environment), ec);
}

// What cannot be read stays as it was.
void Engine::State::read_configuration(std::set<std::string> paths) {
  const bool taken = long_jobs->submit([this, paths = std::move(paths)] {
    ReloadReport report;
    report.configuration = true;
    report.paths.assign(paths.begin(), paths.end());
    const auto begin = Clock::now();
    const auto saved_one = [&](std::string_view start) {
      return paths.empty() || std::any_of(paths.begin(), paths.end(), [&](const auto& path) { return path.starts_with(start); });
    };
    if (saved_one("config/openai_config.")) {
      const std::lock_guard lock(models_mutex);
      std::vector<Error> problems;
      if (has_models()) {
        // Alone a file that reads well takes the place of what is there.
        if (auto read = read_models(); !read) problems.push_back(std::move(read.error()));
      } else {
        models.reset();
      }
      report.problems.insert(report.problems.end(), problems.begin(), problems.end());
      note_configuration("models", std::move(problems));
    }
    std::optional<secrets::Grants> granted;
    if (saved_one("config/grants.")) {
      if (auto read = read_grants()) {
        granted = std::move(*read);
        note_configuration("grants", {});
      } else {
        note_configuration("grants", {read.error()});
        report.problems.push_back(std::move(read.error()));
      }
    }
    report.took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
    loop.post([this, granted = std::move(granted), report = std::move(report)]() mutable {
      if (granted) {
        const std::lock_guard lock(learning);
        grants = std::move(*granted);
        // Names of secrets may be new.
        learned_registry.reset();
      }
      // Of what was read along with everything else, problems alone are told.
      if (report.paths.empty() && report.problems.empty()) return;
      tell(report);
    });
  });
  if (!taken) log(LogLevel::kWarning, "config/ is not read again: the engine has too much to do");
}

namespace {

// What is new, another or gone in the files of which something is.
std::vector<FileChange> changes_between(const functions::Registry& before, const functions::Registry& now) {
  std::map<std::string, FileChange> files;
  std::map<std::string, const functions::Function*> old;
  for (const auto& function : before.functions()) old[function.language + "/" + function.address] = &function;
  for (const auto& function : now.functions()) {
    const std::string address = function.language + "/" + function.address;
    const auto found = old.find(address);
    if (found == old.end()) {
      files[function.source.relative].added.push_back(address);
      continue;
    }
    const auto& was = found->second->schema;
    const auto& is = function.schema;
    if (was.input_schema != is.input_schema || was.output_schema != is.output_schema || was.doc != is.doc || was.effect != is.effect) files[function.source.relative].changed.push_back(address);
    old.erase(found);
  }
  for (const auto& [address, function] : old) files[function->source.relative].removed.push_back(address);
  std::vector<FileChange> out;
  for (auto& [file, change] : files) {
    change.file = file;
    out.push_back(std::move(change));
  }
  return out;
}

}  // namespace

void Engine::State::tell(const ReloadReport& report) {
  if (also_reloaded) also_reloaded(report);
  if (options.reloaded) {
    options.reloaded(report);
  } else if (!also_reloaded) {
    for (const auto& problem : report.problems) log(LogLevel::kWarning, to_text(problem));
  }
}

// A job's thread: nothing that the loop uses is touched.
void Engine::State::read_again(Reading& next) {
  auto loaded = project::load(options.root, options.environment, languages);
  note_configuration("project", loaded ? std::vector<Error>() : std::vector<Error>{loaded.error()});
  if (!loaded) {
    next.problems.push_back(std::move(loaded.error()));
    return;
  }
  next.project = std::make_shared<const project::Project>(std::move(*loaded));
  const auto provided = mcp->functions(*next.project);
  next.registry = functions::Registry::build(*next.project, languages, nullptr, {}, &provided);
  std::set<std::string> frozen;
  for (auto& [language, errors] : next.registry->newly_broken(*next.previous)) {
    frozen.insert(language);
    next.problems.insert(next.problems.end(), errors.begin(), errors.end());
  }
  for (const auto& language : languages) {
    if (!next.changed.contains(language.name) || !next.built.contains(language.name) || frozen.contains(language.name)) continue;
    auto built = functions::build_language(*next.project, language, *next.registry, options.cache / "build", stopping);
    if (built && built->broken.empty()) {
      next.programs.emplace(language.name, std::move(*built));
      continue;
    }
    frozen.insert(language.name);
    if (!built) {
      next.problems.push_back(std::move(built.error()));
    } else {
      for (auto& [file, error] : built->broken) next.problems.push_back(error);
    }
  }
  for (const auto& name : frozen) next.changed.erase(name);
  if (!frozen.empty()) next.registry = functions::Registry::build(*next.project, languages, next.previous.get(), frozen, &provided);
}

void Engine::State::tools_changed() {
  if (!stopping && functions) sources_changed({"config/mcp.lock"});
}

void Engine::State::watch_mcp_secrets() {
  const auto& servers = (served ? *served : *project).mcp_servers;
  const bool any = std::any_of(servers.begin(), servers.end(), [](const auto& server) { return !server.url.empty() || !project::secrets_of(server).empty(); });
  if (any) functions->knows_secrets("mcp");
}

void Engine::State::ask_mcp_servers() {
  constexpr std::chrono::seconds kPatience{10};
  if (project->mcp_servers.empty()) return;
  auto asked = std::make_shared<std::promise<void>>();
  auto answered = asked->get_future();
  loop.post([this, asked] {
    mcp->ask_unknown(*project, [this, asked](bool any) {
      if (any && registry == functions->registry()) {
        const auto provided = mcp->functions(*project);
        {
          const std::lock_guard lock(registry_mutex);
          registry = functions::Registry::build(*project, languages, nullptr, {}, &provided);
        }
        functions->replace(project, registry, {}, {});
      }
      asked->set_value();
    });
  });
  answered.wait_for(kPatience);
}

Result<void> Engine::State::start_watching() {
  if (watcher) return {};
  auto started = SourceWatcher::start(loop, project->root, [this](std::set<std::string> paths) {
    if (saved) saved(paths);
    sources_changed(std::move(paths));
  });
  if (!started) return fail(std::move(started.error()));
  watcher = std::move(*started);
  watch_sources();
  // What models are configured now is what stays when the file breaks.
  if (has_models()) {
    long_jobs->submit([this] { static_cast<void>(load_models()); });
  }
  return {};
}

void Engine::State::watch_sources() {
  if (!watcher) return;
  // Prompts are read anew whenever they are rendered; only who wants to hear of them needs them watched.
  if (saved) watcher->watch(options.root / "completions");
  for (const auto& origin : (served ? *served : *project).origins) {
    if (!origin->path.empty()) watcher->watch(origin->path);
    if (!origin->boot.empty()) watcher->watch(origin->boot);
  }
  // What types were read from elsewhere: `sig/`, a package beside functions/.
  for (const auto& one : registry->described()) {
    for (const auto& depends : one.description.depends) {
      if (language_of(depends).empty()) watcher->watch(options.root / (depends.ends_with('/') ? depends.substr(0, depends.size() - 1) : depends));
    }
  }
}

void Engine::State::go_over(Reading& next) {
  reading = false;
  ReloadReport report;
  if (next.registry) {
    if (!disabled_now.empty()) next.registry = functions::Registry::with_disabled(next.registry, disabled_now);
    report.changes = changes_between(*registry, *next.registry);
    const auto& before = registry->unavailable();
    for (const auto& missing : next.registry->unavailable()) {
      const auto same = [&](const auto& was) { return was.relative == missing.relative && was.name == missing.name && was.error.message == missing.error.message && was.error.line == missing.error.line; };
      const auto told = [&](const Error& problem) { return problem.file == missing.error.file && problem.message == missing.error.message; };
      if (std::none_of(before.begin(), before.end(), same) && std::none_of(next.problems.begin(), next.problems.end(), told)) report.unavailable.push_back(missing.error);
    }
    // `project` itself stays: its root and environment do not change, and other threads read it.
    {
      const std::lock_guard lock(registry_mutex);
      registry = next.registry;
      served = next.project;
    }
    watch_sources();
    mcp->configure(*next.project);
    functions->replace(next.project, next.registry, next.changed, std::move(next.programs),
                       next.boot_changed ? workers::Boot::kAnew : workers::Boot::kAsNeeded);
    watch_mcp_secrets();
  }
  report.paths.assign(next.paths.begin(), next.paths.end());
  for (auto it = next.changed.begin(); it != next.changed.end();) {
    const bool used = *it == "mcp" ? next.registry && !next.project->mcp_servers.empty() : next.registry && std::any_of(next.registry->described().begin(), next.registry->described().end(), [&](const auto& d) { return d.source.language == *it; });
    it = used ? std::next(it) : next.changed.erase(it);
  }
  report.languages.assign(next.changed.begin(), next.changed.end());
  report.problems = std::move(next.problems);
  report.took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - next.begin);
  tell(report);
  if (std::exchange(again, false)) sources_changed(std::exchange(changed_meanwhile, {}));
}

}  // namespace sabir::runtime
