// FilledTemplates: the engine's own Jinja2 templates, of new projects and workflows.
//
// Threads: one at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/bridge/bridge.h"

namespace sabir::cli {

class FilledTemplates {
 public:
  explicit FilledTemplates(json::object context);
  // Errors: kTemplate.
  Result<std::string> render(const std::string& name, const std::string& text);

 private:
  struct Free {
    void operator()(sb_templates* handle) const { sb_templates_free(handle); }
  };
  std::string context_;
  std::unique_ptr<sb_templates, Free> handle_;
};

// What a project's continuous integration runs, in order.
const std::vector<std::string>& ci_steps();

// What the workflow's template needs to know beside a project's name and languages. `folder` is the project's in its repository, "" =
// its root; `file` the workflow's name.
void fill_for_ci(json::object& context, const std::vector<std::string>& languages, const std::string& folder = {}, const std::string& file = "ci.yml");

}  // namespace sabir::cli
