// Explaining: from what the bridge tells of a rendering to an Explanation.
//
// Threads: pure functions.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "prompt_file.h"
#include "sabir/completions/explain.h"

namespace sabir::completions {

struct TemplatePlace {
  std::string file;
  int lines_before = 0;  // of the file, before the template's text
};

// `told` is what sb_templates_explain_kept tells, `split` and `rendered` its text with headings for marks of `mark_size` bytes;
// `place` says where the template of that name stands.
Explanation explanation_of(Rendered rendered, const RoleMarks::Split& split, std::size_t mark_size, const json::object& told,
                           const std::function<TemplatePlace(std::string_view)>& place);

}  // namespace sabir::completions
