// Registry: every function of a project by address, read from its sources without running them.
//
// Threads: immutable after build(); share by std::shared_ptr<const Registry>.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/inputs.h"
#include "sabir/base/json.h"
#include "sabir/functions/disabled.h"
#include "sabir/project/project.h"
#include "sabir/schema/function_schema.h"
#include "sabir/schema/validator.h"

namespace sabir::functions {

struct Function {
  std::string address;       // "text.slugify": module, dot, canonical name
  std::string tool_name;     // what a model calls it: [A-Za-z0-9_-]{1,64}, unique in the registry
  std::string language;
  project::SourceFile source;
  schema::FunctionSchema schema;
  bool preferred = true;     // answers the address without a language
  std::shared_ptr<const Disabled> disabled;  // null: it may be called
};

// A file, or a definition in one, that cannot be called; listed, never dropped in silence.
struct Unavailable {
  std::string relative;      // "functions/ruby/text.rb"
  std::string language;
  std::string name;          // "" = the whole file
  Error error;               // why, with file:line
  std::string address = {};  // of what is no definition in a file; with a "." at its end, of everything below it
};

// What a provider (provider.h) has besides the project's sources.
struct ProvidedFunction {
  std::string address;
  project::SourceFile source;
  schema::FunctionSchema schema;
};
struct Provided {
  std::vector<ProvidedFunction> functions;  // after those of the sources, which keep their addresses
  std::vector<Unavailable> unavailable;
  Inputs inputs;
  bool settled = true;
};

struct Assistant {
  std::string name;          // the module's name
  std::string language;
  project::SourceFile source;
  json::object constants;    // the file's literals: model, instructions, functions, …
  bool has_respond = false;
  std::string respond_context_parameter;
};

class Registry {
 public:
  // The functions of the languages in `frozen` stay as `previous` has them, whatever the sources say now.
  static std::shared_ptr<const Registry> build(const project::Project& project, const std::vector<project::Language>& languages,
                                               const Registry* previous = nullptr, const std::set<std::string>& frozen = {},
                                               const Provided* provided = nullptr);
  // The same with these functions disabled, and no others.
  static std::shared_ptr<const Registry> with_disabled(std::shared_ptr<const Registry> registry, const DisabledFunctions::ByAddress& disabled);
  // The files that read well in `previous` and do not now, by language.
  std::map<std::string, std::vector<Error>> newly_broken(const Registry& previous) const;

  // `address` is "module.function", "language/module.function", or a function's name alone where one module has it.
  // Errors: kUnknownFunction with the nearest addresses; what makes it unavailable where it is known but cannot run.
  Result<const Function*> find(const std::string& address) const;
  const Function* by_tool_name(const std::string& tool_name) const;
  Result<const Assistant*> find_assistant(const std::string& name) const;

  const std::vector<Function>& functions() const { return functions_; }
  const std::vector<Unavailable>& unavailable() const { return unavailable_; }
  const std::vector<Assistant>& assistants() const { return assistants_; }
  // The sources of one language that read well, with what was read.
  struct Described {
    project::SourceFile source;
    schema::Description description;
  };
  const std::vector<Described>& described() const { return described_; }
  // What it was made from, but for the languages; and whether the same would come of it again: false where a program could not
  // be asked or a file not be read.
  const Inputs& inputs() const { return inputs_; }
  bool is_settled() const { return settled_; }

 private:
  // `first` has the index of the first function of each address.
  void add_file(const project::SourceFile& source, schema::Description description, std::unordered_map<std::string, std::size_t>& first);
  bool is_exposed(const project::SourceFile& source, const std::string& address, const schema::FunctionSchema& function);
  void add_provided(const Provided& provided, std::unordered_map<std::string, std::size_t>& first);
  void tell_unmatched(const project::Project& project);
  void name_tools();

  std::set<std::pair<const project::Origin*, std::string>> matched_;  // entries of `expose`, while building
  std::vector<Function> functions_;
  std::vector<Unavailable> unavailable_;
  std::vector<Assistant> assistants_;
  std::vector<Described> described_;
  Inputs inputs_;
  bool settled_ = true;
  std::unordered_map<std::string, std::size_t> by_address_;  // "module.function" (preferred) and "language/module.function"
  std::unordered_map<std::string, std::size_t> by_tool_;
  std::map<std::string, std::vector<std::size_t>> by_name_;  // bare canonical name
};

// One function as `sabir functions --json` and functions.list show it.
json::object to_json(const Function& function);

}  // namespace sabir::functions
