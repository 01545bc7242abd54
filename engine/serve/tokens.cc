#include "sabir/serve/tokens.h"

#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/project/serving.h"

namespace sabir::serve {
namespace {
namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr std::size_t kMostTokens = 10'000;
constexpr std::size_t kIdLength = 8;
constexpr std::size_t kSecretLength = 43;   // 256 bits
constexpr std::size_t kMostName = 100;
constexpr std::string_view kPrefix = "sabir_";
constexpr std::int64_t kLookEveryMs = 1000;

std::int64_t now_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// Base64 without the two characters that are no letters or digits: a double click takes the whole of it.
Result<std::string> random_text(std::size_t length) {
  static constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string out;
  unsigned char bytes[64];
  while (out.size() < length) {
    if (::getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) return fail(ErrorCode::kInternal, "the system gives no random numbers");
    for (const unsigned char byte : bytes) {
      // What would make some digits likelier than others is left out.
      if (byte < 248 && out.size() < length) out += kDigits[byte % kDigits.size()];
    }
  }
  return out;
}

bool is_plain(std::string_view text) {
  return text.size() <= kMostName && find_invalid_utf8(text) == std::string_view::npos &&
         std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

json::object stored(const Token& token) {
  json::object out = to_json(token);
  out["sha256"] = token.digest;
  return out;
}

std::int64_t number(const json::object& object, const char* key) {
  const auto* value = object.if_contains(key);
  return value && value->is_int64() ? value->get_int64() : 0;
}

Result<std::vector<Token>> read(const fs::path& file) {
  struct stat info {};
  if (::lstat(file.c_str(), &info) != 0) return std::vector<Token>();
  const auto wrong = [&](const std::string& why, const std::string& hint) { return fail(Error(ErrorCode::kConfig, file.string() + " " + why, hint)); };
  if (!S_ISREG(info.st_mode)) return wrong("is no file", "Move it away.");
  if ((info.st_mode & 077) != 0) return wrong("may be read by others", "chmod 600 " + file.string());
  auto text = read_file(file, std::size_t{16} << 20U);
  if (!text) return fail(std::move(text.error()));
  const auto value = parse_json(*text);
  const auto* list = value && value->is_object() ? value->get_object().if_contains("tokens") : nullptr;
  if (!list || !list->is_array()) return wrong("holds no tokens", "Move it away, and make the tokens again: sabir tokens add NAME --scopes functions");
  if (number(value->get_object(), "format") > kFormat) return fail(ErrorCode::kStoreNewer, file.string() + " was written by a newer Sabir", "Use that version, or move the file away.");
  std::vector<Token> out;
  for (const auto& item : list->get_array()) {
    if (!item.is_object()) return wrong("holds something that is no token", "Move it away.");
    const auto& object = item.get_object();
    Token token;
    token.id = string_or(object, "id");
    token.name = string_or(object, "name");
    token.digest = string_or(object, "sha256");
    token.user = string_or(object, "user");
    token.tenant = string_or(object, "tenant");
    token.created_ms = number(object, "created_ms");
    token.expires_ms = number(object, "expires_ms");
    token.rate = project::parse_rate(string_or(object, "rate")).value_or(project::Rate{});
    token.at_once = static_cast<int>(std::clamp<std::int64_t>(number(object, "at_once"), 0, 100'000));
    if (const auto* scopes = object.if_contains("scopes"); scopes && scopes->is_array()) {
      for (const auto& scope : scopes->get_array()) {
        if (scope.is_string()) token.scopes.emplace_back(scope.get_string());
      }
    }
    if (token.id.size() != kIdLength || token.digest.size() != 64) return wrong("holds something that is no token", "Move it away.");
    out.push_back(std::move(token));
  }
  return out;
}

Result<void> write(const fs::path& file, const std::vector<Token>& tokens) {
  std::error_code ec;
  fs::create_directories(file.parent_path(), ec);
  json::array list;
  for (const auto& token : tokens) list.push_back(stored(token));
  return write_file(file, pretty_json(json::object{{"format", kFormat}, {"tokens", std::move(list)}}) + "\n", 0600);
}

// Every byte is looked at, whatever the first ones are.
bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference = static_cast<unsigned char>(difference | (static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i])));
  return difference == 0;
}

std::string stamp_of(const fs::path& file) {
  struct stat info {};
  if (::lstat(file.c_str(), &info) != 0) return "-";
  return std::to_string(info.st_ino) + " " + std::to_string(info.st_size) + " " + std::to_string(info.st_mode) + " " + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec);
}

}  // namespace

std::string sha256(std::string_view bytes) {
  sb_sha256* state = sb_sha256_new();
  sb_sha256_update(state, {bytes.data(), bytes.size()});
  char out[64];
  sb_sha256_finish(state, out);
  return {out, sizeof out};
}

