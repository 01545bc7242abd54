// LanguagePools: the workers of a project's languages, and what has to be there before they start: the program of a compiled
// language, what a sandbox shows of an interpreter. Private to the room.
//
// Threads: the loop's. Lifetimes: shutdown() before destruction; what the constructor is given outlives it.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sabir/functions/functions.h"

namespace sabir::functions {

// A pool serves one language, or those sources of it that share a boot file and variables: "ruby:config/environment.rb".
// Each entry of sabir.yml that asks for a sandbox has workers of its own besides. `pool_key` below is SourceFile::pool(), and
// a rule is sabir.yml's for the source, null where it has none.
class LanguagePools {
 public:
  // Both change when the project is read anew.
  LanguagePools(net::Loop& loop, const Setup& setup, const std::shared_ptr<const Registry>& registry);
  ~LanguagePools();

  // Null when it is not installed.
  const project::Language* language(const std::string& name) const;
  static bool confined(const project::IsolationRule* rule);

  // Stays at its address.
  workers::Pool& pool(const std::string& pool_key, const project::IsolationRule* rule);

  // Whether workers of the language can be started; if not, when_ready() sees to it and runs `then` on the loop.
  bool ready(const project::Language& lang, bool in_sandbox);
  void when_ready(const project::Language& lang, bool in_sandbox, std::function<void()> then);
  // Why nothing of `source` can be called, after a build.
  std::optional<Error> build_error(const std::string& name, const std::string& source) const;
  // Empty where the language has none, or it has not been built.
  std::filesystem::path library_of(const std::string& name) const;

  // As Functions has them.
  void replace(const std::set<std::string>& changed, std::map<std::string, languages::Built> built, workers::Boot reboot);
  std::set<std::string> built_languages() const;
  void prepare(std::function<void(std::vector<json::object>)> done);
  void shutdown(std::function<void()> done);
  std::map<std::string, workers::PoolStats> stats() const;
  std::map<std::string, workers::PoolStats> details() const;

 private:
  struct Program {
    bool building = false;
    std::optional<Result<languages::Built>> built;
    std::vector<std::function<void()>> waiting;
  };
  // What a sandbox shows of a language's interpreter.
  struct Shown {
    bool asking = false;
    std::optional<Result<languages::Visible>> answer;
    Clock::time_point answered;
    std::vector<std::function<void()>> waiting;
  };

  static std::string language_of(const std::string& pool_key);
  static std::string pool_name(const std::string& pool_key, const project::IsolationRule* rule);
  std::vector<std::shared_ptr<const project::Origin>> origins_of(const std::string& pool_key) const;
  std::string start_params(const std::vector<std::shared_ptr<const project::Origin>>& origins) const;
  Result<workers::LaunchSpec> launch(const std::string& pool_key, const std::optional<std::string>& sandbox);
  bool known(const std::string& name);
  void when_shown(const project::Language& lang, std::function<void()> then);
  void when_built(const project::Language& lang, std::function<void()> then);

  net::Loop& loop_;
  const Setup& setup_;
  const std::shared_ptr<const Registry>& registry_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<std::atomic<bool>> stopping_ = std::make_shared<std::atomic<bool>>(false);
  std::map<std::string, std::unique_ptr<workers::Pool>> pools_;  // by pool_name()
  std::map<std::string, Program> programs_;                      // by language
  std::map<std::string, Shown> shown_;
};

}  // namespace sabir::functions
