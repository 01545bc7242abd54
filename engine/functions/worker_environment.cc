#include "worker_environment.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>

namespace sabir::functions {
namespace {

// Names that workers see of the engine's own environment; the rest, secrets above all, is left out.
constexpr std::string_view kPassed[] = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM",
                                        "VIRTUAL_ENV", "LD_LIBRARY_PATH", "http_proxy", "https_proxy", "no_proxy",
                                        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
                                        "SABIR_BIN", "SABIR_ENV"};
constexpr std::string_view kPassedPrefixes[] = {"LC_", "PYTHON", "GEM_", "BUNDLE_", "RUBY", "XDG_", "PYENV_", "RBENV_"};

}  // namespace

std::vector<std::string> worker_environment(const std::map<std::string, std::string>& more) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    const bool passed = std::find(std::begin(kPassed), std::end(kPassed), name) != std::end(kPassed) ||
                        std::any_of(std::begin(kPassedPrefixes), std::end(kPassedPrefixes), [&](auto p) { return name.starts_with(p); });
    // Credentials of a package host have names of the package manager's.
    const bool credential = name == "GEM_HOST_API_KEY" || (name.starts_with("BUNDLE_") && name.find("__") != std::string_view::npos);
    if (passed && !credential && !more.contains(std::string(name))) out.emplace_back(text);
  }
  for (const auto& [name, value] : more) out.push_back(name + "=" + value);
  return out;
}

}  // namespace sabir::functions
