// Pins: config/mcp.lock, the record of what a person has consented to: for each tool of each server, the digest of its name, title,
// description, schemas and annotations. A tool that is not in it, or is another than it was, cannot be called.
//
// Threads: a value; read() and write() from any.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/mcp/tool_definition.h"

namespace sabir::peers {

enum class Consent { kGiven, kNew, kChanged };

class Pins {
 public:
  // Without the file there are none. Errors: kConfig.
  static Result<Pins> read(const std::filesystem::path& root);
  // Sorted, one tool a line, so that a review sees what changes. Errors: kIo, kStorageFull.
  Result<void> write(const std::filesystem::path& root) const;

  Consent consent(std::string_view server, const mcp::ToolDefinition& tool) const;
  bool knows(std::string_view server) const;
  // From now on these are the server's.
  void set(const std::string& server, const std::vector<mcp::ToolDefinition>& tools);
  bool forget(std::string_view server);
  std::vector<std::string> servers() const;
  std::vector<std::string> tools(std::string_view server) const;

 private:
  std::map<std::string, std::map<std::string, std::string, std::less<>>, std::less<>> digests_;
};

inline constexpr const char* kLockFile = "config/mcp.lock";

}  // namespace sabir::peers
