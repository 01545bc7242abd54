// Values for a JSON Schema, by a seed: splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sabir/evals/inputs.h"

namespace sabir::evals {
namespace {

constexpr int kMostDepth = 5;
// Integers that every JSON reader keeps exactly (RFC 8259 §6).
constexpr std::int64_t kSafe = 9007199254740991;

// What languages treat differently: combining marks, letters whose upper case is longer or depends on the language, characters outside
// of the first plane, joined ones, right to left, blanks that are none of ASCII's, quotes and escapes, what looks like other types.
constexpr std::array<std::string_view, 26> kTexts = {
    "", "a", "A", "ab", " ", "hello world", "Été à Paris", "e\xCC\x81", "ß", "straße", "İi", "ǆ", "ﬁ", "σς", "😀", "a😀b",
    "👩‍👩‍👧", "日本語", "שלום", "\xC2\xA0", "\n", "a\tb\r\nc", "\"quoted\" \\ 'text'", "0", "null", "-a/b.c, d_e"};

bool says(const json::object& schema, const char* key) {
  const auto* value = schema.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::optional<double> number(const json::object& schema, const char* key) {
  const auto* value = schema.if_contains(key);
  return value != nullptr && value->is_number() ? std::optional<double>(value->to_number<double>()) : std::nullopt;
}

std::size_t count(const json::object& schema, const char* key, std::size_t otherwise) {
  const auto* value = schema.if_contains(key);
  if (value == nullptr || !value->is_int64() || value->get_int64() < 0) return otherwise;
  return static_cast<std::size_t>(std::min<std::int64_t>(value->get_int64(), 1'000'000));
}

// One of its types, where it names any: the first but null.
std::string type_of(const json::object& schema) {
  const auto* type = schema.if_contains("type");
  if (type != nullptr && type->is_string()) return std::string(type->get_string());
  if (type == nullptr) {
    if (schema.contains("properties") || schema.contains("required")) return "object";
    if (schema.contains("items") || schema.contains("prefixItems")) return "array";
    if (schema.contains("pattern") || schema.contains("minLength") || schema.contains("maxLength") || schema.contains("format")) return "string";
    if (schema.contains("minimum") || schema.contains("maximum")) return "number";
  }
  return "";
}

std::vector<json::object> alternatives_of(const json::object& schema) {
  std::vector<json::object> out;
  for (const char* key : {"anyOf", "oneOf"}) {
    const auto* list = schema.if_contains(key);
    if (list == nullptr || !list->is_array()) continue;
    for (const auto& one : list->get_array()) {
      json::object part = schema;
      part.erase(key);
      if (one.is_object()) {
        for (const auto& member : one.get_object()) part[member.key()] = member.value();
      }
      out.push_back(std::move(part));
    }
    return out;
  }
  if (const auto* types = schema.if_contains("type"); types != nullptr && types->is_array()) {
    for (const auto& type : types->get_array()) {
      json::object part = schema;
      part["type"] = type;
      out.push_back(std::move(part));
    }
  }
  return out;
}

std::vector<std::pair<std::string, json::object>> members_of(const json::object& schema) {
  std::vector<std::pair<std::string, json::object>> out;
  const auto* properties = schema.if_contains("properties");
  if (properties == nullptr || !properties->is_object()) return out;
  for (const auto& member : properties->get_object()) out.emplace_back(member.key(), member.value().is_object() ? member.value().get_object() : json::object());
  return out;
}

bool required(const json::object& schema, std::string_view name) {
  const auto* names = schema.if_contains("required");
  if (names == nullptr || !names->is_array()) return false;
  return std::any_of(names->get_array().begin(), names->get_array().end(), [&](const auto& one) { return one.is_string() && one.get_string() == name; });
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::string cut(std::string_view text, std::size_t most) {
  std::size_t seen = 0;
  std::size_t end = 0;
  while (end < text.size()) {
    if ((static_cast<unsigned char>(text[end]) & 0xc0U) != 0x80U && ++seen > most) break;
    ++end;
  }
  return std::string(text.substr(0, end));
}

// Made longer by itself and cut, so that it fits the lengths.
std::string fitted(std::string text, const json::object& schema) {
  const auto least = count(schema, "minLength", 0);
  const auto most = count(schema, "maxLength", 1'000'000);
  if (characters(text) < least && least <= 100'000) {
    const std::string unit = text.empty() ? "a" : text;
    while (characters(text) < least) text += unit;
    text = cut(text, std::max<std::size_t>(least, 1));
  }
  return characters(text) > most ? cut(text, most) : text;
}

struct Range {
  double low;
  double high;
  std::optional<double> least;  // as the schema says; nothing: no bound
  std::optional<double> most;
};

Range range_of(const json::object& schema, bool whole) {
  Range out{-static_cast<double>(kSafe), static_cast<double>(kSafe), number(schema, "minimum"), number(schema, "maximum")};
  const double step = whole ? 1 : 0;
  const auto beyond = [&](double x, double direction) {
    if (whole) return direction > 0 ? std::floor(x) + step : std::ceil(x) - step;
    return x + direction * std::max(1e-6, std::abs(x) * 1e-9);
  };
  if (const auto x = number(schema, "exclusiveMinimum")) out.least = std::max(out.least.value_or(-INFINITY), beyond(*x, 1));
  if (const auto x = number(schema, "exclusiveMaximum")) out.most = std::min(out.most.value_or(INFINITY), beyond(*x, -1));
  // A bound beyond those is a type's own, such as that of 64 bits: nothing is asked there, unless the schema allows nothing else.
  const auto safe = static_cast<double>(kSafe);
  const bool reachable = out.least.value_or(0) <= safe && out.most.value_or(0) >= -safe;
  if (whole && reachable && out.least && *out.least < -safe) out.least = -safe;
  if (whole && reachable && out.most && *out.most > safe) out.most = safe;
  if (out.least) out.low = whole ? std::ceil(*out.least) : *out.least;
  if (out.most) out.high = whole ? std::floor(*out.most) : *out.most;
  if (out.least && !out.most) out.high = std::max(out.high, out.low);
  if (out.most && !out.least) out.low = std::min(out.low, out.high);
  return out;
}

// A number of the kind that is asked for, where it fits range and steps.
void add_number(std::vector<json::value>& out, double x, const json::object& schema, const Range& range, bool whole) {
  if (!std::isfinite(x)) return;
  if (const auto unit = number(schema, "multipleOf"); unit && *unit > 0) x = std::round(x / *unit) * *unit;
  if (whole) x = std::trunc(x);
  if ((range.least && x < *range.least) || (range.most && x > *range.most)) return;
  if (whole) {
    if (std::abs(x) > 9.2e18) return;
    out.emplace_back(static_cast<std::int64_t>(x));
  } else if (x == std::trunc(x) && std::abs(x) < 1e15) {
    out.emplace_back(static_cast<std::int64_t>(x));
  } else {
    out.emplace_back(x);
  }
}

std::vector<json::value> number_edges(const json::object& schema, bool whole) {
  const Range range = range_of(schema, whole);
  std::vector<json::value> out;
  const auto add = [&](double x) { add_number(out, x, schema, range, whole); };
  for (const double x : {0.0, 1.0, -1.0, 2.0, 10.0}) add(x);
  if (!whole) {
    for (const double x : {0.5, 1.5, 2.5, -0.5, -2.5, 0.1, 1.005, 2.675, 1e-9, 1234.5678}) add(x);
  }
  if (range.least) add(*range.least), add(*range.least + 1);
  if (range.most) add(*range.most), add(*range.most - 1);
  if (!whole && range.least) add(*range.least + 0.5);
  for (const double x : {100.0, 255.0, 256.0, 2147483647.0, 2147483648.0, -2147483648.0, -2147483649.0, 4294967296.0}) add(x);
  add(static_cast<double>(kSafe));
  add(-static_cast<double>(kSafe));
  if (!whole) {
    for (const double x : {1e21, -1e21, 1e300}) add(x);
  }
  return out;
}

std::vector<std::string> texts_of_format(std::string_view format) {
  if (format == "date") return {"2024-02-29", "1970-01-01", "2000-12-31", "0001-01-01", "9999-12-31", "1969-12-31"};
  if (format == "date-time") return {"2024-02-29T12:34:56Z", "1970-01-01T00:00:00Z", "2024-03-31T02:30:00+02:00", "1999-12-31T23:59:59.999Z", "2024-06-01T00:00:00-11:00"};
  if (format == "time") return {"00:00:00Z", "23:59:59Z", "12:34:56+02:00"};
  if (format == "duration") return {"PT0S", "P1D", "P1Y2M3DT4H5M6S", "PT1H"};
  if (format == "uuid") return {"00000000-0000-0000-0000-000000000000", "123e4567-e89b-42d3-a456-426614174000", "ffffffff-ffff-ffff-ffff-ffffffffffff"};
  if (format == "email") return {"a@example.com", "first.last+tag@sub.example.org"};
  if (format == "uri" || format == "iri" || format == "uri-reference") return {"https://example.com/", "http://example.com/a%20b?c=d#e", "urn:a:b"};
  if (format == "hostname") return {"example.com", "a", "a-b.example"};
  if (format == "ipv4") return {"0.0.0.0", "127.0.0.1", "255.255.255.255"};
  if (format == "ipv6") return {"::", "::1", "2001:db8::ff00:42:8329"};
  return {};
}

}  // namespace

std::uint64_t Generator::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31U);
}

std::size_t Generator::below(std::size_t bound) { return bound == 0 ? 0 : static_cast<std::size_t>(next() % bound); }

std::vector<json::value> Generator::edges(std::size_t most) {
  auto out = edges_of(schema_, 0);
  if (out.size() > most) out.resize(most);
  return out;
}

json::value Generator::random() { return random_of(schema_, 0); }

// A value like those that people give.
json::value Generator::plain(const json::object& schema, int depth) {
  if (const auto* examples = schema.if_contains("examples"); examples != nullptr && examples->is_array() && !examples->get_array().empty()) return examples->get_array().front();
  if (const auto* one = schema.if_contains("default"); one != nullptr && !one->is_null()) return *one;
  if (schema.contains("const")) return schema.at("const");
  if (const auto* choices = schema.if_contains("enum"); choices != nullptr && choices->is_array() && !choices->get_array().empty()) return choices->get_array().front();
  if (const auto options = alternatives_of(schema); !options.empty()) return plain(options.front(), depth);
  const std::string type = type_of(schema);
  if (type == "object") {
    json::object out;
    for (const auto& [name, member] : members_of(schema)) {
      if (required(schema, name) || depth < 2) out[name] = plain(member, depth + 1);
    }
    return out;
  }
  if (type == "array") {
    json::array out;
    const auto* items = schema.if_contains("items");
    const auto* prefix = schema.if_contains("prefixItems");
    if (prefix != nullptr && prefix->is_array()) {
      for (const auto& one : prefix->get_array()) out.push_back(one.is_object() ? plain(one.get_object(), depth + 1) : json::value());
      return out;
    }
    if (depth > kMostDepth || (items != nullptr && items->is_bool() && !items->get_bool())) return out;
    const auto least = count(schema, "minItems", 0);
    const auto size = std::clamp<std::size_t>(2, least, std::max(least, count(schema, "maxItems", 100)));
    const json::object item = items != nullptr && items->is_object() ? items->get_object() : json::object();
    for (std::size_t i = 0; i < std::min<std::size_t>(size, 1000); ++i) {
      // The second is another one.
      auto one = i == 0 ? plain(item, depth + 1) : random_of(item, depth + 1);
      const bool unique = says(schema, "uniqueItems");
      for (int tries = 0; unique && tries < 20 && std::find(out.begin(), out.end(), one) != out.end(); ++tries) one = random_of(item, depth + 1);
      if (!unique || std::find(out.begin(), out.end(), one) == out.end()) out.push_back(std::move(one));
    }
    return out;
  }
  if (type == "integer" || type == "number") {
    auto edges = number_edges(schema, type == "integer");
    return edges.empty() ? random_number(schema, type == "integer") : edges[std::min<std::size_t>(1, edges.size() - 1)];
  }
  if (type == "boolean") return true;
  if (type == "null") return nullptr;
  auto edges = edges_of(schema, depth);
  if (edges.empty()) return nullptr;
  return edges[std::min<std::size_t>(5, edges.size() - 1)];
}

std::vector<json::value> Generator::array_edges(const json::object& schema, int depth) {
  std::vector<json::value> out;
  const auto* prefix = schema.if_contains("prefixItems");
  if (prefix != nullptr && prefix->is_array()) {
    out.push_back(plain(schema, depth));
    for (std::size_t i = 0; i < std::min<std::size_t>(prefix->get_array().size(), 8); ++i) {
      const auto& item = prefix->get_array()[i];
      if (!item.is_object()) continue;
      for (auto& edge : edges_of(item.get_object(), depth + 1)) {
        json::array one = out.front().get_array();
        one[i] = std::move(edge);
        out.emplace_back(std::move(one));
        if (out.size() > 60) return out;
      }
    }
    return out;
  }
  const auto least = count(schema, "minItems", 0);
  const auto most = count(schema, "maxItems", 1000);
  const auto* items = schema.if_contains("items");
  const bool none = items != nullptr && items->is_bool() && !items->get_bool();
  const json::object item = items != nullptr && items->is_object() ? items->get_object() : json::object();
  if (least == 0) out.emplace_back(json::array());
  if (none || depth > kMostDepth || least > 1000) return out;
  const bool unique = says(schema, "uniqueItems");
  const auto filled = [&](std::size_t size, const std::function<json::value(std::size_t)>& at) {
    if (size < least || size > most) return;
    json::array list;
    for (std::size_t i = 0; i < size; ++i) {
      auto one = at(i);
      for (int tries = 0; unique && tries < 20 && std::find(list.begin(), list.end(), one) != list.end(); ++tries) one = random_of(item, depth + 1);
      if (unique && std::find(list.begin(), list.end(), one) != list.end()) return;
      list.push_back(std::move(one));
    }
    out.emplace_back(std::move(list));
  };
  const auto edges = edges_of(item, depth + 1);
  const auto any = [&](std::size_t) { return random_of(item, depth + 1); };
  filled(least, any);
  for (const auto& edge : edges) {
    if (out.size() > 30) break;
    filled(std::max<std::size_t>(1, least), [&](std::size_t i) { return i == 0 ? edge : random_of(item, depth + 1); });
  }
  // The same twice, all the edges together, in their order and against it.
  if (!edges.empty()) {
    if (!unique) filled(std::max<std::size_t>(2, least), [&](std::size_t) { return edges[std::min<std::size_t>(1, edges.size() - 1)]; });
    const auto size = std::clamp(edges.size(), least, most);
    filled(size, [&](std::size_t i) { return i < edges.size() ? edges[i] : random_of(item, depth + 1); });
    filled(size, [&](std::size_t i) { return i < edges.size() ? edges[edges.size() - 1 - i] : random_of(item, depth + 1); });
  }
  filled(std::min<std::size_t>(most, 50), any);
  if (most < 1000 && most != 50) filled(most, any);
  return out;
}

// Each member at each of its edges, the others as people give them; without each of those that may be missing, and without all.
std::vector<json::value> Generator::object_edges(const json::object& schema, int depth) {
  std::vector<json::value> out;
  const auto members = members_of(schema);
  const auto base = plain(schema, depth);
  if (!base.is_object()) return {base};
  out.push_back(base);
  json::object least;
  for (const auto& [name, member] : members) {
    if (required(schema, name)) least[name] = plain(member, depth + 1);
  }
  if (least.size() != base.get_object().size()) out.emplace_back(least);
  std::vector<std::vector<json::value>> edges;
  for (const auto& [name, member] : members) edges.push_back(depth > kMostDepth ? std::vector<json::value>() : edges_of(member, depth + 1));
  const std::size_t most = depth == 0 ? 200 : 24;
  for (const auto& [name, member] : members) {
    if (required(schema, name) || members.size() < 2) continue;
    json::object without = base.get_object();
    if (without.erase(name) > 0) out.emplace_back(std::move(without));
  }
  // In turns, so that every member has had some when there is no time for all.
  for (std::size_t round = 0; out.size() < most; ++round) {
    bool any = false;
    for (std::size_t i = 0; i < members.size() && out.size() < most; ++i) {
      if (round >= edges[i].size()) continue;
      any = true;
      json::object one = base.get_object();
      one[members[i].first] = edges[i][round];
      out.emplace_back(std::move(one));
    }
    if (!any) break;
  }
  if (members.empty() && !(schema.contains("additionalProperties") && schema.at("additionalProperties") == false)) {
    const auto* others = schema.if_contains("additionalProperties");
    const json::object item = others != nullptr && others->is_object() ? others->get_object() : json::object{{"type", "integer"}};
    out.emplace_back(json::object{{"a", plain(item, depth + 1)}});
    out.emplace_back(json::object{{"", plain(item, depth + 1)}, {"Été", plain(item, depth + 1)}});
  }
  return out;
}

std::vector<json::value> Generator::edges_of(const json::object& schema, int depth) {
  if (schema.contains("const")) return {schema.at("const")};
  if (const auto* choices = schema.if_contains("enum"); choices != nullptr && choices->is_array()) {
    return {choices->get_array().begin(), choices->get_array().begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(choices->get_array().size(), 40))};
  }
  std::vector<json::value> out;
  if (const auto options = alternatives_of(schema); !options.empty()) {
    std::vector<std::vector<json::value>> all;
    for (const auto& option : options) all.push_back(depth > kMostDepth ? std::vector<json::value>() : edges_of(option, depth + 1));
    for (std::size_t round = 0; out.size() < 60; ++round) {
      bool any = false;
      for (auto& list : all) {
        if (round >= list.size()) continue;
        any = true;
        if (std::find(out.begin(), out.end(), list[round]) == out.end()) out.push_back(std::move(list[round]));
      }
      if (!any) break;
    }
    return out;
  }
  const std::string type = type_of(schema);
  if (type == "object") return object_edges(schema, depth);
  if (type == "array") return array_edges(schema, depth);
  if (type == "integer" || type == "number") return number_edges(schema, type == "integer");
  if (type == "boolean") return {false, true};
  if (type == "null") return {nullptr};
  if (type == "string") {
    const auto add = [&](std::string text) {
      json::value one(fitted(std::move(text), schema));
      if (std::find(out.begin(), out.end(), one) == out.end()) out.push_back(std::move(one));
    };
    const auto* encoding = schema.if_contains("contentEncoding");
    if (encoding != nullptr && *encoding == "base64") {
      for (const char* text : {"", "AA==", "aGVsbG8=", "/+8=", "w4k=", "gA=="}) add(text);
      return out;
    }
    if (const auto* pattern = schema.if_contains("pattern"); pattern != nullptr && pattern->is_string()) {
      for (int i = 0; i < 12; ++i) {
        if (auto text = text_of_pattern({pattern->get_string().data(), pattern->get_string().size()}, [this] { return next(); })) add(std::move(*text));
      }
      if (!out.empty()) return out;
    }
    if (const auto* format = schema.if_contains("format"); format != nullptr && format->is_string()) {
      for (auto& text : texts_of_format(format->get_string())) add(std::move(text));
      if (!out.empty()) return out;
    }
    for (const auto text : kTexts) add(std::string(text));
    const auto most = count(schema, "maxLength", 1'000'000);
    add(std::string(std::min<std::size_t>(most, 300), 'x'));
    if (most <= 10'000) {
      std::string wide;
      for (std::size_t i = 0; i < most; ++i) wide += "😀";
      add(std::move(wide));
    }
    return out;
  }
  // Anything.
  out = {nullptr, false, 0, -1, 1.5, "", "Été 😀", json::array(), json::object(), json::array{1, "a", nullptr}, json::object{{"a", json::object{{"b", json::array{1.5, true}}}}}};
  return out;
}

