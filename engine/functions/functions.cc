#include "sabir/functions/functions.h"

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "bind.h"
#include "in_process.h"
#include "isolation.h"
#include "language_pools.h"
#include "route.h"
#include "sabir/base/ids.h"
#include "sabir/base/json.h"
#include "sabir/functions/call_span.h"

namespace sabir::functions {
namespace {

constexpr std::chrono::milliseconds kFirstPause{100};  // before a failed call is made again

// Errors that fail every function above: a call that was nested too deep, a question that no recording answers. The caller must
// know of them, not of the sixteen errors around.
constexpr std::array kThrough = {ErrorCode::kDepthExceeded, ErrorCode::kRecordingMissing, ErrorCode::kRecordingStale};

Error without_wrapping(Error error) {
  const auto named = [&](ErrorCode code) { return error.data.find(error_code_name(code)) != std::string::npos; };
  if (error.code != ErrorCode::kFunctionError || std::none_of(kThrough.begin(), kThrough.end(), named)) return error;
  const auto data = parse_json(error.data);
  const json::value* at = data ? &*data : nullptr;
  while (at && at->is_object()) {
    const auto type = error_code_from_name(string_or(at->get_object(), "type"));
    if (std::find(kThrough.begin(), kThrough.end(), type) != kThrough.end()) {
      Error deepest = error_from_json(at->get_object());
      // A language tells type and particulars of what it was answered; the words are in its own error.
      if (const auto* particulars = at->get_object().if_contains("data"); particulars && particulars->is_object()) {
        deepest = error_from_json(particulars->get_object());
        deepest.code = type;
      }
      if (deepest.message.empty()) deepest.message = error.message;
      deepest.file = error.file;
      deepest.line = error.line;
      return deepest;
    }
    at = at->get_object().if_contains("cause");
  }
  return error;
}

}  // namespace

struct Functions::State {
  State(net::Loop& l, Setup s) : loop(l), setup(std::move(s)) {
    const auto provided = setup.provider ? setup.provider->functions(*setup.project) : Provided();
    registry = Registry::build(*setup.project, setup.languages, nullptr, {}, &provided);
  }

  // What it takes to call a function once more after a failure.
  struct Again {
    std::shared_ptr<Route> route;
    workers::CallSpec spec;
    int left = 0;
    std::chrono::milliseconds pause;
    Clock::time_point deadline;       // the caller's own
    bool streamed = false;            // a chunk has gone out: no way back
  };
  struct Running {
    std::shared_ptr<Again> again;  // null: no retries
    std::shared_ptr<const Route> route;  // null: there is no such function, or its arguments do not fit
    Clock::time_point begun;       // of a call that went straight into the engine's own process
    workers::Pool* pool = nullptr;
    workers::Pool::CallId pool_id = 0;
    InProcess::CallId inside = 0;  // of a call inside the engine
    bool provided = false;
    Provider::CallId provided_id = 0;
    workers::CallEvents events;
    std::shared_ptr<trace::Span> span;  // null: it is not traced
  };

  net::Loop& loop;
  Setup setup;
  std::shared_ptr<const Registry> registry;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  LanguagePools pools{loop, setup, registry};
  std::unordered_map<std::string, Recent> recent;  // by language and address
  InProcess in_process{loop};
  std::unordered_map<std::string, std::shared_ptr<Route>> routes;  // by address as it was asked for, of the registry
  std::unordered_map<CallId, Running> running;
  CallId next_id = 1;
  std::set<std::string, std::less<>> secretive;  // languages whose workers have been given a secret

  bool must_clean(const Route& route) const { return !secretive.empty() && setup.clean && secretive.contains(route.language_name); }

  void finish(CallId id, Result<protocol::Payload> outcome) {
    const auto found = running.find(id);
    if (found == running.end()) return;
    const auto done = std::move(found->second.events.done);
    if (!outcome && setup.failed) tell_of(found->second, outcome.error());
    if (found->second.span) end_call(*setup.tracer, std::move(found->second.span), outcome, Clock::now());
    running.erase(found);
    if (done) done(std::move(outcome));
  }

