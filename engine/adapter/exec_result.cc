#include "exec_result.h"

#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::adapter {
namespace {

std::string shown(std::string_view text) {
  const auto cut = text.substr(0, 60);
  return protocol::quote(cut) + (cut.size() < text.size() ? "…" : "");
}

std::unexpected<Error> unfit(const ExecFunction& function, std::string what, std::string hint = {}) {
  return fail(ErrorCode::kInvalidResult, function.name + " wrote " + std::move(what), std::move(hint));
}

// A JSON number from what programs write: `.5` and `-.5` (bc), `+3`, `3.` become `0.5`, `-0.5`, `3`, `3`.
std::string number_text(std::string_view text) {
  std::string out;
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.starts_with('-')) {
    out = "-";
    text.remove_prefix(1);
  }
  if (text.starts_with('.')) out += "0";
  out += text;
  if (out.ends_with('.')) out.pop_back();
  return out;
}

// Large strings move out of the JSON; a text without one passes through as it is.
protocol::Payload payload_of(std::string text) {
  if (text.size() < protocol::kBlobThreshold) return {std::move(text), {}};
  return protocol::deflate(std::move(text));
}

Result<protocol::Payload> text_result(const ExecFunction& function, std::string output) {
  if (output.ends_with('\n')) output.pop_back();
  if (const auto bad = find_invalid_utf8(output); bad != std::string_view::npos) {
    return unfit(function, "what is not UTF-8, from byte " + std::to_string(bad + 1) + " on", "`@return bytes` gives bytes.");
  }
  if (output.size() >= protocol::kBlobThreshold) return protocol::Payload{"null", {{"", false, std::move(output)}}};
  return protocol::Payload{protocol::quote(output), {}};
}

}  // namespace

Result<protocol::Payload> read_result(const ExecFunction& function, std::string output, int status) {
  if (function.result == "status") return protocol::Payload{status == 0 ? "true" : "false", {}};
  if (function.result == "none") {
    if (!trim(output).empty()) return unfit(function, shown(trim(output)) + ", though it promises to return nothing", "`@return string` gives what it writes.");
    return protocol::Payload{"null", {}};
  }
  if (function.nullable && output.empty()) return protocol::Payload{"null", {}};
  if (function.result == "bytes") {
    if (output.size() >= protocol::kBlobThreshold) return protocol::Payload{"null", {{"", true, std::move(output)}}};
    return protocol::Payload{protocol::quote(base64_encode(output)), {}};
  }
  if (function.result == "text") return text_result(function, std::move(output));
  if (function.result == "lines") {
    protocol::Payload all{"[", {}};
    std::size_t index = 0;
    std::string_view rest = output;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      auto line = text_result(function, std::string(rest.substr(0, end)));
      if (!line) return line;
      all.json += (index > 0 ? "," : "") + line->json;
      for (auto& blob : line->blobs) all.blobs.push_back({"/" + std::to_string(index), false, std::move(blob.data)});
      ++index;
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    all.json += "]";
    return all;
  }
  std::string_view text = trim(output);
  while (text.ends_with('\n') || text.starts_with('\n')) text = trim(text.starts_with('\n') ? text.substr(1) : text.substr(0, text.size() - 1));
  const auto& type = function.result_type;
  std::string whole(text);
  if (type == "integer" || type == "number") whole = number_text(text);
  if (auto good = protocol::check_json(whole); !good) {
    const std::string wanted = type == "integer" || type == "number" ? "no " + type : type == "boolean" ? "neither true nor false" : "no JSON";
    return unfit(function, text.empty() ? "nothing" : shown(text) + ", which is " + wanted,
                 type.empty() || type == "array" || type == "object" ? "`@return string` gives a text; `sabir_json` and jq write JSON." : "");
  }
  return payload_of(std::move(whole));
}

}  // namespace sabir::adapter
