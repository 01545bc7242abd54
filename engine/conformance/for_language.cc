#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/conformance/conformance.h"
#include "sabir/languages/languages.h"
#include "sabir/process/spawn.h"
#include "sabir/project/project.h"

namespace sabir::conformance {
namespace {

namespace fs = std::filesystem;

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
    done = run_step(languages::filled(language.build, {{"interpreter", compiler}, {"source", source.string()}, {"out", object},
                                            {"sdk", (language.resources / language.sdk).string()},
                                            {"resources", language.resources.string()}, {"project", language.resources.string()}}),
                    folder, "compiling " + source.filename().string());
    if (!done) break;
    objects.push_back(object);
  }
  if (done) {
    done = run_step(languages::filled(language.link, {{"interpreter", compiler}, {"out", beside}, {"project", language.resources.string()},
                                                      {"resources", language.resources.string()}}, {{"objects", objects}}),
                    folder, "linking the testee");
  }
  for (const auto& object : objects) fs::remove(object, error);
  if (!done) return fail(std::move(done.error()));
  fs::rename(beside, program, error);
  if (error) return fail(ErrorCode::kIo, program.string() + ": cannot write: " + error.message());
  return program;
}

// A project of the testee alone, built by the language's own build program; `testee` becomes its path there.
Result<fs::path> build_project(const project::Language& language, std::string& testee) {
  const auto root = cache_folder() / "conformance" / (language.name + "-project");
  const std::string relative = "functions/" + language.name + "/" + fs::path(testee).filename().string();
  const auto copy = root / relative;
  auto text = read_file(testee);
  if (!text) return fail(std::move(text.error()));
  std::error_code error;
  fs::create_directories(copy.parent_path(), error);
  if (error) return fail(ErrorCode::kIo, copy.parent_path().string() + ": cannot create: " + error.message());
  if (auto written = write_file(copy, *text); !written) return fail(std::move(written.error()));
  testee = copy.string();
  const std::atomic<bool> stopping = false;
  auto built = languages::build(language, root, {{project::SourceKind::kFunction, language.name, "testee", copy, relative}},
                                cache_folder() / "conformance", stopping);
  if (!built) return fail(std::move(built.error()));
  if (!built->broken.empty()) return fail(built->broken.begin()->second);
  return built->program;
}

}  // namespace

Result<Options> for_language(const fs::path& languages, const std::string& name, const fs::path& project) {
  auto all = project::load_languages(languages, project);
  if (!all) return fail(std::move(all.error()));
  std::vector<std::string> names;
  for (const auto& language : *all) names.push_back(language.name);
  const auto found = std::find_if(all->begin(), all->end(), [&](const auto& language) { return language.name == name; });
  if (found == all->end()) {
    return fail(ErrorCode::kUsage, "there is no language '" + name + "'", did_you_mean(name, names) + " There are " + join(names, ", ") + ".");
  }
  auto interpreter = languages::find_interpreter(*found, {});
  if (!interpreter) return fail(ErrorCode::kUnavailable, name + " is not installed", found->missing_hint);
  Options options;
  for (const auto& extension : found->extensions) {
    const auto testee = found->resources / ("testee" + extension);
    if (std::error_code ignored; options.testee.empty() && fs::is_regular_file(testee, ignored)) options.testee = testee.string();
  }
  if (options.testee.empty()) {
    return fail(ErrorCode::kNotFound, found->resources.string() + " has no testee" + found->extensions.front(), "conformance/README.md says what it is.");
  }
  auto values = languages::usual_values(*found, found->resources, *interpreter);
  if (!found->builder.empty()) {
    auto built = build_project(*found, options.testee);
    if (!built) return fail(std::move(built.error()));
    values["program"] = built->string();
  } else if (!found->glue.empty()) {
    auto built = build_testee(*found, *interpreter);
    if (!built) return fail(std::move(built.error()));
    values["program"] = built->string();
  }
  options.command = languages::filled(found->launch, values);
  auto expected = read_expected_failures(found->resources / "expected_failures.yaml");
  if (!expected) return fail(std::move(expected.error()));
  options.expected_failures = std::move(*expected);
  return options;
}

}  // namespace sabir::conformance