json::value Generator::random_number(const json::object& schema, bool whole) {
  const Range range = range_of(schema, whole);
  // Small ones are the more likely, as in life.
  double low = range.low;
  double high = range.high;
  if (const auto kind = below(4); kind < 3) {
    const double span = kind == 0 ? 10 : kind == 1 ? 1000 : 1e6;
    const double middle = std::clamp(0.0, low, high);
    low = std::max(low, middle - span);
    high = std::min(high, middle + span);
  }
  const double part = static_cast<double>(next() >> 11U) / 9007199254740992.0;
  double x = low + (high - low) * part;
  if (!whole && below(2) == 0) x = std::round(x * 100) / 100;
  std::vector<json::value> one;
  add_number(one, x, schema, range, whole);
  if (one.empty()) add_number(one, low, schema, range, whole);
  if (one.empty()) return whole ? json::value(static_cast<std::int64_t>(low)) : json::value(low);
  return one.front();
}

json::value Generator::random_text(const json::object& schema) {
  auto edges = edges_of(schema, kMostDepth);
  if (schema.contains("format") || schema.contains("contentEncoding") || (!edges.empty() && (schema.contains("pattern") || below(3) == 0))) {
    return edges.empty() ? json::value("") : edges[below(edges.size())];
  }
  static constexpr std::array<std::string_view, 16> kPieces = {"a", "b", "c", "d", "e", "A", "Z", " ", " ", "0", "9", ".", "é", "ß", "😀", "e\xCC\x81"};
  const auto least = count(schema, "minLength", 0);
  const auto most = std::min(count(schema, "maxLength", 40), std::max<std::size_t>(least, 40));
  const auto size = least + below(most - std::min(least, most) + 1);
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += kPieces[below(kPieces.size())];
  return json::value(fitted(std::move(text), schema));
}

