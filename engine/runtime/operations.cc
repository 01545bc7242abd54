// What people who run an engine ask of it: what it is doing, and functions that may not be called for now.
#include <unistd.h>

#include <algorithm>

#include "engine_state.h"
#include "sabir/base/log.h"
#include "sabir/models/model.h"
#include "sabir/process/sandbox.h"

namespace sabir::runtime {
namespace {

constexpr std::chrono::seconds kBetweenLooks{1};
constexpr std::size_t kMostReason = 1000;

std::int64_t unix_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

protocol::Payload object_result(const json::object& object) { return {compact_json(object), {}}; }

// A model whose use is counted.
class CountedModel final : public models::Model {
 private:
  auto counted(const auto& ask) {
    {
      const std::lock_guard lock(counts_->mutex);
      auto& count = counts_->by_alias[alias_];
      ++count.calls;
      ++count.in_flight;
    }
    auto answer = ask();
    const std::lock_guard lock(counts_->mutex);
    auto& count = counts_->by_alias[alias_];
    --count.in_flight;
    if (!answer) ++count.failed;
    return answer;
  }

 public:
  CountedModel(std::shared_ptr<models::Model> inner, std::string alias, std::shared_ptr<ModelCounts> counts)
      : inner_(std::move(inner)), alias_(std::move(alias)), counts_(std::move(counts)) {}
  Result<models::Reply> complete(const models::Request& request, const models::OnEvent& on_event) override {
    return counted([&] { return inner_->complete(request, on_event); });
  }
  Result<models::Embeddings> embed(const models::EmbedRequest& request) override {
    return counted([&] { return inner_->embed(request); });
  }
  std::string description() const override { return inner_->description(); }

