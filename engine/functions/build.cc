#include "build.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <thread>
#include <unistd.h>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/functions/functions.h"
#include "sabir/languages/languages.h"
#include "sabir/process/spawn.h"
#include "sabir/schema/glue.h"

namespace sabir::functions {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::minutes kCompileTime{5};
constexpr std::size_t kMostCompilers = 8;  // at once

// Of the files of a folder, or of those that are `wanted`.
std::string content_of(const fs::path& folder, bool (*wanted)(const fs::path&) = nullptr) {
  std::vector<fs::path> files;
  std::error_code ec;
  for (fs::recursive_directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    if (it->is_regular_file(ec) && (!wanted || wanted(it->path()))) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  std::string all;
  for (const auto& file : files) {
    if (auto text = read_file(file)) all += file.filename().string() + ":" + fingerprint(*text) + "\n";
  }
  return fingerprint(all);
}

bool is_header(const fs::path& file) {
  const auto extension = file.extension();
  return extension == ".h" || extension == ".hpp" || extension == ".hh";
}

// The headers beside and below existing code, which it may find by its own build's include folders.
std::string headers_of(const project::Origin& origin) {
  std::error_code ec;
  return content_of(fs::is_directory(origin.path, ec) ? origin.path : origin.path.parent_path(), is_header);
}

// The contents of those words of a command that are files of the language.
std::string content_of(const std::vector<std::string>& command, const fs::path& resources) {
  std::string all;
  for (const auto& word : command) {
    std::string path = word;
    if (path.starts_with("{resources}/")) path = (resources / path.substr(12)).string();
    if (!path.starts_with(resources.string() + "/")) continue;
    if (const auto text = read_file(path)) all += *text;
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
    if (entry.last_write_time(ignored) < oldest && !ignored) fs::remove_all(entry.path(), ignored);
  }
}

// Keeps a file that a build uses from being dropped.
void touch(const fs::path& file) {
  std::error_code ignored;
  fs::last_write_time(file, fs::file_time_type::clock::now(), ignored);
}

// A target of the user's own build that functions are linked with.
struct Library {
  std::string flags;  // "@file" for the compiler
  std::string link;   // "@file" for the linker
  std::string stamp;  // of everything that it was made from
  std::optional<Error> error;
};

// Names, sizes and times of the files of a project, but for what is built or installed in it.
std::string stamp_of_project(const fs::path& folder) {
  constexpr std::size_t kMost = 20'000;
  std::vector<std::string> lines;
  std::error_code ec;
  for (fs::recursive_directory_iterator it(folder, ec), end; !ec && it != end && lines.size() < kMost; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    std::error_code ignored;
    if (it->is_directory(ignored)) {
      if (name.starts_with('.') || name.starts_with("build") || name.starts_with("cmake-build") || name == "node_modules") it.disable_recursion_pending();
      continue;
    }
    lines.push_back(it->path().string() + " " + std::to_string(fs::file_size(it->path(), ignored)) + " " +
                    std::to_string(fs::last_write_time(it->path(), ignored).time_since_epoch().count()));
  }
  std::sort(lines.begin(), lines.end());
  return fingerprint(join(lines, "\n"));
}

// By the folder of the user's build and the target.
using Libraries = std::map<std::pair<fs::path, std::string>, Library>;

Library build_library(const project::Origin& origin, const project::Project& project, const project::Language& language, const std::string& compiler,
                      const fs::path& cache, const std::atomic<bool>& stopping) {
  Library out;
  const fs::path folder = cache / ("library-" + fingerprint(origin.library_folder.string() + "\n" + origin.library + "\n" + compiler));
  const fs::path flags = folder / "flags.rsp";
  const fs::path link = folder / "link.rsp";
  out.flags = "@" + flags.string();
  out.link = "@" + link.string();
  out.stamp = stamp_of_project(origin.library_folder);
  const fs::path kept = folder / "stamp";
  if (auto text = read_file(kept); text && *text == out.stamp && fs::exists(flags) && fs::exists(link)) return out;
  std::error_code ec;
  fs::create_directories(folder, ec);
  process::SpawnSpec spec;
  spec.argv = languages::filled(language.link_library, {{"source", origin.library_folder.string()}, {"target", origin.library}, {"folder", folder.string()},
                                                   {"flags", flags.string()}, {"link", link.string()}, {"interpreter", compiler},
                                                   {"resources", language.resources.string()}, {"project", project.root.string()}});
  spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}, {"CXX", compiler}});
  spec.directory = project.root;
  auto result = process::run(std::move(spec), kCompileTime, 1U << 20U, &stopping);
  const std::string what = "the library " + origin.library + " of " + origin.library_folder.string();
  if (!result) {
    out.error = Error(result.error().code, what + ": " + result.error().message, "Install CMake 3.19 or newer (Debian: apt install cmake).");
  } else if (result->timed_out) {
    out.error = Error(ErrorCode::kBuildFailed, what + " took over five minutes to build");
  } else if (result->status.code != 0) {
    out.error = compile_error(result->output, what, project.root);
    if (out.error->line == 0) {
      const auto lines = split_lines(trim(result->output));
      const std::size_t from = lines.size() > 12 ? lines.size() - 12 : 0;
      std::string tail;
      for (std::size_t i = from; i < lines.size(); ++i) tail += std::string(lines[i]) + "\n";
      out.error = Error(ErrorCode::kBuildFailed, what + " does not build", tail).at("sabir.yml", origin.line).with_detail(result->output);
    }
  } else {
    (void)write_file(kept, out.stamp);
  }
  return out;
}

