// sabir secrets scan | doctor.
#include "secret_checks.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/process/spawn.h"
#include "sabir/secrets/recipients.h"
#include "sabir/secrets/scan.h"

namespace sabir::cli {
namespace {

void scan(Globals& globals, bool history) {
  auto of = secrets_of(globals);
  if (!of) return fail_with(globals, of.error());
  auto values = of->store->values();
  if (!values) return fail_with(globals, values.error());
  for (const auto& name : of->names) {
    // What the environment has counts too.
    if (auto value = of->store->resolve(name)) values->emplace_back(name, *value);
  }
  auto report = secrets::scan_project(of->root, secrets::Scanner(*values), history);
  if (!report) return fail_with(globals, report.error());
  json::array out;
  for (const auto& one : report->findings) {
    out.push_back({{"file", one.file}, {"line", one.line}, {"commit", one.commit}, {"what", one.what}, {"shown", one.shown}});
    if (globals.json) continue;
    const std::string place = one.file + ":" + std::to_string(one.line);
    print(styled(place, "1") + "  " + one.what + (one.shown.empty() ? "" : " (" + one.shown + ")") + (one.commit.empty() ? "" : ", in commit " + one.commit));
  }
  if (!report->findings.empty()) globals.exit_code = 1;
  if (globals.json) {
    return print_json({{"findings", out}, {"files", report->files}, {"commits", report->commits}, {"history", report->has_history}, {"left_out", report->left_out}});
  }
  if (!report->left_out.empty()) note(report->left_out);
  const std::string looked = std::to_string(report->files) + " files" + (report->has_history ? " and " + std::to_string(report->commits) + " commits" : "");
  if (report->findings.empty()) return print("No secrets in " + looked + ".");
  note(looked + " looked at. A key that was committed is known to others: change it (sabir secrets rotate NAME), then take it out. A line that must stay says `not-a-secret`.");
}

struct Finding {
  bool is_problem = false;
  std::string message;
  std::string hint;
};

void add_about_files(const SecretsOf& of, std::vector<Finding>& out) {
  const auto& order = of.store->settings().order;
  const auto asks = [&](const char* place) { return std::find(order.begin(), order.end(), place) != order.end(); };
  std::error_code ec;
  if (std::filesystem::exists(of.root / ".git", ec)) {
    process::SpawnSpec spec;
    spec.argv = {"git", "-C", of.root.string(), "check-ignore", "--quiet", "config/secrets.json"};
    spec.environment = process::environment_with({{"GIT_DIR", ""}});
    auto ran = process::run(std::move(spec), std::chrono::seconds(10));
    if (ran && ran->status.code == 1) out.push_back({true, "git does not ignore config/secrets.json", "echo config/secrets.json >> .gitignore"});
  }
  if (asks("age") && std::filesystem::exists(of.root / "config/secrets.json.age", ec)) {
    const auto& age = of.store->settings().age;
    const auto key = secrets::identity_file(of.root, age);
    struct stat info {};
    if (::stat(key.c_str(), &info) != 0) {
      out.push_back({true, "there is no private key of age at " + key.string(), "sabir secrets recipients init"});
    } else if ((info.st_mode & 0077U) != 0) {
      out.push_back({true, "others of this machine can read the private key " + key.string(), "chmod 600 " + key.string()});
    }
    if (auto keys = secrets::read_recipients(of.root, age); !keys) out.push_back({true, keys.error().message, keys.error().hint});
    else if (keys->empty()) out.push_back({true, age.recipients + " names nobody", "sabir secrets recipients init"});
  }
}

void doctor(Globals& globals) {
  auto of = secrets_of(globals);
  if (!of) return fail_with(globals, of.error());
  std::vector<Finding> findings;
  add_about_files(*of, findings);
  // Each place answers, or says why not.
  auto infos = of->store->list(of->names);
  if (!infos) {
    findings.push_back({true, infos.error().message, infos.error().hint});
    infos = std::vector<secrets::SecretInfo>{};
  }
  // What this environment keeps itself, without this shell's variables.
  auto quiet = of->store->settings();
  std::erase(quiet.order, "environment");
  const secrets::Secrets own(of->root, quiet);
  for (const auto& info : *infos) {
    const std::string variable = secrets::variable_name(info.name);
    const char* text = std::getenv(variable.c_str());
    if (info.source == "environment" && text != nullptr) {
      if (auto kept = own.resolve(info.name); kept && *kept != text) {
        findings.push_back({true, "this shell's " + variable + " overrides what the environment '" + globals.session.environment + "' keeps in " + own.written_to(),
                            "unset " + variable});
      }
    }
    if (text != nullptr && secrets::is_placeholder(text)) findings.push_back({false, variable + " holds a placeholder, which counts as missing", "unset " + variable});
    if (info.source == "missing") {
      findings.push_back({false, "'" + info.name + "' is named by grants, models or config/secrets.example.json, and is not set", "sabir secrets set " + info.name + (globals.session.environment == "development" ? "" : " --env " + globals.session.environment)});
      continue;
    }
    if (auto value = of->store->resolve(info.name); value && value->size() < secrets::Redactor::kLeastBytes) {
      findings.push_back({false, "'" + info.name + "' is shorter than " + std::to_string(secrets::Redactor::kLeastBytes) + " bytes, so it is not taken out of logs, traces and prompts", "Choose a longer one."});
    }
  }
  json::array out;
  bool any_problem = false;
  for (const auto& one : findings) {
    any_problem = any_problem || one.is_problem;
    out.push_back({{"level", one.is_problem ? "problem" : "warning"}, {"message", one.message}, {"hint", one.hint}});
    if (!globals.json) print(styled(one.is_problem ? "problem" : "warning", one.is_problem ? "31" : "33") + "  " + one.message + (one.hint.empty() ? "" : "\n         " + styled(one.hint, "2")));
  }
  if (any_problem) globals.exit_code = 1;
  std::vector<std::string> order = of->store->settings().order;
  if (globals.json) return print_json({{"environment", globals.session.environment}, {"order", json::array(order.begin(), order.end())}, {"written_to", of->store->written_to()}, {"findings", out}});
  note("Environment " + globals.session.environment + ": asked are " + join(order, ", ") + "; `set` writes to " + of->store->written_to() + ".");
  if (findings.empty()) print("Nothing is wrong.");
}

}  // namespace

void add_secret_checks(Command& secrets, Globals& globals) {
  auto no_history = std::make_shared<bool>(false);
  auto* const scanning = secrets.add_subcommand("scan", "Search the project and git's history for secrets' values, encoded ones too, and for keys of well-known services.");
  add_common(*scanning, globals);
  scanning->add_flag("--no-history", *no_history, "look at the files alone");
  scanning->callback([&globals, no_history] { scan(globals, !*no_history); });
  auto* const checking = secrets.add_subcommand("doctor", "Say what is wrong with how secrets are kept here, and the command that mends it.");
  add_common(*checking, globals);
  checking->callback([&globals] { doctor(globals); });
}

}  // namespace sabir::cli
