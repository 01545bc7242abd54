// Introspection: what the sources alone do not tell of a function's types is asked of the language's own means, the
// `introspect` program that its language.yml names (spec/introspect.md). The program imports the files, and so runs them:
// it is asked by `sabir setup` and by nothing else. What it told is kept in <project>/.sabir/introspected/<language>.json
// and holds for as long as the source, the files that it imports, the packages and the language's folder stay the same.
//
// Threads: plain functions, introspect() blocks. An Introspected is used by one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/inputs.h"
#include "sabir/base/json.h"
#include "sabir/project/project.h"
#include "sabir/schema/function_schema.h"

namespace sabir::functions {

class Registry;

// What was told of one language before.
class Introspected {
 public:
  Introspected(const project::Project& project, const project::Language& language);
  ~Introspected();
  Introspected(Introspected&&) noexcept;
  // Adds what the answers of the last setup hang on.
  void add_inputs(Inputs& inputs) const;
  // Puts in what was told of the parameters and results that `description` has as unresolved, if it still holds.
  void apply(const project::SourceFile& source, schema::Description& description) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct IntrospectReport {
  std::string language;
  std::string file;      // from the project's root; "" = the program as a whole
  int told = 0;          // functions of which something was told
  bool unchanged = false;
  std::string problem;   // why nothing was told
};

// Asks each language's program about the functions of `registry` that need it and of which nothing that holds is kept.
std::vector<IntrospectReport> introspect(const project::Project& project, const std::vector<project::Language>& languages,
                                         const Registry& registry);

}  // namespace sabir::functions
