// What traces read of others: a caller's traceparent, OpenTelemetry's environment variables, an OTLP server's answer, git's status.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "repository.h"
#include "sabir/trace/otlp.h"
#include "settings.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto context = sabir::trace::parse_traceparent(text)) {
    if (!*context || context->span == 0) std::abort();
    // What is passed on is read alike.
    const auto again = sabir::trace::parse_traceparent(sabir::trace::traceparent(*context));
    if (!again || again->trace != context->trace || again->span != context->span || again->sampled != context->sampled) std::abort();
  }
  (void)sabir::trace::parse_export_response(text);
  for (const auto& [name, value] : sabir::telemetry::parse_pairs(text)) {
    if (name.empty() || name.size() + value.size() > size) std::abort();
  }
  if (const auto revision = sabir::telemetry::parse_revision(text); revision && revision->commit.size() < 40) std::abort();
  return 0;
}
