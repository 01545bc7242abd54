#include <algorithm>
#include <map>

#include "shape.h"

namespace sabir::project {
namespace fs = std::filesystem;
namespace {

Result<Language> load_language(const fs::path& folder) {
  Language language;
  language.resources = folder;
  Shape shape{"languages/" + folder.filename().string() + "/language.yml", {}};
  auto value = read_yaml(folder / "language.yml", &shape.positions);
  if (!value) {
    value.error().file = shape.file;
    return fail(std::move(value.error()));
  }
  if (!value->is_object()) return fail(shape.wrong("", "must be a mapping, not " + kind_of(*value)));
  const auto& object = value->get_object();

  struct TextKey {
    const char* key;
    std::string* target;
    bool required;
  };
  const std::vector<TextKey> text_keys = {{"name", &language.name, true},
                                          {"missing_hint", &language.missing_hint, true},
                                          {"worker", &language.worker, true},
                                          {"grammar", &language.grammar, false},
                                          {"glue", &language.glue, false},
                                          {"sdk", &language.sdk, false},
                                          {"minimum", &language.minimum, false}};
  struct ListKey {
    const char* key;
    std::vector<std::string>* target;
    bool required;
  };
  const std::vector<ListKey> list_keys = {{"extensions", &language.extensions, true},
                                          {"interpreters", &language.interpreters, true},
                                          {"launch", &language.launch, true},
                                          {"build", &language.build, false},
                                          {"link", &language.link, false},
                                          {"describe", &language.describe, false},
                                          {"version", &language.version, false}};
  std::vector<std::string> known{"tests"};
  for (const auto& entry : text_keys) known.emplace_back(entry.key);
  for (const auto& entry : list_keys) known.emplace_back(entry.key);
  if (auto ok = refuse_unknown_keys(object, known, shape.file, shape.positions, ""); !ok) return fail(std::move(ok.error()));

  for (const auto& [key, target, required] : text_keys) {
    const auto* member = object.if_contains(key);
    if (member == nullptr && required) return fail(shape.wrong("", std::string("the key '") + key + "' is missing"));
    if (member == nullptr) continue;
    auto text = shape.text(*member, std::string("/") + key);
    if (!text) return fail(std::move(text.error()));
    *target = std::move(*text);
  }
  for (const auto& [key, target, required] : list_keys) {
    const auto* member = object.if_contains(key);
    if (member == nullptr && required) return fail(shape.wrong("", std::string("the key '") + key + "' is missing"));
    if (member == nullptr) continue;
    auto texts = shape.texts(*member, std::string("/") + key);
    if (!texts) return fail(std::move(texts.error()));
    *target = std::move(*texts);
  }
  if (const auto* tests = object.if_contains("tests")) {
    if (!tests->is_object()) return fail(shape.wrong("/tests", "tests must be a mapping, not " + kind_of(*tests)));
    language.tests = tests->get_object();
  }
  if (language.name != folder.filename()) {
    return fail(shape.wrong("/name", "the language's name must be its folder's, '" + folder.filename().string() + "'"));
  }
  if (language.grammar.empty() == language.describe.empty()) {
    return fail(shape.wrong("", "one of 'grammar' and 'describe' is needed", "`describe` is the command of a program that reads sources."));
  }
  for (std::size_t i = 0; i < language.extensions.size(); ++i) {
    if (language.extensions[i].size() > 1 && language.extensions[i].front() == '.') continue;
    return fail(shape.wrong("/extensions/" + std::to_string(i), "an extension starts with a dot", "For instance .py"));
  }
  return language;
}

}  // namespace

Result<std::vector<Language>> load_languages(const fs::path& resources_dir, const fs::path& project_root) {
  std::map<std::string, fs::path> folders;  // by the language's name; the project's own come last and win
  const auto collect = [&folders](const fs::path& dir) -> std::error_code {
    std::error_code error;
    for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
      std::error_code ignored;
      if (fs::is_regular_file(it->path() / "language.yml", ignored)) folders[it->path().filename().string()] = it->path();
    }
    return error;
  };
  if (const auto error = collect(resources_dir)) {
    return fail(ErrorCode::kIo, resources_dir.string() + ": cannot read the folder: " + error.message());
  }
  std::error_code ignored;
  if (!project_root.empty() && fs::is_directory(project_root / "languages", ignored)) {
    if (const auto error = collect(project_root / "languages")) {
      return fail(ErrorCode::kIo, (project_root / "languages").string() + ": cannot read the folder: " + error.message());
    }
  }
  std::vector<Language> languages;
  for (const auto& [name, folder] : folders) {
    auto language = load_language(folder);
    if (!language) return fail(std::move(language.error()));
    languages.push_back(std::move(*language));
  }
  return languages;
}

}  // namespace sabir::project
