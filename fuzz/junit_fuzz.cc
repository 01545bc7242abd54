// Any bytes as JUnit XML: cases whose texts are bounded, or a reason why not.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "report.h"
#include "runners.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > (1U << 16U)) return 0;
  sabir::testing::Suite suite;
  const std::string_view xml(reinterpret_cast<const char*>(data), size);
  const auto read = sabir::testing::read_junit(xml, "/project", {"functions/go/orders_test.go", "a.rs"}, suite);
  if (!read && (read.error().message.empty() || !suite.cases.empty())) std::abort();
  for (const auto& one : suite.cases) {
    if (one.text.size() > sabir::testing::kMostText || one.line < 0 || !(one.seconds >= 0)) std::abort();
  }
  return 0;
}