 private:
  std::shared_ptr<models::Model> inner_;
  const std::string alias_;
  std::shared_ptr<ModelCounts> counts_;
};

json::object to_json(const std::string& pool, const workers::PoolStats& stats) {
  json::array left_alone;
  for (const auto& address : stats.left_alone) left_alone.push_back(json::value(address));
  json::array list;
  for (const auto& one : stats.each) {
    list.push_back({{"pid", one.pid}, {"state", one.state}, {"running", one.running}, {"running_ms", one.running_for.count()}, {"in_flight", one.in_flight},
                    {"calls", one.calls}, {"age_ms", one.age.count()}, {"memory", nullptr}});
  }
  return {{"pool", pool}, {"language", pool.substr(0, pool.find_first_of(":/ "))}, {"queue", {{"length", stats.queued}, {"oldest_ms", stats.oldest_wait.count()}}},
          {"in_flight", stats.running}, {"started", stats.started}, {"crashed", stats.crashed}, {"renewed", stats.renewed},
          {"start_failure", stats.start_failure}, {"left_alone", std::move(left_alone)}, {"workers", std::move(list)}};
}

}  // namespace

std::shared_ptr<models::Model> Engine::State::counted(std::shared_ptr<models::Model> model, const std::string& alias) {
  return std::make_shared<CountedModel>(std::move(model), alias, model_counts);
}

void Engine::State::answer_stats(const std::shared_ptr<workers::EngineRequest>& request) {
  json::object out{{"pid", ::getpid()}, {"version", SABIR_VERSION}, {"project", project->root.string()}, {"environment", project->environment},
                   {"uptime_ms", std::chrono::duration_cast<std::chrono::milliseconds>(workers::Clock::now() - begun).count()}};
  json::array of_functions;
  for (const auto& [address, stats] : functions->function_stats()) {
    of_functions.push_back({{"address", address}, {"calls", stats.calls}, {"failed", stats.failed}, {"in_flight", stats.in_flight}, {"p50_ms", stats.p50_ms}, {"p99_ms", stats.p99_ms}});
  }
  out["functions"] = std::move(of_functions);
  json::array pools;
  for (const auto& [name, stats] : functions->details()) pools.push_back(to_json(name, stats));
  out["pools"] = std::move(pools);
  json::array of_models;
  {
    const std::lock_guard lock(model_counts->mutex);
    for (const auto& [alias, count] : model_counts->by_alias) of_models.push_back({{"alias", alias}, {"calls", count.calls}, {"failed", count.failed}, {"in_flight", count.in_flight}});
  }
  out["models"] = std::move(of_models);
  // Memory is read from files of the system's, elsewhere than on the loop.
  const bool taken = jobs->submit([this, request, shared = std::make_shared<json::object>(std::move(out))] {
    (*shared)["memory"] = process::usage_of(::getpid()).resident;
    for (auto& pool : (*shared)["pools"].get_array()) {
      for (auto& one : pool.get_object().at("workers").get_array()) {
        auto& worker = one.get_object();
        worker["memory"] = process::usage_of(static_cast<pid_t>(worker.at("pid").to_number<std::int64_t>())).resident;
      }
    }
    reply_soon(request, object_result(*shared));
  });
  if (!taken) refuse(*request);
}

void Engine::State::answer_disabling(const std::shared_ptr<workers::EngineRequest>& request) {
  const auto asked = parse_json(request->params);
  const json::object params = asked && asked->is_object() ? asked->get_object() : json::object();
  if (request->method == "functions.disabled") {
    json::array list;
    for (const auto& [address, one] : disabled_now) list.push_back(functions::to_json(*one));
    return request->reply(object_result({{"disabled", std::move(list)}}));
  }
  const bool disables = request->method == "functions.disable";
  functions::Disabled word{{}, std::string(string_or(params, "by", request->caller->context.user.empty() ? "somebody" : std::string_view(request->caller->context.user))),
                           std::string(string_or(params, "reason")), unix_ms()};
  if (word.reason.size() > kMostReason) return request->reply(fail(ErrorCode::kInvalidArguments, "the reason is longer than " + std::to_string(kMostReason) + " bytes"));
  const std::string given(string_or(params, "address"));
  const auto function = registry->find(given);
  if (function) word.address = (*function)->language + "/" + (*function)->address;
  // One that has gone since can still be enabled.
  if (!function && !disables && disabled_now.contains(given)) word.address = given;
  if (word.address.empty()) return request->reply(fail(function.error()));
  if (!disables && !disabled_now.contains(word.address)) return request->reply(fail(ErrorCode::kNotFound, word.address + " is not disabled", "`sabir functions disabled` lists those that are."));
  const bool taken = jobs->submit([this, request, word, disables] {
    if (auto written = disabled.write(word, disables); !written) return reply_soon(request, fail(std::move(written.error())));
    auto all = disabled.read();
    if (!all) return reply_soon(request, fail(std::move(all.error())));
    loop.post([this, request, word, disables, now = std::move(*all)]() mutable {
      take_disabled(std::move(now));
      request->reply(object_result({{disables ? "disabled" : "enabled", functions::to_json(word)}}));
    });
  });
  if (!taken) refuse(*request);
}

void Engine::State::take_disabled(functions::DisabledFunctions::ByAddress now) {
  const bool same = now.size() == disabled_now.size() && std::equal(now.begin(), now.end(), disabled_now.begin(), [](const auto& a, const auto& b) {
    return a.first == b.first && a.second->at_ms == b.second->at_ms && a.second->who == b.second->who && a.second->reason == b.second->reason;
  });
  if (same || !functions) return;
  disabled_now = std::move(now);
  {
    const std::lock_guard lock(registry_mutex);
    registry = functions::Registry::with_disabled(registry, disabled_now);
  }
  functions->replace(served ? served : project, registry, {}, {});
  // Who lists functions lists them anew.
  ReloadReport report;
  report.disabled = true;
  if (also_reloaded) also_reloaded(report);
  if (options.reloaded) options.reloaded(report);
}

void Engine::State::look_for_disabled() {
  loop.after(kBetweenLooks, [this] {
    if (stopping) return;
    auto stamp = stamp_of_content(disabled.file()).text;
    if (stamp != disabled_stamp) {
      jobs->submit([this, stamp] {
        auto all = disabled.read();
        loop.post([this, stamp, shared = std::make_shared<decltype(all)>(std::move(all))] {
          disabled_stamp = stamp;
          if (!*shared) return log(LogLevel::kWarning, to_text(shared->error()) + "\n  Functions stay disabled and enabled as they were.");
          take_disabled(std::move(**shared));
        });
      });
    }
    look_for_disabled();
  });
}

}  // namespace sabir::runtime
