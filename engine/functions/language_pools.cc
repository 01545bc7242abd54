#include "language_pools.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "isolation.h"
#include "sabir/process/spawn.h"
#include "worker_environment.h"

namespace sabir::functions {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::milliseconds kBootTime{120'000};  // of a worker that loads a boot file

}  // namespace

LanguagePools::LanguagePools(net::Loop& loop, const Setup& setup, const std::shared_ptr<const Registry>& registry)
    : loop_(loop), setup_(setup), registry_(registry) {}
LanguagePools::~LanguagePools() { *alive_ = false; }

const project::Language* LanguagePools::language(const std::string& name) const {
  const auto found = std::find_if(setup_.languages.begin(), setup_.languages.end(), [&](const auto& l) { return l.name == name; });
  return found == setup_.languages.end() ? nullptr : &*found;
}

fs::path LanguagePools::library_of(const std::string& name) const {
  const auto program = programs_.find(name);
  return program != programs_.end() && program->second.built && *program->second.built ? (*program->second.built)->library : fs::path();
}

void LanguagePools::replace(const std::set<std::string>& changed, std::map<std::string, languages::Built> built, workers::Boot reboot) {
  for (auto& [name, program] : built) programs_[name].built = std::move(program);
  for (const auto& [pool_name, pool] : pools_) {
    if (changed.contains(language_of(pool_name))) pool->reload(reboot);
  }
}

std::set<std::string> LanguagePools::built_languages() const {
  std::set<std::string> out;
  for (const auto& [name, program] : programs_) {
    if (program.built || program.building) out.insert(name);
  }
  return out;
}

std::string LanguagePools::language_of(const std::string& pool) { return pool.substr(0, pool.find_first_of(": ")); }

// The existing code that a pool serves.
std::vector<std::shared_ptr<const project::Origin>> LanguagePools::origins_of(const std::string& pool) const {
  std::vector<std::shared_ptr<const project::Origin>> out;
  for (const auto& origin : setup_.project->origins) {
    if (origin->pool == pool && !origin->path.empty()) out.push_back(origin);
  }
  return out;
}

std::string LanguagePools::start_params(const std::vector<std::shared_ptr<const project::Origin>>& origins) const {
  json::object params{{"project", setup_.project->root.string()}, {"environment", setup_.project->environment}};
  if (origins.empty()) return json::serialize(params);
  json::array paths;
  for (const auto& origin : origins) paths.push_back(json::value(origin->path.string()));
  params["sources"] = std::move(paths);
  if (!origins.front()->boot.empty()) params["boot"] = origins.front()->boot.string();
  return json::serialize(params);
}

bool LanguagePools::confined(const project::IsolationRule* rule) { return rule && rule->level == project::Isolation::kSandbox; }

std::string LanguagePools::pool_name(const std::string& pool_key, const project::IsolationRule* rule) {
  return confined(rule) ? pool_key + " in the sandbox " + (rule->where.empty() ? "*" : rule->where) : pool_key;
}

// `pool_key` is SourceFile::pool().
Result<workers::LaunchSpec> LanguagePools::launch(const std::string& pool_key, const std::optional<std::string>& sandbox) {
  const std::string name = language_of(pool_key);
  const auto* const lang = language(name);
  if (!lang) return fail(ErrorCode::kUnavailable, "no language '" + name + "' is installed");
  auto interpreter = languages::find_interpreter(*lang, setup_.project->root);
  if (!interpreter) return fail(std::move(interpreter.error()));
  auto values = languages::usual_values(*lang, setup_.project->root, *interpreter);
  std::vector<fs::path> programs_shown{lang->resources};
  if (const auto program = programs_.find(name); program != programs_.end() && program->second.built && *program->second.built) {
    values["program"] = (*program->second.built)->program.string();
    programs_shown.push_back((*program->second.built)->program);
  }
  workers::LaunchSpec spec;
  spec.terminal = setup_.debug;
  spec.pipes = lang->pipes;
  const auto origins = origins_of(pool_key);
  spec.start_params = start_params(origins);
  auto environment = setup_.environment;
  for (const auto& origin : origins) {
    for (const auto& variable : origin->pass) {
      if (const char* value = std::getenv(variable.c_str())) environment[variable] = value;
    }
  }
  environment["SABIR_PROJECT"] = setup_.project->root.string();
  environment["SABIR_ENV"] = setup_.project->environment;
  spec.environment = worker_environment(environment);
  spec.directory = setup_.project->root;
  spec.argv = languages::filled(setup_.debug && !lang->debug.empty() ? lang->debug : lang->launch, values);
  if (!sandbox) {
    if (!origins.empty() && !origins.front()->boot.empty() && !lang->boot.empty() && !setup_.debug) {
      values["boot"] = origins.front()->boot.string();
      spec.argv = languages::filled(lang->boot, values);
      spec.boots = true;
    }
    return spec;
  }

  // In a sandbox each worker loads the boot file itself: nothing is shared with others.
  const auto& rules = setup_.project->isolation;
  const auto rule = std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return r.where == *sandbox && confined(&r); });
  if (rule == rules.end()) return fail(ErrorCode::kUnavailable, "sabir.yml no longer has this sandbox: " + (sandbox->empty() ? "*" : *sandbox), "Call again.");
  if (setup_.debug && !lang->debug.empty()) {
    return fail(ErrorCode::kUnavailable, "a debugger of " + name + " cannot run in a sandbox", "Set `isolation: process` for it in sabir.yml while you debug.");
  }
  if (auto works = process::sandbox_works(); !works) return fail(std::move(works.error()));
  auto& answer = shown_[name].answer;
  // An environment made meanwhile has another interpreter.
  if (!answer || (*answer && (*answer)->asked_for != *interpreter)) answer = visible_in_sandbox(*lang, setup_.project->root, worker_environment(setup_.environment));
  if (!*answer) return fail(answer->error());
  values["interpreter"] = (*answer)->interpreter;
  spec.argv = languages::filled(lang->launch, values);
  programs_shown.emplace_back(spec.argv.front());
  auto box = sandbox_for(*setup_.project, name, *rule, **answer, programs_shown);
  if (!box) return fail(std::move(box.error()));
  spec.environment = sandbox_environment(spec.environment, *rule, **answer);
  spec.sandbox = std::move(*box);
  return spec;
}

