#include "sabir/functions/functions.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "bind.h"
#include "build.h"
#include "sabir/base/ids.h"
#include "sabir/base/log.h"
#include "sabir/base/text.h"
#include "sabir/process/spawn.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::functions {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::milliseconds kDefaultTimeout{30'000};

// Names that workers see of the engine's own environment; the rest, secrets above all, is left out.
constexpr std::string_view kPassed[] = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM",
                                        "VIRTUAL_ENV", "LD_LIBRARY_PATH", "http_proxy", "https_proxy", "no_proxy",
                                        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
                                        "SABIR_BIN", "SABIR_ENV"};
constexpr std::string_view kPassedPrefixes[] = {"LC_", "PYTHON", "GEM_", "BUNDLE_", "RUBY", "XDG_", "PYENV_", "RBENV_"};

std::vector<std::string> worker_environment(const std::map<std::string, std::string>& more) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    const bool passed = std::find(std::begin(kPassed), std::end(kPassed), name) != std::end(kPassed) ||
                        std::any_of(std::begin(kPassedPrefixes), std::end(kPassedPrefixes), [&](auto p) { return name.starts_with(p); });
    if (passed && !more.contains(std::string(name))) out.emplace_back(text);
  }
  for (const auto& [name, value] : more) out.push_back(name + "=" + value);
  return out;
}

std::string filled(std::string text, const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) {
    const std::string mark = "{" + name + "}";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
      text.replace(at, mark.size(), value);
    }
  }
  return text;
}

// A call that was nested too deep fails every function above it; what the caller must know is the depth, not the sixteen
// errors around it.
Error without_wrapping(Error error) {
  if (error.code != ErrorCode::kFunctionError || error.data.find("depth_exceeded") == std::string::npos) return error;
  const auto data = parse_json(error.data);
  const json::value* at = data ? &*data : nullptr;
  while (at && at->is_object()) {
    if (string_or(at->get_object(), "type") == error_code_name(ErrorCode::kDepthExceeded)) {
      Error deepest = error_from_json(at->get_object());
      deepest.file = error.file;
      deepest.line = error.line;
      return deepest;
    }
    at = at->get_object().if_contains("cause");
  }
  return error;
}

}  // namespace

Result<std::string> find_interpreter(const project::Project& project, const project::Language& language) {
  for (std::string candidate : language.interpreters) {
    if (candidate.starts_with("$")) {
      const std::size_t slash = candidate.find('/');
      const char* value = std::getenv(candidate.substr(1, slash - 1).c_str());
      if (!value || !*value) continue;
      candidate = value + (slash == std::string::npos ? std::string() : candidate.substr(slash));
    } else if (candidate.find('/') != std::string::npos && candidate.front() != '/') {
      candidate = (project.root / candidate).string();
    }
    if (auto found = process::find_program(candidate); !found.empty()) return found;
  }
  return fail(ErrorCode::kUnavailable, "the functions in " + language.name + " cannot run: no " + join(language.interpreters, ", no "),
              language.missing_hint);
}

struct Functions::State {
  State(net::Loop& l, Setup s) : loop(l), setup(std::move(s)) {
    registry = Registry::build(*setup.project, setup.languages);
  }

  struct Program {
    bool building = false;
    std::optional<Result<Built>> built;
    std::vector<std::function<void()>> waiting;
  };
  struct Checked {
    std::optional<schema::Validator> input;
    std::optional<schema::Validator> output;
    bool exact = false;  // the schema looks into strings, so that a blob's text matters
  };
  struct Running {
    workers::Pool* pool = nullptr;
    workers::Pool::CallId pool_id = 0;
    workers::CallEvents events;
  };

  net::Loop& loop;
  Setup setup;
  std::shared_ptr<const Registry> registry;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  std::shared_ptr<std::atomic<bool>> stopping = std::make_shared<std::atomic<bool>>(false);
  std::map<std::string, std::unique_ptr<workers::Pool>> pools;
  std::map<std::string, Program> programs;
  std::map<std::string, Checked> checks;  // by language and address
  std::map<CallId, Running> running;
  CallId next_id = 1;

  const project::Language* language(const std::string& name) const {
    const auto found = std::find_if(setup.languages.begin(), setup.languages.end(), [&](const auto& l) { return l.name == name; });
    return found == setup.languages.end() ? nullptr : &*found;
  }

  void finish(CallId id, Result<protocol::Payload> outcome) {
    const auto found = running.find(id);
    if (found == running.end()) return;
    const auto done = std::move(found->second.events.done);
    running.erase(found);
    if (done) done(std::move(outcome));
  }

  void finish_soon(CallId id, Error error) {
    loop.post([this, here = alive, id, error = std::move(error)] {
      if (*here) finish(id, fail(error));
    });
  }

