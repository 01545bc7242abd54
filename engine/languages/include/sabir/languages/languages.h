// Languages: a language's own programs, as its language.yml names them: which interpreter serves a project, their command
// lines, and the build program of a compiled language (spec/build.md).
//
// Threads: plain functions, each may block. Processes: two engines building one project take turns.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/project/project.h"

namespace sabir::languages {

// The interpreter or compiler that serves `language` in the project at `root`; with an empty root those inside a project do
// not count. Errors: kUnavailable naming what to install.
Result<std::string> find_interpreter(const project::Language& language, const std::filesystem::path& root);

// `argv` with each {name} replaced. A word that is {name} of `lists` becomes that list's words.
std::vector<std::string> filled(const std::vector<std::string>& argv, const std::map<std::string, std::string>& values,
                                const std::map<std::string, std::vector<std::string>>& lists = {});

// This process's own program.
std::string engine_program();

// {interpreter}, {resources}, {worker}, {sdk}, {project} and {engine}, as every command of language.yml may name them.
std::map<std::string, std::string> usual_values(const project::Language& language, const std::filesystem::path& root,
                                                const std::string& interpreter);

// What a sandbox has to show of an interpreter: the program that really runs, and files and folders that it reads.
struct Visible {
  std::string asked_for;
  std::string interpreter;
  std::vector<std::filesystem::path> paths;
};
// Asks the language's `visible` program, in `environment`; without one, it is the folder of the installation where that is
// clearly one, or the program alone. Nothing of it is the system's (shown in every sandbox), all of a home or above the project.
// Errors: kUnavailable.
Result<Visible> visible_of(const project::Language& language, const std::filesystem::path& root, const std::string& interpreter,
                           const std::vector<std::string>& environment);

struct Built {
  std::filesystem::path program;
  std::map<std::string, Error> broken;  // by the source's absolute path: why it did not compile, at its file:line
  std::filesystem::path library = {};   // of the files that run inside the engine; empty = there are none
};

// Runs the language's build program over `sources`, unless nothing has changed since the program it made last. `cache` is
// the folder of all builds. When `stopping` becomes true the build is killed.
// Errors: kUnavailable (no compiler), kBuildFailed, kProtocol (an answer against spec/build.md), kTimeout, kIo.
Result<Built> build(const project::Language& language, const std::filesystem::path& root,
                    const std::vector<project::SourceFile>& sources, const std::filesystem::path& cache,
                    const std::atomic<bool>& stopping);

// A fingerprint of every file below `folder` by name and content.
std::string fingerprint_of_folder(const std::filesystem::path& folder);

}  // namespace sabir::languages
