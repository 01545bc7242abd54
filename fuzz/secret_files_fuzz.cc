// Files that secrets come from: lines NAME=value are read or refused with a line that is there, what was read is written so that it is
// read the same, and no profile or text breaks its reader.
#include <cstdint>
#include <cstdlib>
#include <algorithm>
#include <string>
#include <string_view>

#include "place.h"
#include "sabir/aws/credentials.h"
#include "sabir/secrets/dotenv.h"
#include "sabir/secrets/scan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 20000) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
  const auto read = sabir::secrets::parse_dotenv(text, "f");
  if (!read) {
    if (read.error().line < 1 || read.error().line > lines) std::abort();
  } else {
    std::string written;
    for (const auto& [name, value] : *read) written += sabir::secrets::dotenv_line(name, value) + "\n";
    const auto again = sabir::secrets::parse_dotenv(written, "f");
    if (!again || *again != *read) std::abort();
  }
  (void)sabir::aws::parse_profiles(text);
  if (const auto kept = sabir::secrets::parse_values(text, "f")) {
    const auto again = sabir::secrets::parse_values(sabir::secrets::values_text(*kept), "f");
    if (!again || *again != *kept) std::abort();
  }
  static const std::vector<std::pair<std::string, std::string>> values{{"key", "s3cret-value"}};
  static const sabir::secrets::Scanner scanner(values);
  int last = 0;
  scanner.text(text, 1, [&](int line, const std::string&, const std::string&) {
    if (line < std::max(last, 1) || line > lines) std::abort();
    last = line;
  });
  return 0;
}
