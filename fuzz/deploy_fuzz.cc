// What stands in a deployed environment's folder or bucket, and what Terraform prints: records, wishes, plans, patterns.
#include <cstddef>
#include <cstdint>
#include <string>

#include "ignore.h"
#include "sabir/deploy/ledger.h"
#include "sabir/deploy/supervisor.h"
#include "terraform/plan_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string previous;
  if (auto record = sabir::deploy::record_from(text, previous)) {
    (void)sabir::deploy::history_of({*record, *record});
    // What was read is written and read again.
    auto object = sabir::deploy::to_json(*record);
    if (!sabir::deploy::record_from(sabir::compact_json(object), previous)) __builtin_trap();
  }
  (void)sabir::deploy::wanted_from(text);
  (void)sabir::deploy::supervised_from(text);
  if (auto value = sabir::parse_json(text); value && value->is_object()) (void)sabir::deploy::read_plan(value->get_object());
  const sabir::deploy::Ignore ignore(text.substr(0, 2000));
  (void)ignore.matches("functions/python/a.py", false);
  return 0;
}