struct Unit {
  fs::path source;
  fs::path object;
  std::string relative;  // "" = the language's runtime
  std::string absolute;
  std::string flags;     // "@file" of the library that it uses, or ""
};

// How one program or library is made of a language's sources.
struct Recipe {
  const std::vector<std::string>& build;
  const std::vector<std::string>& link;
  const std::string& main;     // its main file in the resources
  std::string name;            // of the files that are made, before their fingerprints
  bool (*wanted)(const project::Project&, const project::SourceFile&);
};

bool in_process(const project::Project& project, const project::SourceFile& source) {
  const auto* const rule = project::isolation_of(project, source);
  return rule && rule->level == project::Isolation::kInProcess;
}

// Gives the program; sources that do not compile go to `broken`.
Result<fs::path> make(const project::Project& project, const project::Language& language, const Registry& registry, const fs::path& folder,
                      const Recipe& recipe, const Libraries& libraries, std::map<std::string, Error>& broken, const std::atomic<bool>& stopping) {
  auto compiler = languages::find_interpreter(language, project.root);
  if (!compiler) return fail(std::move(compiler.error()));
  auto glue = read_file(language.resources / language.glue);
  if (!glue) return fail(std::move(glue.error()));
  std::error_code ec;
  // What every object depends on besides its own text.
  const std::string around =
      content_of(language.resources / "sdk") + content_of(recipe.build, language.resources) + *compiler + join(recipe.build, " ");

  std::vector<Unit> units;
  std::set<const Library*> linked;
  const auto add_unit = [&](const std::string& text, const std::string& stem, const std::string& relative,
                            const std::string& absolute, const Library* library = nullptr) -> Result<void> {
    std::string flags = library ? library->flags : std::string();
    std::string flags_text;
    if (library) {
      if (auto read = read_file(flags.substr(1))) flags_text = *read + library->stamp;
    }
    const std::string key = fingerprint(text + around + flags_text);
    Unit unit{folder / (stem + "-" + key + ".cc"), folder / (stem + "-" + key + ".o"), relative, absolute, std::move(flags)};
    if (!fs::exists(unit.object)) {
      if (auto written = write_file(unit.source, text); !written) return written;
    }
    units.push_back(std::move(unit));
    return {};
  };
  auto runtime = read_file(language.resources / recipe.main);
  if (!runtime) return fail(std::move(runtime.error()));
  if (auto added = add_unit(*runtime, recipe.name, "", ""); !added) return fail(std::move(added.error()));
  for (const auto& described : registry.described()) {
    if (described.source.language != language.name || described.description.functions.empty()) continue;
    if (!recipe.wanted(project, described.source)) continue;
    const auto& origin = described.source.origin;
    const Library* library = nullptr;
    if (origin && !origin->library.empty()) {
      library = &libraries.at({origin->library_folder, origin->library});
      if (library->error) {
        broken.emplace(described.source.path.string(), *library->error);
        continue;
      }
      linked.insert(library);
    }
    auto source = read_file(described.source.path);
    if (!source) continue;
    auto text = render_glue(*glue, schema::glue_input(described.description, described.source.relative, described.source.relative));
    if (!text) return fail(std::move(text.error()));
    *text += "\n// content of the source: " + fingerprint(*source) + "\n";
    for (const auto& header : described.description.depends) {
      const auto content = read_file(project.root / header);
      *text += "// content of " + header + ": " + (content ? fingerprint(*content) : "none") + "\n";
    }
    if (origin) *text += "// headers around it: " + headers_of(*origin) + "\n";
    if (auto added = add_unit(*text, described.source.module, described.source.relative, described.source.path.string(), library); !added) {
      return fail(std::move(added.error()));
    }
  }


  std::vector<std::string> objects;
  std::optional<Error> broken_runtime;
  // Several engines may build the same object; each writes one of its own and renames it.
  const auto beside = [](const Unit& unit) { return unit.object.string() + "." + fingerprint(unit.object.string() + std::to_string(::getpid())) + ".tmp"; };
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
      broken.emplace(unit.absolute, compile_error(output, unit.relative, project.root));
    }
  };
  std::vector<std::pair<const Unit*, process::SpawnSpec>> waiting;
  for (const auto& unit : units) {
    if (fs::exists(unit.object)) {
      touch(unit.object);
      objects.push_back(unit.object.string());
      continue;
    }
    process::SpawnSpec spec;
    spec.argv = languages::filled(recipe.build, {{"interpreter", *compiler}, {"glue", unit.source.string()}, {"source", unit.source.string()},
                                        {"out", beside(unit)}, {"sdk", (language.resources / "sdk").string()},
                                        {"resources", language.resources.string()}, {"project", project.root.string()}});
    if (!unit.flags.empty()) spec.argv.push_back(unit.flags);
    spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}});
    spec.directory = project.root;
    waiting.emplace_back(&unit, std::move(spec));
  }
  // As many at once as there are processors: the next begins when any has ended.
  std::vector<Result<process::RunResult>> results(waiting.size(), Result<process::RunResult>());
  std::atomic<std::size_t> next = 0;
  const auto compile = [&] {
    for (std::size_t i = next++; i < waiting.size(); i = next++) {
      const Unit& unit = *waiting[i].first;
      results[i] = process::run(waiting[i].second, kCompileTime, 1U << 20U, &stopping);
      std::error_code ignored;
      if (results[i] && !results[i]->timed_out && results[i]->status.code == 0) fs::rename(beside(unit), unit.object, ignored);
    }
  };
  const std::size_t hands = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 2, kMostCompilers);
  std::vector<std::future<void>> running;
  for (std::size_t i = 0; i < std::min(hands, waiting.size()); ++i) running.push_back(std::async(std::launch::async, compile));
  for (auto& hand : running) hand.get();
  for (std::size_t i = 0; i < waiting.size(); ++i) settle(*waiting[i].first, std::move(results[i]));
  if (broken_runtime) return fail(std::move(*broken_runtime));

  std::sort(objects.begin(), objects.end());
  std::string stamps;
  for (const auto& [key, library] : libraries) {
    if (!linked.contains(&library)) continue;
    objects.push_back(library.link);
    stamps += library.stamp;
    if (auto text = read_file(library.link.substr(1))) stamps += *text;
  }
  const auto link = [&](const std::string& out) {
    return languages::filled(recipe.link, {{"interpreter", *compiler}, {"out", out}, {"resources", language.resources.string()},
                                             {"project", project.root.string()}}, {{"objects", objects}});
  };
  const fs::path program = folder / (recipe.name + "-" + fingerprint(join(link(""), "\n") + stamps + content_of(recipe.link, language.resources)));
  if (!fs::exists(program)) {
    const auto new_program = program.string() + "." + std::to_string(::getpid()) + ".tmp";
    process::SpawnSpec spec;
    spec.argv = link(new_program);
    spec.environment = process::environment_with({{"LC_ALL", "C.UTF-8"}});
    spec.directory = project.root;
    auto result = process::run(std::move(spec), kCompileTime, 1U << 20U, &stopping);
    if (!result) return fail(std::move(result.error()));
    if (result->timed_out || result->status.code != 0) {
      return fail(Error(ErrorCode::kBuildFailed, "the " + language.name + " functions do not link", result->output.substr(0, 2000))
                      .with_detail(result->output));
    }
    fs::rename(new_program, program, ec);
    if (ec) return fail(ErrorCode::kIo, program.string() + ": cannot write: " + ec.message());
  }
  touch(program);
  return program;
}

}  // namespace

