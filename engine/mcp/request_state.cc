#include "sabir/mcp/request_state.h"

#include <sys/random.h>

#include <algorithm>
#include <vector>

#include "sabir/base/text.h"
#include "url_base64.h"
#include "sabir/bridge/bridge.h"

namespace sabir::mcp {
namespace {

constexpr std::size_t kBlock = 64;  // of SHA-256

std::string sha256(std::string_view first, std::string_view second) {
  sb_sha256* const state = sb_sha256_new();
  sb_sha256_update(state, {first.data(), first.size()});
  sb_sha256_update(state, {second.data(), second.size()});
  char hex[64];
  sb_sha256_finish(state, hex);
  return std::string(hex, sizeof hex);
}

std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out += static_cast<char>(digit(hex[i]) << 4U | digit(hex[i + 1]));
  return out;
}

Result<std::string> from_url_base64(std::string_view text) {
  std::string plain(text);
  std::replace(plain.begin(), plain.end(), '-', '+');
  std::replace(plain.begin(), plain.end(), '_', '/');
  plain.append((4 - plain.size() % 4) % 4, '=');
  return base64_decode(plain);
}

// Takes the same time wherever they differ.
bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return difference == 0;
}

void sorted(json::value& value) {
  if (value.is_array()) {
    for (auto& item : value.get_array()) sorted(item);
  } else if (value.is_object()) {
    std::vector<std::string> keys;
    for (const auto& member : value.get_object()) keys.emplace_back(member.key());
    std::sort(keys.begin(), keys.end());
    json::object out;
    for (const auto& key : keys) {
      sorted(value.get_object()[key]);
      out.emplace(key, std::move(value.get_object()[key]));
    }
    value = std::move(out);
  }
}

}  // namespace

Seal::Seal(std::string key) {
  if (key.empty()) {
    key.resize(32);
    std::size_t have = 0;
    while (have < key.size()) {
      const auto n = ::getrandom(key.data() + have, key.size() - have, 0);
      if (n > 0) have += static_cast<std::size_t>(n);
    }
  }
  if (key.size() > kBlock) key = from_hex(sha256(key, {}));
  key.resize(kBlock, '\0');
  for (const char c : key) {
    inner_ += static_cast<char>(c ^ 0x36);
    outer_ += static_cast<char>(c ^ 0x5c);
  }
}

// RFC 2104.
std::string Seal::mac(std::string_view text) const { return from_hex(sha256(outer_, from_hex(sha256(inner_, text)))); }

std::string Seal::close(const RequestState& state) const {
  const std::string text = compact_json(json::object{{"v", 1}, {"p", state.principal}, {"r", state.request}, {"n", state.nonce}, {"e", state.expires_ms}, {"a", state.answers}});
  return url_base64(text) + "." + url_base64(mac(text));
}

Result<RequestState> Seal::open(std::string_view token) const {
  const auto refused = [] { return fail(ErrorCode::kInvalidArguments, "requestState is not what this server gave"); };
  const auto dot = token.find('.');
  if (dot == std::string_view::npos) return refused();
  const auto text = from_url_base64(token.substr(0, dot));
  const auto seal = from_url_base64(token.substr(dot + 1));
  if (!text || !seal || !same(mac(*text), *seal)) return refused();
  // Two texts of base64 may stand for the same bytes: the token itself must be the one that was given.
  if (token != url_base64(*text) + "." + url_base64(*seal)) return refused();
  auto value = parse_json(*text);
  if (!value || !value->is_object()) return refused();
  const auto& object = value->get_object();
  const auto* expires = object.if_contains("e");
  const auto* answers = object.if_contains("a");
  if (!expires || !expires->is_int64() || !answers || !answers->is_object()) return refused();
  return RequestState{std::string(string_or(object, "p")), std::string(string_or(object, "r")), std::string(string_or(object, "n")), expires->get_int64(), answers->get_object()};
}

std::string digest_of(std::string_view method, std::string_view name, std::string_view arguments) {
  auto value = parse_json(arguments);
  if (value) sorted(*value);
  const std::string head = std::string(method) + "\n" + std::string(name) + "\n";
  return sha256(head, value ? compact_json(*value) : std::string(arguments));
}

}  // namespace sabir::mcp
