// Descendants: everything that this process's children have started and left behind, for programs that run other people's
// programs one after another and stay in one process group with them.
//
// Threads: any; a wait for a child of one's own must not go on meanwhile.
#pragma once

namespace sabir::process {

// From now on, what a child leaves running becomes a child of this process.
void adopt_orphans();

// Sends `signal` to every descendant, up to 4,096 of them.
void signal_descendants(int signal);

// Kills and reaps every descendant, within a second. Costs one system call where there are none. REQUIRES: no Child of this
// process is waited for.
void end_descendants();

}  // namespace sabir::process
