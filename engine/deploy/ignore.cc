#include "ignore.h"

#include <fnmatch.h>

#include "sabir/base/text.h"

namespace sabir::deploy {

Ignore::Ignore(std::string_view text) {
  for (auto line : split_lines(text)) {
    while (line.ends_with(' ') || line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    Pattern one;
    if (line.front() == '!') {
      one.negated = true;
      line.remove_prefix(1);
    }
    if (line.ends_with('/')) {
      one.folders = true;
      line.remove_suffix(1);
    }
    one.anchored = line.find('/') != std::string_view::npos;
    if (line.starts_with('/')) line.remove_prefix(1);
    // At any depth, which is what no slash says too.
    if (line.starts_with("**/") && line.find('/', 3) == std::string_view::npos) {
      line.remove_prefix(3);
      one.anchored = false;
    }
    one.glob = line;
    if (!one.glob.empty() && patterns_.size() < 10'000) patterns_.push_back(std::move(one));
  }
}

bool Ignore::matches(const std::string& path, bool folder) const {
  const std::string name = path.substr(path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1);
  bool out = false;
  for (const auto& one : patterns_) {
    if (one.folders && !folder) continue;
    // "**" crosses folders; fnmatch's "*" does without FNM_PATHNAME.
    const int flags = one.glob.find("**") == std::string::npos ? FNM_PATHNAME : 0;
    if (::fnmatch(one.glob.c_str(), one.anchored ? path.c_str() : name.c_str(), flags) == 0) out = !one.negated;
  }
  return out;
}

}  // namespace sabir::deploy
