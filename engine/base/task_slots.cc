#include "sabir/base/task_slots.h"

namespace sabir {

TaskSlots& task_slots() {
  thread_local TaskSlots slots;
  return slots;
}

}  // namespace sabir
