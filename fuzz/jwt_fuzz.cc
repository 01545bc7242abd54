// A bearer token from anywhere, and a JWK set from anywhere: what cannot be verified is refused with a reason, and nothing that was
// not signed by one of the keys is taken.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sabir/base/json.h"
#include "sabir/bridge/bridge.h"

namespace {

// The first line is the token, the rest the keys; without a line break these are a real set.
constexpr std::string_view kKeys = R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})";
constexpr std::string_view kOptions = R"({"issuer":"https://login.example/","audience":["notes"]})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  const std::string_view token = text.substr(0, line);
  const std::string_view keys = line == std::string_view::npos ? kKeys : text.substr(line + 1);
  sb_buf out{};
  const int code = sb_jwt_verify({token.data(), token.size()}, {keys.data(), keys.size()}, {kOptions.data(), kOptions.size()}, &out);
  const std::string answer(out.data, out.size);
  sb_free(out);
  const auto value = sabir::parse_json(answer);
  if (!value || !value->is_object()) std::abort();
  if (code != 0 && sabir::string_or(value->get_object(), "message").empty()) std::abort();
  // Nobody here has a private key of the real set.
  if (code == 0 && line == std::string_view::npos) std::abort();
  return 0;
}
