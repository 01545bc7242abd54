// Target: where an environment runs. A driver says what applying would change, brings a release there, makes it the one that
// answers, tells what runs, and takes everything away again. What is around that (checks, approval, ledger, lock, health, smoke
// tests, the way back) is apply.cc's, and the same for all targets.
//
// Threads: one at a time; everything blocks. Every step is safe to repeat: after a kill at any point the next command calls it again.
#pragma once

#include <chrono>
#include <filesystem>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/deploy/backend.h"
#include "sabir/project/deployment.h"

namespace sabir::deploy {

// One line of a program or a step, as it comes, without its newline and without secrets.
using Say = std::function<void(std::string_view line)>;

// One bundle with one engine: what is deployed.
struct Release {
  std::string id;              // "r12": counted within the environment
  std::string bundle_hash;     // SHA-256 of the bundle's contents, hexadecimal
  std::string engine_version;
  std::string engine_hash;     // SHA-256 of the engine's binary, hexadecimal
  std::filesystem::path bundle;  // both on this machine, for as long as the call lasts; from plan() they may be empty
  std::filesystem::path engine;

  std::string bundle_object() const { return "bundles/" + bundle_hash + ".tar.gz"; }
  std::string engine_object() const { return "engines/" + engine_hash; }
};

// What a driver is made for.
struct TargetContext {
  std::filesystem::path root;          // the project's
  std::string app;                     // its name
  std::string environment;
  project::DeploymentEnvironment settings;
  std::filesystem::path work;          // a folder for the driver's own files: .sabir/<environment>/deploy/<target>; may vanish between calls
  std::filesystem::path self;          // this program
  std::vector<std::string> secret_names;  // that the project's grants and configuration name; never values
  std::function<std::string(std::string)> redact;  // takes secrets out of a text
  // Set where a person wants it to end. What only prepares ends soon then; what changes the target ends first, and the step after it fails.
  std::shared_ptr<std::atomic<bool>> interrupted = std::make_shared<std::atomic<bool>>(false);
};

enum class ChangeKind { kCreate, kUpdate, kReplace, kDelete, kRead, kNote };
struct Change {
  ChangeKind kind = ChangeKind::kNote;
  std::string what;    // "terraform_data.server", "aws_instance.engine"
  std::string detail;  // which attributes, from what to what; may have lines; no secrets
};
struct TargetPlan {
  std::vector<Change> changes;      // of infrastructure; empty: the release alone changes, or nothing
  std::vector<std::string> drift;   // what was changed by others since the last release: "the process of r3 is gone"
};

// What answers now, asked of the target itself and not of the ledger.
enum class Running { kNothing, kYes, kBroken, kUnknown };
struct Status {
  Running running = Running::kUnknown;
  std::string release;             // id of the release that answers; "" = nobody knows
  std::string bundle_hash;
  std::string url;                 // as activate() gave it; "" where there is none
  std::vector<std::string> notes;  // "restarted 3 times", "the disk is 97 % full"
  json::object data;               // for --json: processes, outputs, whatever the target has
};

struct LogOptions {
  bool follow = false;             // until `stop`
  int lines = 200;                 // of those that are there already
  std::function<bool()> stop;      // asked several times a second
};

class Target {
 public:
  virtual ~Target() = default;

  // Where the environment's ledger and lock are. Errors of its methods are the place's. The same object for the target's life.
  virtual Backend& backend() = 0;

  // What cannot work is said here, before anything is changed: a missing program, blanks in the settings.
  virtual Result<void> check() = 0;
  // What activate(release) would change. Changes nothing.
  virtual Result<TargetPlan> plan(const Release& release, const Say& say) = 0;
  // Bundle and engine are in the backend by now; brings them to where they run, unpacked and set up, beside what answers.
  virtual Result<void> stage(const Release& release, const Say& say) = 0;
  // Makes `release` the one that answers, whichever does now, and gives the URL. The way back is the same with an older one. What
  // answered keeps answering where this fails, if that can be had. Errors say what the target said.
  virtual Result<std::string> activate(const Release& release, const Say& say) = 0;
  // After health and smoke tests passed: what no release of `kept` needs may go. Its failure fails nothing.
  virtual Result<void> settle(const std::vector<Release>& kept, const Say& say) = 0;
  virtual Result<Status> status() = 0;
  virtual Result<void> logs(const LogOptions& options, const Say& say) = 0;
  // Everything that activate() made, the state of the project's memory and the ledger not: those stay for a next apply().
  virtual Result<TargetPlan> plan_destroy(const Say& say) = 0;
  virtual Result<void> destroy(const Say& say) = 0;
};

// A kind of target, named in config/deployment_config.yml.
struct Driver {
  std::string name;                // "local"
  std::string summary;             // one line for people
  Result<std::unique_ptr<Target>> (*make)(TargetContext context);
};

// All of them. A new one is a function here, listed in targets.cc.
const std::vector<Driver>& drivers();
Driver local_driver();
Driver terraform_driver();
Driver docker_driver();
Driver cloudformation_driver();

// The environment's target. Errors: kConfig at the file's line, for what its own values mean.
Result<std::unique_ptr<Target>> make_target(TargetContext context);

}  // namespace sabir::deploy