  void tell_of(const Running& entry, const Error& error) const {
    Failure failure{{}, error, entry.span ? entry.span->context : trace::SpanContext{}};
    if (entry.route) failure.address = entry.route->language_name + "/" + entry.route->address();
    else if (entry.span) failure.address = entry.span->shown_name();
    setup.failed(failure);
  }

  void finish_soon(CallId id, Error error) {
    loop.post([this, here = alive, id, error = std::move(error)] {
      if (*here) finish(id, fail(error));
    });
  }

  Result<std::shared_ptr<Route>> route_of(const std::string& address) {
    if (const auto known = routes.find(address); known != routes.end()) return known->second;
    const auto found = registry->find(address);
    if (!found) return fail(found.error());
    // No route is kept: whoever disables or enables one replaces the registry.
    if ((*found)->disabled) return fail(error_of(*(*found)->disabled));
    auto route = route_to(**found, registry, setup);
    if (!route) return route;
    (*route)->recent = &recent[(*route)->language_name + "/" + (*route)->address()];
    // One function has several addresses, but not many.
    if (routes.size() > 3 * registry->functions().size() + 100) routes.clear();
    return routes.emplace(address, std::move(*route)).first->second;
  }

  bool runs_inside(const project::IsolationRule* rule) const { return rule && rule->level == project::Isolation::kInProcess && !setup.debug; }

  CallId start(CallRequest request, workers::CallEvents events) {
    const auto now = Clock::now();
    auto found = route_of(request.address);
    std::shared_ptr<trace::Span> span;
    if (setup.tracer) span = begin_call(*setup.tracer, found ? (*found)->subject : nullptr, request, now);
    std::optional<std::uint64_t> given;
    if (found && (*found)->plain && request.arguments.blobs.empty()) given = (*found)->input->fitting_members(request.arguments.json);
    if (given && (*found)->inside && !(*found)->recorded && (*found)->function->schema.retries == 0) {
      return start_inside(*found, std::move(request), std::move(events), std::move(span), now);
    }
    const CallId id = next_id++;
    Running& entry = running[id];
    entry.events = std::move(events);
    entry.span = span;
    if (!found) {
      finish_soon(id, std::move(found.error()));
      return id;
    }
    const std::shared_ptr<Route> route = std::move(*found);
    const Function& function = *route->function;
    workers::CallSpec spec;
    spec.callee = route->callee;
    if (given) {
      spec.arguments = std::move(request.arguments);
      spec.binding = route->binding(*given);
    } else {
      auto bound = bind(function.schema, std::move(request.arguments));
      if (!bound) {
        finish_soon(id, std::move(bound.error()));
        return id;
      }
      if (auto ok = route->check_input(bound->to_check()); !ok) {
        finish_soon(id, std::move(ok.error()));
        return id;
      }
      spec.arguments = std::move(bound->native);
      spec.binding = std::move(bound->binding);
    }
    entry.route = route;
    spec.context = request.context;
    spec.deadline = setup.debug ? now + std::chrono::hours(24) : std::min(request.deadline, now + route->own);
    spec.depth = request.depth;
    spec.entry = request.entry;
    spec.span = std::move(span);
    spec.client = std::move(request.client);
    spec.idempotency_key = std::move(request.idempotency_key);

    if (route->callee->read && function.schema.retries > 0) {
      entry.again = std::make_shared<Again>(Again{route, spec, function.schema.retries, kFirstPause, request.deadline});
    }
    if (!route->recorded) {
      dispatch(id, route, std::move(spec), 0, now);
      return id;
    }
    if (spec.idempotency_key.empty()) spec.idempotency_key = new_id();
    EffectRecord record{function.address, function.language, function.schema.effect, function.schema.idempotent,
                        spec.idempotency_key, spec.arguments.json, request.caller, request.context};
    setup.effects->begin(std::move(record), [this, here = alive, id, route,
                                             shared = std::make_shared<workers::CallSpec>(std::move(spec))](Result<std::int64_t> written) {
      if (!*here) return;
      if (!written) {
        finish(id, fail(std::move(written.error())));
      } else {
        dispatch(id, route, std::move(*shared), *written, Clock::now());
      }
    });
    return id;
  }

