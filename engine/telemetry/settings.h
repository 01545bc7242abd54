// Settings: what sabir.yml and OpenTelemetry's environment variables say of traces. Private to the room.
//
// Threads: plain values.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/project/project.h"
#include "sabir/trace/otlp.h"
#include "sabir/trace/tracer.h"

namespace sabir::telemetry {

struct Settings {
  bool enabled = true;
  project::Tracing keep;                                  // as sabir.yml has it
  std::string url;                                        // of /v1/traces; "" = nothing is exported
  std::vector<std::pair<std::string, std::string>> headers;  // of the environment, beside keep.headers
  std::chrono::milliseconds timeout{10'000};              // of one request
  trace::Resource resource;
  std::vector<std::string> warnings;

  trace::TextPolicy texts() const;
};

// The environment wins over sabir.yml. `variable` is std::getenv but in tests.
Settings settings_of(const project::Project& project, const std::function<const char*(const char*)>& variable);

// "name=value,other=value", values percent-encoded, as OTEL_EXPORTER_OTLP_HEADERS and OTEL_RESOURCE_ATTRIBUTES have them. What is
// no pair is left out.
std::vector<std::pair<std::string, std::string>> parse_pairs(std::string_view text);

}  // namespace sabir::telemetry
