// What AWS answers with: XML that is read or refused, and whose every list and text can be asked for; a refusal in XML or JSON.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/aws/client.h"
#include "sabir/aws/xml.h"

namespace {

std::size_t depth_of(const sabir::aws::Element& element) {
  std::size_t deepest = 0;
  for (const auto& one : element.children) {
    if (element.child(one.name) == &one && element.said(one.name) != one.text) std::abort();
    deepest = std::max(deepest, depth_of(one));
  }
  return deepest + 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 20000) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto document = sabir::aws::parse_xml(text)) {
    if (depth_of(*document) > 64) std::abort();
  } else if (document.error().code != sabir::ErrorCode::kProtocol) {
    std::abort();
  }
  (void)sabir::aws::refusal_of(400, text);
  return 0;
}
