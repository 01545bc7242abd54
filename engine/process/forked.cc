#include "sabir/process/forked.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace sabir::process {

Result<Child> watch_forked(pid_t pid) {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return fail(ErrorCode::kNotFound, "the process " + std::to_string(pid) + " is gone");
  return Child(pid, std::move(pidfd));
}

Result<void> send_with_descriptors(int socket, std::string_view text, const std::vector<int>& descriptors) {
  constexpr std::size_t kMost = 8;
  if (descriptors.size() > kMost) return fail(ErrorCode::kInternal, "too many descriptors for one message");
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMost * sizeof(int))> control{};
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(head), descriptors.data(), descriptors.size() * sizeof(int));
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent == static_cast<ssize_t>(text.size())) return {};
  return fail(ErrorCode::kIo, std::string("sendmsg: ") + (sent < 0 ? std::strerror(errno) : "the socket is full"));
}

}  // namespace sabir::process
