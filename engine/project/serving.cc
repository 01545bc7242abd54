#include "sabir/project/serving.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "sabir/base/text.h"
#include "shape.h"

namespace sabir::project {
namespace {

std::vector<std::string> scope_names() { return {std::begin(kScopes), std::end(kScopes)}; }

// `*` stands for any text.
bool fits(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t after = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++after;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// One mapping of sabir.yml with its place, from which keys are taken; which there may be its schema says.
struct Section {
  const json::object& object;
  const Shape& shape;
  std::string at;

  static Result<Section> of(const json::value& value, const Shape& shape, std::string at, const char* example) {
    if (!value.is_object()) return fail(shape.wrong(at, at.substr(at.rfind('/') + 1) + " must be a mapping, not " + kind_of(value), std::string("Write ") + example + "."));
    return Section{value.get_object(), shape, std::move(at)};
  }
  std::string place(const char* key) const { return at + "/" + key; }

  Result<void> text(const char* key, std::string& target) const {
    const auto* value = object.if_contains(key);
    if (!value) return {};
    auto read = shape.text(*value, place(key));
    if (!read) return fail(std::move(read.error()));
    target = std::move(*read);
    return {};
  }
  // A list, or one text alone.
  Result<void> texts(const char* key, std::vector<std::string>& target) const {
    const auto* value = object.if_contains(key);
    if (!value) return {};
    if (value->is_string()) {
      auto one = shape.text(*value, place(key));
      if (!one) return fail(std::move(one.error()));
      target = {std::move(*one)};
      return {};
    }
    auto read = shape.texts(*value, place(key));
    if (!read) return fail(std::move(read.error()));
    target = std::move(*read);
    return {};
  }
  Result<void> scopes(const char* key, std::vector<std::string>& target) const {
    if (auto ok = texts(key, target); !ok) return ok;
    for (const auto& scope : target) {
      if (is_scope(scope)) continue;
      std::string hint = did_you_mean(scope, scope_names());
      return fail(shape.wrong(place(key), "there is no scope '" + scope + "'", hint.empty() ? "Scopes are " + join(scope_names(), ", ") + "." : hint));
    }
    return {};
  }
  Result<void> whole(const char* key, int& target, int least, int most) const {
    const auto* value = object.if_contains(key);
    if (!value) return {};
    auto read = shape.whole(*value, place(key), least, most);
    if (!read) return fail(std::move(read.error()));
    target = *read;
    return {};
  }
  Result<void> time(const char* key, std::chrono::milliseconds& target) const {
    const auto* value = object.if_contains(key);
    if (!value) return {};
    auto read = shape.duration_ms(*value, place(key));
    if (!read) return fail(std::move(read.error()));
    target = std::chrono::milliseconds(*read);
    return {};
  }
};

#define SABIR_TAKE(expression) \
  if (auto taken = (expression); !taken) return fail(std::move(taken.error()))

Result<void> read_jwt(const json::value& value, const Shape& shape, const std::string& at, Serving& out) {
  auto section = Section::of(value, shape, at, "jwt: {jwks: https://login.example/jwks.json, issuer: https://login.example/, audience: my-service}");
  if (!section) return fail(std::move(section.error()));
  JwtRules rules;
  SABIR_TAKE(section->text("jwks", rules.jwks));
  SABIR_TAKE(section->text("issuer", rules.issuer));
  SABIR_TAKE(section->texts("audience", rules.audience));
  SABIR_TAKE(section->text("user", rules.user));
  SABIR_TAKE(section->text("tenant", rules.tenant));
  SABIR_TAKE(section->text("scopes", rules.scopes));
  SABIR_TAKE(section->scopes("granted", rules.granted));
  for (const auto& [key, missing] : {std::pair("jwks", rules.jwks.empty()), std::pair("issuer", rules.issuer.empty()), std::pair("audience", rules.audience.empty())}) {
    if (missing) return fail(shape.wrong(at, std::string("jwt needs '") + key + "'", "Without it tokens that were made for others would be taken."));
  }
  if (rules.jwks.starts_with("http://")) {
    std::string_view host = std::string_view(rules.jwks).substr(7);
    host = host.substr(0, host.find_first_of("/:?"));
    if (!is_loopback_host(host)) return fail(shape.wrong(at + "/jwks", "keys over plain http can be anyone's", "Use https, or a file."));
  }
  out.jwt = std::move(rules);
  return {};
}

Result<void> read_proxy(const json::value& value, const Shape& shape, const std::string& at, Serving& out) {
  auto section = Section::of(value, shape, at, "proxy: {from: 127.0.0.1, user: X-Forwarded-User, scopes: [functions]}");
  if (!section) return fail(std::move(section.error()));
  ProxyRules rules;
  SABIR_TAKE(section->texts("from", rules.addresses));
  SABIR_TAKE(section->text("user", rules.user));
  SABIR_TAKE(section->text("tenant", rules.tenant));
  SABIR_TAKE(section->text("conversation", rules.conversation));
  SABIR_TAKE(section->scopes("scopes", rules.scopes));
  if (rules.addresses.empty()) return fail(shape.wrong(at, "proxy needs 'from', the addresses that it connects from", "Headers of anyone else are not believed."));
  if (rules.scopes.empty()) return fail(shape.wrong(at, "proxy needs 'scopes', what its callers may do", "Scopes are " + join(scope_names(), ", ") + "."));
  for (auto* name : {&rules.user, &rules.tenant, &rules.conversation}) {
    std::transform(name->begin(), name->end(), name->begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  }
  out.proxy = std::move(rules);
  return {};
}

Result<void> read_limits(const json::value& value, const Shape& shape, const std::string& at, Serving& out) {
  auto section = Section::of(value, shape, at, "limits: {body: 16MB, timeout: 10m}");
  if (!section) return fail(std::move(section.error()));
  if (const auto* body = section->object.if_contains("body")) {
    const auto bytes = parse_bytes(body->is_string() ? std::string_view(body->get_string()) : std::string_view(json::serialize(*body)));
    if (!bytes || *bytes > (std::uint64_t{1} << 30U)) return fail(shape.wrong(at + "/body", "body must be a size from 1MB to 1GB, not " + kind_of(*body)));
    out.body_bytes = *bytes;
  }
  SABIR_TAKE(section->whole("head", out.head_bytes, 4096, 1 << 20));
  SABIR_TAKE(section->whole("connections", out.connections, 1, 1'000'000));
  SABIR_TAKE(section->whole("running", out.running, 1, 100'000));
  if (section->object.contains("per_minute")) {
    out.rate.seconds = 60;
    SABIR_TAKE(section->whole("per_minute", out.rate.count, 1, 10'000'000));
  }
  if (const auto* rate = section->object.if_contains("rate")) {
    const auto read = rate->is_string() ? parse_rate(rate->get_string()) : std::nullopt;
    if (!read || section->object.contains("per_minute")) {
      return fail(shape.wrong(at + "/rate", read ? "rate and per_minute exclude each other" : "rate must be a number of requests in a time, not " + kind_of(*rate), "Write rate: 10/s, 600/min or 5000/h."));
    }
    out.rate = *read;
  }
  SABIR_TAKE(section->whole("at_once", out.at_once, 1, 100'000));
  SABIR_TAKE(section->time("timeout", out.timeout));
  SABIR_TAKE(section->time("drain", out.drain));
  SABIR_TAKE(section->time("start", out.start));
  SABIR_TAKE(section->time("keep_answers", out.keep_answers));
  return {};
}

Result<void> read_keys(const Section& section, Serving& out) {
  const auto& [object, shape, at] = section;
  SABIR_TAKE(section.text("host", out.host));
  SABIR_TAKE(section.whole("port", out.port, 0, 65535));
  SABIR_TAKE(section.text("socket", out.socket));
  SABIR_TAKE(section.texts("hosts", out.hosts));
  SABIR_TAKE(section.texts("cors", out.origins));
  for (const auto& origin : out.origins) {
    const std::size_t start = origin.find("://");
    if (origin == "*" || (start != std::string::npos && origin.find('/', start + 3) == std::string::npos)) continue;
    return fail(shape.wrong(at + "/cors", "'" + origin + "' is no origin", "An origin is scheme and host, with a port where it has one: https://app.example"));
  }
  if (const auto* tls = object.if_contains("tls")) {
    auto own = Section::of(*tls, shape, at + "/tls", "tls: {certificate: cert.pem, key: key.pem}");
    if (!own) return fail(std::move(own.error()));
    SABIR_TAKE(own->text("certificate", out.certificate));
    SABIR_TAKE(own->text("key", out.key));
    if (out.certificate.empty() || out.key.empty()) return fail(shape.wrong(at + "/tls", "tls needs 'certificate' and 'key', two PEM files"));
  }
  if (const auto* jwt = object.if_contains("jwt")) SABIR_TAKE(read_jwt(*jwt, shape, at + "/jwt", out));
  if (const auto* proxy = object.if_contains("proxy")) SABIR_TAKE(read_proxy(*proxy, shape, at + "/proxy", out));
  if (const auto* limits = object.if_contains("limits")) SABIR_TAKE(read_limits(*limits, shape, at + "/limits", out));
  return {};
}

}  // namespace

std::string_view door_name(Door door) {
  switch (door) {
    case Door::kMcp: return "mcp";
    case Door::kModel: return "model";
    default: return "rest";
  }
}

std::optional<Rate> parse_rate(std::string_view text) {
  text = trim(text);
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  Rate out;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + slash, out.count);
  if (ec != std::errc() || end != text.data() + slash || out.count < 1 || out.count > 10'000'000) return std::nullopt;
  const auto unit = text.substr(slash + 1);
  if (unit == "s") out.seconds = 1;
  else if (unit == "min" || unit == "m") out.seconds = 60;
  else if (unit == "h") out.seconds = 3600;
  else return std::nullopt;
  return out;
}

std::string to_text(const Rate& rate) { return std::to_string(rate.count) + (rate.seconds == 1 ? "/s" : rate.seconds == 60 ? "/min" : "/h"); }

bool is_scope(std::string_view name) { return std::find(std::begin(kScopes), std::end(kScopes), name) != std::end(kScopes); }

bool is_loopback_host(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

const std::vector<std::string>& Exposure::entries(Door door) const { return door == Door::kMcp ? mcp : door == Door::kModel ? model : rest; }

bool Exposure::reaches(Door door, std::string_view name) const {
  if (everything) return true;
  const auto& list = entries(door);
  return std::any_of(list.begin(), list.end(), [&](const std::string& entry) {
    // A * in place of the kind means functions, not all there is.
    const std::string_view kind = name.substr(0, name.find('/'));
    return std::string_view(entry).substr(0, entry.find('/')) == kind && fits(entry, name);
  });
}

bool Exposure::reaches_function(Door door, std::string_view language, std::string_view address) const {
  if (everything) return true;
  const auto& list = entries(door);
  const std::string full = std::string(language) + "/" + std::string(address);
  return std::any_of(list.begin(), list.end(), [&](const std::string& entry) {
    if (entry == "memory" || entry.starts_with("assistants/") || entry.starts_with("prompts/") || entry.starts_with("models/")) return false;
    return fits(entry, entry.find('/') == std::string::npos ? address : std::string_view(full));
  });
}

Result<void> read_serving(const json::value* value, const Shape& shape, Project& project) {
  if (!value) return {};
  const std::string at = "/serve";
  auto section = Section::of(*value, shape, at, "serve: {port: 8080}");
  if (!section) return fail(std::move(section.error()));
  if (auto ok = read_keys(*section, project.serving); !ok) return ok;
  const auto* environments = section->object.if_contains("environments");
  if (!environments) return {};
  if (!environments->is_object()) {
    return fail(shape.wrong(at + "/environments", "environments must be a mapping, not " + kind_of(*environments), "Write environments: {production: {host: 0.0.0.0}}."));
  }
  const Serving common = project.serving;
  for (const auto& member : environments->get_object()) {
    auto own = Section::of(member.value(), shape, at + "/environments/" + std::string(member.key()), "{host: 0.0.0.0}");
    if (!own) return fail(std::move(own.error()));
    // What is wrong for another environment is wrong already.
    Serving other = common;
    if (auto ok = read_keys(*own, member.key() == project.environment ? project.serving : other); !ok) return ok;
  }
  return {};
}

Result<void> read_exposure(const json::value* value, const Shape& shape, Project& project) {
  project.exposure.everything = project.environment == "development";
  if (!value) return {};
  auto section = Section::of(*value, shape, "/expose", "expose: {rest: [reports.*]}");
  if (!section) return fail(std::move(section.error()));
  SABIR_TAKE(section->texts("rest", project.exposure.rest));
  SABIR_TAKE(section->texts("mcp", project.exposure.mcp));
  SABIR_TAKE(section->texts("model", project.exposure.model));
  return {};
}

Result<void> read_approvals(const json::value* value, const Shape& shape, Project& project) {
  if (!value) return {};
  auto section = Section::of(*value, shape, "/approvals", "approvals: {expire: 24h}");
  if (!section) return fail(std::move(section.error()));
  const auto* expire = section->object.if_contains("expire");
  if (!expire) return {};
  const auto ms = parse_span_ms(expire->is_string() ? std::string_view(expire->get_string()) : std::string_view(json::serialize(*expire)));
  if (!ms || *ms < 1000) return fail(shape.wrong("/approvals/expire", "expire must be a time from 1s to 3650d, not " + kind_of(*expire), "Write expire: 24h, or 7d."));
  project.approval_time = std::chrono::milliseconds(*ms);
  return {};
}

#undef SABIR_TAKE

}  // namespace sabir::project
