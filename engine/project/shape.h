// Typed reading of a YAML file's values, with errors at the value's own line. Private to the room.
//
// Threads: plain functions.
#pragma once

#include <string>
#include <vector>

#include "sabir/project/project.h"

namespace sabir::project {

// Beside the two of the public face: ${NAME} stays as it is too, for whoever compares files.
inline constexpr SecretNames kAsWritten{2};

// One file's values with what errors need to point into it.
struct Shape {
  std::string file;  // as errors show it
  Positions positions;

  Error wrong(const std::string& pointer, std::string message, std::string hint = {}) const;
  // The text at `pointer`, whose value is `value`. Errors: kConfig when it is of another kind or empty.
  Result<std::string> text(const json::value& value, const std::string& pointer) const;
  Result<std::vector<std::string>> texts(const json::value& value, const std::string& pointer) const;
  Result<int> whole(const json::value& value, const std::string& pointer, int least, int most) const;
  Result<int> duration_ms(const json::value& value, const std::string& pointer) const;
};

// "a list", "the number 3", "text": what a value is, for error messages.
std::string kind_of(const json::value& value);

// "/pools/python/max" -> "pools.python.max".
std::string dotted(const std::string& pointer);

// Reads sabir.yml's `isolation`. Errors: kConfig.
Result<void> read_isolation(const json::value& value, const Shape& shape, const std::vector<Language>& languages, Project& project);

// Reads sabir.yml's `tracing`, null where it has none, for the project's environment. Errors: kConfig.
Result<void> read_tracing(const json::value* value, const Shape& shape, Project& project);

// Reads sabir.yml's `mcp`, null where it has none. Errors: kConfig.
Result<void> read_mcp(const json::value* value, const Shape& shape, Project& project);

// Reads config/mcp.yml, where there is one, into project.mcp_servers. Errors: kConfig, kIo.
Result<void> read_mcp_servers(Project& project);

// Reads sabir.yml's `serve` and `expose`, null where it has none, for the project's environment. Errors: kConfig.
Result<void> read_serving(const json::value* value, const Shape& shape, Project& project);
Result<void> read_exposure(const json::value* value, const Shape& shape, Project& project);
Result<void> read_approvals(const json::value* value, const Shape& shape, Project& project);

// Finds the sources of `project.root`; fills sources, unsupported and warnings. Errors: kLimit, kIo.
Result<void> walk_tree(Project& project, const std::vector<Language>& languages);

// Reads sabir.yml's `sources` into project.origins. Errors: kConfig at the entry's file:line:column.
Result<void> read_sources(const json::value& value, const Shape& shape, const std::vector<Language>& languages, Project& project);

// The keys of language.yml that are about existing code and environments. Errors: kConfig.
inline constexpr const char* kEnvironmentKeys[] = {"setup", "pins", "managers", "adopt", "boot", "module"};
Result<void> read_environment(Language& language, const json::object& object, const Shape& shape);

}  // namespace sabir::project
