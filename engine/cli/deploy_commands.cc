// sabir deploy init | plan | apply | status | logs | rollback | destroy | diff | bundle, and sabir deploy ENVIRONMENT.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>

#include "command.h"
#include "deploy_init.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/deploy/deployment.h"
#include "sabir/deploy/streamed.h"
#include "sabir/process/spawn.h"
#include "sabir/project/deployment.h"
#include "sabir/project/secret_settings.h"
#include "secret_checks.h"

namespace sabir::cli {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t kMostRows = 20;
constexpr std::chrono::minutes kStepTime{60};

struct Words {
  std::string environment;  // of `sabir deploy ENVIRONMENT`
  std::vector<std::string> both;  // of diff
  bool yes = false;
  bool skip_tests = false;
  bool break_lock = false;
  bool follow = false;
  int lines = 200;
  std::string to;
  fs::path output;
};

// Everything about one environment that the commands need.
struct Place {
  std::optional<project::Project> project;
  std::shared_ptr<const functions::Registry> registry;
  std::vector<std::pair<std::string, std::string>> values;  // of secrets, to be kept out of bundles
  std::shared_ptr<secrets::Secrets> store;
  deploy::TargetContext context;
  std::unique_ptr<deploy::Target> target;
};

std::string moment(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

Result<fs::path> own_program() {
  std::error_code ec;
  auto self = fs::read_symlink("/proc/self/exe", ec);
  if (ec) return fail(ErrorCode::kIo, "this program does not find its own file: " + ec.message());
  return self;
}

Result<Place> place_of(const Globals& globals, const std::string& environment, bool with_sources) {
  Place out;
  auto root = project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
  if (!root) return fail(std::move(root.error()));
  std::error_code ec;
  const fs::path absolute = fs::absolute(*root, ec).lexically_normal();
  auto settings = project::read_deployment(absolute, environment);
  if (!settings) return fail(std::move(settings.error()));
  auto folder = resources();
  if (!folder) return fail(std::move(folder.error()));
  auto languages = project::load_languages(*folder / "languages", absolute);
  if (!languages) return fail(std::move(languages.error()));
  auto loaded = project::load(absolute, environment, *languages);
  if (!loaded) return fail(std::move(loaded.error()));
  out.project = std::move(*loaded);
  auto of_secrets = project::read_secret_settings(absolute, environment);
  if (!of_secrets) return fail(std::move(of_secrets.error()));
  out.store = std::make_shared<secrets::Secrets>(absolute, std::move(*of_secrets));
  out.store->install_redactor();
  auto self = own_program();
  if (!self) return fail(std::move(self.error()));
  auto& context = out.context;
  if (with_sources) {
    out.registry = functions::Registry::build(*out.project, *languages);
    auto names = deploy::secret_names_of(*out.project, *out.registry);
    if (!names) return fail(std::move(names.error()));
    context.secret_names = std::move(*names);
  }
  context.root = absolute;
  context.app = out.project->name;
  context.environment = environment;
  context.settings = std::move(*settings);
  context.work = out.project->state_dir() / "deploy-work" / context.settings.target;
  context.self = std::move(*self);
  context.redact = [store = out.store](std::string text) { return store->redactor()->redact(text); };
  auto target = deploy::make_target(context);
  if (!target) return fail(std::move(target.error()));
  out.target = std::move(*target);
  return out;
}

Result<deploy::Prepared> prepare(Place& place, const fs::path& output) {
  auto values = place.store->values();
  if (!values) return fail(std::move(values.error()));
  // Those that the shell has for this project count too.
  for (const auto& name : place.context.secret_names) {
    const char* value = std::getenv(secrets::variable_name(name).c_str());
    if (value && *value && !secrets::is_placeholder(value)) values->emplace_back(name, value);
  }
  deploy::BundleOptions options;
  options.root = place.context.root;
  options.project = place.context.app;
  options.languages = place.project->preference;
  options.engine = place.context.self;
  options.output = output;
  options.secrets = std::move(*values);
  auto bundle = deploy::make_bundle(options);
  if (!bundle) return fail(std::move(bundle.error()));
  deploy::Prepared out;
  out.commit = deploy::commit_of(place.context.root);
  auto facts = deploy::facts_of({*place.project, *place.registry, *bundle, place.context.secret_names, out.commit, place.context.redact});
  if (!facts) return fail(std::move(facts.error()));
  out.facts = std::move(*facts);
  out.bundle = std::move(*bundle);
  return out;
}

fs::path bundle_file(const Place& place) { return place.context.work / "bundle.tar.gz"; }

// ---- what people see -----------------------------------------------------------------------------------------------

const char* sign_of(deploy::Sign sign) { return sign == deploy::Sign::kAdded ? "+" : sign == deploy::Sign::kRemoved ? "-" : "~"; }
const char* style_of(deploy::Sign sign) { return sign == deploy::Sign::kAdded ? "32" : sign == deploy::Sign::kRemoved ? "31" : "33"; }

void show_differences(const std::vector<deploy::Difference>& list) {
  for (std::size_t i = 0; i < list.size();) {
    std::size_t end = i;
    while (end < list.size() && list[end].section == list[i].section) ++end;
    print("  " + styled(list[i].section, "1"));
    for (std::size_t at = i; at < end && at < i + kMostRows; ++at) {
      print("    " + styled(sign_of(list[at].sign), style_of(list[at].sign)) + " " + list[at].what + (list[at].detail.empty() ? "" : styled("  " + list[at].detail, "2")));
    }
    if (end - i > kMostRows) print("      and " + std::to_string(end - i - kMostRows) + " more; --json has all");
    i = end;
  }
}

void show_target(const deploy::TargetPlan& plan) {
  if (!plan.changes.empty()) print("  " + styled("infrastructure", "1"));
  for (const auto& one : plan.changes) {
    const bool added = one.kind == deploy::ChangeKind::kCreate;
    const bool gone = one.kind == deploy::ChangeKind::kDelete;
    const bool kept = one.kind == deploy::ChangeKind::kNote || one.kind == deploy::ChangeKind::kRead;
    const char* sign = added ? "+" : gone ? "-" : one.kind == deploy::ChangeKind::kReplace ? "±" : kept ? " " : "~";
    std::string text = one.what;
    for (const auto line : split_lines(one.detail)) text += (text == one.what ? "  " : "\n        ") + std::string(line);
    print("    " + styled(sign, added ? "32" : gone ? "31" : "33") + " " + text);
  }
  if (!plan.drift.empty()) print("  " + styled("drift: since the last release somebody has changed", "33"));
  for (const auto& line : plan.drift) print("    " + styled("!", "33") + " " + line);
}

void show_plan(const deploy::Plan& plan, const deploy::TargetContext& context) {
  const std::string from = plan.from ? plan.from->id : "nothing";
  const std::string to = plan.to ? plan.to->id : "nothing";
  print(styled("Plan", "1") + " for " + context.app + " in " + styled(context.environment, "1") + " (" + context.settings.target + "): " + (from == to ? to + " again" : from + " -> " + to) + (plan.commit.empty() ? "" : ", commit " + plan.commit));
  if (plan.unchanged) return print("  Nothing changes.");
  show_differences(plan.differences);
  show_target(plan.target);
  if (plan.differences.empty() && plan.target.changes.empty() && plan.target.drift.empty()) print("  The release is the same; it is activated again.");
}

// One line that the person types, from the terminal whatever standard input is.
std::optional<std::string> typed(const std::string& question) {
  if (::isatty(STDIN_FILENO) == 0) return std::nullopt;
  std::cerr << question << std::flush;
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return std::string(trim(line));
}

Result<void> approve(const deploy::Plan& plan, const deploy::TargetContext& context, const Globals& globals, const Words& words) {
  if (!globals.json) show_plan(plan, context);
  if (words.yes) return {};
  const bool by_name = context.settings.approval == project::DeployApproval::kTyped;
  const auto said = globals.json ? std::nullopt : typed(by_name ? "Type " + context.environment + " to go on: " : "Go on? [y/N] ");
  if (*context.interrupted) return fail(ErrorCode::kCancelled, "interrupted");
  if (!said) return fail(ErrorCode::kApprovalRefused, context.environment + " is not changed without somebody's word, and nobody can be asked here", "--yes gives it, in CI behind the environment's own approval.");
  if (by_name ? *said == context.environment : *said == "y" || *said == "Y" || *said == "yes") return {};
  return fail(ErrorCode::kApprovalRefused, "not approved");
}

// Lines of steps go to standard error where standard output is for JSON alone.
void tell(const Globals& globals, std::string_view text) { globals.json ? note(text) : print(text); }

void show_step(const Globals& globals, const std::string& step, deploy::RecordKind kind, const std::string& message) {
  switch (kind) {
    case deploy::RecordKind::kStep: return tell(globals, styled("· " + step, "1"));
    case deploy::RecordKind::kDone: return tell(globals, styled("  done: " + step, "2"));
    case deploy::RecordKind::kSkipped: return tell(globals, styled("· " + step, "1") + " is left out: " + message);
    case deploy::RecordKind::kFailed: return tell(globals, styled("  failed: " + step, "31") + "\n    " + message);
    default: return;
  }
}

// While it lives, Ctrl-C (or CI's SIGINT and SIGTERM) ends the deployment in order: what was begun on the target is ended and undone. The
// second one ends the program at once, as a crash would, which the next command tells and mends.
class Interruptible {
 public:
  explicit Interruptible(const std::shared_ptr<std::atomic<bool>>& flag) {
    flag_ = flag.get();
    struct sigaction action {};
    action.sa_handler = [](int signal) {
      if (flag_->exchange(true) || ended_.exchange(true)) {
        ::signal(signal, SIG_DFL);
        ::raise(signal);
        return;
      }
      constexpr std::string_view kText = "\nsabir: it ends after this step, and undoes what it has begun. Once more ends it at once; `sabir deploy status` then says what is.\n";
      [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kText.data(), kText.size());
    };
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
  }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  ~Interruptible() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  }

 private:
  static constexpr std::array<int, 2> kSignals{SIGINT, SIGTERM};
  static inline std::atomic<bool>* flag_ = nullptr;
  static inline std::atomic<bool> ended_{false};
  std::array<struct sigaction, 2> before_{};
};

// ---- the steps -----------------------------------------------------------------------------------------------------

// One of this program's own commands, in the project.
Result<void> own_command(const deploy::TargetContext& context, std::vector<std::string> words, std::map<std::string, std::string> changes, const deploy::Say& say) {
  process::SpawnSpec spec;
  spec.argv = {context.self.string()};
  for (auto& word : words) spec.argv.push_back(std::move(word));
  spec.directory = context.root;
  changes.emplace("NO_COLOR", "1");
  spec.environment = process::environment_with(changes);
  const std::string name = spec.argv[1];
  auto done = deploy::run_streamed(std::move(spec), kStepTime, say, nullptr, [&context] { return context.interrupted->load(); });
  if (!done) return fail(std::move(done.error()));
  if (*context.interrupted) return fail(ErrorCode::kCancelled, "interrupted in `sabir " + name + "`");
  if (done->code != 0) return fail(ErrorCode::kFunctionError, "`sabir " + name + "` " + done->text(), "What it said stands above.");
  return {};
}

deploy::Hooks hooks_of(Place& place, const Globals& globals, const Words& words) {
  deploy::Hooks out;
  const auto& context = place.context;
  out.say = [&globals, redact = context.redact](std::string_view line) { tell(globals, "  " + redact(std::string(line))); };
  out.step = [&globals](const std::string& step, deploy::RecordKind kind, const std::string& message) { show_step(globals, step, kind, message); };
  out.check = [&context](const deploy::Say& say) { return own_command(context, {"check", "--env", context.environment}, {}, say); };
  out.test = [&context](const deploy::Say& say) { return own_command(context, {"test"}, {}, say); };
  out.bundle = [&place](const deploy::Say& say) -> Result<deploy::Prepared> {
    auto made = prepare(place, bundle_file(place));
    if (made) say("bundle " + made->bundle.hash.substr(0, 12) + ": " + std::to_string(made->bundle.files.size()) + " files, " + std::to_string((made->bundle.bytes + 1023) / 1024) + " KiB");
    return made;
  };
  out.approve = [&context, &globals, &words](const deploy::Plan& plan) { return approve(plan, context, globals, words); };
  std::error_code ec;
  if (fs::is_directory(context.root / "tests/integration", ec)) {
    out.smoke = [&context](const std::string& url, const deploy::Say& say) {
      return own_command(context, {"test", "tests/integration"}, {{"SABIR_URL", url}, {"SABIR_DEPLOYED", context.environment}}, say);
    };
  }
  return out;
}

json::object to_json(const deploy::Outcome& outcome, const deploy::TargetContext& context) {
  json::object out{{"environment", context.environment}, {"ok", outcome.ok()}, {"outcome", outcome.outcome}, {"operation", outcome.operation}, {"url", outcome.url}};
  out["release"] = outcome.release ? json::value(deploy::to_json(*outcome.release)) : json::value();
  if (!outcome.failed_step.empty()) out["failed_step"] = outcome.failed_step;
  if (outcome.error) out["error"] = sabir::to_json(*outcome.error);
  return out;
}

void show_outcome(Globals& globals, const deploy::Outcome& outcome, const deploy::TargetContext& context) {
  if (!outcome.ok()) globals.exit_code = 1;
  if (globals.json) return print_json(to_json(outcome, context));
  const std::string release = outcome.release ? outcome.release->id : "nothing";
  const std::string where = outcome.url.empty() ? "" : " at " + outcome.url;
  if (outcome.outcome == "released") print(styled(release + " is released", "32") + ": " + context.environment + " answers" + where);
  else if (outcome.outcome == "unchanged") print(release + " answers" + where + " and nothing has changed");
  else if (outcome.outcome == "destroyed") print(context.environment + " is taken away");
  else if (outcome.outcome == "rolled_back" && outcome.ok()) print(styled("back to " + release, "32") + ": " + context.environment + " answers" + where);
  else if (outcome.outcome == "rolled_back") note(styled("sabir: the step " + outcome.failed_step + " failed, and " + context.environment + " was brought back to " + release, "31") + where);
  else if (outcome.outcome == "stopped") note("sabir: stopped in the step " + outcome.failed_step + (outcome.error ? ": " + to_text(*outcome.error) : "") + "\n  Nothing of " + context.environment + " was changed" + (outcome.release ? ": " + release + " answers as before." : "."));
  else note(styled("sabir: the step " + outcome.failed_step + " failed, and " + context.environment + " is not as it should be", "31") + (outcome.error ? ": " + to_text(*outcome.error) : "") + "\n  `sabir deploy status --env " + context.environment + "` says what is.");
}

bool refuses_skipping(Globals& globals, const Words& words, const std::string& environment) {
  if (!words.skip_tests || environment != "production") return false;
  fail_with(globals, Error(ErrorCode::kUsage, "production is not deployed to without its tests", "Leave --skip-tests out."));
  return true;
}

void apply(Globals& globals, const Words& words, const std::string& environment) {
  if (refuses_skipping(globals, words, environment)) return;
  auto place = place_of(globals, environment, true);
  if (!place) return fail_with(globals, place.error());
  deploy::Deployment deployment(*place->target, place->context, hooks_of(*place, globals, words));
  const Interruptible ends(place->context.interrupted);
  auto outcome = deployment.apply({words.skip_tests, words.break_lock});
  if (!outcome) return fail_with(globals, outcome.error());
  show_outcome(globals, *outcome, place->context);
}

void plan(Globals& globals, const Words& words) {
  auto place = place_of(globals, globals.session.environment, true);
  if (!place) return fail_with(globals, place.error());
  auto prepared = prepare(*place, bundle_file(*place));
  if (!prepared) return fail_with(globals, prepared.error());
  auto hooks = hooks_of(*place, globals, words);
  hooks.say = [](std::string_view) {};
  deploy::Deployment deployment(*place->target, place->context, std::move(hooks));
  auto made = deployment.plan(*prepared);
  if (!made) return fail_with(globals, made.error());
  if (globals.json) return print_json(deploy::to_json(*made));
  if (!made->interrupted.empty()) note(made->interrupted);
  show_plan(*made, place->context);
}

void rollback(Globals& globals, const Words& words) {
  auto place = place_of(globals, globals.session.environment, false);
  if (!place) return fail_with(globals, place.error());
  deploy::Deployment deployment(*place->target, place->context, hooks_of(*place, globals, words));
  const Interruptible ends(place->context.interrupted);
  auto outcome = deployment.rollback(words.to, words.break_lock);
  if (!outcome) return fail_with(globals, outcome.error());
  show_outcome(globals, *outcome, place->context);
}

void destroy(Globals& globals, const Words& words) {
  auto place = place_of(globals, globals.session.environment, false);
  if (!place) return fail_with(globals, place.error());
  deploy::Deployment deployment(*place->target, place->context, hooks_of(*place, globals, words));
  const Interruptible ends(place->context.interrupted);
  auto outcome = deployment.destroy(words.break_lock);
  if (!outcome) return fail_with(globals, outcome.error());
  show_outcome(globals, *outcome, place->context);
}

const char* running_name(deploy::Running running) {
  switch (running) {
    case deploy::Running::kNothing: return "nothing";
    case deploy::Running::kYes: return "yes";
    case deploy::Running::kBroken: return "broken";
    case deploy::Running::kUnknown: break;
  }
  return "unknown";
}

void status(Globals& globals) {
  auto place = place_of(globals, globals.session.environment, false);
  if (!place) return fail_with(globals, place.error());
  deploy::Deployment deployment(*place->target, place->context, {[](std::string_view) {}, {}, {}, {}, {}, {}, {}});
  auto report = deployment.report();
  if (!report) return fail_with(globals, report.error());
  const auto& history = report->history;
  const bool open = history.open() && !(report->lock && !report->lock->dead);
  const bool as_it_should = !open && history.certain && (history.live ? report->status.running == deploy::Running::kYes : report->status.running == deploy::Running::kNothing);
  if (!as_it_should) globals.exit_code = 1;
  if (globals.json) {
    json::array releases;
    for (const auto& one : history.good) releases.push_back(deploy::to_json(one));
    json::array operations;
    for (std::size_t i = history.operations.size() > 10 ? history.operations.size() - 10 : 0; i < history.operations.size(); ++i) {
      const auto& one = history.operations[i];
      operations.push_back(json::object{{"id", one.id}, {"what", one.what}, {"by", one.by}, {"begun_ms", one.begun_ms}, {"release", one.release ? json::value(one.release->id) : json::value()}, {"step", one.step},
                                        {"outcome", one.outcome}, {"message", one.message}});
    }
    json::array notes;
    for (const auto& line : report->status.notes) notes.push_back(json::value(line));
    json::object out{{"environment", place->context.environment}, {"target", place->context.settings.target}, {"ok", as_it_should}, {"truth", report->truth}, {"running", running_name(report->status.running)},
                     {"answers", report->status.release}, {"url", report->status.url}, {"interrupted", open}, {"notes", std::move(notes)}, {"ledger", place->target->backend().where()}};
    out["live"] = history.live ? json::value(deploy::to_json(*history.live)) : json::value();
    out["lock"] = report->lock ? json::value(json::object{{"by", report->lock->by}, {"what", report->lock->what}, {"since_ms", report->lock->since_ms}, {"dead", report->lock->dead}}) : json::value();
    out["releases"] = std::move(releases);
    out["operations"] = std::move(operations);
    out["data"] = report->status.data;
    return print_json(out);
  }
  print(styled(place->context.environment, "1") + " (" + place->context.settings.target + "): " + report->truth);
  if (!report->status.url.empty()) print("  " + report->status.url);
  for (const auto& line : report->status.notes) print("  " + line);
  if (report->lock) print("  locked by " + report->lock->by + ", " + report->lock->what + (report->lock->dead ? ", dead: " + report->lock->why_dead : ""));
  for (std::size_t i = history.operations.size() > 8 ? history.operations.size() - 8 : 0; i < history.operations.size(); ++i) {
    const auto& one = history.operations[i];
    std::string text = "  " + moment(one.begun_ms) + "  " + padded(one.what + (one.release ? " " + one.release->id : ""), 14, false) + "  " + padded(one.outcome.empty() ? "no end" : one.outcome, 12, false) + one.by;
    if (one.more.contains("skip_tests")) text += ", without tests";
    if (!one.message.empty() && one.outcome != "released") text += "\n      " + std::string(split_lines(one.message).front());
    print(text);
  }
  print(styled("  ledger: " + place->target->backend().where(), "2"));
}

void logs(Globals& globals, const Words& words) {
  auto place = place_of(globals, globals.session.environment, false);
  if (!place) return fail_with(globals, place.error());
  deploy::LogOptions options;
  options.follow = words.follow;
  options.lines = words.lines;
  auto done = place->target->logs(options, [&](std::string_view line) {
    const auto text = place->context.redact(std::string(line));
    globals.json ? print(compact_json(json::object{{"line", text}})) : print(text);
  });
  if (!done) fail_with(globals, done.error());
}

// What is deployed in an environment, or where nothing is, what would be.
struct Side {
  json::object facts;
  std::string shown;
  std::optional<deploy::Release> release;
};

Result<Side> side_of(Globals& globals, const std::string& environment) {
  auto place = place_of(globals, environment, true);
  if (!place) return fail(std::move(place.error()));
  deploy::Deployment deployment(*place->target, place->context, {[](std::string_view) {}, {}, {}, {}, {}, {}, {}});
  auto report = deploy::Ledger(place->target->backend()).read();
  if (!report) return fail(std::move(report.error()));
  const auto history = deploy::history_of(*report);
  Side out;
  if (history.live) {
    if (auto kept = deployment.facts_of(*history.live)) {
      out.release = history.live;
      out.facts = std::move(*kept);
      out.shown = history.live->id + " since " + moment(history.live_since_ms) + (string_or(out.facts, "commit").empty() ? "" : ", commit " + std::string(string_or(out.facts, "commit")));
      return out;
    }
  }
  auto prepared = prepare(*place, bundle_file(*place));
  if (!prepared) return fail(std::move(prepared.error()));
  out.facts = std::move(prepared->facts);
  out.shown = "nothing is deployed; as this folder would be";
  return out;
}

void diff(Globals& globals, const Words& words) {
  if (words.both.size() != 2) return fail_with(globals, Error(ErrorCode::kUsage, "diff compares two environments", "sabir deploy diff staging production"));
  auto left = side_of(globals, words.both[0]);
  if (!left) return fail_with(globals, left.error());
  auto right = side_of(globals, words.both[1]);
  if (!right) return fail_with(globals, right.error());
  const auto list = deploy::differences(left->facts, right->facts);
  if (globals.json) {
    const auto side = [](const std::string& name, const Side& one) {
      json::object out{{"environment", name}, {"shown", one.shown}, {"commit", string_or(one.facts, "commit")}};
      out["release"] = one.release ? json::value(deploy::to_json(*one.release)) : json::value();
      return out;
    };
    return print_json(json::object{{"left", side(words.both[0], *left)}, {"right", side(words.both[1], *right)}, {"differences", deploy::to_json(list)}});
  }
  print(styled("- " + words.both[0], "31") + "  " + left->shown);
  print(styled("+ " + words.both[1], "32") + "  " + right->shown);
  if (list.empty()) print("  Nothing differs.");
  show_differences(list);
}

void bundle(Globals& globals, const Words& words) {
  // Of no environment: what holds for development names its secrets.
  auto root = project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
  if (!root) return fail_with(globals, root.error());
  auto folder = resources();
  if (!folder) return fail_with(globals, folder.error());
  auto languages = project::load_languages(*folder / "languages", *root);
  if (!languages) return fail_with(globals, languages.error());
  auto loaded = project::load(*root, globals.session.environment, *languages);
  if (!loaded) return fail_with(globals, loaded.error());
  auto settings = project::read_secret_settings(*root, globals.session.environment);
  if (!settings) return fail_with(globals, settings.error());
  secrets::Secrets store(*root, std::move(*settings));
  auto values = store.values();
  if (!values) return fail_with(globals, values.error());
  auto self = own_program();
  if (!self) return fail_with(globals, self.error());
  deploy::BundleOptions options;
  options.root = *root;
  options.project = loaded->name;
  options.languages = loaded->preference;
  options.engine = *self;
  options.output = words.output.empty() ? *root / ".sabir/bundle.tar.gz" : words.output;
  options.secrets = std::move(*values);
  auto made = deploy::make_bundle(options);
  if (!made) return fail_with(globals, made.error());
  if (globals.json) {
    return print_json(json::object{{"file", made->file.string()}, {"sha256", made->hash}, {"bytes", made->bytes}, {"files", made->files.size()},
                                   {"engine", json::object{{"version", made->engine_version}, {"sha256", made->engine_hash}}}});
  }
  print(made->file.string() + "  " + made->hash + "  " + std::to_string(made->files.size()) + " files, " + std::to_string((made->bytes + 1023) / 1024) + " KiB");
}

}  // namespace

