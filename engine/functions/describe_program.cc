#include "describe_program.h"

#include <algorithm>
#include <span>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/languages/languages.h"
#include "sabir/process/spawn.h"
#include "sabir/schema/described.h"
#include "sabir/schema/plain.h"

namespace sabir::functions {
namespace fs = std::filesystem;
std::string file_stamp(const fs::path& root, std::string_view name) {
  const fs::path path = fs::path(name).is_absolute() ? fs::path(name) : root / name;
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) return "";
  return std::to_string(size) + "-" + std::to_string(fs::last_write_time(path, error).time_since_epoch().count());
}

namespace {

constexpr int kMostStartsAgain = 40;
constexpr int kFormat = 3;  // of the file that keeps what was told
constexpr std::chrono::seconds kLongest{30};
constexpr std::chrono::seconds kLongestAtFirst{180};  // of a program that has told nothing here yet: it may compile itself
constexpr std::size_t kMostAnswer = std::size_t{64} << 20U;
constexpr std::size_t kMostSiblings = 500;  // of a plain file
constexpr std::size_t kMostPlain = std::size_t{4} << 20U;
constexpr std::size_t kMostAtOnce = 8;  // programs
constexpr std::size_t kMostDepends = 1000;  // other files that one answer was made from

struct Asked {
  const project::SourceFile* source;
  std::string text;
  std::string content;  // fingerprint and size of the text
};

// What every kept answer of a language hangs on: its program, and the engine that checked what it said.
std::string program_fingerprint(const project::Language& language) {
  std::string all = SABIR_VERSION "\n" + language.resources.string() + "\n" + languages::fingerprint_of_folder(language.resources);
  const bool by_engine = std::find(language.describe.begin(), language.describe.end(), "{engine}") != language.describe.end();
  if (by_engine) all += "\n" + stamp_of_content("/proc/self/exe").text;
  return fingerprint(all);
}

// Other files that an answer was made from, with their stamps.
json::object stamps_of_others(const fs::path& root, const json::value& told) {
  json::object out;
  const auto* depends = told.is_object() ? told.get_object().if_contains("depends") : nullptr;
  if (!depends || !depends->is_array()) return out;
  for (const auto& name : depends->get_array()) {
    if (name.is_string() && out.size() < kMostDepends) out[name.get_string()] = file_stamp(root, name.get_string());
  }
  return out;
}

bool still_holds(const fs::path& root, const json::object& entry, const std::string& content) {
  if (string_or(entry, "content") != content) return false;
  const auto* depends = entry.if_contains("depends");
  if (!depends || !depends->is_object()) return true;
  return std::all_of(depends->get_object().begin(), depends->get_object().end(), [&](const auto& one) {
    return one.value().is_string() && std::string_view(one.value().get_string()) == file_stamp(root, one.key());
  });
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

// The program's answers in the order of what was asked. `killed`: a signal ended it.
Result<json::array> ask_once(const project::Project& project, const project::Language& language, std::span<const Asked> asked,
                             std::chrono::seconds longest, bool& killed) {
  auto interpreter = languages::find_interpreter(language, project.root);
  if (!interpreter) return fail(std::move(interpreter.error()));
  json::array files;
  for (const auto& one : asked) files.push_back(json::object{{"path", one.source->relative}, {"source", one.text}});
  process::SpawnSpec spec;
  spec.argv = languages::filled(language.describe, languages::usual_values(language, project.root, *interpreter));
  spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}});
  spec.directory = project.root;
  spec.input = compact_json(json::object{{"version", 1}, {"files", std::move(files)}});
  spec.separate_errors = true;
  auto run = process::run(std::move(spec), longest, kMostAnswer);
  if (!run) return fail(std::move(run.error()));
  const std::string what = "the describe program of " + language.name;
  killed = !run->timed_out && run->status.signal != 0;
  if (run->timed_out) return fail(ErrorCode::kTimeout, what + " took more than " + std::to_string(longest.count()) + " s");
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

// An answer for each file. Where a file ends the program, by a fault of the language's own parser, the others are asked about
// without it; `more` is how often the program may be started again for that.
void ask(const project::Project& project, const project::Language& language, std::span<const Asked> asked, std::chrono::seconds longest, int& more,
         std::vector<Result<json::value>>& answers) {
  bool killed = false;
  auto told = ask_once(project, language, asked, longest, killed);
  if (told) {
    for (auto& one : *told) answers.emplace_back(std::move(one));
  } else if (killed && asked.size() > 1 && more >= 2) {
    more -= 2;
    const auto half = asked.size() / 2;
    ask(project, language, asked.first(half), longest, more, answers);
    ask(project, language, asked.subspan(half), longest, more, answers);
  } else {
    answers.insert(answers.end(), asked.size(), Result<json::value>(fail(told.error())));
  }
}

// Which folders have no file whose types a plain reader would have to know.
class PlainFolders {
 public:
  explicit PlainFolders(const project::Language& language) : language_(language) {}

