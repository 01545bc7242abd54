// Sandbox: what a confined program sees and may use. bubblewrap (`bwrap`) makes it: namespaces of its own for users,
// processes, network and IPC; a file system of the system's programs, a private /tmp and the mounts listed here; a seccomp
// filter (seccomp.cc). No privileges are needed where the kernel allows user namespaces; where it does not, nothing is started.
//
// Threads: any. Lifetimes: a sandbox ends with its first process, and that with the thread that spawned it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::process {

struct Sandbox {
  enum class Show {
    kRead,         // a file or folder as it is, read-only
    kWrite,        // as it is
    kEmptyFolder,  // a folder that holds what later mounts put into it, and nothing else; read-only
    kLink,         // a symbolic link with the text `target`
  };
  struct Mount {
    Show show = Show::kRead;
    std::filesystem::path path;    // in the sandbox, absolute
    std::filesystem::path source;  // on the machine; empty = `path`
    std::string target;
  };
  std::vector<Mount> mounts;       // an inner one after the outer one that it lies in
  bool network = false;
  std::uint64_t tmp = 64U << 20U;  // bytes that /tmp holds
  std::uint64_t data = 0;          // bytes of memory that one process may ask for; 0 = no bound
  int cores = 0;                   // that it may keep busy at once; 0 = all of the engine's
  int processes = 64;              // at once; the kernel does not bound them for an engine of root's: see Usage
};

// The folders of the system that every sandbox shows: nothing below them needs a mount.
bool shown_in_every_sandbox(const std::filesystem::path& path);

// Whether sandboxes work on this machine, found out by making one; blocks for some milliseconds the first time. A success is kept.
// Errors: kUnavailable with the cause and what changes it.
Result<void> sandbox_works();

// What `pid` and its descendants use.
struct Usage {
  std::uint64_t resident = 0;          // bytes
  std::chrono::milliseconds cpu{0};    // of those that run, and of those that they waited for
  int processes = 0;
};
Usage usage_of(pid_t pid);
// Bytes that the files of a sandbox's own /tmp and /dev/shm take, their entries included; `pid` is that of its spawned process.
std::uint64_t sandbox_files(pid_t pid);

}  // namespace sabir::process
