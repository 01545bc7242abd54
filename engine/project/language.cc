#include <algorithm>
#include <map>

#include "shape.h"

namespace sabir::project {
namespace fs = std::filesystem;
namespace {

Result<void> read_introspect(Language& language, const json::object& object, const Shape& shape) {
  const auto* value = object.if_contains("introspect");
  if (!value) return {};
  if (!value->is_object()) return fail(shape.wrong("/introspect", "introspect must be a mapping with run and files, not " + kind_of(*value)));
  const auto& given = value->get_object();
  if (auto ok = refuse_unknown_keys(given, {"run", "files"}, shape.file, shape.positions, "/introspect"); !ok) return ok;
  const auto* run = given.if_contains("run");
  if (!run) return fail(shape.wrong("/introspect", "introspect needs 'run'"));
  auto argv = shape.texts(*run, "/introspect/run");
  if (!argv) return fail(std::move(argv.error()));
  language.introspect = std::move(*argv);
  if (const auto* files = given.if_contains("files")) {
    auto names = shape.texts(*files, "/introspect/files");
    if (!names) return fail(std::move(names.error()));
    language.introspect_files = std::move(*names);
  }
  return {};
}

Result<void> read_templates(Language& language, const json::object& object, const Shape& shape) {
  const auto* templates = object.if_contains("templates");
  if (!templates) return {};
  if (!templates->is_object()) return fail(shape.wrong("/templates", "templates must be a mapping, not " + kind_of(*templates)));
  if (auto ok = refuse_unknown_keys(templates->get_object(), {"function", "assistant", "memory", "prompt"}, shape.file, shape.positions, "/templates"); !ok) return ok;
  for (const auto& [kind, files] : templates->get_object()) {
    const std::string at = "/templates/" + std::string(kind);
    if (!files.is_object()) return fail(shape.wrong(at, "must map file names to templates, not " + kind_of(files)));
    auto& list = language.templates[kind];
    for (const auto& [target, source] : files.get_object()) {
      if (!source.is_string()) return fail(shape.wrong(at, "'" + std::string(target) + "' must name a template, not " + kind_of(source)));
      list.emplace_back(target, source.get_string());
    }
  }
  return {};
}

// `adapter: exec`: the engine's own program is the worker (spec/exec-adapter.md).
Result<void> read_adapter(Language& language, const Shape& shape) {
  if (language.adapter.empty()) {
    if (language.call.empty() && language.call_debug.empty()) return {};
    return fail(shape.wrong("/call", "`call` belongs to `adapter: exec`"));
  }
  if (language.adapter != "exec") return fail(shape.wrong("/adapter", "there is no adapter '" + language.adapter + "'", "There is exec."));
  if (language.call.empty()) return fail(shape.wrong("/adapter", "the key 'call' is missing: the argv that runs one call"));
  if (!language.launch.empty()) return fail(shape.wrong("/launch", "with `adapter: exec` the engine's own program is the worker"));
  language.launch = {"{engine}", "exec-worker", "{resources}", "{interpreter}"};
  language.debug = {"{engine}", "exec-worker", "{resources}", "{interpreter}", "--debug"};
  return {};
}

}  // namespace

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
                                          {"worker", &language.worker, false},
                                          {"grammar", &language.grammar, false},
                                          {"plain", &language.plain, false},
                                          {"glue", &language.glue, false},
                                          {"adapter", &language.adapter, false},
                                          {"sdk", &language.sdk, false},
                                          {"library", &language.library, false},
                                          {"minimum", &language.minimum, false}};
  struct ListKey {
    const char* key;
    std::vector<std::string>* target;
    bool required;
  };
  const std::vector<ListKey> list_keys = {{"extensions", &language.extensions, true},
                                          {"interpreters", &language.interpreters, true},
                                          {"launch", &language.launch, false},
                                          {"call", &language.call, false},
                                          {"call_debug", &language.call_debug, false},
                                          {"build", &language.build, false},
                                          {"link", &language.link, false},
                                          {"builder", &language.builder, false},
                                          {"describe", &language.describe, false},
                                          {"debug", &language.debug, false},
                                          {"headers", &language.headers, false},
                                          {"packages", &language.packages, false},
                                          {"link_library", &language.link_library, false},
                                          {"visible", &language.visible, false},
                                          {"library_build", &language.library_build, false},
                                          {"library_link", &language.library_link, false},
                                          {"version", &language.version, false}};
  std::vector<std::string> known{"tests", "pipes", "introspect", "templates"};
  known.insert(known.end(), std::begin(kEnvironmentKeys), std::end(kEnvironmentKeys));
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
  if (const auto* pipes = object.if_contains("pipes")) {
    if (!pipes->is_bool()) return fail(shape.wrong("/pipes", "pipes must be true or false, not " + kind_of(*pipes)));
    language.pipes = pipes->get_bool();
  }
  if (auto ok = read_environment(language, object, shape); !ok) return fail(std::move(ok.error()));
  if (auto ok = read_introspect(language, object, shape); !ok) return fail(std::move(ok.error()));
  if (auto ok = read_templates(language, object, shape); !ok) return fail(std::move(ok.error()));
  if (auto ok = read_adapter(language, shape); !ok) return fail(std::move(ok.error()));
  if (language.launch.empty()) return fail(shape.wrong("", "the key 'launch' is missing"));
  if (language.worker.empty() && language.builder.empty() && language.adapter.empty()) {
    return fail(shape.wrong("", "the key 'worker' is missing", "A compiled language has `builder` instead."));
  }
  if (language.name != folder.filename()) {
    return fail(shape.wrong("/name", "the language's name must be its folder's, '" + folder.filename().string() + "'"));
  }
  if (language.grammar.empty() == language.describe.empty()) {
    return fail(shape.wrong("", "one of 'grammar' and 'describe' is needed", "`describe` is the command of a program that reads sources."));
  }
  if (!language.plain.empty() && language.describe.empty()) return fail(shape.wrong("/plain", "`plain` belongs to `describe`"));
  for (std::size_t i = 0; i < language.extensions.size(); ++i) {
    if (language.extensions[i].size() > 1 && language.extensions[i].front() == '.') continue;
    return fail(shape.wrong("/extensions/" + std::to_string(i), "an extension starts with a dot", "For instance .py"));
  }
  return language;
}

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
