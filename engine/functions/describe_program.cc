#include "describe_program.h"

#include <algorithm>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/functions/functions.h"
#include "sabir/process/spawn.h"
#include "sabir/schema/described.h"

namespace sabir::functions {
namespace fs = std::filesystem;
namespace {

constexpr int kFormat = 1;  // of the file that keeps what was told
constexpr std::chrono::seconds kLongest{30};
constexpr std::size_t kMostAnswer = std::size_t{64} << 20U;

struct Asked {
  const project::SourceFile* source;
  std::string text;
  std::string content;  // fingerprint and size of the text
};

std::vector<std::string> command_of(const project::Language& language, const std::string& interpreter) {
  std::vector<std::string> argv;
  for (std::string word : language.describe) {
    for (const auto& [name, value] : {std::pair<std::string, std::string>{"{interpreter}", interpreter},
                                      {"{resources}", language.resources.string()}}) {
      for (auto at = word.find(name); at != std::string::npos; at = word.find(name, at + value.size())) word.replace(at, name.size(), value);
    }
    argv.push_back(std::move(word));
  }
  return argv;
}

// What the answers depend on besides the sources: language.yml and every file beside it, by name, size and time.
std::string program_fingerprint(const project::Language& language) {
  std::vector<std::string> parts;
  std::error_code error;
  for (fs::directory_iterator it(language.resources, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!it->is_regular_file(ignored)) continue;
    parts.push_back(it->path().filename().string() + " " + std::to_string(it->file_size(ignored)) + " " +
                    std::to_string(it->last_write_time(ignored).time_since_epoch().count()));
  }
  std::sort(parts.begin(), parts.end());
  return fingerprint(language.resources.string() + "\n" + join(parts, "\n"));
}

json::object kept_answers(const fs::path& file, const std::string& program) {
  const auto text = read_file(file, kMostAnswer);
  if (!text) return {};
  auto value = parse_json(*text);
  if (!value || !value->is_object()) return {};
  auto& object = value->get_object();
  const auto* format = object.if_contains("format");
  auto* files = object.if_contains("files");
  if (!format || *format != kFormat || string_or(object, "program") != program || !files || !files->is_object()) return {};
  return std::move(files->get_object());
}

// The program's answers in the order of what was asked.
Result<json::array> ask(const project::Project& project, const project::Language& language, const std::vector<Asked>& asked) {
  auto interpreter = find_interpreter(project, language);
  if (!interpreter) return fail(std::move(interpreter.error()));
  json::array files;
  for (const auto& one : asked) files.push_back(json::object{{"path", one.source->relative}, {"source", one.text}});
  process::SpawnSpec spec;
  spec.argv = command_of(language, *interpreter);
  spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}});
  spec.directory = project.root;
  spec.input = compact_json(json::object{{"version", 1}, {"files", std::move(files)}});
  spec.separate_errors = true;
  auto run = process::run(std::move(spec), kLongest, kMostAnswer);
  if (!run) return fail(std::move(run.error()));
  const std::string what = "the describe program of " + language.name;
  if (run->timed_out) return fail(ErrorCode::kTimeout, what + " took more than " + std::to_string(kLongest.count()) + " s");
  if (run->status.code != 0) {
    const auto lines = split_lines(trim(run->errors));
    return fail(Error(ErrorCode::kUnavailable, what + " " + run->status.text() + (lines.empty() ? "" : ": " + std::string(lines.back())))
                    .with_detail(run->errors));
  }
  auto answer = parse_json(run->output);
  if (!answer) return fail(ErrorCode::kProtocol, what + " printed what is no JSON: " + answer.error().message);
  auto* told = answer->is_object() ? answer->get_object().if_contains("files") : nullptr;
  if (!told || !told->is_array() || told->get_array().size() != asked.size()) {
    return fail(ErrorCode::kProtocol, what + " must answer {\"version\": 1, \"files\": […]} with one entry for each file");
  }
  return std::move(told->get_array());
}

void describe_language(const project::Project& project, const project::Language& language,
                       std::map<std::string, Result<schema::Description>>& out) {
  const auto folder = project.root / ".sabir" / "described";
  const auto file = folder / (language.name + ".json");
  const std::string program = program_fingerprint(language);
  json::object kept = kept_answers(file, program);
  json::object next;
  std::vector<Asked> changed;
  for (const auto& source : project.sources) {
    if (source.language != language.name) continue;
    auto text = read_file(source.path, kMostSource);
    if (!text) {
      out.emplace(source.relative, fail(std::move(text.error())));
      continue;
    }
    std::string content = fingerprint(*text) + "-" + std::to_string(text->size());
    auto* entry = kept.if_contains(source.relative);
    if (entry && entry->is_object() && string_or(entry->get_object(), "content") == content) {
      out.emplace(source.relative, schema::description_from_json(entry->get_object()["told"], source.relative));
      next[source.relative] = std::move(*entry);
    } else {
      changed.push_back({&source, std::move(*text), std::move(content)});
    }
  }
  if (!changed.empty()) {
    auto told = ask(project, language, changed);
    for (std::size_t i = 0; i < changed.size(); ++i) {
      const auto& relative = changed[i].source->relative;
      if (!told) {
        out.emplace(relative, fail(told.error()));
        continue;
      }
      out.emplace(relative, schema::description_from_json((*told)[i], relative));
      next[relative] = json::object{{"content", changed[i].content}, {"told", std::move((*told)[i])}};
    }
  }
  if (changed.empty() && next.size() == kept.size()) return;
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  // Where it cannot be kept, the program is asked again next time.
  (void)write_file(file, compact_json(json::object{{"format", kFormat}, {"program", program}, {"files", std::move(next)}}));
}

}  // namespace

std::map<std::string, Result<schema::Description>> describe_by_programs(const project::Project& project,
                                                                        const std::vector<project::Language>& languages) {
  std::map<std::string, Result<schema::Description>> out;
  for (const auto& language : languages) {
    const bool used = std::any_of(project.sources.begin(), project.sources.end(), [&](const auto& s) { return s.language == language.name; });
    if (used && !language.describe.empty()) describe_language(project, language, out);
  }
  return out;
}

}  // namespace sabir::functions
