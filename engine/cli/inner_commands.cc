#include "inner_commands.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "command.h"
#include "sabir/adapter/exec_worker.h"
#include "sabir/deploy/supervisor.h"

namespace sabir::cli {
namespace {

constexpr std::size_t kMostWords = std::size_t{64} << 20U;

// Words that end with a NUL each, from a descriptor: a command line holds 128 KiB for each of its words at the most, and
// everyone on the machine can read it.
std::vector<std::string> words_from(int fd) {
  std::string all;
  char buffer[65536];
  while (all.size() <= kMostWords) {
    const auto n = ::read(fd, buffer, sizeof buffer);
    if (n <= 0) break;
    all.append(buffer, static_cast<std::size_t>(n));
  }
  std::vector<std::string> words;
  std::size_t from = 0;
  for (std::size_t end = all.find('\0'); end != std::string::npos; end = all.find('\0', from)) {
    words.push_back(all.substr(from, end - from));
    from = end + 1;
  }
  return words;
}

}  // namespace

std::optional<int> run_inner_command(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name == "exec-worker" && argc >= 4) return adapter::run_exec_worker(argv[2], argv[3], argc > 4 && std::string_view(argv[4]) == "--debug");
  if (name == "describe-shell" && argc == 3) return adapter::run_describe_shell(argv[2]);
  if (name == "deploy-supervisor" && argc == 3) return deploy::run_supervisor(argv[2]);
  if (name == "from-shell" && argc == 3) return from_shell(words_from(std::atoi(argv[2])));
  return std::nullopt;
}

}  // namespace sabir::cli