json::value Generator::random_of(const json::object& schema, int depth) {
  if (schema.contains("const") || schema.contains("enum")) {
    auto edges = edges_of(schema, depth);
    return edges.empty() ? json::value() : edges[below(edges.size())];
  }
  if (const auto options = alternatives_of(schema); !options.empty()) return random_of(options[below(options.size())], depth + 1);
  const std::string type = type_of(schema);
  if (type == "integer" || type == "number") {
    if (below(4) == 0) {
      auto edges = number_edges(schema, type == "integer");
      if (!edges.empty()) return edges[below(edges.size())];
    }
    return random_number(schema, type == "integer");
  }
  if (type == "string") return random_text(schema);
  if (type == "object") {
    json::object out;
    for (const auto& [name, member] : members_of(schema)) {
      if (required(schema, name) || (depth < kMostDepth && below(3) > 0)) out[name] = random_of(member, depth + 1);
    }
    const auto* others = schema.if_contains("additionalProperties");
    if (others != nullptr && others->is_object() && depth < kMostDepth) {
      const auto size = below(4);
      for (std::size_t i = 0; i < size; ++i) {
        const auto name = random_text({{"type", "string"}});
        out[name.get_string()] = random_of(others->get_object(), depth + 1);
      }
    }
    return out;
  }
  if (type == "array" && !schema.contains("prefixItems")) {
    const auto least = count(schema, "minItems", 0);
    const auto most = std::max(least, std::min<std::size_t>(count(schema, "maxItems", 8), least + 8));
    const auto* items = schema.if_contains("items");
    json::array out;
    if (depth > kMostDepth && least == 0) return out;
    if (items != nullptr && items->is_bool() && !items->get_bool()) return out;
    const json::object item = items != nullptr && items->is_object() ? items->get_object() : json::object();
    const auto size = std::min<std::size_t>(least + below(most - least + 1), 1000);
    const bool unique = says(schema, "uniqueItems");
    for (std::size_t i = 0; i < size; ++i) {
      auto one = random_of(item, depth + 1);
      for (int tries = 0; unique && tries < 20 && std::find(out.begin(), out.end(), one) != out.end(); ++tries) one = random_of(item, depth + 1);
      if (!unique || std::find(out.begin(), out.end(), one) == out.end()) out.push_back(std::move(one));
    }
    return out;
  }
  auto edges = edges_of(schema, depth);
  return edges.empty() ? json::value() : edges[below(edges.size())];
}

}  // namespace sabir::evals
