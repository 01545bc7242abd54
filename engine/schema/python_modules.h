// Python modules as far as types go: the classes, aliases and imports of a file, and the project's other files that it
// imports them from. Nothing is run; what is not among the project's files stays unknown.
//
// Threads: one at a time. Lifetimes: modules, and the nodes in them, live as long as their PythonModules.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/schema/function_schema.h"
#include "syntax.h"

namespace sabir::schema {

// `from <level dots><module> import <name>`, or `import <module>` with an empty name.
struct PythonImport {
  std::string module;
  int level = 0;
  std::string name;
};

struct PythonModule {
  std::string path;  // from the project's root
  std::unique_ptr<Syntax> syntax;  // empty for the file that is described: its caller has it
  std::map<std::string, Node, std::less<>> classes;
  std::map<std::string, std::string, std::less<>> aliases;  // name -> text of the type
  std::map<std::string, Node, std::less<>> calls;           // name -> TypedDict(…), Enum(…), NamedTuple(…)
  std::map<std::string, PythonImport, std::less<>> imports;
  std::vector<PythonImport> stars;
};

// Where a name leads.
struct PythonName {
  const PythonModule* module = nullptr;  // the one that defines it; null where no file of the project does
  Node definition;                       // a class, or a call that makes one
  std::string alias;                     // or the text of what it stands for
  std::string full;                      // "datetime.datetime": where it is imported from, else the name as given
  bool imported = false;
  bool known = false;                    // from the standard library or pydantic, so that its last part says what it is
};

class PythonModules {
 public:
  // `root` is the file's tree, `path` the file from the project's root.
  PythonModules(const Node& root, std::string path, const ReadOther& read_other);
  const PythonModule& own() const { return own_; }
  // Looks a dotted name up as code in `from` would.
  PythonName find(const PythonModule& from, std::string_view name, int depth = 0);
  // Every other file that was read, from the project's root.
  const std::vector<std::string>& read_files() const { return read_files_; }

 private:
  static void learn(PythonModule& module, const Node& block, int depth);
  static void learn_import(PythonModule& module, const Node& statement);
  static void learn_assignment(PythonModule& module, const Node& assignment);
  PythonName follow(const PythonModule& from, const PythonImport& import, std::string_view rest, int depth);
  const PythonModule* load(const PythonModule& from, int level, const std::vector<std::string>& parts, std::size_t count);
  const PythonModule* load_file(const std::string& path);

  const ReadOther& read_other_;
  PythonModule own_;
  std::map<std::string, std::shared_ptr<const PythonModule>> others_;  // by path; null where there is none that reads well
  std::vector<std::string> read_files_;
};

}  // namespace sabir::schema