json::object to_json(const Token& token) {
  json::array scopes;
  for (const auto& scope : token.scopes) scopes.push_back(json::value(scope));
  json::object out{{"id", token.id}, {"name", token.name}, {"scopes", std::move(scopes)}, {"user", token.user}, {"tenant", token.tenant}, {"created_ms", token.created_ms}};
  if (token.expires_ms != 0) out["expires_ms"] = token.expires_ms;
  if (token.rate.count > 0) out["rate"] = project::to_text(token.rate);
  if (token.at_once > 0) out["at_once"] = token.at_once;
  return out;
}

Tokens::Tokens(fs::path state_dir) : file_(std::move(state_dir) / "tokens.json") {}

Result<std::vector<Token>> Tokens::list() const { return read(file_); }

Result<std::string> Tokens::add(Token token) {
  if (token.name.empty() || !is_plain(token.name) || !is_plain(token.user) || !is_plain(token.tenant)) {
    return fail(ErrorCode::kInvalidArguments, "a token's name, user and tenant are texts of at most 100 bytes without control characters");
  }
  if (token.scopes.empty()) return fail(ErrorCode::kInvalidArguments, "a token without scopes allows nothing", "Give it some: --scopes functions,prompts");
  for (const auto& scope : token.scopes) {
    if (!project::is_scope(scope)) {
      const std::vector<std::string> known(std::begin(project::kScopes), std::end(project::kScopes));
      const auto hint = did_you_mean(scope, known);
      return fail(ErrorCode::kInvalidArguments, "there is no scope '" + scope + "'", hint.empty() ? "Scopes are " + join(known, ", ") + "." : hint);
    }
  }
  auto tokens = read(file_);
  if (!tokens) return fail(std::move(tokens.error()));
  if (tokens->size() >= kMostTokens) return fail(ErrorCode::kLimit, "there are as many tokens as there may be", "Revoke some: sabir tokens list");
  if (std::any_of(tokens->begin(), tokens->end(), [&](const Token& other) { return other.name == token.name; })) {
    return fail(ErrorCode::kExists, "there is a token '" + token.name + "' already", "Revoke it first, or choose another name.");
  }
  auto id = random_text(kIdLength);
  auto secret = random_text(kSecretLength);
  if (!id || !secret) return fail(id ? secret.error() : id.error());
  token.id = *id;
  token.created_ms = now_ms();
  std::string text = std::string(kPrefix) + *id + "_" + *secret;
  token.digest = sha256(text);
  tokens->push_back(std::move(token));
  if (auto written = write(file_, *tokens); !written) return fail(std::move(written.error()));
  return text;
}

Result<Token> Tokens::revoke(const std::string& which) {
  auto tokens = read(file_);
  if (!tokens) return fail(std::move(tokens.error()));
  const auto found = std::find_if(tokens->begin(), tokens->end(), [&](const Token& token) { return token.id == which || token.name == which; });
  if (found == tokens->end()) return fail(ErrorCode::kNotFound, "there is no token '" + which + "'", "`sabir tokens list` shows them.");
  const Token revoked = *found;
  tokens->erase(found);
  if (auto written = write(file_, *tokens); !written) return fail(std::move(written.error()));
  return revoked;
}

void Tokens::look() {
  const auto now = now_ms();
  if (now - looked_ms_ < kLookEveryMs && now >= looked_ms_) return;
  looked_ms_ = now;
  auto stamp = stamp_of(file_);
  if (stamp == stamp_) return;
  auto tokens = read(file_);
  // A file that cannot be read lets nobody in.
  known_ = tokens ? std::move(*tokens) : std::vector<Token>();
  stamp_ = std::move(stamp);
}

std::optional<Token> Tokens::find(std::string_view text) {
  const std::lock_guard lock(mutex_);
  look();
  if (text.size() != kPrefix.size() + kIdLength + 1 + kSecretLength || !text.starts_with(kPrefix)) return std::nullopt;
  const std::string digest = sha256(text);
  const std::string_view id = text.substr(kPrefix.size(), kIdLength);
  for (const auto& token : known_) {
    // The id is no secret: it only says which digest to compare with.
    if (token.id != id) continue;
    if (!same(token.digest, digest)) return std::nullopt;
    if (token.expires_ms != 0 && now_ms() >= token.expires_ms) return std::nullopt;
    return token;
  }
  return std::nullopt;
}

bool Tokens::any() {
  const std::lock_guard lock(mutex_);
  look();
  return !known_.empty();
}

Result<void> Tokens::reload() {
  const std::lock_guard lock(mutex_);
  auto tokens = read(file_);
  if (!tokens) return fail(std::move(tokens.error()));
  known_ = std::move(*tokens);
  stamp_ = stamp_of(file_);
  looked_ms_ = now_ms();
  return {};
}

}  // namespace sabir::serve
