// What test runners print: any lines end in cases whose texts are bounded.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "report.h"
#include "sabir/base/text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  sabir::testing::Suite suite;
  sabir::testing::EventReader events;
  sabir::testing::CtestReader ctest("/project");
  for (const auto line : sabir::split_lines(text)) {
    events.line(line, suite);
    ctest.line(line, suite);
  }
  ctest.end(suite);
  for (const auto& one : suite.cases) {
    if (one.text.size() > sabir::testing::kMostText + 8 || one.line < 0 || !(one.seconds >= 0)) std::abort();
  }
  return 0;
}
