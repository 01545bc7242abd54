#include "sabir/aws/signature.h"

#include <algorithm>

#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"

namespace sabir::aws {
namespace {

constexpr std::size_t kBlock = 64;  // bytes of SHA-256's block

std::string bytes_of(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  return out;
}

// HMAC-SHA256 (RFC 2104), in hexadecimal digits.
std::string hmac_hex(std::string key, std::string_view text) {
  if (key.size() > kBlock) key = bytes_of(sha256_hex(key));
  key.resize(kBlock, '\0');
  std::string inner = key;
  std::string outer = key;
  for (char& c : inner) c = static_cast<char>(c ^ 0x36);
  for (char& c : outer) c = static_cast<char>(c ^ 0x5c);
  return sha256_hex(outer + bytes_of(sha256_hex(inner.append(text))));
}

std::string hmac(std::string key, std::string_view text) { return bytes_of(hmac_hex(std::move(key), text)); }

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  char digest[64];
  sb_sha256* state = sb_sha256_new();
  sb_sha256_update(state, {bytes.data(), bytes.size()});
  sb_sha256_finish(state, digest);
  return {digest, sizeof digest};
}

std::string percent_encoded(std::string_view text, Slash slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
    if (plain || (c == '/' && slash == Slash::kKept)) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    }
  }
  return out;
}

std::string query_text(Query query) {
  for (auto& [name, value] : query) {
    name = percent_encoded(name);
    value = percent_encoded(value);
  }
  std::sort(query.begin(), query.end());
  std::string out;
  for (const auto& [name, value] : query) out += (out.empty() ? "" : "&") + name + "=" + value;
  return out;
}

Headers sign(const Unsigned& request, const Credentials& credentials, const std::string& region, const std::string& service, std::time_t now) {
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char stamp[20];
  std::strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &parts);
  const std::string date(stamp, 8);

  const std::string body_hash = sha256_hex(request.body);
  Headers all = request.headers;
  if (service == "s3") all.emplace_back("x-amz-content-sha256", body_hash);
  all.emplace_back("x-amz-date", stamp);
  if (!credentials.session_token.empty()) all.emplace_back("x-amz-security-token", credentials.session_token);
  Headers signed_headers = all;
  signed_headers.emplace_back("host", request.host);
  std::sort(signed_headers.begin(), signed_headers.end());
  std::string lines;
  std::string names;
  for (const auto& [name, value] : signed_headers) {
    lines += name + ":" + std::string(trim(value)) + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  const std::string canonical = request.method + "\n" + request.path + "\n" + query_text(request.query) + "\n" + lines + "\n" + names + "\n" + body_hash;
  const std::string scope = date + "/" + region + "/" + service + "/aws4_request";
  const std::string key = hmac(hmac(hmac(hmac("AWS4" + credentials.secret_key, date), region), service), "aws4_request");
  const std::string signature = hmac_hex(key, std::string("AWS4-HMAC-SHA256\n") + stamp + "\n" + scope + "\n" + sha256_hex(canonical));
  all.emplace_back("authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.key_id + "/" + scope + ", SignedHeaders=" + names + ", Signature=" + signature);
  return all;
}

}  // namespace sabir::aws