  // ---- pools ---------------------------------------------------------------------------------------------------------

  Result<workers::LaunchSpec> launch(const std::string& name) {
    const auto* const lang = language(name);
    if (!lang) return fail(ErrorCode::kUnavailable, "no language '" + name + "' is installed");
    auto interpreter = find_interpreter(*setup.project, *lang);
    if (!interpreter) return fail(std::move(interpreter.error()));
    std::map<std::string, std::string> values{{"interpreter", *interpreter},
                                              {"worker", (lang->resources / lang->worker).string()},
                                              {"sdk", (lang->resources / lang->sdk).string()},
                                              {"resources", lang->resources.string()},
                                              {"project", setup.project->root.string()}};
    if (const auto program = programs.find(name); program != programs.end() && program->second.built && *program->second.built) {
      values["program"] = (*program->second.built)->program.string();
    }
    workers::LaunchSpec spec;
    for (const auto& word : lang->launch) spec.argv.push_back(filled(word, values));
    auto environment = setup.environment;
    environment["SABIR_PROJECT"] = setup.project->root.string();
    environment["SABIR_ENV"] = setup.project->environment;
    spec.environment = worker_environment(environment);
    spec.directory = setup.project->root;
    return spec;
  }

  workers::Pool& pool(const std::string& name) {
    auto& slot = pools[name];
    if (!slot) {
      workers::PoolSpec spec;
      spec.language = name;
      spec.launch = [this, name] { return launch(name); };
      spec.start_params = "{\"project\":" + protocol::quote(setup.project->root.string()) +
                          ",\"environment\":" + protocol::quote(setup.project->environment) + "}";
      spec.max = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
      if (const auto limits = setup.project->pools.find(name); limits != setup.project->pools.end() && limits->second.max) {
        spec.max = *limits->second.max;
      }
      spec.output = [this, name](std::string_view line) {
        if (setup.output) setup.output(name, line);
      };
      slot = std::make_unique<workers::Pool>(loop, std::move(spec), setup.requests);
    }
    return *slot;
  }

