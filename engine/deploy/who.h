// Who deploys: this user, machine and process, so that others can tell whether it still lives. Private to the room.
//
// Threads: plain functions.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace sabir::deploy {

std::string user_and_machine();   // "ada@laptop"
std::string machine_name();
std::string boot_id();            // changes when the machine starts anew; "" where nobody tells
// When the process began, in ticks since the machine's start: with its number it names a process for good. 0 = it is gone, or ended
// and not reaped yet.
std::uint64_t started_ticks(pid_t pid);
std::int64_t now_ms();            // Unix time

}  // namespace sabir::deploy
