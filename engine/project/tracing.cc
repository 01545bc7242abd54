#include <algorithm>
#include <array>

#include "sabir/base/text.h"
#include "shape.h"

namespace sabir::project {
namespace {

constexpr int kMostDays = 3650;
constexpr std::array kNames = {std::pair("none", Capture::kNone), std::pair("errors", Capture::kErrors), std::pair("sample", Capture::kSample), std::pair("all", Capture::kAll)};

Result<Capture> read_capture(const json::value& value, const Shape& shape, const std::string& at) {
  auto name = shape.text(value, at);
  if (!name) return fail(std::move(name.error()));
  for (const auto& [known, capture] : kNames) {
    if (*name == known) return capture;
  }
  return fail(shape.wrong(at, "capture cannot be '" + *name + "'", "It is none, errors, sample or all: of which runs the texts are kept."));
}

Result<void> read_otlp(const json::value& value, const Shape& shape, const std::string& at, Tracing& out) {
  if (!value.is_object()) return fail(shape.wrong(at, "otlp must be a mapping, not " + kind_of(value), "Write otlp: {endpoint: http://127.0.0.1:4318}."));
  const auto& object = value.get_object();
  if (const auto* endpoint = object.if_contains("endpoint")) {
    auto text = shape.text(*endpoint, at + "/endpoint");
    if (!text) return fail(std::move(text.error()));
    if (!text->starts_with("http://") && !text->starts_with("https://")) {
      return fail(shape.wrong(at + "/endpoint", "'" + *text + "' is no http or https address", "Write one such as http://127.0.0.1:4318; /v1/traces is added."));
    }
    out.endpoint = std::move(*text);
  }
  if (const auto* headers = object.if_contains("headers")) {
    const std::string pointer = at + "/headers";
    if (!headers->is_object()) return fail(shape.wrong(pointer, "headers must be a mapping, not " + kind_of(*headers), "Write headers: {Authorization: NAME_OF_A_SECRET}."));
    out.headers.clear();
    for (const auto& member : headers->get_object()) {
      auto secret = shape.text(member.value(), pointer + "/" + std::string(member.key()));
      if (!secret) return fail(std::move(secret.error()));
      out.headers.emplace_back(member.key(), std::move(*secret));
    }
  }
  return {};
}

Result<void> read_keys(const json::object& object, const Shape& shape, const std::string& at, Tracing& out) {
  if (const auto* capture = object.if_contains("capture")) {
    auto read = read_capture(*capture, shape, at + "/capture");
    if (!read) return fail(std::move(read.error()));
    out.capture = *read;
  }
  if (const auto* sample = object.if_contains("sample")) {
    const double part = sample->is_double() ? sample->get_double() : sample->is_int64() ? static_cast<double>(sample->get_int64()) : -1;
    if (part < 0 || part > 1) return fail(shape.wrong(at + "/sample", "sample must be a number from 0 to 1, not " + kind_of(*sample), "0.1 keeps the texts of one run in ten."));
    out.sample = part;
  }
  if (const auto* days = object.if_contains("keep_days")) {
    auto number = shape.whole(*days, at + "/keep_days", 1, kMostDays);
    if (!number) return fail(std::move(number.error()));
    out.keep_days = *number;
  }
  if (const auto* size = object.if_contains("keep_mb")) {
    auto number = shape.whole(*size, at + "/keep_mb", 1, 1 << 20);
    if (!number) return fail(std::move(number.error()));
    out.keep_mb = *number;
  }
  if (const auto* otlp = object.if_contains("otlp")) return read_otlp(*otlp, shape, at + "/otlp", out);
  return {};
}

}  // namespace

Result<void> read_tracing(const json::value* value, const Shape& shape, Project& project) {
  Tracing& out = project.tracing;
  // Where people develop and test, everything is looked at by whoever wrote it; elsewhere the texts are other people's.
  out.capture = project.environment == "development" || project.environment == "test" ? Capture::kAll : Capture::kErrors;
  if (!value) return {};
  const std::string at = "/tracing";
  if (!value->is_object()) return fail(shape.wrong(at, "tracing must be a mapping, not " + kind_of(*value), "Write tracing: {capture: errors}."));
  const auto& object = value->get_object();
  if (auto ok = read_keys(object, shape, at, out); !ok) return ok;
  const auto* environments = object.if_contains("environments");
  if (!environments) return {};
  if (!environments->is_object()) {
    return fail(shape.wrong(at + "/environments", "environments must be a mapping, not " + kind_of(*environments), "Write environments: {production: {capture: none}}."));
  }
  for (const auto& member : environments->get_object()) {
    const std::string pointer = at + "/environments/" + std::string(member.key());
    if (!member.value().is_object()) return fail(shape.wrong(pointer, "an environment's tracing must be a mapping, not " + kind_of(member.value())));
    const auto& own = member.value().get_object();
    // What is wrong for another environment is wrong already.
    Tracing other = out;
    if (auto ok = read_keys(own, shape, pointer, member.key() == project.environment ? out : other); !ok) return ok;
  }
  return {};
}

}  // namespace sabir::project
