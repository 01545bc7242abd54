// Offers: what a project has for MCP clients, as the catalogue that all of them see, kept up with what is saved.
//
// Threads: the loop's. Lifetimes: the engine outlives it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sabir/functions/registry.h"
#include "sabir/mcp/catalogue.h"
#include "sabir/mcp/server.h"
#include "sabir/project/project.h"
#include "sabir/runtime/engine.h"
#include "sabir/runtime/jobs.h"

namespace sabir::serve {

inline constexpr std::string_view kPartUris = "sabir://parts/";
inline constexpr std::string_view kMemoryUris = "sabir://memory/";
inline constexpr std::string_view kMemoryTemplate = "sabir://memory/{namespace}/{+key}";

// Of what sabir.yml exposes, from sources and files alone. Any thread; reads files.
std::shared_ptr<const mcp::Catalogue> catalogue_of(const project::Project& project, const functions::Registry& registry);
// The media type of a part, by its name.
std::string_view part_type(std::string_view file);

class Offers {
 public:
  // Reads the project's files once, on this thread.
  explicit Offers(runtime::Engine& engine);
  ~Offers();

  std::shared_ptr<const mcp::Catalogue> catalogue() const { return catalogue_; }
  const project::McpSettings& settings() const { return project_->mcp; }
  std::shared_ptr<const project::Project> project() const { return project_; }
  bool has_memory() const { return project_->exposure.reaches(project::Door::kMcp, "memory"); }

  // Is told what has become different; a listener is gone once its key is.
  struct Changes {
    std::vector<mcp::ListKind> lists;
    std::vector<std::string> resources;  // URIs with other contents
  };
  using Listener = std::function<void(const Changes&)>;
  void listen(const void* key, Listener listener) { listeners_[key] = std::move(listener); }
  void forget(const void* key) { listeners_.erase(key); }

  // Work that blocks. False: there is too much of it.
  bool elsewhere(std::function<void()> work) { return jobs_.submit(std::move(work)); }

 private:
  void saved(const std::set<std::string>& paths);
  void refresh();
  void tell(const Changes& changes);

  runtime::Engine& engine_;
  std::shared_ptr<const project::Project> project_;
  std::shared_ptr<const mcp::Catalogue> catalogue_;
  std::map<const void*, Listener> listeners_;
  bool reading_ = false;
  bool again_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  runtime::Jobs jobs_{2, 1000};  // last: its work uses the rest
};

}  // namespace sabir::serve
