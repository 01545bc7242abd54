// OTLP's JSON encoding of spans (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding), and of what a server answers.
//
// Threads: pure functions. REQUIRES of spans: texts have been made attributes, and all text is UTF-8.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/trace/span.h"

namespace sabir::trace {

// Who speaks: service.name and the like.
using Resource = std::vector<std::pair<std::string, std::string>>;

// An ExportTraceServiceRequest.
std::string export_request(const Resource& resource, const std::vector<std::shared_ptr<const Span>>& spans);

// Of an ExportTraceServiceResponse: what of the request was not taken, and what the server has to say to it.
struct ExportAnswer {
  std::int64_t rejected = 0;
  std::string message;
};
// An empty text is a full success. Errors: kProtocol.
Result<ExportAnswer> parse_export_response(std::string_view text);

}  // namespace sabir::trace