workers::Pool& LanguagePools::pool(const std::string& key, const project::IsolationRule* rule) {
  auto& slot = pools_[pool_name(key, rule)];
  if (!slot) {
    const std::string name = language_of(key);
    workers::PoolSpec spec;
    spec.language = name;
    const auto sandbox = confined(rule) ? std::optional<std::string>(rule->where) : std::nullopt;
    spec.launch = [this, key, sandbox] { return launch(key, sandbox); };
    if (key != name) spec.startup = kBootTime;
    spec.max = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    if (const auto found = setup_.project->pools.find(name); found != setup_.project->pools.end()) {
      const auto& limits = found->second;
      if (limits.max) spec.max = *limits.max;
      if (limits.min) spec.max = std::max(spec.max, *limits.min);
      spec.min = limits.min.value_or(spec.min);
      spec.queue = static_cast<std::size_t>(limits.queue.value_or(static_cast<int>(spec.queue)));
      if (limits.idle_ms) spec.idle = std::chrono::milliseconds(*limits.idle_ms);
      spec.max_calls = static_cast<std::uint64_t>(limits.max_calls.value_or(0));
      spec.max_age = std::chrono::milliseconds(limits.max_age_ms.value_or(0));
      spec.max_memory = limits.max_memory.value_or(0);
    }
    if (confined(rule)) {
      spec.max_memory = rule->memory.value_or(kSandboxMemory);
      // The sandbox's own two beside those that the function may start.
      spec.max_processes = rule->processes.value_or(kSandboxProcesses) + 2;
    }
    if (setup_.debug) {
      spec.max = 1;
      spec.max_memory = 0;
      spec.startup = std::chrono::hours(24);
      spec.grace = std::chrono::hours(24);
    }
    spec.output = [this, name](std::string_view line) {
      if (setup_.output) setup_.output(name, line);
    };
    slot = std::make_unique<workers::Pool>(loop_, std::move(spec), setup_.requests);
  }
  return *slot;
}

// Runs `then` on the loop once workers of the language can be started under `rule`.
void LanguagePools::when_ready(const project::Language& lang, bool in_sandbox, std::function<void()> then) {
  if (in_sandbox && !known(lang.name)) {
    when_shown(lang, [this, name = lang.name, then = std::move(then)]() mutable { when_built(*language(name), std::move(then)); });
  } else {
    when_built(lang, std::move(then));
  }
}

bool LanguagePools::ready(const project::Language& lang, bool in_sandbox) {
  return (!lang.compiled() || programs_[lang.name].built) && (!in_sandbox || known(lang.name));
}

// A failure is asked about again after a while.
bool LanguagePools::known(const std::string& name) {
  const auto& entry = shown_[name];
  return entry.answer && (*entry.answer || Clock::now() - entry.answered < std::chrono::seconds(3));
}

// Finds out elsewhere what a sandbox shows of the language, and whether sandboxes work.
void LanguagePools::when_shown(const project::Language& lang, std::function<void()> then) {
  auto& entry = shown_[lang.name];
  entry.waiting.push_back(std::move(then));
  if (entry.asking) return;
  entry.asking = true;
  loop_.hold();
  setup_.background([this, here = alive_, lang, root = setup_.project->root, environment = worker_environment(setup_.environment)] {
    auto answer = std::make_shared<Result<languages::Visible>>(visible_in_sandbox(lang, root, environment));
    loop_.post([this, here, name = lang.name, answer] {
      if (!*here) return;
      loop_.release();
      auto& done = shown_[name];
      done.asking = false;
      done.answer = std::move(*answer);
      done.answered = Clock::now();
      const auto waiting = std::exchange(done.waiting, {});
      for (const auto& task : waiting) task();
    });
  });
}

