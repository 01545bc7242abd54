#include "config_schemas.h"

#include "sabir/base/file.h"
#include "sabir/base/json.h"

namespace sabir::cli {

std::string schema_path(const project::ConfigFile& file) { return ".sabir/schemas/" + file.stem() + ".json"; }

Result<void> write_config_schemas(const std::filesystem::path& root) {
  std::error_code ec;
  std::filesystem::create_directories(root / ".sabir" / "schemas", ec);
  if (ec) return fail(ErrorCode::kIo, (root / ".sabir" / "schemas").string() + ": cannot create: " + ec.message());
  constexpr std::size_t kMost = std::size_t{4} << 20U;
  for (const auto& file : project::config_files()) {
    const auto path = root / schema_path(file);
    const std::string text = pretty_json(project::json_schema(file)) + "\n";
    if (const auto there = read_file(path, kMost); there && *there == text) continue;
    if (auto written = write_file(path, text); !written) return written;
  }
  return {};
}

}  // namespace sabir::cli