  // Once the function's target in the engine is known.
  CallId start_inside(const std::shared_ptr<Route>& route, CallRequest request, workers::CallEvents events, std::shared_ptr<trace::Span> span,
                      Clock::time_point now) {
    const CallId id = next_id++;
    Running& entry = running[id];
    entry.events = std::move(events);
    entry.span = std::move(span);
    entry.route = route;
    entry.begun = now;
    entry.inside = in_process.call({route->inside, route->address(), std::move(request.arguments.json),
                                    route->callee->context_parameter.empty() ? std::string() : workers::context_json(request.context),
                                    std::min(request.deadline, now + route->own), route->callee->read},
                                   [this, id](Result<protocol::Payload> outcome, Clock::time_point ended) { finish_inside(id, std::move(outcome), ended); });
    return id;
  }

  void finish_inside(CallId id, Result<protocol::Payload> outcome, Clock::time_point ended) {
    const auto found = running.find(id);
    if (found == running.end()) return;
    const Route& route = *found->second.route;
    check(route, outcome);
    settle(route, outcome, ended - found->second.begun);
    if (!outcome && setup.failed) tell_of(found->second, outcome.error());
    if (found->second.span) end_call(*setup.tracer, std::move(found->second.span), outcome, ended);
    const auto done = std::move(found->second.events.done);
    running.erase(found);
    if (done) done(std::move(outcome));
  }

  static void check(const Route& route, Result<protocol::Payload>& outcome) {
    if (!outcome) return;
    if (auto ok = route.check_output(*outcome); !ok) outcome = fail(std::move(ok.error()));
  }

  // What is left to do with the outcome of a call that is not made again.
  static void settle(const Route& route, Result<protocol::Payload>& outcome, Clock::duration took) {
    if (!outcome) outcome = fail(without_wrapping(std::move(outcome.error())));
    if (route.recent) route.recent->note(took, outcome ? nullptr : &outcome.error());
  }

  void dispatch(CallId id, const std::shared_ptr<Route>& route, workers::CallSpec spec, std::int64_t effect, Clock::time_point now) {
    if (setup.provider && route->function && route->language_name == setup.provider->language()) return hand_over(id, route, std::move(spec), effect, now);
    if (!route->language) {
      if (effect != 0) setup.effects->finish(effect, error_code_name(ErrorCode::kUnavailable));
      finish_soon(id, Error(ErrorCode::kUnavailable, "no language '" + route->language_name + "' is installed"));
      return;
    }
    const bool in_sandbox = LanguagePools::confined(route->rule);
    if (pools.ready(*route->language, in_sandbox)) {
      hand_over(id, route, std::move(spec), effect, now);
      return;
    }
    // Time spent building is not the call's.
    pools.when_ready(*route->language, in_sandbox, [this, here = alive, id, route, now, shared = std::make_shared<workers::CallSpec>(std::move(spec)), effect] {
      if (!*here) return;
      const auto then = Clock::now();
      shared->deadline += then - now;
      // A call that was cancelled meanwhile has no span any more.
      if (shared->span && running.contains(id)) shared->span->event("build.waited", {{"sabir.wait.ms", std::chrono::duration<double, std::milli>(then - now).count()}});
      hand_over(id, route, std::move(*shared), effect, then);
    });
  }

