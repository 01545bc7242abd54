#include "successor.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace sabir::cli {
namespace {

// The working folder by the name that the shell knows it by: a link to the newest release stays one.
std::filesystem::path logical_folder() {
  const char* told = std::getenv("PWD");
  struct stat named {};
  struct stat own {};
  if (told && *told == '/' && ::stat(told, &named) == 0 && ::stat(".", &own) == 0 && named.st_dev == own.st_dev && named.st_ino == own.st_ino) return told;
  return std::filesystem::current_path();
}

}  // namespace

Successor::Successor(const Globals& globals) : directory_(logical_folder()) {
  program_ = globals.words.front();
  if (program_.find('/') != std::string::npos) program_ = (directory_ / program_).string();
  else program_ = process::find_program(program_);
  std::error_code ec;
  if (program_.empty()) program_ = std::filesystem::read_symlink("/proc/self/exe", ec).string();
  words_ = {program_};
  for (std::size_t i = 1; i < globals.words.size(); ++i) {
    const auto& word = globals.words[i];
    if (word == "--takeover-from") ++i;
    else if (word != "--takeover" && !word.starts_with("--takeover-from=")) words_.push_back(word);
  }
}

bool Successor::start(const std::filesystem::path& root) {
  process::SpawnSpec spec;
  spec.argv = words_;
  spec.argv.insert(spec.argv.end(), {"--takeover-from", root.string()});
  spec.environment = process::environment_with({});
  spec.directory = directory_;
  spec.descriptors = {{0, STDIN_FILENO}, {1, STDOUT_FILENO}, {2, STDERR_FILENO}};
  spec.die_with_parent = false;
  spec.own_group = false;
  auto child = process::spawn(spec);
  if (!child) {
    note("sabir: the process that was to take over cannot be started: " + to_text(child.error()) + "\n  This one keeps serving.");
    return false;
  }
  child_.emplace(std::move(*child));
  return true;
}

void Successor::stop() {
  if (child_) child_->signal_group(SIGTERM);
}

void Successor::look() {
  if (!child_) return;
  const auto ended = child_->wait(std::chrono::milliseconds(0));
  if (!ended) return;
  note("sabir: the process that was to take over " + ended->text() + "; this one keeps serving.");
  child_.reset();
}

}  // namespace sabir::cli
