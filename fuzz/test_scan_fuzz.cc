// Files of projects in every language: what is read from them is bounded, sorted, and each once.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "scan.h"
#include "state.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::string_view path : {"a.py", "assistants/ruby/a.rb", "a.ts", "a_test.go", "assistants/rust/a.rs", "a.cpp", "A.java", "a.php", "a.bats", "completions/a.prompt", "a.yml"}) {
    const auto refs = sabir::testing::scan(path, text);
    if (!std::is_sorted(refs.begin(), refs.end()) || std::adjacent_find(refs.begin(), refs.end()) != refs.end() || refs.size() > sabir::testing::kMostRefs) std::abort();
    for (const auto& ref : refs) {
      if (ref.text.size() > sabir::testing::kMostRefBytes) std::abort();
    }
  }
  if (const auto state = sabir::testing::parse_state(text)) {
    if (!sabir::testing::parse_state(sabir::testing::to_bytes(*state))) std::abort();
  }
  return 0;
}
