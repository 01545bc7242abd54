#include "sabir/deploy/packages.h"

#include <map>
#include <set>

#include "sabir/base/json.h"
#include "sabir/project/project.h"

namespace sabir::deploy {
namespace {

namespace fs = std::filesystem;
using Table = std::map<std::string, std::vector<std::string>>;

std::vector<std::string> of(const Table& table, const std::vector<std::string>& languages) {
  std::set<std::string> out;
  for (const auto& language : languages) {
    if (const auto found = table.find(language); found != table.end()) out.insert(found->second.begin(), found->second.end());
  }
  return {out.begin(), out.end()};
}

}  // namespace

std::vector<std::string> languages_of(const fs::path& root) {
  std::set<std::string> out;
  if (auto own = project::read_yaml(root / "sabir.yml"); own && own->is_object()) {
    if (const auto* list = own->get_object().if_contains("languages"); list && list->is_array()) {
      for (const auto& one : list->get_array()) {
        if (one.is_string()) out.emplace(one.get_string());
      }
    }
  }
  std::error_code ec;
  for (const char* part : {"functions", "assistants", "memory"}) {
    for (fs::directory_iterator it(root / part, ec), end; !ec && it != end; it.increment(ec)) {
      const auto name = it->path().filename().string();
      std::error_code ignored;
      if (it->is_directory(ignored) && !name.starts_with('.') && !name.starts_with('_')) out.insert(name);
    }
  }
  return {out.begin(), out.end()};
}

std::vector<std::string> ubuntu_packages(const fs::path& root) {
  static const Table table{{"python", {"python3", "python3-venv"}}, {"ruby", {"ruby", "ruby-bundler"}}, {"cpp", {"g++"}}, {"node", {"nodejs", "npm"}}, {"go", {"golang-go"}},
                           {"php", {"php-cli", "php-mbstring"}}, {"java", {"openjdk-21-jdk-headless", "maven"}}, {"rust", {"cargo"}}, {"shell", {"bash"}}};
  return of(table, languages_of(root));
}

std::vector<std::string> debian_packages(const std::vector<std::string>& languages) {
  static const Table table{{"python", {"python3", "python3-venv"}}, {"ruby", {"ruby", "ruby-bundler"}}, {"cpp", {"g++"}}, {"go", {"golang-go"}},
                           {"php", {"php-cli", "php-mbstring"}}, {"java", {"openjdk-17-jdk-headless", "maven"}}, {"rust", {"cargo-web"}}, {"shell", {"bash"}}};
  return of(table, languages);
}

}  // namespace sabir::deploy
