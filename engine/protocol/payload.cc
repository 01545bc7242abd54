#include "sabir/protocol/payload.h"

#include "sabir/base/json.h"
#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::protocol {
namespace {

Result<std::string> fill(const Payload& payload, bool with_content) {
  if (payload.blobs.empty()) return payload.json;
  auto value = parse_json(payload.json);
  if (!value) return fail(std::move(value.error()));
  for (const auto& blob : payload.blobs) {
    json::error_code ec;
    json::value* place = value->find_pointer(blob.at, ec);
    if (ec || place == nullptr || !place->is_null()) {
      return fail(ErrorCode::kProtocol, "blob pointer '" + blob.at + "' does not lead to a null");
    }
    if (!with_content) {
      *place = "";
    } else if (blob.bytes) {
      *place = base64_encode(blob.data);
    } else {
      if (find_invalid_utf8(blob.data) != std::string_view::npos) {
        return fail(ErrorCode::kProtocol, "blob at '" + blob.at + "' is not UTF-8");
      }
      *place = blob.data;
    }
  }
  return json::serialize(*value);
}

void take_large(json::value& value, const std::string& at, std::vector<Blob>& blobs) {
  if (value.is_string() && value.get_string().size() >= kBlobThreshold) {
    blobs.push_back({at, false, std::string(value.get_string())});
    value = nullptr;
  } else if (value.is_object()) {
    for (auto& member : value.get_object()) {
      std::string key;
      for (const char c : std::string_view(member.key().data(), member.key().size())) {
        if (c == '~') {
          key += "~0";
        } else if (c == '/') {
          key += "~1";
        } else {
          key += c;
        }
      }
      take_large(member.value(), at + "/" + key, blobs);
    }
  } else if (value.is_array()) {
    std::size_t index = 0;
    for (auto& item : value.get_array()) take_large(item, at + "/" + std::to_string(index++), blobs);
  }
}

}  // namespace

Result<std::string> inflate(const Payload& payload) { return fill(payload, true); }
Result<std::string> outline(const Payload& payload) {
  if (payload.blobs.size() != 1) return fill(payload, false);
  // The usual case, in which the text alone is enough.
  const std::string_view text = payload.json;
  const auto place = raw_at(text, payload.blobs.front().at);
  if (place != "null") return fill(payload, false);
  const std::size_t at = static_cast<std::size_t>(place.data() - text.data());
  std::string out;
  out.reserve(text.size());
  out += text.substr(0, at);
  out += "\"\"";
  out += text.substr(at + place.size());
  return out;
}

Payload deflate(std::string text) {
  Payload payload;
  payload.json = std::move(text);
  if (payload.json.size() < kBlobThreshold) return payload;
  auto value = parse_json(payload.json);
  if (!value) return payload;
  take_large(*value, "", payload.blobs);
  if (!payload.blobs.empty()) payload.json = json::serialize(*value);
  return payload;
}

std::string blob_list(const std::vector<Blob>& blobs, std::string_view prefix) {
  if (blobs.empty()) return {};
  json::array list;
  for (const auto& blob : blobs) {
    list.push_back(json::object{{"at", std::string(prefix) + blob.at}, {"type", blob.bytes ? "bytes" : "string"}});
  }
  return ",\"blobs\":" + json::serialize(list);
}

Result<std::vector<Blob>> read_blob_list(std::string_view raw_list, std::vector<std::string> blobs,
                                         std::string_view prefix) {
  std::vector<Blob> out;
  if (raw_list.empty() && blobs.empty()) return out;
  auto list = parse_json(raw_list.empty() ? "[]" : raw_list);
  if (!list || !list->is_array() || list->get_array().size() != blobs.size()) {
    return fail(ErrorCode::kInvalidArguments, "the list of blobs does not match the frame's " + std::to_string(blobs.size()));
  }
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    const auto& entry = list->get_array()[i];
    if (!entry.is_object()) return fail(ErrorCode::kInvalidArguments, "a blob's entry is not an object");
    const auto at = string_or(entry.get_object(), "at");
    const auto type = string_or(entry.get_object(), "type");
    if (!at.starts_with(prefix) || (type != "string" && type != "bytes")) {
      return fail(ErrorCode::kInvalidArguments, "blob " + std::to_string(i) + " has no place under '" +
                                                    std::string(prefix) + "' or an unknown type");
    }
    out.push_back({std::string(at.substr(prefix.size())), type == "bytes", std::move(blobs[i])});
  }
  return out;
}

}  // namespace sabir::protocol
