#include "url_base64.h"

#include <algorithm>

#include "sabir/base/text.h"

namespace sabir::mcp {

std::string url_base64(std::string_view bytes) {
  std::string out = base64_encode(bytes);
  while (!out.empty() && out.back() == '=') out.pop_back();
  std::replace(out.begin(), out.end(), '+', '-');
  std::replace(out.begin(), out.end(), '/', '_');
  return out;
}

}  // namespace sabir::mcp