void add_deploy_commands(Command& app, Globals& globals) {
  auto* const deploying = app.add_subcommand("deploy", "Bring the project to an environment of config/deployment_config.yml, and look after it there.");
  const auto words = std::make_shared<Words>();
  const auto done = std::make_shared<bool>(false);
  add_common(*deploying, globals);
  const auto changing = [&](Command& command) {
    command.add_flag("-y,--yes", words->yes, "go on without asking");
    command.add_flag("--break-lock", words->break_lock, "take the lock from another deployment that is known to be dead");
  };
  const auto applying = [&](Command& command) {
    changing(command);
    command.add_flag("--skip-tests", words->skip_tests, "leave the project's tests out, which is recorded; not in production");
  };
  deploying->add_option("ENVIRONMENT", words->environment, "as --env: `sabir deploy staging` is `sabir deploy apply --env staging`");
  applying(*deploying);
  deploying->callback([&globals, words, done] {
    if (!*done) apply(globals, *words, words->environment.empty() ? globals.session.environment : words->environment);
  });
  const auto add = [&](const char* name, const char* summary, auto action) {
    auto* const command = deploying->add_subcommand(name, summary);
    add_common(*command, globals);
    command->callback([&globals, words, done, action] {
      *done = true;
      action(globals, *words);
    });
    return command;
  };
  add("plan", "Show what apply would change, and change nothing.", plan);
  applying(*add("apply", "Check, test, bundle, show the plan, ask, deploy, look whether it is healthy, run the smoke tests; go back where they fail.",
                [](Globals& g, const Words& w) { apply(g, w, g.session.environment); }));
  add("status", "Say what answers, and what was done; exit code 1 when it is not what should.", [](Globals& g, const Words&) { status(g); });
  auto* const showing = add("logs", "Show what the deployed engine says.", logs);
  showing->add_flag("-f,--follow", words->follow, "go on as lines come");
  showing->add_option("-n,--lines", words->lines, "of those that are there").between(0, 100000);
  auto* const returning = add("rollback", "Bring the last good release back, or the one before it where that answers.", rollback);
  returning->add_option("--to", words->to, "a release by its name, such as r4");
  changing(*returning);
  changing(*add("destroy", "Take away what apply made; the project's state and the ledger stay.", destroy));
  add_deploy_init(*deploying, globals, done);
  add("diff", "Show what differs between what is deployed in two environments.", diff)->add_option("ENVIRONMENTS", words->both, "two of them");
  add("bundle", "Make the archive that would be deployed: the same tree gives the same bytes.", bundle)->add_option("-o,--output", words->output, "the file (default: .sabir/bundle.tar.gz)");
}

}  // namespace sabir::cli