  // Whether the call is made again after `error`, in a while that doubles each time.
  bool once_more(CallId id, const Error& error) {
    const auto found = running.find(id);
    if (found == running.end() || !found->second.again) return false;
    auto& again = *found->second.again;
    const bool passing = error.code == ErrorCode::kFunctionError || error.code == ErrorCode::kWorkerCrashed || error.code == ErrorCode::kTimeout;
    if (again.left <= 0 || again.streamed || !passing || Clock::now() + again.pause >= again.deadline) return false;
    --again.left;
    const auto pause = again.pause;
    again.pause *= 2;
    found->second.pool = nullptr;
    if (auto& span = found->second.span) span->event("retry", {{"error.type", std::string(error_code_name(error.code))}, {"sabir.pause.ms", pause.count()}});
    loop.after(pause, [this, here = alive, id] {
      if (!*here) return;
      const auto still = running.find(id);
      if (still == running.end()) return;
      const auto kept = still->second.again;
      auto spec = kept->spec;
      const auto now = Clock::now();
      spec.deadline = std::min(kept->deadline, now + kept->route->own);
      hand_over(id, kept->route, std::move(spec), 0, now);
    });
    return true;
  }

  void hand_over(CallId id, const std::shared_ptr<Route>& route, workers::CallSpec spec, std::int64_t effect, Clock::time_point now) {
    const auto found = running.find(id);
    if (found == running.end()) {
      if (effect != 0) setup.effects->finish(effect, "cancelled");
      return;
    }
    if (auto error = pools.build_error(route->language_name, route->module)) {
      if (effect != 0) setup.effects->finish(effect, error_code_name(error->code));
      finish_soon(id, std::move(*error));
      return;
    }
    Running& entry = found->second;
    workers::CallEvents events;
    events.chunk = entry.events.chunk;
    if (events.chunk && entry.again) {
      events.chunk = [again = entry.again, chunk = std::move(events.chunk)](protocol::Payload value) {
        again->streamed = true;
        chunk(std::move(value));
      };
    }
    if (events.chunk) {
      events.chunk = [this, here = alive, route, chunk = std::move(events.chunk)](protocol::Payload value) {
        if (!*here || !must_clean(*route)) return chunk(std::move(value));
        Result<protocol::Payload> said(std::move(value));
        setup.clean(route->address(), said);
        chunk(std::move(*said));
      };
    }
    events.progress = entry.events.progress;
    if (events.progress) {
      events.progress = [this, here = alive, route, progress = std::move(events.progress)](const std::string& params) {
        if (!*here || !must_clean(*route)) return progress(params);
        Result<protocol::Payload> said(protocol::Payload{params, {}});
        setup.clean(route->address(), said);
        progress(said->json);
      };
    }
    events.done = [this, id, route, effect, now](Result<protocol::Payload> outcome) {
      if (must_clean(*route)) setup.clean(route->address(), outcome);
      check(*route, outcome);
      if (!outcome && once_more(id, outcome.error())) return;
      settle(*route, outcome, Clock::now() - now);
      if (effect != 0) setup.effects->finish(effect, outcome ? "ok" : error_code_name(outcome.error().code));
      finish(id, std::move(outcome));
    };
    if (!route->language && setup.provider && route->language_name == setup.provider->language()) {
      entry.provided = true;
      entry.provided_id = setup.provider->call(*route->function, std::move(spec), std::move(events));
      return;
    }
    // The project may have been read anew since.
    const bool same = route->project == setup.project;
    const auto* const rule = same ? route->rule : rule_of(*setup.project, route->language_name, route->module);
    if (runs_inside(rule)) return call_inside(entry, route, std::move(spec), std::move(events));
    if (!same || !route->pool) {
      auto& target = pools.pool(route->pool_key, rule);
      entry.pool = &target;
      if (same) route->pool = &target;
    } else {
      entry.pool = route->pool;
    }
    entry.pool_id = entry.pool->call(std::move(spec), std::move(events));
  }

