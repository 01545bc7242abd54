// Requests of HTTP: any bytes, cut anywhere, give the same request or refusal as in one piece, within the bounds; and a target's
// escapes are read or refused.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "request_reader.h"
#include "sabir/net/router.h"

namespace {

constexpr std::size_t kMostHead = 2048;
constexpr std::size_t kMostBody = 2048;

struct Outcome {
  bool refused = false;
  bool done = false;
  std::size_t used = 0;
  sabir::net::ServerRequest request;
};

Outcome read(std::string_view text, std::size_t step) {
  sabir::net::RequestReader reader(kMostHead, kMostBody);
  Outcome out;
  for (std::size_t end = 0; end < text.size() && !reader.done() && !reader.refused();) {
    end = std::min(text.size(), end + step);
    out.used += reader.put(text.substr(out.used, end - out.used));
    if (reader.body_bytes() > kMostBody) std::abort();
  }
  out.refused = reader.refused().has_value();
  out.done = reader.done();
  if (out.done && !out.refused) out.request = reader.take();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t step = data[0] % 31U + 1U;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto whole = read(text, text.size() + 1);
  const auto cut = read(text, step);
  // What is refused at once may be waited for in pieces; and where the bounds decide, pieces may be refused that a whole is not.
  const bool taken = whole.done && !whole.refused;
  if (text.size() < kMostHead && taken != (cut.done && !cut.refused)) std::abort();
  if (!taken || !cut.done || cut.refused) return 0;
  if (whole.used != cut.used || whole.request.body != cut.request.body || whole.request.headers != cut.request.headers ||
      whole.request.path != cut.request.path || whole.request.host != cut.request.host) {
    std::abort();
  }
  static const sabir::net::Router router = [] {
    sabir::net::Router made;
    made.add("POST", "/a/{b}/{c...}", [](const std::shared_ptr<sabir::net::Exchange>&) {});
    return made;
  }();
  const auto match = router.find("POST", whole.request.path);
  for (const auto& [name, value] : match.captures) {
    if (value.find('\0') != std::string::npos) std::abort();
  }
  (void)whole.request.parameter("stream");
  return 0;
}