  bool may_be_plain(const fs::path& folder) {
    const auto [found, is_new] = known_.try_emplace(folder, true);
    if (!is_new) return found->second;
    std::size_t seen = 0;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; found->second && !error && it != end; it.increment(error)) {
      const auto& extensions = language_.extensions;
      if (std::find(extensions.begin(), extensions.end(), it->path().extension().string()) == extensions.end()) continue;
      const auto text = read_file(it->path(), kMostPlain);
      found->second = ++seen <= kMostSiblings && text && !schema::hides_plain_types(language_.plain, *text);
    }
    found->second = found->second && !error;
    return found->second;
  }

 private:
  const project::Language& language_;
  std::map<fs::path, bool> known_;
};

Told describe_language(const project::Project& project, const project::Language& language) {
  Told out;
  const auto folder = project.root / ".sabir" / "described";
  const auto file = folder / (language.name + ".json");
  const std::string program = program_fingerprint(language);
  json::object kept = kept_answers(file, program);
  const bool at_first = kept.empty();
  json::object next;
  std::vector<Asked> changed;
  schema::SchemaChecks trusting(schema::SchemaChecks::Trust::kAll);
  for (const auto& source : project.sources) {
    if (source.language != language.name) continue;
    auto text = read_file(source.path, kMostSource);
    if (!text) {
      out.files.emplace(source.relative, fail(std::move(text.error())));
      out.settled = false;
      continue;
    }
    std::string content = fingerprint_of_content(*text) + "-" + std::to_string(text->size());
    auto* entry = kept.if_contains(source.relative);
    if (entry && entry->is_object() && still_holds(project.root, entry->get_object(), content)) {
      out.files.emplace(source.relative, schema::description_from_json(entry->get_object()["told"], source.relative, trusting));
      next[source.relative] = std::move(*entry);
    } else {
      changed.push_back({&source, std::move(*text), std::move(content)});
    }
  }
  const std::size_t from_kept = out.files.size();
  schema::SchemaChecks checks;
  const auto take = [&](const Asked& one, json::value entry) {
    const auto& relative = one.source->relative;
    auto description = schema::description_from_json(entry, relative, checks);
    // What breaks the contract is asked about again: what is kept is not checked.
    const bool holds = description.has_value() || description.error().code == ErrorCode::kLoadFailed;
    out.files.emplace(relative, std::move(description));
    out.settled = out.settled && holds;
    if (!holds) return;
    json::object depends = stamps_of_others(project.root, entry);
    next[relative] = json::object{{"content", one.content}, {"told", std::move(entry)}};
    if (!depends.empty()) next[relative].get_object()["depends"] = std::move(depends);
  };
  if (!changed.empty() && !language.plain.empty()) {
    PlainFolders folders(language);
    std::erase_if(changed, [&](const Asked& one) {
      if (!folders.may_be_plain(one.source->path.parent_path())) return false;
      auto entry = schema::describe_plain(language.plain, one.text, one.source->relative);
      if (entry) take(one, std::move(*entry));
      return entry.has_value();
    });
  }
  const bool something_new = out.files.size() > from_kept || !changed.empty();
  if (!changed.empty()) {
    std::vector<Result<json::value>> told;
    int more = kMostStartsAgain;
    ask(project, language, changed, at_first ? kLongestAtFirst : kLongest, more, told);
    for (std::size_t i = 0; i < changed.size(); ++i) {
      if (told[i]) {
        take(changed[i], std::move(*told[i]));
        continue;
      }
      out.files.emplace(changed[i].source->relative, fail(std::move(told[i].error())));
      out.settled = false;
    }
  }
  for (const auto& [relative, entry] : next) {
    const auto* depends = entry.get_object().if_contains("depends");
    if (!depends || !depends->is_object()) continue;
    // fs::path's `/` leaves an absolute path as it is.
    for (const auto& [name, when] : depends->get_object()) out.inputs.add(project.root / std::string(name), when.is_string() && !when.get_string().empty());
  }
  if (!something_new && next.size() == kept.size()) return out;
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  // Where it cannot be kept, the program is asked again next time.
  (void)write_file(file, compact_json(json::object{{"format", kFormat}, {"program", program}, {"files", std::move(next)}}));
  return out;
}

}  // namespace

Describing::Describing(const project::Project& project, const std::vector<project::Language>& languages) {
  for (const auto& language : languages) {
    const bool used = std::any_of(project.sources.begin(), project.sources.end(), [&](const auto& s) { return s.language == language.name; });
    if (!used || language.describe.empty()) continue;
    // Languages are few; more of a project's own wait for their turn.
    const auto how = running_.size() < kMostAtOnce ? std::launch::async : std::launch::deferred;
    running_.push_back(std::async(how, [&project, &language] { return describe_language(project, language); }));
  }
}

Told Describing::take() {
  Told all;
  for (auto& one : running_) {
    Told told = one.get();
    all.files.merge(told.files);
    all.inputs.add(told.inputs);
    all.settled = all.settled && told.settled;
  }
  running_.clear();
  return all;
}

}  // namespace sabir::functions