  void call_inside(Running& entry, const std::shared_ptr<Route>& route, workers::CallSpec spec, workers::CallEvents events) {
    const auto library = pools.library_of(route->language_name);
    Result<InProcess::Target*> target =
        library.empty() ? Result<InProcess::Target*>(fail(ErrorCode::kUnavailable, "the library that runs " + route->address() + " inside the engine has not been built",
                                                          "Call again once sabir.yml has been read."))
                        : in_process.find(library, route->callee->module, route->callee->receiver, route->callee->function);
    auto arguments = target ? protocol::inflate(spec.arguments) : Result<std::string>();
    if (!target || !arguments) {
      loop.post([here = alive, done = std::move(events.done), error = target ? arguments.error() : target.error()] {
        if (*here) done(fail(error));
      });
      return;
    }
    if (route->project == setup.project && route->function) route->inside = *target;
    InProcess::Call call{*target, route->address(), std::move(*arguments),
                         route->callee->context_parameter.empty() ? std::string() : workers::context_json(spec.context), spec.deadline, route->callee->read};
    entry.inside = in_process.call(std::move(call), [done = std::move(events.done)](Result<protocol::Payload> outcome, Clock::time_point) { done(std::move(outcome)); });
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
  auto& entry = state_->running[id];
  entry.events = std::move(events);
  const auto route = route_to(source, request.address, function, context_parameter, state_->setup);
  const auto now = Clock::now();
  if (state_->setup.tracer) entry.span = begin_call(*state_->setup.tracer, route->subject, request, now);
  workers::CallSpec spec;
  spec.callee = route->callee;
  spec.arguments = std::move(request.arguments);
  spec.binding = binding;
  spec.context = request.context;
  spec.deadline = std::min(request.deadline, now + route->own);
  spec.depth = request.depth;
  spec.entry = request.entry;
  spec.span = entry.span;
  spec.client = std::move(request.client);
  state_->dispatch(id, route, std::move(spec), 0, now);
  return id;
}

void Functions::knows_secrets(const std::string& language) { state_->secretive.insert(language); }

bool Functions::has_secrets(std::string_view language) const { return language.empty() ? !state_->secretive.empty() : state_->secretive.contains(language); }

void Functions::cancel(CallId id, const std::string& reason) {
  const auto found = state_->running.find(id);
  if (found == state_->running.end()) return;
  if (found->second.inside != 0) {
    state_->in_process.cancel(found->second.inside, ErrorCode::kCancelled, reason);
  } else if (found->second.provided) {
    state_->setup.provider->cancel(found->second.provided_id, ErrorCode::kCancelled, reason);
  } else if (found->second.pool) {
    found->second.pool->cancel(found->second.pool_id, ErrorCode::kCancelled, reason);
  } else {
    state_->finish(id, fail(ErrorCode::kCancelled, "the call was cancelled: " + reason));
  }
}

void Functions::replace(std::shared_ptr<const project::Project> project, std::shared_ptr<const Registry> registry,
                        const std::set<std::string>& changed, std::map<std::string, languages::Built> built, workers::Boot reboot) {
  state_->setup.project = std::move(project);
  state_->registry = std::move(registry);
  state_->routes.clear();
  state_->pools.replace(changed, std::move(built), reboot);
}

std::set<std::string> Functions::built_languages() const { return state_->pools.built_languages(); }

void Functions::prepare(std::function<void(std::vector<json::object>)> done) { state_->pools.prepare(std::move(done)); }

void Functions::shutdown(std::function<void()> done) { state_->pools.shutdown(std::move(done)); }

json::object Functions::recent(const std::string& key) const {
  const auto found = state_->recent.find(key);
  if (found == state_->recent.end()) return {};
  return found->second.to_json();
}

std::map<std::string, workers::PoolStats> Functions::stats() const { return state_->pools.stats(); }

std::map<std::string, workers::PoolStats> Functions::details() const { return state_->pools.details(); }

std::map<std::string, FunctionStats> Functions::function_stats() const {
  std::map<std::string, FunctionStats> out;
  for (const auto& [key, recent] : state_->recent) {
    if (recent.calls == 0) continue;
    out[key] = {recent.calls, recent.failed, 0, recent.durations.quantile_ms(0.5), recent.durations.quantile_ms(0.99)};
  }
  for (const auto& [id, call] : state_->running) {
    if (call.route) ++out[call.route->language_name + "/" + call.route->address()].in_flight;
  }
  return out;
}

}  // namespace sabir::functions
