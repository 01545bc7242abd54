#include "sabir/process/sandbox.h"

#include <sched.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <mutex>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sandboxed.h"
#include "seccomp.h"

namespace sabir::process {
namespace fs = std::filesystem;
namespace {

constexpr int kFirstFile = 20;      // the descriptors that bwrap reads begin here; workers' own are 3 and 4
constexpr int kNice = 5;            // the engine goes first
constexpr std::uint64_t kSharedMemory = 16U << 20U;
constexpr std::uint64_t kInode = 1024;  // what the kernel keeps for a file of a tmpfs, about

// Of /etc, what programs need to start: no keys, no passwords, no users of this machine.
constexpr std::string_view kEtc[] = {"ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl/certs", "ssl/openssl.cnf",
                                     "ca-certificates", "localtime", "timezone", "mime.types", "php", "nsswitch.conf", "protocols",
                                     "services", "locale.alias", "fonts", "gai.conf"};
constexpr std::string_view kEtcPrefixes[] = {"java-", "python3"};
// Of /proc, what tells of the machine or, for an engine of root's, changes it; bwrap itself makes /proc/sys read-only.
constexpr std::string_view kProcFiles[] = {"kcore", "keys", "key-users", "kmsg", "kallsyms", "timer_list", "sched_debug", "sysrq-trigger",
                                           "latency_stats", "kpagecount", "kpageflags", "mtrr"};
constexpr std::string_view kProcFolders[] = {"acpi", "asound", "scsi"};

// Symbolic links to /usr on today's systems, folders on older ones.
constexpr std::string_view kBeside[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

class Arguments {
 public:
  void add(std::initializer_list<std::string_view> words) {
    for (const auto word : words) {
      text_ += word;
      text_ += '\0';
    }
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}
bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

void show_system(Arguments& arguments, bool network) {
  arguments.add({"--ro-bind", "/usr", "/usr"});
  for (const auto path : kBeside) {
    std::error_code ec;
    if (fs::is_symlink(path, ec)) {
      arguments.add({"--symlink", fs::read_symlink(path, ec).string(), path});
    } else if (is_folder(path)) {
      arguments.add({"--ro-bind", path, path});
    }
  }
  const auto show = [&](const std::string& name) {
    const std::string path = "/etc/" + name;
    if (is_there(path)) arguments.add({"--ro-bind", path, path});
  };
  for (const auto name : kEtc) show(std::string(name));
  std::error_code ec;
  for (fs::directory_iterator it("/etc", ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    if (std::any_of(std::begin(kEtcPrefixes), std::end(kEtcPrefixes), [&](auto prefix) { return name.starts_with(prefix); })) show(name);
  }
  if (network) show("resolv.conf");
  arguments.add({"--proc", "/proc"});
  for (const auto name : kProcFiles) {
    const std::string path = "/proc/" + std::string(name);
    if (is_there(path)) arguments.add({"--ro-bind", "/dev/null", path});
  }
  for (const auto name : kProcFolders) {
    const std::string path = "/proc/" + std::string(name);
    if (is_folder(path)) arguments.add({"--tmpfs", path, "--remount-ro", path});
  }
  arguments.add({"--dev", "/dev", "--size", std::to_string(kSharedMemory), "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"});
}

// The last of the processors that this process may use, as taskset takes them.
std::string last_cores(int count) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  std::string list;
  for (int core = CPU_SETSIZE - 1; core >= 0 && count > 0; --core) {
    if (!CPU_ISSET(static_cast<std::size_t>(core), &allowed)) continue;
    list += (list.empty() ? "" : ",") + std::to_string(core);
    --count;
  }
  return list;
}

// What a sandbox's maker said, in words that help.
Error why_not(const std::string& said) {
  const auto first_line = [](const std::string& path) {
    auto text = read_file(path, 100);
    return text ? std::string(trim(*text)) : std::string();
  };
  std::string cause = "bwrap said: " + (trim(said).empty() ? std::string("nothing") : std::string(trim(said).substr(0, 500)));
  std::string hint;
  struct stat here {};
  struct stat first {};
  const bool changed_root = ::stat("/", &here) == 0 && ::stat("/proc/1/root", &first) == 0 && (here.st_dev != first.st_dev || here.st_ino != first.st_ino);
  if (first_line("/proc/sys/user/max_user_namespaces") == "0") {
    cause = "the kernel allows no user namespaces: user.max_user_namespaces is 0";
    hint = "As root: sysctl user.max_user_namespaces=10000";
  } else if (first_line("/proc/sys/kernel/unprivileged_userns_clone") == "0" && ::geteuid() != 0) {
    cause = "the kernel allows user namespaces to root alone: kernel.unprivileged_userns_clone is 0";
    hint = "As root: sysctl kernel.unprivileged_userns_clone=1";
  } else if (first_line("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" && ::geteuid() != 0) {
    cause += "; AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)";
    hint = "As root, give bwrap an AppArmor profile with `userns,`, or: sysctl kernel.apparmor_restrict_unprivileged_userns=0";
  } else if (changed_root) {
    cause += "; this process runs in a chroot, where the kernel makes no user namespaces";
    hint = "Run the engine outside the chroot, or in a container that has a root of its own.";
  } else {
    hint = "In a container, allow user namespaces and mounts (docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined).";
  }
  return Error(ErrorCode::kUnavailable, "sandboxed functions cannot run on this machine: " + cause,
               hint + " `isolation: process` in sabir.yml runs them without a sandbox.");
}

}  // namespace

bool shown_in_every_sandbox(const fs::path& path) {
  const std::string text = path.lexically_normal().string();
  const auto below = [&](std::string_view folder) { return text == folder || text.starts_with(std::string(folder) + "/"); };
  return below("/usr") || std::any_of(std::begin(kBeside), std::end(kBeside), below);
}

Result<Sandboxed> sandboxed(const SpawnSpec& spec) {
  const Sandbox& box = *spec.sandbox;
  const std::string bwrap = find_program("bwrap");
  if (bwrap.empty()) {
    return fail(ErrorCode::kUnavailable, "sandboxed functions cannot run on this machine: the program bwrap is not installed",
                "Debian: apt install bubblewrap. `isolation: process` in sabir.yml runs them without a sandbox.");
  }
  Sandboxed out;
  out.spec = spec;
  out.spec.sandbox.reset();
  out.spec.directory.clear();
  const auto add_file = [&out](std::string_view bytes) -> Result<std::string> {
    auto file = memory_file(bytes);
    if (!file) return fail(std::move(file.error()));
    const int number = kFirstFile + static_cast<int>(out.files.size());
    out.spec.descriptors[number] = file->get();
    out.files.push_back(std::move(*file));
    return std::to_string(number);
  };
  Arguments arguments;
  arguments.add({"--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--uid", "1000", "--gid", "1000",
                 "--hostname", "sandbox", "--die-with-parent"});
  if (!box.network) arguments.add({"--unshare-net"});
  auto filter = add_file(seccomp_filter(box.network));
  if (!filter) return fail(std::move(filter.error()));
  arguments.add({"--seccomp", *filter});
  show_system(arguments, box.network);
  for (const auto& [path, text] : {std::pair("/etc/passwd", "sandbox:x:1000:1000::/tmp:/bin/sh\n"), std::pair("/etc/group", "sandbox:x:1000:\n"),
                                   std::pair("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")}) {
    auto file = add_file(text);
    if (!file) return fail(std::move(file.error()));
    arguments.add({"--perms", "0444", "--ro-bind-data", *file, path});
  }
  arguments.add({"--size", std::to_string(box.tmp), "--perms", "1777", "--tmpfs", "/tmp", "--symlink", "/tmp", "/var/tmp"});
  for (const auto& mount : box.mounts) {
    const std::string path = mount.path.string();
    const std::string source = mount.source.empty() ? path : mount.source.string();
    switch (mount.show) {
      case Sandbox::Show::kRead: arguments.add({"--ro-bind", source, path}); break;
      case Sandbox::Show::kWrite: arguments.add({"--bind", source, path}); break;
      case Sandbox::Show::kEmptyFolder: arguments.add({"--perms", "0755", "--tmpfs", path}); break;
      case Sandbox::Show::kLink: arguments.add({"--symlink", mount.target, path}); break;
    }
  }
  for (const auto& mount : box.mounts) {
    if (mount.show == Sandbox::Show::kEmptyFolder) arguments.add({"--remount-ro", mount.path.string()});
  }
  arguments.add({"--remount-ro", "/"});
  if (!spec.directory.empty()) arguments.add({"--chdir", spec.directory.string()});
  auto list = add_file(arguments.text());
  if (!list) return fail(std::move(list.error()));

  // The bound on processes is counted within the sandbox only when it is set inside, so a program in it sets it.
  out.spec.argv = {bwrap, "--args", *list, "--"};
  if (box.cores > 0) out.spec.argv.insert(out.spec.argv.end(), {"taskset", "-c", last_cores(box.cores)});
  for (const std::string& word : {std::string("nice"), std::string("-n"), std::to_string(kNice), std::string("prlimit"), std::string("--core=0"), std::string("--msgqueue=0"),
                                  std::string("--nofile=1024:4096"), "--nproc=" + std::to_string(box.processes)}) {
    out.spec.argv.push_back(word);
  }
  if (box.data > 0) out.spec.argv.push_back("--data=" + std::to_string(box.data));
  out.spec.argv.push_back("--");
  out.spec.argv.insert(out.spec.argv.end(), spec.argv.begin(), spec.argv.end());
  return out;
}

Result<void> sandbox_works() {
  static std::mutex mutex;
  static bool works = false;
  const std::lock_guard lock(mutex);
  if (works) return {};
  SpawnSpec spec;
  spec.argv = {"true"};
  spec.environment = {"PATH=/usr/local/bin:/usr/bin:/bin"};
  spec.sandbox = Sandbox{};
  auto result = run(std::move(spec), std::chrono::seconds(10), 4096);
  if (!result) return fail(std::move(result.error()));
  if (result->timed_out || result->status.code != 0) return fail(why_not(result->output));
  works = true;
  return {};
}

std::uint64_t sandbox_files(pid_t pid) {
  // The spawned process stays outside; its first child is inside.
  std::ifstream children("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
  pid_t inside = 0;
  if (!(children >> inside)) return 0;
  std::uint64_t total = 0;
  for (const char* folder : {"/root/tmp", "/root/dev/shm"}) {
    struct statfs info {};
    if (::statfs(("/proc/" + std::to_string(inside) + folder).c_str(), &info) != 0) continue;
    if (info.f_type != 0x01021994 /* a tmpfs: not yet that of the machine */) continue;
    total += (info.f_blocks - info.f_bfree) * static_cast<std::uint64_t>(info.f_bsize) + (info.f_files - info.f_ffree) * kInode;
  }
  return total;
}

}  // namespace sabir::process
