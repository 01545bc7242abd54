#include <algorithm>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/languages/environment.h"
#include "sabir/languages/languages.h"

namespace sabir::languages {
namespace fs = std::filesystem;

Result<std::string> find_interpreter(const project::Language& language, const fs::path& root) {
  auto found = find_environment(language, root);
  if (!found) return fail(std::move(found.error()));
  return std::move(found->program);
}

std::vector<std::string> filled(const std::vector<std::string>& argv, const std::map<std::string, std::string>& values,
                                const std::map<std::string, std::vector<std::string>>& lists) {
  std::vector<std::string> out;
  for (std::string word : argv) {
    if (word.size() > 2 && word.front() == '{' && word.back() == '}') {
      if (const auto list = lists.find(word.substr(1, word.size() - 2)); list != lists.end()) {
        out.insert(out.end(), list->second.begin(), list->second.end());
        continue;
      }
    }
    // One pass, so that a value which holds a {name} stays as it is.
    std::string text;
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t end = word[at] == '{' ? word.find('}', at) : std::string::npos;
      const auto value = end == std::string::npos ? values.end() : values.find(word.substr(at + 1, end - at - 1));
      if (value == values.end()) {
        text += word[at++];
      } else {
        text += value->second;
        at = end + 1;
      }
    }
    out.push_back(std::move(text));
  }
  return out;
}

std::string engine_program() {
  std::error_code error;
  const auto path = fs::read_symlink("/proc/self/exe", error);
  std::string text = error ? std::string() : path.string();
  // An upgrade replaces the file while this program runs.
  if (constexpr std::string_view kGone = " (deleted)"; text.ends_with(kGone)) text.resize(text.size() - kGone.size());
  return text;
}

std::map<std::string, std::string> usual_values(const project::Language& language, const fs::path& root, const std::string& interpreter) {
  return {{"interpreter", interpreter},
          {"resources", language.resources.string()},
          {"worker", (language.resources / language.worker).string()},
          {"sdk", (language.resources / language.sdk).string()},
          {"project", root.string()},
          {"engine", engine_program()}};
}

std::string fingerprint_of_folder(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    // What an interpreter keeps of the files beside them is not of them.
    if (it->path().filename() == "__pycache__") it.disable_recursion_pending();
    if (it->is_regular_file(ignored)) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  std::string all;
  for (const auto& file : files) {
    if (auto text = read_file(file)) all += file.lexically_relative(folder).string() + ":" + fingerprint_of_content(*text) + "\n";
  }
  return fingerprint(all);
}

}  // namespace sabir::languages
