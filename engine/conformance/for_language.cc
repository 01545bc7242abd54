#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/conformance/conformance.h"
#include "sabir/process/spawn.h"
#include "sabir/project/project.h"

namespace sabir::conformance {
namespace {

namespace fs = std::filesystem;

// The first interpreter or compiler that this machine has; "" when there is none. Those inside a project do not count.
std::string find_interpreter(const project::Language& language) {
  for (auto candidate : language.interpreters) {
    if (candidate.starts_with("$")) {
      const auto slash = candidate.find('/');
      const char* value = std::getenv(candidate.substr(1, slash == std::string::npos ? slash : slash - 1).c_str());
      if (value == nullptr || *value == '\0') continue;
      candidate = value + (slash == std::string::npos ? std::string() : candidate.substr(slash));
    } else if (candidate.find('/') != std::string::npos) {
      continue;
    }
    if (auto found = process::find_program(candidate); !found.empty()) return found;
  }
  return "";
}

std::vector<std::string> filled(std::vector<std::string> argv, const std::vector<std::pair<std::string, std::string>>& values) {
  for (auto& word : argv) {
    for (const auto& [name, value] : values) {
      const auto mark = "{" + name + "}";
      for (auto at = word.find(mark); at != std::string::npos; at = word.find(mark, at + value.size())) word.replace(at, mark.size(), value);
    }
  }
  return argv;
}

Result<void> run_step(std::vector<std::string> argv, const fs::path& directory, const std::string& what) {
  process::SpawnSpec spec;
  spec.argv = std::move(argv);
  spec.directory = directory;
  spec.environment = process::environment_with({});
  auto result = process::run(std::move(spec), std::chrono::minutes(5));
  if (!result) return fail(std::move(result.error()));
  if (result->timed_out || result->status.code != 0) {
    return fail(Error(ErrorCode::kBuildFailed, what + (result->timed_out ? " took over 5 minutes" : " failed"), result->output.substr(0, 2000))
                    .with_detail(result->output));
  }
  return {};
}

fs::path cache_folder() {
  const char* given = std::getenv("XDG_CACHE_HOME");
  if (given != nullptr && *given == '/') return fs::path(given) / "sabir";
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : "/tmp") / ".cache" / "sabir";
}

// The testee's program: testee_glue, which stands for the engine's glue, and the language's own worker, linked.
Result<fs::path> build_testee(const project::Language& language, const std::string& compiler) {
  const auto glue = language.resources / ("testee_glue" + fs::path(language.worker).extension().string());
  std::string key = compiler + join(language.build, " ") + join(language.link, " ");
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator it(language.resources, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error)) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    if (auto text = read_file(file)) key += fingerprint(*text);
  }
  const auto folder = cache_folder() / "conformance";
  const auto program = folder / (language.name + "-" + fingerprint(key));
  if (fs::exists(program, error)) return program;
  fs::create_directories(folder, error);
  if (error) return fail(ErrorCode::kIo, folder.string() + ": cannot create: " + error.message());
  const auto beside = program.string() + "." + std::to_string(::getpid());
  std::vector<std::string> objects;
  Result<void> done;
  for (const auto& source : {glue, language.resources / language.worker}) {
    const auto object = beside + "-" + source.stem().string() + ".o";
    done = run_step(filled(language.build, {{"interpreter", compiler}, {"source", source.string()}, {"out", object},
                                            {"sdk", (language.resources / language.sdk).string()},
                                            {"resources", language.resources.string()}, {"project", language.resources.string()}}),
                    folder, "compiling " + source.filename().string());
    if (!done) break;
    objects.push_back(object);
  }
  if (done) {
    std::vector<std::string> argv;
    for (const auto& word : language.link) {
      if (word == "{objects}") {
        argv.insert(argv.end(), objects.begin(), objects.end());
      } else {
        argv.push_back(word);
      }
    }
    done = run_step(filled(std::move(argv), {{"interpreter", compiler}, {"out", beside}, {"project", language.resources.string()}}), folder,
                    "linking the testee");
  }
  for (const auto& object : objects) fs::remove(object, error);
  if (!done) return fail(std::move(done.error()));
  fs::rename(beside, program, error);
  if (error) return fail(ErrorCode::kIo, program.string() + ": cannot write: " + error.message());
  return program;
}

}  // namespace

Result<Options> for_language(const fs::path& languages, const std::string& name) {
  auto all = project::load_languages(languages);
  if (!all) return fail(std::move(all.error()));
  std::vector<std::string> names;
  for (const auto& language : *all) names.push_back(language.name);
  const auto found = std::find_if(all->begin(), all->end(), [&](const auto& language) { return language.name == name; });
  if (found == all->end()) {
    return fail(ErrorCode::kUsage, "there is no language '" + name + "'", did_you_mean(name, names) + " There are " + join(names, ", ") + ".");
  }
  const auto interpreter = find_interpreter(*found);
  if (interpreter.empty()) return fail(ErrorCode::kUnavailable, name + " is not installed", found->missing_hint);
  Options options;
  for (const auto& extension : found->extensions) {
    const auto testee = found->resources / ("testee" + extension);
    if (std::error_code ignored; options.testee.empty() && fs::is_regular_file(testee, ignored)) options.testee = testee.string();
  }
  if (options.testee.empty()) {
    return fail(ErrorCode::kNotFound, found->resources.string() + " has no testee" + found->extensions.front(), "conformance/README.md says what it is.");
  }
  std::string program;
  if (!found->glue.empty()) {
    auto built = build_testee(*found, interpreter);
    if (!built) return fail(std::move(built.error()));
    program = built->string();
  }
  options.command = filled(found->launch, {{"interpreter", interpreter}, {"worker", (found->resources / found->worker).string()},
                                           {"sdk", (found->resources / found->sdk).string()},
                                           {"project", found->resources.string()}, {"program", program}});
  auto expected = read_expected_failures(found->resources / "expected_failures.yaml");
  if (!expected) return fail(std::move(expected.error()));
  options.expected_failures = std::move(*expected);
  return options;
}

}  // namespace sabir::conformance