// Runs `then` on the loop once the language's program is built, or at once where there is nothing to build.
void LanguagePools::when_built(const project::Language& lang, std::function<void()> then) {
  auto& program = programs_[lang.name];
  if (!lang.compiled() || program.built) {
    then();
    return;
  }
  program.waiting.push_back(std::move(then));
  if (program.building) return;
  program.building = true;
  loop_.hold();
  setup_.background([this, here = alive_, lang, shared_registry = registry_, shared_project = setup_.project, cache = setup_.build_cache, stop = stopping_] {
    auto built = std::make_shared<Result<languages::Built>>(
        build_language(*shared_project, lang, *shared_registry, cache, *stop));
    loop_.post([this, here, name = lang.name, built, shared_registry] {
      if (!*here) return;
      loop_.release();
      auto& done = programs_[name];
      done.building = false;
      auto waiting = std::move(done.waiting);
      done.waiting.clear();
      if (registry_ != shared_registry) {
        // The sources changed meanwhile.
        const auto* const again = language(name);
        for (auto& task : waiting) when_built(*again, std::move(task));
        return;
      }
      done.built = std::move(*built);
      for (const auto& task : waiting) task();
    });
  });
}

std::optional<Error> LanguagePools::build_error(const std::string& name, const std::string& source) const {
  const auto program = programs_.find(name);
  if (program == programs_.end() || !program->second.built) return std::nullopt;
  const auto& built = *program->second.built;
  if (!built) return built.error();
  const auto broken = built->broken.find(source);
  if (broken == built->broken.end()) return std::nullopt;
  return broken->second;
}

void LanguagePools::prepare(std::function<void(std::vector<json::object>)> done) {
  // What is used: the language, and the sandbox's place where there is one, with its pools.
  std::map<std::pair<std::string, std::optional<std::string>>, std::set<std::string>> used;
  const auto use = [&](const project::SourceFile& source) {
    const auto* const rule = project::isolation_of(*setup_.project, source);
    used[{source.language, confined(rule) ? std::optional<std::string>(rule->where) : std::nullopt}].insert(source.pool());
  };
  for (const auto& function : registry_->functions()) use(function.source);
  for (const auto& assistant : registry_->assistants()) use(assistant.source);
  auto report = std::make_shared<std::vector<json::object>>();
  auto left = std::make_shared<std::size_t>(used.size());
  if (used.empty()) {
    loop_.post([done, report] { done(*report); });
    return;
  }
  for (const auto& [one, keys] : used) {
    const auto& [name, sandbox] = one;
    const auto* const lang = language(name);
    const auto settle = [done, report, left, place = one.second](const std::string& of, bool ok, const std::string& message) {
      json::object line{{"language", of}, {"ok", ok}, {"message", message}};
      if (place) line["sandbox"] = place->empty() ? "*" : *place;
      report->push_back(std::move(line));
      if (--*left == 0) done(*report);
    };
    if (!lang) {
      settle(name, false, "no language '" + name + "' is installed");
      continue;
    }
    when_ready(*lang, sandbox.has_value(), [this, of = one.first, place = one.second, lang, settle, of_pools = keys] {
      std::optional<Error> error;
      if (const auto program = programs_.find(of); program != programs_.end() && program->second.built) {
        if (!*program->second.built) {
          error = program->second.built->error();
        } else if (!(*program->second.built)->broken.empty()) {
          error = (*program->second.built)->broken.begin()->second;
        }
      }
      if (!error && place && shown_[of].answer && !*shown_[of].answer) error = shown_[of].answer->error();
      if (!error) {
        if (auto found = languages::find_interpreter(*lang, setup_.project->root); !found) {
          error = found.error();
        } else {
          const auto& rules = setup_.project->isolation;
          const auto rule = std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return place && r.where == *place; });
          // It runs once its workers do; of several that do not start, the last one's reason is told.
          struct Warming {
            std::size_t left;
            std::string why_not;
          };
          auto warming = std::make_shared<Warming>(Warming{of_pools.size(), {}});
          for (const auto& key : of_pools) {
            pool(key, rule == rules.end() ? nullptr : &*rule).warm([warming, settle, of, interpreter = *found](const std::optional<Error>& why_not) {
              if (why_not) warming->why_not = to_text(*why_not);
              if (--warming->left == 0) settle(of, warming->why_not.empty(), warming->why_not.empty() ? interpreter : warming->why_not);
            });
          }
          return;
        }
      }
      settle(of, false, to_text(*error));
    });
  }
}

void LanguagePools::shutdown(std::function<void()> done) {
  *stopping_ = true;
  auto left = std::make_shared<std::size_t>(pools_.size());
  if (*left == 0) {
    loop_.post(std::move(done));
    return;
  }
  for (auto& [name, pool] : pools_) {
    pool->shutdown([left, done] {
      if (--*left == 0) done();
    });
  }
}

std::map<std::string, workers::PoolStats> LanguagePools::stats() const {
  std::map<std::string, workers::PoolStats> out;
  for (const auto& [name, pool] : pools_) out[name] = pool->stats();
  return out;
}

std::map<std::string, workers::PoolStats> LanguagePools::details() const {
  std::map<std::string, workers::PoolStats> out;
  for (const auto& [name, pool] : pools_) out[name] = pool->details();
  return out;
}

}  // namespace sabir::functions
