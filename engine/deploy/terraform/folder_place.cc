#include <cstdlib>

#include "address.h"
#include "log_tail.h"
#include "place.h"
#include "sabir/base/ids.h"

namespace sabir::deploy {
namespace fs = std::filesystem;

Result<TerraformPlace> folder_place(const TargetContext& context) {
  auto said = context.settings.text("folder", ".sabir/" + context.environment + "/deploy");
  if (!said) return fail(std::move(said.error()));
  std::error_code ec;
  const fs::path folder = fs::absolute(fs::path(*said).is_absolute() ? fs::path(*said) : context.root / *said, ec).lexically_normal();
  TerraformPlace out;
  out.backend = folder_backend(folder / "backend");
  out.work = folder / "terraform";
  out.state = {{"path", (out.work / "terraform.tfstate").string()}};
  out.variables = [folder, backend = folder / "backend", secrets = context.root / "config/secrets.json"](const Release& release) -> Result<json::object> {
    auto port = choose_port(folder, "127.0.0.1");
    if (!port) return fail(std::move(port.error()));
    return json::object{{"folder", folder.string()}, {"port", *port}, {"bundle", (backend / release.bundle_object()).string()}, {"engine", (backend / release.engine_object()).string()},
                        {"secrets_file", secrets.string()}, {"restart", new_id()}};
  };
  out.logs = [](const json::object& outputs, const LogOptions& options, const Say& say) -> Result<void> {
    const auto file = string_or(outputs, "log");
    if (file.empty()) return fail(ErrorCode::kNotFound, "the module has no output `log`, the path of a file");
    return tail(fs::path(std::string(file)), options, say);
  };
  return out;
}

}  // namespace sabir::deploy
