#include "build.h"

#include <algorithm>
#include <future>
#include <regex>
#include <unistd.h>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/functions/functions.h"
#include "sabir/process/spawn.h"
#include "sabir/schema/glue.h"

namespace sabir::functions {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::minutes kCompileTime{5};

std::string replaced(std::string text, const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) {
    const std::string mark = "{" + name + "}";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
      text.replace(at, mark.size(), value);
    }
  }
  return text;
}

std::vector<std::string> filled(const std::vector<std::string>& argv, const std::map<std::string, std::string>& values,
                                const std::vector<std::string>& objects = {}) {
  std::vector<std::string> out;
  for (const auto& word : argv) {
    if (word == "{objects}") {
      out.insert(out.end(), objects.begin(), objects.end());
    } else {
      out.push_back(replaced(word, values));
    }
  }
  return out;
}

// What every object depends on besides its own text: the language's files and the user's headers.
std::string surroundings(const fs::path& resources, const fs::path& sources) {
  std::vector<fs::path> files;
  std::error_code ec;
  for (const auto& folder : {resources, sources}) {
    for (fs::recursive_directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
      const auto extension = it->path().extension();
      const bool header = extension == ".h" || extension == ".hpp" || extension == ".hh";
      if (it->is_regular_file(ec) && (header || folder == resources)) files.push_back(it->path());
    }
  }
  std::sort(files.begin(), files.end());
  std::string all;
  for (const auto& file : files) {
    if (auto text = read_file(file)) all += file.filename().string() + ":" + fingerprint(*text) + "\n";
  }
  return fingerprint(all);
}

// The first "file:line:column: error: text" of a compiler's output, as an error at that place.
Error compile_error(const std::string& output, const std::string& relative, const fs::path& root) {
  static const std::regex kDiagnostic(R"(([^\s:][^:\n]*):(\d+):(\d+): (?:fatal )?error: ([^\n]*))");
  std::smatch match;
  const std::string text = output.substr(0, 65536);
  if (std::regex_search(text, match, kDiagnostic)) {
    std::string file = match[1];
    const std::string prefix = root.string() + "/";
    if (file.starts_with(prefix)) file = file.substr(prefix.size());
    return Error(ErrorCode::kBuildFailed, relative + " does not compile: " + match[4].str(),
                 "The functions of other files still work.")
        .at(file, std::atoi(match[2].str().c_str()), std::atoi(match[3].str().c_str()))
        .with_detail(output);
  }
  return Error(ErrorCode::kBuildFailed, relative + " does not compile", output.substr(0, 2000)).at(relative).with_detail(output);
}

Result<std::string> render_glue(const std::string& template_text, const std::string& input) {
  sb_templates* const templates = sb_templates_new([](void*, sb_str, sb_str*) { return 0; }, nullptr, 10'000'000);
  sb_buf out{};
  const std::string name = "glue";
  const int code = sb_templates_render_text(templates, {name.data(), name.size()}, {template_text.data(), template_text.size()},
                                            {input.data(), input.size()}, &out);
  std::string text(out.data, out.size);
  sb_free(out);
  sb_templates_free(templates);
  if (code != 0) return fail(ErrorCode::kInternal, "the language's glue template: " + text);
  return text;
}

// What no build has touched for a month is gone from every project, or comes back in seconds.
void drop_old(const fs::path& folder) {
  std::error_code ec;
  const auto oldest = fs::file_time_type::clock::now() - std::chrono::hours(24 * 30);
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    std::error_code ignored;
    if (entry.last_write_time(ignored) < oldest && !ignored) fs::remove(entry.path(), ignored);
  }
}

// Keeps a file that a build uses from being dropped.
void touch(const fs::path& file) {
  std::error_code ignored;
  fs::last_write_time(file, fs::file_time_type::clock::now(), ignored);
}

struct Unit {
  fs::path source;
  fs::path object;
  std::string relative;  // "" = the language's runtime
  std::string absolute;
};

}  // namespace