  // Runs `then` on the loop once the language's program is built, or at once where there is nothing to build.
  void when_built(const project::Language& lang, std::function<void()> then) {
    auto& program = programs[lang.name];
    if (lang.glue.empty() || program.built) {
      then();
      return;
    }
    program.waiting.push_back(std::move(then));
    if (program.building) return;
    program.building = true;
    loop.hold();
    setup.background([this, here = alive, lang, shared_registry = registry, shared_project = setup.project, cache = setup.build_cache, stop = stopping] {
      auto built = std::make_shared<Result<Built>>(build_program(*shared_project, lang, *shared_registry, cache, *stop));
      loop.post([this, here, name = lang.name, built, shared_registry] {
        if (!*here) return;
        loop.release();
        auto& done = programs[name];
        done.building = false;
        auto waiting = std::move(done.waiting);
        done.waiting.clear();
        if (registry != shared_registry) {
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

  std::optional<Error> build_error(const std::string& name, const fs::path& source) {
    const auto program = programs.find(name);
    if (program == programs.end() || !program->second.built) return std::nullopt;
    const auto& built = *program->second.built;
    if (!built) return built.error();
    const auto broken = built->broken.find(source.string());
    if (broken == built->broken.end()) return std::nullopt;
    return broken->second;
  }

  // ---- calls ---------------------------------------------------------------------------------------------------------

  Result<Checked*> checks_of(const Function& function) {
    const std::string key = function.language + "/" + function.address;
    const auto found = checks.find(key);
    if (found != checks.end()) return &found->second;
    Checked checked;
    auto input = schema::Validator::compile(function.schema.input_schema);
    if (!input) return fail(std::move(input.error()));
    checked.input = std::move(*input);
    if (!function.schema.output_schema.empty()) {
      auto output = schema::Validator::compile(function.schema.output_schema);
      if (!output) return fail(std::move(output.error()));
      checked.output = std::move(*output);
    }
    const std::string text = json::serialize(function.schema.input_schema) + json::serialize(function.schema.output_schema);
    for (const char* word : {"\"enum\"", "\"const\"", "\"pattern\"", "\"minLength\"", "\"maxLength\"", "\"format\""}) {
      checked.exact = checked.exact || text.find(word) != std::string::npos;
    }
    return &checks.emplace(key, std::move(checked)).first->second;
  }

  static Result<void> check(const schema::Validator& validator, const protocol::Payload& payload, bool exact, ErrorCode code,
                            const std::string& what) {
    if (payload.blobs.empty()) return validator.check(payload.json, code, what);
    auto text = exact ? protocol::inflate(payload) : protocol::outline(payload);
    if (!text) return fail(std::move(text.error()));
    return validator.check(*text, code, what);
  }

  CallId start(CallRequest request, workers::CallEvents events) {
    const CallId id = next_id++;
    running[id].events = std::move(events);
    auto found = registry->find(request.address);
    if (!found) {
      finish_soon(id, std::move(found.error()));
      return id;
    }
    const Function& function = **found;
    auto checked = checks_of(function);
    if (!checked) {
      finish_soon(id, std::move(checked.error()));
      return id;
    }
    auto bound = bind(function.schema, std::move(request.arguments));
    if (!bound) {
      finish_soon(id, std::move(bound.error()));
      return id;
    }
    if (auto ok = check(*(*checked)->input, bound->canonical, (*checked)->exact, ErrorCode::kInvalidArguments, function.address); !ok) {
      finish_soon(id, std::move(ok.error()));
      return id;
    }

    workers::CallSpec spec;
    spec.address = function.address;
    spec.module = function.source.path.string();
    spec.receiver = function.schema.receiver;
    spec.function = function.schema.name;
    spec.arguments = std::move(bound->native);
    spec.binding = std::move(bound->binding);
    spec.context = request.context;
    for (const auto& parameter : function.schema.parameters) {
      if (parameter.is_context) spec.context_parameter = parameter.name;
    }
    const auto own = function.schema.timeout_ms > 0 ? std::chrono::milliseconds(function.schema.timeout_ms)
                     : setup.project->timeout_ms > 0 ? std::chrono::milliseconds(setup.project->timeout_ms)
                                                     : kDefaultTimeout;
    spec.deadline = std::min(request.deadline, Clock::now() + own);
    spec.depth = request.depth;
    spec.read = function.schema.effect == schema::Effect::kRead;
    spec.idempotency_key = request.idempotency_key;

    const std::string language_name = function.language;
    const std::string key = function.language + "/" + function.address;
    if (spec.read || !setup.effects) {
      dispatch(id, language_name, std::move(spec), key, 0);
      return id;
    }
    if (spec.idempotency_key.empty()) spec.idempotency_key = new_id();
    EffectRecord record{function.address, function.language, function.schema.effect, function.schema.idempotent,
                        spec.idempotency_key, spec.arguments.json, request.caller, request.context};
    setup.effects->begin(std::move(record), [this, here = alive, id, language_name, key,
                                             shared = std::make_shared<workers::CallSpec>(std::move(spec))](Result<std::int64_t> written) {
      if (!*here) return;
      if (!written) {
        finish(id, fail(std::move(written.error())));
      } else {
        dispatch(id, language_name, std::move(*shared), key, *written);
      }
    });
    return id;
  }

  void dispatch(CallId id, const std::string& language_name, workers::CallSpec spec, const std::string& key, std::int64_t effect) {
    const auto* const lang = language(language_name);
    if (!lang) {
      finish_soon(id, Error(ErrorCode::kUnavailable, "no language '" + language_name + "' is installed"));
      return;
    }
    const bool compiled = !lang->glue.empty();
    if (!compiled || programs[language_name].built) {
      hand_over(id, language_name, std::move(spec), key, effect);
      return;
    }
    // Time spent building is not the call's.
    const auto asked = Clock::now();
    when_built(*lang, [this, here = alive, id, language_name, asked, shared = std::make_shared<workers::CallSpec>(std::move(spec)), key, effect] {
      if (!*here) return;
      shared->deadline += Clock::now() - asked;
      hand_over(id, language_name, std::move(*shared), key, effect);
    });
  }

  void hand_over(CallId id, const std::string& language_name, workers::CallSpec spec, const std::string& key, std::int64_t effect) {
    const auto found = running.find(id);
    if (found == running.end()) {
      if (effect != 0) setup.effects->finish(effect, "cancelled");
      return;
    }
    if (auto error = build_error(language_name, spec.module)) {
      if (effect != 0) setup.effects->finish(effect, error_code_name(error->code));
      finish_soon(id, std::move(*error));
      return;
    }
    // A compiled program knows its files from the project's root, so that it serves every copy of the project.
    if (!language(language_name)->glue.empty()) {
      spec.module = fs::path(spec.module).lexically_relative(setup.project->root).string();
    }
    const std::string address = spec.address;
    workers::CallEvents events;
    events.chunk = found->second.events.chunk;
    events.progress = found->second.events.progress;
    events.done = [this, id, key, address, effect](Result<protocol::Payload> outcome) {
      if (outcome) {
        const auto checked = checks.find(key);
        if (checked != checks.end() && checked->second.output) {
          if (auto ok = check(*checked->second.output, *outcome, checked->second.exact, ErrorCode::kInvalidResult, address); !ok) {
            outcome = fail(std::move(ok.error()));
          }
        }
      }
      if (!outcome) outcome = fail(without_wrapping(std::move(outcome.error())));
      if (effect != 0) setup.effects->finish(effect, outcome ? "ok" : error_code_name(outcome.error().code));
      finish(id, std::move(outcome));
    };
    auto& target = pool(language_name);
    found->second.pool = &target;
    found->second.pool_id = target.call(std::move(spec), std::move(events));
  }
};

Functions::Functions(net::Loop& loop, Setup setup) : state_(std::make_unique<State>(loop, std::move(setup))) {}
Functions::~Functions() { *state_->alive = false; }

std::shared_ptr<const Registry> Functions::registry() const { return state_->registry; }

Functions::CallId Functions::call(CallRequest request, workers::CallEvents events) {
  return state_->start(std::move(request), std::move(events));
}

Functions::CallId Functions::call_source(const project::SourceFile& source, const std::string& function, const std::string& binding,
                                         const std::string& context_parameter, CallRequest request, workers::CallEvents events) {
  const CallId id = state_->next_id++;
  state_->running[id].events = std::move(events);
  workers::CallSpec spec;
  spec.address = request.address;
  spec.module = source.path.string();
  spec.function = function;
  spec.arguments = std::move(request.arguments);
  spec.binding = binding;
  spec.context = request.context;
  spec.context_parameter = context_parameter;
  spec.deadline = std::min(request.deadline, Clock::now() + std::chrono::minutes(10));
  spec.depth = request.depth;
  state_->dispatch(id, source.language, std::move(spec), "", 0);
  return id;
}

void Functions::cancel(CallId id, const std::string& reason) {
  const auto found = state_->running.find(id);
  if (found == state_->running.end()) return;
  if (found->second.pool) {
    found->second.pool->cancel(found->second.pool_id, ErrorCode::kCancelled, reason);
  } else {
    state_->finish(id, fail(ErrorCode::kCancelled, "the call was cancelled: " + reason));
  }
}

void Functions::reload(std::shared_ptr<const project::Project> project) {
  state_->setup.project = std::move(project);
  state_->registry = Registry::build(*state_->setup.project, state_->setup.languages);
  state_->checks.clear();
  for (auto& [name, program] : state_->programs) program.built.reset();
  for (auto& [name, pool] : state_->pools) {
    const auto* const lang = state_->language(name);
    if (lang && !lang->glue.empty()) {
      state_->when_built(*lang, [p = pool.get()] { p->reload(); });
    } else {
      pool->reload();
    }
  }
}

void Functions::prepare(std::function<void(std::vector<json::object>)> done) {
  std::set<std::string> used;
  for (const auto& function : state_->registry->functions()) used.insert(function.language);
  for (const auto& assistant : state_->registry->assistants()) used.insert(assistant.language);
  auto report = std::make_shared<std::vector<json::object>>();
  auto left = std::make_shared<std::size_t>(used.size());
  if (used.empty()) {
    state_->loop.post([done, report] { done(*report); });
    return;
  }
  for (const auto& name : used) {
    const auto* const lang = state_->language(name);
    const auto settle = [done, report, left](const std::string& of, bool ok, const std::string& message) {
      report->push_back({{"language", of}, {"ok", ok}, {"message", message}});
      if (--*left == 0) done(*report);
    };
    if (!lang) {
      settle(name, false, "no language '" + name + "' is installed");
      continue;
    }
    state_->when_built(*lang, [this, name, lang, settle] {
      std::optional<Error> error;
      if (const auto program = state_->programs.find(name); program != state_->programs.end() && program->second.built) {
        if (!*program->second.built) {
          error = program->second.built->error();
        } else if (!(*program->second.built)->broken.empty()) {
          error = (*program->second.built)->broken.begin()->second;
        }
      }
      if (!error) {
        if (auto found = find_interpreter(*state_->setup.project, *lang); !found) {
          error = found.error();
        } else {
          state_->pool(name).warm();
          settle(name, true, *found);
          return;
        }
      }
      settle(name, false, to_text(*error));
    });
  }
}

void Functions::shutdown(std::function<void()> done) {
  *state_->stopping = true;
  auto left = std::make_shared<std::size_t>(state_->pools.size());
  if (*left == 0) {
    state_->loop.post(std::move(done));
    return;
  }
  for (auto& [name, pool] : state_->pools) {
    pool->shutdown([left, done] {
      if (--*left == 0) done();
    });
  }
}

std::map<std::string, workers::PoolStats> Functions::stats() const {
  std::map<std::string, workers::PoolStats> out;
  for (const auto& [name, pool] : state_->pools) out[name] = pool->stats();
  return out;
}

}  // namespace sabir::functions