Result<languages::Built> build_program(const project::Project& project, const project::Language& language, const Registry& registry,
                            const fs::path& cache, const std::atomic<bool>& stopping) {
  const fs::path folder = cache / language.name;
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) return fail(ErrorCode::kIo, folder.string() + ": cannot create: " + ec.message());
  drop_old(folder);
  languages::Built built;
  const auto& all = registry.described();
  Libraries libraries;
  for (const auto& described : all) {
    const auto& origin = described.source.origin;
    if (described.source.language != language.name || !origin || origin->library.empty()) continue;
    const std::pair key(origin->library_folder, origin->library);
    if (libraries.contains(key)) continue;
    auto compiler = languages::find_interpreter(language, project.root);
    if (!compiler) return fail(std::move(compiler.error()));
    libraries[key] = build_library(*origin, project, language, *compiler, folder, stopping);
  }
  const Recipe worker{language.build, language.link, language.worker, "worker", [](const auto&, const auto&) { return true; }};
  auto program = make(project, language, registry, folder, worker, libraries, built.broken, stopping);
  if (!program) return fail(std::move(program.error()));
  built.program = std::move(*program);
  if (!language.library.empty() && std::any_of(all.begin(), all.end(), [&](const auto& d) { return d.source.language == language.name && in_process(project, d.source); })) {
    const Recipe library{language.library_build, language.library_link, language.library, "library", in_process};
    auto made = make(project, language, registry, folder, library, libraries, built.broken, stopping);
    if (!made) return fail(std::move(made.error()));
    built.library = std::move(*made);
  }
  return built;
}

namespace {
// The sources that read well: a build never sees a file that no function can be called in.
std::vector<project::SourceFile> sources_of(const Registry& registry, const std::string& language) {
  std::vector<project::SourceFile> out;
  for (const auto& described : registry.described()) {
    if (described.source.language == language) out.push_back(described.source);
  }
  return out;
}
}  // namespace

Result<languages::Built> build_language(const project::Project& project, const project::Language& language, const Registry& registry,
                                        const fs::path& cache, const std::atomic<bool>& stopping) {
  if (language.builder.empty()) return build_program(project, language, registry, cache, stopping);
  return languages::build(language, project.root, sources_of(registry, language.name), cache, stopping);
}

}  // namespace sabir::functions
