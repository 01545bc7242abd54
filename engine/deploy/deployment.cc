#include "sabir/deploy/deployment.h"

#include <algorithm>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/ids.h"
#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/net/http_client.h"
#include "who.h"

namespace sabir::deploy {
namespace {
namespace fs = std::filesystem;

std::string facts_object(const Release& release) { return "releases/" + release.id + ".json"; }

std::string shown(const std::optional<Release>& release) { return release ? release->id : "nothing"; }

const char* kind_name(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kCreate: return "create";
    case ChangeKind::kUpdate: return "update";
    case ChangeKind::kReplace: return "replace";
    case ChangeKind::kDelete: return "delete";
    case ChangeKind::kRead: return "read";
    case ChangeKind::kNote: break;
  }
  return "note";
}

bool is_same(const Release& a, const Release& b) { return a.bundle_hash == b.bundle_hash && a.engine_hash == b.engine_hash; }

std::string ago(std::int64_t ms) {
  const auto s = std::max<std::int64_t>((now_ms() - ms) / 1000, 0);
  if (s < 120) return std::to_string(s) + " s ago";
  if (s < 7200) return std::to_string(s / 60) + " min ago";
  if (s < 172'800) return std::to_string(s / 3600) + " h ago";
  return std::to_string(s / 86'400) + " days ago";
}

}  // namespace

json::object to_json(const Plan& plan) {
  json::array changes;
  for (const auto& one : plan.target.changes) changes.push_back(json::object{{"change", kind_name(one.kind)}, {"what", one.what}, {"detail", one.detail}});
  json::array drift;
  for (const auto& line : plan.target.drift) drift.push_back(json::value(line));
  json::object out{{"plan", plan.what}, {"unchanged", plan.unchanged}};
  out["from"] = plan.from ? json::value(to_json(*plan.from)) : json::value();
  out["to"] = plan.to ? json::value(to_json(*plan.to)) : json::value();
  if (!plan.commit.empty()) out["commit"] = plan.commit;
  if (!plan.interrupted.empty()) out["interrupted"] = plan.interrupted;
  out["differences"] = to_json(plan.differences);
  out["infrastructure"] = std::move(changes);
  out["drift"] = std::move(drift);
  return out;
}

std::string told(const Operation& operation, const History& history, const std::string& environment) {
  std::string out = "The " + operation.what + (operation.release ? (operation.what == "rollback" ? " to " : " of ") + operation.release->id : "") + " by " + operation.by + " was cut off " + ago(operation.last_ms) + ", ";
  out += operation.step.empty() ? "before its first step" : operation.step_kind == RecordKind::kStep ? "in the step " + operation.step : "after the step " + operation.step;
  const std::string live = history.live ? "the last good release, " + history.live->id : "nothing, as no release was good yet";
  if (!operation.touched) return out + ". Nothing of the target had been changed: " + (history.live ? history.live->id + " answers as before." : "nothing is deployed.") + " `sabir deploy apply --env " + environment + "` begins anew.";
  out += ". By the ledger " + live + ", should answer.";
  if (operation.what == "destroy") return out + " `sabir deploy destroy --env " + environment + "` finishes it, `sabir deploy apply --env " + environment + "` deploys anew.";
  out += " `sabir deploy apply --env " + environment + "` finishes it";
  return out + (history.live ? ", `sabir deploy rollback --env " + environment + "` undoes it (back to " + history.live->id + ")." : ".");
}

Result<void> Deployment::record(RecordKind kind, const std::string& what, const std::string& message, std::optional<Release> release, json::object more, const std::string& outcome) {
  if (lock_) {
    if (auto held = lock_->still_held(); !held) return held;
  }
  Record one;
  one.operation = operation_;
  one.kind = kind;
  one.what = what;
  one.outcome = outcome;
  one.message = context_.redact ? context_.redact(message) : message;
  one.release = std::move(release);
  one.more = std::move(more);
  return ledger_.append(std::move(one));
}

Result<void> Deployment::begin(const std::string& what, bool break_lock, json::object more) {
  if (auto good = target_.check(); !good) return good;
  std::optional<LockHolder> broken;
  auto lock = Lock::take(target_.backend(), what + " of " + context_.environment, break_lock, broken);
  if (!lock) return fail(std::move(lock.error()));
  lock_ = std::move(*lock);
  if (broken) hooks_.say("The lock of " + broken->by + " (" + broken->what + ") is taken over: " + broken->why_dead + ".");
  auto records = ledger_.read();
  if (!records) return fail(std::move(records.error()));
  history_ = history_of(*records);
  if (const auto* open = history_.open()) {
    interrupted_ = told(*open, history_, context_.environment);
    hooks_.say(interrupted_);
    operation_ = open->id;
    if (auto ok = record(RecordKind::kEnded, "", "cut off in " + (open->step.empty() ? "its beginning" : open->step), {}, {}, "interrupted"); !ok) return ok;
    history_.certain = history_.certain && !open->touched;
  }
  operation_ = new_id();
  return record(RecordKind::kBegun, what, "", {}, std::move(more));
}

namespace {

std::vector<std::string> broken_languages(std::string_view readiness) {
  std::vector<std::string> out;
  auto value = parse_json(readiness);
  const auto* languages = value && value->is_object() ? value->get_object().if_contains("languages") : nullptr;
  if (languages == nullptr || !languages->is_array()) return out;
  for (const auto& one : languages->get_array()) {
    const auto* ok = one.is_object() ? one.get_object().if_contains("ok") : nullptr;
    if (ok != nullptr && ok->is_bool() && !ok->get_bool()) out.emplace_back(string_or(one.get_object(), "language"));
  }
  return out;
}

Result<void> interruption() { return fail(ErrorCode::kCancelled, "interrupted", "The same command again does it from the beginning; what was made ready already is used."); }

}  // namespace

Result<void> Deployment::step(const std::string& name, const std::function<Result<void>()>& action) {
  if (auto ok = record(RecordKind::kStep, name); !ok) return ok;
  hooks_.step(name, RecordKind::kStep, "");
  auto done = *context_.interrupted ? interruption() : action();
  if (done) {
    hooks_.step(name, RecordKind::kDone, "");
    return record(RecordKind::kDone, name);
  }
  hooks_.step(name, RecordKind::kFailed, to_text(done.error()));
  failed_step_ = name;
  failed_ = done.error();
  if (auto ok = record(RecordKind::kFailed, name, to_text(done.error())); !ok) return ok;
  return done;
}

Result<Outcome> Deployment::end(const std::string& outcome, std::optional<Release> release, const std::string& message) {
  json::object more;
  if (!url_.empty()) more["url"] = url_;
  if (auto ok = record(RecordKind::kEnded, "", message, release, std::move(more), outcome); !ok) return fail(std::move(ok.error()));
  lock_.reset();
  Outcome out;
  out.outcome = outcome;
  out.operation = operation_;
  out.release = std::move(release);
  out.url = url_;
  out.failed_step = failed_step_;
  out.error = failed_;
  return out;
}

// Something went wrong before the target was touched.
Result<Outcome> Deployment::stop() {
  auto ended = end("stopped", {}, failed_ ? failed_->message : "");
  if (ended) ended->release = history_.live;
  return ended;
}

Result<json::object> Deployment::facts_of(const Release& release) {
  auto object = target_.backend().get(facts_object(release));
  if (!object) return fail(std::move(object.error()));
  auto value = parse_json(object->bytes);
  if (!value || !value->is_object()) return fail(ErrorCode::kStorage, facts_object(release) + " cannot be read");
  return std::move(value->get_object());
}

Result<Plan> Deployment::plan_for(const std::string& what, std::optional<Release> to, const json::object& facts) {
  Plan out;
  out.what = what;
  out.from = history_.live;
  out.to = to;
  out.interrupted = interrupted_;
  out.commit = string_or(facts, "commit");
  json::object before;
  if (history_.live) {
    // Facts that are gone make everything look new, and nothing worse.
    if (auto kept = facts_of(*history_.live)) before = std::move(*kept);
  }
  out.differences = differences(before, facts);
  auto target = to ? target_.plan(*to, hooks_.say) : target_.plan_destroy(hooks_.say);
  if (!target) return fail(std::move(target.error()));
  out.target = std::move(*target);
  const bool no_change = std::all_of(out.target.changes.begin(), out.target.changes.end(), [](const Change& one) { return one.kind == ChangeKind::kNote || one.kind == ChangeKind::kRead; });
  out.unchanged = what == "apply" && history_.live && to && is_same(*history_.live, *to) && out.differences.empty() && no_change && out.target.drift.empty() && history_.certain;
  return out;
}

Result<Plan> Deployment::plan(const Prepared& prepared) {
  if (auto good = target_.check(); !good) return fail(std::move(good.error()));
  auto records = ledger_.read();
  if (!records) return fail(std::move(records.error()));
  history_ = history_of(*records);
  if (const auto* open = history_.open()) {
    auto holder = Lock::look(target_.backend());
    const bool runs = holder && *holder && !(*holder)->dead;
    interrupted_ = runs ? (*holder)->by + " deploys at this moment: " + (*holder)->what + "." : told(*open, history_, context_.environment);
    if (open->touched) history_.certain = false;
  }
  Release release;
  release.id = "r" + std::to_string(history_.last_release + 1);
  release.bundle_hash = prepared.bundle.hash;
  release.engine_version = prepared.bundle.engine_version;
  release.engine_hash = prepared.bundle.engine_hash;
  if (history_.live && is_same(*history_.live, release)) release.id = history_.live->id;
  release.bundle = prepared.bundle.file;
  release.engine = context_.self;
  return plan_for("apply", release, prepared.facts);
}

// The release's files on this machine.
Result<Release> Deployment::fetched(Release release) {
  std::error_code ec;
  fs::create_directories(context_.work, ec);
  const auto get = [&](const std::string& object, fs::path& file, int mode) -> Result<void> {
    if (!file.empty() && fs::exists(file, ec)) return {};
    file = context_.work / object;
    if (fs::exists(file, ec)) return {};
    fs::create_directories(file.parent_path(), ec);
    const fs::path part = file.string() + ".part";
    if (auto ok = target_.backend().get_file(object, part); !ok) {
      ok.error().message = release.id + " cannot be had any more: " + ok.error().message;
      return ok;
    }
    fs::permissions(part, static_cast<fs::perms>(mode), ec);
    fs::rename(part, file, ec);
    return {};
  };
  if (auto ok = get(release.bundle_object(), release.bundle, 0644); !ok) return fail(std::move(ok.error()));
  if (auto ok = get(release.engine_object(), release.engine, 0755); !ok) return fail(std::move(ok.error()));
  return release;
}

Result<void> Deployment::bring(const Release& release, bool fresh) {
  auto& backend = target_.backend();
  if (fresh) {
    if (auto ok = backend.put_file(release.bundle_object(), release.bundle); !ok) return ok;
    if (auto ok = backend.put_file(release.engine_object(), release.engine, 0755); !ok) return ok;
  }
  return target_.stage(release, hooks_.say);
}

Result<void> Deployment::healthy() {
  if (url_.empty()) return fail(ErrorCode::kInternal, "the target told no URL");
  net::HttpClient client;
  const auto until = std::chrono::steady_clock::now() + context_.settings.health;
  std::string last;
  while (true) {
    net::HttpRequest request;
    request.url = url_ + "/readyz";
    request.connect_timeout = request.first_byte_timeout = request.idle_timeout = request.total_timeout = std::chrono::seconds(5);
    request.most_body_bytes = std::size_t{1} << 20U;
    auto response = client.send(request);
    if (response && response->status == 200) {
      // It serves what it can; a release that has lost a language is none.
      if (const auto broken = broken_languages(response->body); !broken.empty()) {
        return fail(ErrorCode::kUnavailable, url_ + "/readyz says 200, and that " + join(broken, ", ") + (broken.size() == 1 ? " does not run" : " do not run") + " there", "`sabir deploy logs --env " + context_.environment + "` shows why; `sabir doctor` there says what is missing.");
      }
      hooks_.say(url_ + "/readyz says 200");
      return {};
    }
    if (!response && response.error().code == ErrorCode::kUnavailable) return fail(std::move(response.error()));
    last = response ? "it says " + std::to_string(response->status) + ": " + response->body.substr(0, 2000) : response.error().message;
    if (*context_.interrupted) return interruption();
    if (std::chrono::steady_clock::now() >= until) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return fail(ErrorCode::kUnavailable, url_ + "/readyz was not ready within " + std::to_string(context_.settings.health.count() / 1000) + " s: " + last, "`sabir deploy logs --env " + context_.environment + "` shows what the engine says; `health` in deployment_config.yml is the time it has.");
}

// The last good release answers again, after a later one did not do.
Result<Outcome> Deployment::go_back(const std::optional<Release>& to) {
  const std::string why = failed_ ? failed_step_ + ": " + failed_->message : "";
  if (!to) {
    hooks_.say("There is no earlier release to go back to: what was deployed stays as it is. `sabir deploy destroy --env " + context_.environment + "` takes it away.");
    return end("failed", {}, why);
  }
  hooks_.say("Going back to " + to->id + ", the last good release.");
  // Why it came to this is what is told at the end.
  const auto first_step = failed_step_;
  const auto first = failed_;
  // Who wanted the end wants what answered before.
  *context_.interrupted = false;
  auto back = step("back", [&]() -> Result<void> {
    auto release = fetched(*to);
    if (!release) return fail(std::move(release.error()));
    if (auto ok = bring(*release, false); !ok) return ok;
    auto url = target_.activate(*release, hooks_.say);
    if (!url) return fail(std::move(url.error()));
    url_ = *url;
    return healthy();
  });
  failed_step_ = first_step;
  failed_ = first;
  if (!back) {
    hooks_.say(to->id + " could not be brought back: " + back.error().message);
    return end("failed", {}, why + "; and " + to->id + " could not be brought back: " + back.error().message);
  }
  return end("rolled_back", to, why);
}

void Deployment::settle() {
  std::vector<Release> kept;
  const auto& good = history_.good;
  for (std::size_t i = good.size(); i-- > 0 && kept.size() <= static_cast<std::size_t>(context_.settings.keep);) kept.push_back(good[i]);
  if (auto ok = target_.settle(kept, hooks_.say); !ok) hooks_.say("Old releases could not be cleared away: " + ok.error().message);
}

Result<Outcome> Deployment::apply(const ApplyOptions& options) {
  json::object more;
  if (options.skip_tests) more["skip_tests"] = true;
  if (auto ok = begin("apply", options.break_lock, std::move(more)); !ok) return fail(std::move(ok.error()));
  if (!step("check", [&] { return hooks_.check(hooks_.say); })) return stop();
  if (options.skip_tests) {
    hooks_.step("test", RecordKind::kSkipped, "--skip-tests");
    if (auto ok = record(RecordKind::kSkipped, "test", "--skip-tests"); !ok) return fail(std::move(ok.error()));
  } else if (!step("test", [&] { return hooks_.test(hooks_.say); })) {
    return stop();
  }
  Prepared prepared;
  Release release;
  auto bundled = step("bundle", [&]() -> Result<void> {
    auto made = hooks_.bundle(hooks_.say);
    if (!made) return fail(std::move(made.error()));
    prepared = std::move(*made);
    release.bundle_hash = prepared.bundle.hash;
    release.engine_version = prepared.bundle.engine_version;
    release.engine_hash = prepared.bundle.engine_hash;
    release.bundle = prepared.bundle.file;
    release.engine = context_.self;
    release.id = "r" + std::to_string(history_.last_release + 1);
    // What is deployed again is the same release, as is what was cut off on its way.
    if (history_.live && is_same(*history_.live, release)) release.id = history_.live->id;
    else if (!history_.operations.empty() && history_.operations.back().outcome.empty() && history_.operations.back().release && is_same(*history_.operations.back().release, release)) release.id = history_.operations.back().release->id;
    return {};
  });
  if (!bundled) return stop();
  if (auto ok = record(RecordKind::kDone, "named", "", release, json::object{{"commit", prepared.commit}}); !ok) return fail(std::move(ok.error()));

  std::optional<Plan> plan;
  auto planned = step("plan", [&]() -> Result<void> {
    auto made = plan_for("apply", release, prepared.facts);
    if (!made) return fail(std::move(made.error()));
    plan = std::move(*made);
    return {};
  });
  if (!planned) return stop();
  if (plan->unchanged) {
    url_ = history_.url;
    auto ended = end("unchanged", {}, "");
    if (ended) ended->release = history_.live;
    return ended;
  }
  if (!step("approve", [&] { return hooks_.approve(*plan); })) return stop();
  auto staged = step("stage", [&]() -> Result<void> {
    auto put = target_.backend().put(facts_object(release), compact_json(prepared.facts), std::nullopt);
    if (!put) return fail(std::move(put.error()));
    return bring(release, true);
  });
  if (!staged) return history_.certain ? stop() : go_back(history_.live);
  const auto live = history_.live;
  auto activated = step("activate", [&]() -> Result<void> {
    auto url = target_.activate(release, hooks_.say);
    if (!url) return fail(std::move(url.error()));
    url_ = *url;
    return {};
  });
  if (!activated) return go_back(live);
  if (!step("health", [&] { return healthy(); })) return go_back(live);
  if (!hooks_.smoke || !context_.settings.smoke) {
    const std::string why = hooks_.smoke ? "smoke: false" : "the project has no tests/integration";
    hooks_.step("smoke", RecordKind::kSkipped, why);
    if (auto ok = record(RecordKind::kSkipped, "smoke", why); !ok) return fail(std::move(ok.error()));
  } else if (!step("smoke", [&] { return hooks_.smoke(url_, hooks_.say); })) {
    return go_back(live);
  }
  auto ended = end("released", release);
  if (ended) {
    std::erase_if(history_.good, [&](const Release& one) { return one.id == release.id; });
    history_.good.push_back(release);
    settle();
  }
  return ended;
}

Result<Outcome> Deployment::rollback(const std::string& to, bool break_lock) {
  if (auto ok = begin("rollback", break_lock, {}); !ok) return fail(std::move(ok.error()));
  std::optional<Release> release;
  auto chosen = step("choose", [&]() -> Result<void> {
    if (!to.empty()) {
      if (const auto* found = history_.find(to)) release = *found;
      else return fail(ErrorCode::kNotFound, "no good release of " + context_.environment + " is called " + to, "`sabir deploy status --env " + context_.environment + "` lists them.");
    } else {
      // What was cut off is undone first, even where it had changed nothing.
      release = history_.certain && interrupted_.empty() ? history_.good_before(history_.live ? history_.live->id : "") : history_.live;
      if (!release) return fail(ErrorCode::kNotFound, "there is no good release before " + shown(history_.live) + " to go back to");
    }
    return {};
  });
  if (!chosen) return stop();
  if (auto ok = record(RecordKind::kDone, "named", "", release); !ok) return fail(std::move(ok.error()));
  std::optional<Plan> plan;
  auto planned = step("plan", [&]() -> Result<void> {
    auto full = fetched(*release);
    if (!full) return fail(std::move(full.error()));
    release = *full;
    json::object facts;
    if (auto kept = facts_of(*release)) facts = std::move(*kept);
    auto made = plan_for("rollback", release, facts);
    if (!made) return fail(std::move(made.error()));
    plan = std::move(*made);
    return {};
  });
  if (!planned) return stop();
  if (!step("approve", [&] { return hooks_.approve(*plan); })) return stop();
  if (!step("stage", [&] { return bring(*release, false); })) return stop();
  auto activated = step("activate", [&]() -> Result<void> {
    auto url = target_.activate(*release, hooks_.say);
    if (!url) return fail(std::move(url.error()));
    url_ = *url;
    return {};
  });
  const auto live = history_.live && history_.live->id != release->id ? history_.live : std::nullopt;
  if (!activated || !step("health", [&] { return healthy(); })) return go_back(live);
  return end("rolled_back", release);
}

Result<Outcome> Deployment::destroy(bool break_lock) {
  if (auto ok = begin("destroy", break_lock, {}); !ok) return fail(std::move(ok.error()));
  std::optional<Plan> plan;
  auto planned = step("plan", [&]() -> Result<void> {
    auto made = plan_for("destroy", {}, {});
    if (!made) return fail(std::move(made.error()));
    plan = std::move(*made);
    plan->differences.clear();
    return {};
  });
  if (!planned) return stop();
  if (!step("approve", [&] { return hooks_.approve(*plan); })) return stop();
  if (!step("destroy", [&] { return target_.destroy(hooks_.say); })) return end("failed", {}, failed_ ? failed_->message : "");
  return end("destroyed", {});
}

Result<Report> Deployment::report() {
  Report out;
  auto records = ledger_.read();
  if (!records) return fail(std::move(records.error()));
  out.history = history_of(*records);
  auto holder = Lock::look(target_.backend());
  if (!holder) return fail(std::move(holder.error()));
  out.lock = std::move(*holder);
  auto status = target_.status();
  if (!status) return fail(std::move(status.error()));
  out.status = std::move(*status);
  const auto& history = out.history;
  const std::string env = context_.environment;
  const std::string runs = out.status.running == Running::kNothing ? "nothing answers" : out.status.running == Running::kUnknown ? "nobody knows what answers"
                           : (out.status.release.empty() ? "something" : out.status.release) + (out.status.running == Running::kBroken ? " runs and is not ready" : " answers");
  if (const auto* open = history.open()) {
    if (out.lock && !out.lock->dead) out.truth = out.lock->by + " deploys at this moment (" + open->what + (open->step.empty() ? "" : ", step " + open->step) + "); " + runs + ".";
    else out.truth = told(*open, history, env) + " At this moment " + runs + ".";
  } else if (!history.certain) {
    out.truth = "The last operation failed (" + history.operations.back().message + "), and at this moment " + runs + ". `sabir deploy apply --env " + env + "` deploys anew" +
                (history.live ? ", `sabir deploy rollback --env " + env + "` goes back to " + history.live->id + "." : ".");
  } else if (!history.live) {
    out.truth = out.status.running == Running::kNothing ? "Nothing is deployed. `sabir deploy apply --env " + env + "` does." : "By the ledger nothing is deployed, and " + runs + ".";
  } else if (out.status.running != Running::kYes || (!out.status.release.empty() && out.status.release != history.live->id)) {
    out.truth = history.live->id + " should answer, and " + runs + ". `sabir deploy apply --env " + env + "` sets it right.";
  } else {
    out.truth = history.live->id + " answers, as it should.";
  }
  return out;
}

}  // namespace sabir::deploy
