// TaskSlots: what belongs to whoever runs. That is a thread, or a fiber (sabir/net/fiber.h) which may leave its thread and go on
// later: the table goes with it, where a thread_local would stay.
//
// Threads: each has its own.
#pragma once

namespace sabir {

struct TaskSlots {
  const void* scope = nullptr;  // trace's: the innermost trace::Scope
};

// Of what runs now. The reference holds until it waits.
TaskSlots& task_slots();

}  // namespace sabir