Result<Built> build_program(const project::Project& project, const project::Language& language, const Registry& registry,
                            const fs::path& cache, const std::atomic<bool>& stopping) {
  auto compiler = find_interpreter(project, language);
  if (!compiler) return fail(std::move(compiler.error()));
  auto glue = read_file(language.resources / language.glue);
  if (!glue) return fail(std::move(glue.error()));
  const fs::path folder = cache / language.name;
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) return fail(ErrorCode::kIo, folder.string() + ": cannot create: " + ec.message());
  drop_old(folder);
  const std::string around =
      surroundings(language.resources, project.root / "functions" / language.name) + *compiler + join(language.build, " ");

  std::vector<Unit> units;
  const auto add_unit = [&](const std::string& text, const std::string& stem, const std::string& relative,
                            const std::string& absolute) -> Result<void> {
    const std::string key = fingerprint(text + around);
    Unit unit{folder / (stem + "-" + key + ".cc"), folder / (stem + "-" + key + ".o"), relative, absolute};
    if (!fs::exists(unit.object)) {
      if (auto written = write_file(unit.source, text); !written) return written;
    }
    units.push_back(std::move(unit));
    return {};
  };
  auto runtime = read_file(language.resources / language.worker);
  if (!runtime) return fail(std::move(runtime.error()));
  if (auto added = add_unit(*runtime, "worker", "", ""); !added) return fail(std::move(added.error()));
  for (const auto& described : registry.described()) {
    if (described.source.language != language.name || described.description.functions.empty()) continue;
    auto source = read_file(described.source.path);
    if (!source) continue;
    auto text = render_glue(*glue, schema::glue_input(described.description, described.source.relative, described.source.relative));
    if (!text) return fail(std::move(text.error()));
    *text += "\n// content of the source: " + fingerprint(*source) + "\n";
    if (auto added = add_unit(*text, described.source.module, described.source.relative, described.source.path.string()); !added) {
      return fail(std::move(added.error()));
    }
  }

  Built built;
  std::vector<std::pair<const Unit*, std::future<Result<process::RunResult>>>> running;
  std::vector<std::string> objects;
  std::optional<Error> broken_runtime;
  const auto settle = [&](const Unit& unit, Result<process::RunResult> result) {
    if (result && !result->timed_out && result->status.code == 0) {
      objects.push_back(unit.object.string());
      return;
    }
    if (stopping) {
      broken_runtime = Error(ErrorCode::kCancelled, "the engine stopped while it built the " + language.name + " functions");
      return;
    }
    const std::string output = !result ? result.error().message : result->timed_out ? "compiling took over 5 minutes" : result->output;
    if (unit.relative.empty()) {
      broken_runtime = Error(ErrorCode::kBuildFailed, "the " + language.name + " worker's own runtime does not compile with " + *compiler,
                             output.substr(0, 2000)).with_detail(output);
    } else {
      built.broken.emplace(unit.absolute, compile_error(output, unit.relative, project.root));
    }
  };
  for (const auto& unit : units) {
    if (fs::exists(unit.object)) {
      touch(unit.object);
      objects.push_back(unit.object.string());
      continue;
    }
    const auto beside = unit.object.string() + "." + fingerprint(unit.object.string() + std::to_string(::getpid())) + ".tmp";
    process::SpawnSpec spec;
    spec.argv = filled(language.build, {{"interpreter", *compiler}, {"glue", unit.source.string()}, {"source", unit.source.string()},
                                        {"out", beside}, {"sdk", (language.resources / "sdk").string()},
                                        {"resources", language.resources.string()}, {"project", project.root.string()}});
    spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}});
    spec.directory = project.root;
    running.emplace_back(&unit, std::async(std::launch::async, [spec = std::move(spec), beside, object = unit.object, &stopping] {
      auto result = process::run(spec, kCompileTime, 1U << 20U, &stopping);
      std::error_code ignored;
      if (result && !result->timed_out && result->status.code == 0) fs::rename(beside, object, ignored);
      return result;
    }));
    if (running.size() >= 2) {
      settle(*running.front().first, running.front().second.get());
      running.erase(running.begin());
    }
  }
  for (auto& [unit, result] : running) settle(*unit, result.get());
  if (broken_runtime) return fail(std::move(*broken_runtime));

  std::sort(objects.begin(), objects.end());
  const auto link = [&](const std::string& out) {
    return filled(language.link, {{"interpreter", *compiler}, {"out", out}, {"resources", language.resources.string()},
                                  {"project", project.root.string()}}, objects);
  };
  built.program = folder / ("worker-" + fingerprint(join(link(""), "\n")));
  if (!fs::exists(built.program)) {
    const auto beside = built.program.string() + "." + std::to_string(::getpid()) + ".tmp";
    process::SpawnSpec spec;
    spec.argv = link(beside);
    spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}});
    spec.directory = project.root;
    auto result = process::run(std::move(spec), kCompileTime, 1U << 20U, &stopping);
    if (!result) return fail(std::move(result.error()));
    if (result->timed_out || result->status.code != 0) {
      return fail(Error(ErrorCode::kBuildFailed, "the " + language.name + " functions do not link", result->output.substr(0, 2000))
                      .with_detail(result->output));
    }
    fs::rename(beside, built.program, ec);
    if (ec) return fail(ErrorCode::kIo, built.program.string() + ": cannot write: " + ec.message());
  }
  touch(built.program);
  return built;
}

}  // namespace sabir::functions
