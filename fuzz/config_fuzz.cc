// Configuration: any two texts, as each of the files and its overlay, end in values or in problems that name a place in one of the two.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/project/configuration.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The first line chooses the file, a line of --- parts the overlay from it.
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.empty()) return 0;
  const auto& files = sabir::project::config_files();
  const auto& file = files[static_cast<unsigned char>(text.front()) % files.size()];
  text.remove_prefix(1);
  std::optional<std::string_view> overlay;
  if (const std::size_t cut = text.find("\n---\n"); cut != std::string_view::npos) {
    overlay = text.substr(cut + 5);
    text = text.substr(0, cut);
  }
  const auto read = sabir::project::lay_configuration(file, "staging", text, overlay);
  const auto known = [&](const std::string& name) { return name == file.path || name == file.overlay("staging"); };
  if (!read) {
    if (read.error().code != sabir::ErrorCode::kConfig || !known(read.error().file)) std::abort();
    return 0;
  }
  for (const auto& problem : read->problems) {
    if (problem.code != sabir::ErrorCode::kConfig || !known(problem.file) || problem.message.empty()) std::abort();
  }
  for (const auto& one : sabir::project::effective_values(*read)) {
    if (one.key.empty() || one.source.empty() || (one.source != "default" && !known(one.file))) std::abort();
  }
  (void)sabir::project::secrets_named(*read);
  return 0;
}
