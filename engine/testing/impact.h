// Impact: which test files have to be run, since something that they depend on is not what it was when they last passed.
//
// Threads: one thread uses it at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "discover.h"
#include "graph.h"
#include "sabir/project/project.h"
#include "sabir/testing/testing.h"
#include "state.h"

namespace sabir::testing {

class Impact {
 public:
  // Looks at every file of `tree`, and reads those whose stamps are not what they were. `settings` is what holds for all tests alike:
  // with other ones all are run. `gone` are files that are not there any more, but may be referred to.
  Impact(const project::Project& project, const Tree& tree, const Discovery& discovery, const std::string& settings, const std::vector<std::string>& gone = {});

  const Graph& graph() const { return *graph_; }
  // Of `tests`, those that have not passed with what they depend on now.
  std::vector<std::string> affected(const std::vector<std::string>& tests) const;
  // Those that depend on any of `files`.
  std::vector<std::string> affected_by(const std::vector<std::string>& tests, const std::set<std::string>& files) const;
  // Why, for people: "functions/ruby/text.rb has changed (tests/a.py → functions/ruby/text.rb)".
  std::string reason(const std::string& test) const;
  std::string reason(const std::string& test, const std::set<std::string>& files) const;
  // Whether a file is known to have passed without a single test in it.
  bool is_empty(const std::string& test) const;
  bool has_tests(const std::string& rust_file) const;
  double seconds(const std::string& test) const;

  // Keeps what a run found: `ran` by file, with the cases of each. What changed while it ran is not kept as passed. Names of tests that had
  // another outcome before, although nothing that they depend on has changed since.
  struct Ran {
    bool passed = false;
    double seconds = 0;
    std::vector<std::string> ids;     // all that ran
    std::vector<std::string> failed;  // of them
  };
  std::vector<std::string> record(const std::map<std::string, Ran>& ran);
  // Whether record() saw that something changed while the tests ran.
  bool changed_meanwhile() const { return changed_meanwhile_; }
  // Writes the state, where something in it is new.
  Result<void> save();

 private:
  void look(const Tree& tree, const std::vector<std::string>& gone);
  std::string line_of_reason(const std::vector<Graph::Node>& path, const std::string& what) const;

  std::filesystem::path root_;
  std::filesystem::path file_;
  State state_;
  Layout layout_;
  std::vector<std::string> gone_;
  std::unique_ptr<Graph> graph_;
  std::uint64_t mode_ = 0;
  bool is_new_ = false;
  bool changed_meanwhile_ = false;
};

// The files below `root` that are not what they are in git's `ref`, or rather where this branch left it: changed, new, removed. Errors:
// kNotFound where git cannot tell, with the reason.
Result<std::set<std::string>> changed_since(const std::filesystem::path& root, const std::string& ref);

}  // namespace sabir::testing
