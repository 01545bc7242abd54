#include "who.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>

#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::deploy {

std::string machine_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "unknown";
  return name;
}

std::string user_and_machine() {
  std::string user;
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found) user = found->pw_name;
  if (user.empty()) user = std::to_string(::geteuid());
  // In CI the machine is a stranger; who pushed is not.
  if (const char* actor = std::getenv("GITHUB_ACTOR"); actor && *actor) user = actor;
  return user + "@" + machine_name();
}

std::string boot_id() {
  const auto text = read_file("/proc/sys/kernel/random/boot_id", 4096);
  return text ? std::string(trim(*text)) : std::string();
}

std::uint64_t started_ticks(pid_t pid) {
  if (pid <= 0) return 0;
  const auto text = read_file("/proc/" + std::to_string(pid) + "/stat", 65536);
  if (!text) return 0;
  // The program's name stands in parentheses and may hold anything; the state follows, and the start is the 20th word from there.
  const auto end = text->rfind(')');
  if (end == std::string::npos || end + 2 >= text->size()) return 0;
  std::string_view rest = std::string_view(*text).substr(end + 2);
  if (rest.front() == 'Z' || rest.front() == 'X') return 0;
  for (int i = 0; i < 19; ++i) {
    const auto blank = rest.find(' ');
    if (blank == std::string_view::npos) return 0;
    rest.remove_prefix(blank + 1);
  }
  return std::strtoull(std::string(rest.substr(0, rest.find(' '))).c_str(), nullptr, 10);
}

std::int64_t now_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace sabir::deploy
