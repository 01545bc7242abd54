#include "settings.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "sabir/base/ids.h"
#include "sabir/base/text.h"

namespace sabir::telemetry {
namespace {

constexpr std::size_t kMostPairs = 128;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? digit(text[i + 1]) : -1;
    const int low = high >= 0 ? digit(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
    } else {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

}  // namespace

std::vector<std::pair<std::string, std::string>> parse_pairs(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty() && out.size() < kMostPairs) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view one = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos) continue;
    std::string name = percent_decoded(trim(one.substr(0, equals)));
    if (!name.empty()) out.emplace_back(std::move(name), percent_decoded(trim(one.substr(equals + 1))));
  }
  return out;
}

trace::TextPolicy Settings::texts() const {
  switch (keep.capture) {
    case project::Capture::kNone: return {0};
    case project::Capture::kSample: return {keep.sample};
    // Whether a run fails is known at its end alone.
    default: return {1};
  }
}

Settings settings_of(const project::Project& project, const std::function<const char*(const char*)>& variable) {
  Settings out;
  out.keep = project.tracing;
  const auto text = [&](const char* name) {
    const char* value = variable(name);
    return std::string(value ? trim(value) : std::string_view());
  };
  const auto first_of = [&](const char* name, const char* other) {
    std::string value = text(name);
    return value.empty() ? text(other) : value;
  };
  std::string off = text("OTEL_SDK_DISABLED");
  std::transform(off.begin(), off.end(), off.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  out.enabled = off != "true";

  out.url = out.keep.endpoint;
  if (const auto endpoint = text("OTEL_EXPORTER_OTLP_ENDPOINT"); !endpoint.empty()) out.url = endpoint;
  if (!out.url.empty()) {
    while (out.url.ends_with('/')) out.url.pop_back();
    if (!out.url.ends_with("/v1/traces")) out.url += "/v1/traces";
  }
  if (const auto whole = text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"); !whole.empty()) out.url = whole;
  const auto exporter = text("OTEL_TRACES_EXPORTER");
  if (!exporter.empty() && exporter.find("otlp") == std::string::npos) out.url.clear();
  const auto protocol = first_of("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
  if (!out.url.empty() && protocol == "grpc") {
    out.warnings.emplace_back("traces are not exported: OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and this engine speaks OTLP/HTTP with JSON. "
                              "Set it to http/json, and the endpoint to the server's port for HTTP, usually 4318.");
    out.url.clear();
  }
  out.headers = parse_pairs(first_of("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"));
  const auto timeout = first_of("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT");
  if (const long ms = std::strtol(timeout.c_str(), nullptr, 10); ms > 0) out.timeout = std::chrono::milliseconds(std::min(ms, 60'000L));

  std::string service = text("OTEL_SERVICE_NAME");
  auto given = parse_pairs(text("OTEL_RESOURCE_ATTRIBUTES"));
  for (const auto& [name, value] : given) {
    if (service.empty() && name == "service.name") service = value;
  }
  out.resource = {{"service.name", service.empty() ? project.name : service},
                  {"service.instance.id", new_id()},
                  {"deployment.environment.name", project.environment},
                  {"host.name", host_name()},
                  {"process.pid", std::to_string(::getpid())},
                  {"telemetry.sdk.name", "sabir"},
                  {"telemetry.sdk.language", "cpp"},
                  {"telemetry.sdk.version", SABIR_VERSION}};
  for (auto& [name, value] : given) {
    if (name == "service.name") continue;
    const auto known = std::find_if(out.resource.begin(), out.resource.end(), [&](const auto& one) { return one.first == name; });
    if (known == out.resource.end()) {
      out.resource.emplace_back(std::move(name), std::move(value));
    } else {
      known->second = std::move(value);
    }
  }
  return out;
}

}  // namespace sabir::telemetry
