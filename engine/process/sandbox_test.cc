#include "sabir/process/sandbox.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "sabir/base/ids.h"
#include "sabir/process/spawn.h"
#include "seccomp.h"

namespace sabir::process {
namespace {
using std::chrono::milliseconds;
namespace fs = std::filesystem;

// The error numbers that `calls` end with under the filter, in a process of their own; 0 for success.
template <class... Calls>
std::vector<int> under_filter(bool network, Calls... calls) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::string bytes = seccomp_filter(network);
    sock_fprog program{static_cast<unsigned short>(bytes.size() / sizeof(sock_filter)), reinterpret_cast<sock_filter*>(bytes.data())};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) ::_exit(9);
    const auto tell = [&](auto call) {
      errno = 0;
      const int number = call() < 0 ? errno : 0;
      [[maybe_unused]] const auto written = ::write(ends[1], &number, sizeof number);
    };
    (tell(calls), ...);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0) << "the kernel refuses the filter";
  std::vector<int> numbers(sizeof...(calls), -1);
  EXPECT_EQ(::read(ends[0], numbers.data(), numbers.size() * sizeof(int)), static_cast<ssize_t>(numbers.size() * sizeof(int)));
  ::close(ends[0]);
  ::close(ends[1]);
  return numbers;
}

TEST(Seccomp, DangerousCallsAreRefusedAndOrdinaryOnesAreNot) {
  const auto numbers = under_filter(
      false, [] { return ::syscall(SYS_io_uring_setup, 8, nullptr); }, [] { return ::syscall(SYS_ptrace, 0x4206, 1, 0, 0); },
      [] { return ::syscall(SYS_unshare, 0x10000000); }, [] { return ::syscall(SYS_clone, 0x10000000 | SIGCHLD, 0, 0, 0, 0); },
      [] { return ::syscall(SYS_clone3, nullptr, 0); }, [] { return ::syscall(SYS_memfd_create, "x", 0); }, [] { return ::syscall(5000); },
      [] { return ::syscall(SYS_getppid | 0x40000000); }, [] { return ::syscall(SYS_ioctl, 0, 0x5412, nullptr); },
      [] { return ::syscall(SYS_getppid); }, [] {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(0);
        return ::waitpid(child, nullptr, 0);
      });
  EXPECT_EQ(numbers, (std::vector<int>{EPERM, EPERM, EPERM, EPERM, ENOSYS, EPERM, ENOSYS, ENOSYS, EPERM, 0, 0}));
}

TEST(Seccomp, UnixSocketsAreRefusedWhateverIsGrantedAndPairsAreNot) {
  const auto socket_of = [](int family) { return [family] { return ::socket(family, SOCK_STREAM, 0); }; };
  const auto pair = [] {
    int ends[2];
    return ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  };
  EXPECT_EQ(under_filter(false, socket_of(AF_UNIX), socket_of(AF_INET), socket_of(AF_NETLINK), pair), (std::vector<int>{EPERM, EPERM, EPERM, 0}));
  const auto granted = under_filter(true, socket_of(AF_UNIX), socket_of(AF_INET), socket_of(AF_VSOCK), pair);
  EXPECT_EQ(granted, (std::vector<int>{EPERM, 0, EPERM, 0}));
}

class SandboxTest : public testing::Test {
 protected:
  SandboxTest() : folder_(fs::canonical(fs::temp_directory_path()) / ("sabir-sandbox-" + new_id())) {
    fs::create_directories(folder_ / "shown");
    fs::create_directories(folder_ / "out");
    std::ofstream(folder_ / "secret") << "secret\n";
    std::ofstream(folder_ / "shown/file") << "shown\n";
    if (const auto works = sandbox_works(); !works) refused_ = works.error();
  }
  ~SandboxTest() override { fs::remove_all(folder_); }

  RunResult shell(const std::string& script, int processes = 64) {
    SpawnSpec spec;
    spec.argv = {"sh", "-c", script};
    spec.environment = {"PATH=/usr/bin:/bin"};
    spec.directory = folder_;
    spec.sandbox = Sandbox{.mounts = {{Sandbox::Show::kEmptyFolder, folder_, {}, {}},
                                      {Sandbox::Show::kRead, folder_ / "shown", {}, {}},
                                      {Sandbox::Show::kWrite, folder_ / "out", {}, {}},
                                      {Sandbox::Show::kLink, folder_ / "link", {}, "shown/file"}},
                           .tmp = 1U << 20U,
                           .processes = processes};
    auto result = run(std::move(spec), milliseconds(20000));
    return result ? *result : RunResult{.status = {}, .output = result.error().message, .errors = {}};
  }

  fs::path folder_;
  std::optional<Error> refused_;  // where the machine makes no sandboxes
};

TEST_F(SandboxTest, ShowsWhatIsMountedAndNothingElse) {
  if (refused_) {
    EXPECT_EQ(refused_->code, ErrorCode::kUnavailable);
    EXPECT_FALSE(refused_->hint.empty());
    return;
  }
  EXPECT_EQ(shell("cat shown/file link; ls; cat secret 2>/dev/null; pwd").output, "shown\nshown\nlink\nout\nshown\n" + folder_.string() + "\n");
  EXPECT_NE(shell("echo x > new").status.code, 0);
  EXPECT_NE(shell("echo x > shown/file").status.code, 0);
  EXPECT_NE(shell("echo x > /new || echo x > /dev/new").status.code, 0);
  EXPECT_EQ(shell("echo x > out/file && rm out/file && echo done").output, "done\n");
  EXPECT_EQ(shell("cat /etc/shadow /etc/hostname /etc/machine-id 2>/dev/null | wc -c; id -un").output, "0\nsandbox\n");
}

TEST_F(SandboxTest, TmpIsBoundedAndItsOwn) {
  if (refused_) return;
  const auto result = shell("dd if=/dev/zero of=/tmp/file bs=1024 count=4000 2>&1 | grep -c 'No space'; test -s /tmp/file && echo kept");
  EXPECT_EQ(result.output, "1\nkept\n");
  EXPECT_EQ(shell("test -e /tmp/file || echo gone").output, "gone\n");
}

TEST_F(SandboxTest, ItsProcessesEndWithIt) {
  if (refused_) return;
  SpawnSpec spec;
  spec.argv = {"sh", "-c", "setsid sleep 600 & sleep 600"};
  spec.environment = {"PATH=/usr/bin:/bin"};
  spec.sandbox = Sandbox{};
  auto child = spawn(spec);
  ASSERT_TRUE(child.has_value()) << child.error().message;
  for (int i = 0; i < 500 && usage_of(child->pid()).processes < 4; ++i) ::usleep(20000);
  EXPECT_GE(usage_of(child->pid()).processes, 4);
  ::kill(child->pid(), SIGKILL);
  ASSERT_TRUE(child->wait(milliseconds(10000)).has_value());
  EXPECT_EQ(sandbox_files(child->pid()), 0U);
}

TEST(SandboxWorks, AMissingProgramIsNamedWithWhatInstallsIt) {
  SpawnSpec spec;
  spec.argv = {"true"};
  spec.sandbox = Sandbox{};
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "/nowhere", 1);
  const auto child = spawn(spec);
  ::setenv("PATH", path.c_str(), 1);
  ASSERT_FALSE(child.has_value());
  EXPECT_EQ(child.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(child.error().hint.find("apt install bubblewrap"), std::string::npos);
}

}  // namespace
}  // namespace sabir::process
