#include "seccomp.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#ifndef __x86_64__
#error "the list below is that of x86_64"
#endif

namespace sabir::process {
namespace {

// The last call that this list was written against.
constexpr unsigned kNewest = SYS_set_mempolicy_home_node;
constexpr unsigned kX32 = 0x40000000;  // set in the numbers of the x32 interface, which has its own versions of many calls

constexpr unsigned kRefused[] = {
    // Programs of other memory and other privileges.
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise, SYS_process_mrelease, SYS_kcmp, SYS_pidfd_getfd,
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
    SYS_keyctl, SYS_add_key, SYS_request_key, SYS_personality, SYS_modify_ldt, SYS_vmsplice,
    // Namespaces and mounts.
    SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree, SYS_fsopen,
    SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_name_to_handle_at, SYS_open_by_handle_at,
    SYS_fanotify_init, SYS_fanotify_mark, SYS_quotactl, SYS_quotactl_fd, SYS_swapon, SYS_swapoff,
    // The machine.
    SYS_kexec_load, SYS_kexec_file_load, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_create_module, SYS_reboot,
    SYS_syslog, SYS_acct, SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_sethostname,
    SYS_setdomainname, SYS_iopl, SYS_ioperm, SYS_lookup_dcookie, SYS_vhangup, SYS_uselib, SYS_sysfs, SYS__sysctl,
    SYS_nfsservctl, SYS_move_pages, SYS_migrate_pages, SYS_mbind, SYS_set_mempolicy, SYS_set_mempolicy_home_node,
    // Memory that no process's size shows.
    SYS_memfd_create, SYS_memfd_secret, SYS_shmget, SYS_shmat, SYS_shmctl, SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_semget, SYS_semop,
    SYS_semtimedop, SYS_mq_open, SYS_mq_unlink, SYS_remap_file_pages};

constexpr unsigned kNewNamespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

class Filter {
 public:
  void add(unsigned code, unsigned k, unsigned char yes = 0, unsigned char no = 0) {
    instructions_.push_back({static_cast<unsigned short>(code), yes, no, k});
  }
  void load(std::size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset)); }
  void load_call() { load(offsetof(seccomp_data, nr)); }
  // The low half of an argument; what is compared with it has 32 bits in the kernel too.
  void load_argument(std::size_t n) { load(offsetof(seccomp_data, args) + n * 8); }
  void end(unsigned action) { add(BPF_RET | BPF_K, action); }
  void end_if_equal(unsigned value, unsigned action) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    end(action);
  }
  std::string bytes() const {
    return {reinterpret_cast<const char*>(instructions_.data()), instructions_.size() * sizeof(sock_filter)};
  }

 private:
  std::vector<sock_filter> instructions_;
};

constexpr unsigned refuse_with(int number) { return SECCOMP_RET_ERRNO | static_cast<unsigned>(number); }

}  // namespace

std::string seccomp_filter(bool network) {
  const unsigned refused = refuse_with(EPERM);
  Filter filter;
  filter.load(offsetof(seccomp_data, arch));
  filter.add(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
  filter.end(SECCOMP_RET_KILL_PROCESS);
  filter.load_call();
  filter.add(BPF_JMP | BPF_JGE | BPF_K, kX32, 0, 1);
  filter.end(refuse_with(ENOSYS));
  filter.add(BPF_JMP | BPF_JGT | BPF_K, kNewest, 0, 1);
  filter.end(refuse_with(ENOSYS));
  // Its flags lie in memory, where no filter sees them; C libraries fall back to clone.
  filter.end_if_equal(SYS_clone3, refuse_with(ENOSYS));
  for (const unsigned call : kRefused) filter.end_if_equal(call, refused);

  filter.add(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4);
  filter.load_argument(0);
  filter.add(BPF_JMP | BPF_JSET | BPF_K, kNewNamespaces, 0, 1);
  filter.end(refused);
  filter.load_call();

  // What puts characters into a terminal's input.
  filter.add(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 6);
  filter.load_argument(1);
  filter.end_if_equal(TIOCSTI, refused);
  filter.end_if_equal(0x541c /* TIOCLINUX */, refused);
  filter.load_call();

  if (!network) {
    filter.end_if_equal(SYS_socket, refused);
  } else {
    // Name look-ups ask the kernel for its addresses by a netlink socket.
    filter.add(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 5);
    filter.load_argument(0);
    filter.add(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 3, 0);
    filter.add(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 2, 0);
    filter.add(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 1, 0);
    filter.end(refused);
  }
  filter.end(SECCOMP_RET_ALLOW);
  return filter.bytes();
}

}  // namespace sabir::process
