// The system calls that a sandboxed program may not make, as a seccomp filter. Private to the room.
//
// Threads: plain functions.
#pragma once

#include <string>

namespace sabir::process {

// The filter's instructions as bytes, as bwrap's --seccomp reads them from a file. Refused calls fail with EPERM; calls that are
// newer than the list fail with ENOSYS, as on a kernel that does not have them. Unix sockets are always refused, and without
// `network` every other socket is too; socket pairs are not.
std::string seccomp_filter(bool network);

}  // namespace sabir::process
