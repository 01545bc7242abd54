#include "jwt.h"

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"

namespace sabir::serve {
namespace {

constexpr std::chrono::minutes kGood{10};
constexpr std::size_t kMostKeys = std::size_t{1} << 20U;
constexpr std::size_t kMostToken = 16384;

}  // namespace

Jwt::Jwt(project::JwtRules rules, std::filesystem::path root) : rules_(std::move(rules)), root_(std::move(root)) {}

std::expected<json::object, JwtRefusal> Jwt::verify(std::string_view token) {
  if (token.size() > kMostToken) return std::unexpected(JwtRefusal{"the token is too long", false});
  std::string keys;
  {
    const std::lock_guard lock(mutex_);
    keys = keys_;
  }
  if (keys.empty()) return std::unexpected(JwtRefusal{"the issuer's keys are not known", true});
  json::array audience;
  for (const auto& one : rules_.audience) audience.push_back(json::value(one));
  const std::string options = compact_json(json::object{{"issuer", rules_.issuer}, {"audience", std::move(audience)}});
  sb_buf out{};
  const int code = sb_jwt_verify({token.data(), token.size()}, {keys.data(), keys.size()}, {options.data(), options.size()}, &out);
  const std::string text(out.data, out.size);
  sb_free(out);
  auto value = parse_json(text);
  if (!value || !value->is_object()) return std::unexpected(JwtRefusal{"the token cannot be read", false});
  if (code != 0) return std::unexpected(JwtRefusal{std::string(string_or(value->get_object(), "message")), code == 2});
  return std::move(value->get_object());
}

bool Jwt::is_stale() const {
  const std::lock_guard lock(mutex_);
  return std::chrono::steady_clock::now() - read_ > kGood;
}

Result<void> Jwt::refresh(std::chrono::milliseconds at_most_often) {
  const std::lock_guard one_at_a_time(refreshing_);
  {
    const std::lock_guard lock(mutex_);
    if (!keys_.empty() && std::chrono::steady_clock::now() - read_ < at_most_often) return {};
  }
  std::string text;
  if (rules_.jwks.starts_with("https://") || rules_.jwks.starts_with("http://")) {
    net::HttpRequest request;
    request.url = rules_.jwks;
    request.total_timeout = std::chrono::seconds(15);
    request.most_body_bytes = kMostKeys;
    auto response = client_.send(request);
    if (!response) return fail(std::move(response.error()));
    if (response->status != 200) {
      return fail(ErrorCode::kConfig, "the issuer's keys could not be read: " + net::host_and_port(rules_.jwks) + " answered " + std::to_string(response->status),
                  "Check serve.jwt.jwks in sabir.yml.");
    }
    text = std::move(response->body);
  } else {
    auto read = read_file(root_ / rules_.jwks, kMostKeys);
    if (!read) return fail(std::move(read.error()));
    text = std::move(*read);
  }
  const auto value = parse_json(text);
  const auto* keys = value && value->is_object() ? value->get_object().if_contains("keys") : nullptr;
  if (!keys || !keys->is_array()) return fail(ErrorCode::kConfig, "what serve.jwt.jwks leads to is no JWK set", "It is a JSON object with a list \"keys\" (RFC 7517).");
  const std::lock_guard lock(mutex_);
  keys_ = std::move(text);
  read_ = std::chrono::steady_clock::now();
  return {};
}

}  // namespace sabir::serve
