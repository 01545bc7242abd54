// What several JSON Schemas have in common.
#include <algorithm>
#include <set>

#include "sabir/base/text.h"
#include "sabir/evals/inputs.h"

namespace sabir::evals {
namespace {

constexpr int kMostNesting = 6;               // of definitions within themselves
constexpr std::size_t kMostAlternatives = 24;

json::object impossible() { return {{"not", json::object()}}; }

// The schema at a subschema's place: true is {}, false fits nothing.
json::object schema_of(const json::value& value) {
  if (value.is_object()) return value.get_object();
  if (value.is_bool() && !value.get_bool()) return impossible();
  return {};
}

std::set<std::string> types_of(const json::object& schema) {
  std::set<std::string> out;
  const auto* type = schema.if_contains("type");
  if (type == nullptr) return out;
  if (type->is_string()) out.emplace(type->get_string());
  if (type->is_array()) {
    for (const auto& one : type->get_array()) {
      if (one.is_string()) out.emplace(one.get_string());
    }
  }
  return out;
}

void set_types(json::object& schema, const std::set<std::string>& types) {
  if (types.size() == 1) {
    schema["type"] = *types.begin();
    return;
  }
  json::array list;
  for (const auto& type : types) list.push_back(json::value(type));
  schema["type"] = std::move(list);
}

json::object merged(const json::object& one, const json::object& other, int depth);

// The stronger of two bounds.
void merge_bound(json::object& out, const json::object& other, const char* key, bool larger_wins) {
  const auto* theirs = other.if_contains(key);
  if (theirs == nullptr || !theirs->is_number()) return;
  const auto* ours = out.if_contains(key);
  if (ours == nullptr || !ours->is_number() || (theirs->to_number<double>() > ours->to_number<double>()) == larger_wins) out[key] = *theirs;
}

bool requires_name(const json::object& schema, std::string_view name) {
  const auto* required = schema.if_contains("required");
  if (required == nullptr || !required->is_array()) return false;
  return std::any_of(required->get_array().begin(), required->get_array().end(), [&](const auto& one) { return one.is_string() && one.get_string() == name; });
}

const json::object* properties_of(const json::object& schema) {
  const auto* properties = schema.if_contains("properties");
  return properties != nullptr && properties->is_object() ? &properties->get_object() : nullptr;
}

// False where a member that is required can be nothing.
bool merge_properties(json::object& out, const json::object& one, const json::object& other, int depth) {
  static const json::object kNone;
  const auto* a = properties_of(one);
  const auto* b = properties_of(other);
  if (a == nullptr && b == nullptr) return true;
  const auto others = [](const json::object& schema) {
    const auto* rest = schema.if_contains("additionalProperties");
    return rest == nullptr ? json::object() : schema_of(*rest);
  };
  json::object properties;
  const auto add = [&](std::string_view name, json::object schema) {
    if (!is_impossible(schema)) {
      properties[name] = std::move(schema);
      return true;
    }
    return !requires_name(one, name) && !requires_name(other, name);
  };
  for (const auto& member : a != nullptr ? *a : kNone) {
    const auto* theirs = b != nullptr ? b->if_contains(member.key()) : nullptr;
    if (!add(member.key(), merged(schema_of(member.value()), theirs != nullptr ? schema_of(*theirs) : others(other), depth + 1))) return false;
  }
  for (const auto& member : b != nullptr ? *b : kNone) {
    if (a != nullptr && a->contains(member.key())) continue;
    if (!add(member.key(), merged(others(one), schema_of(member.value()), depth + 1))) return false;
  }
  out["properties"] = std::move(properties);
  return true;
}

// The alternatives of anyOf or oneOf with what stands beside them; empty where there are none.
std::vector<json::object> alternatives_of(const json::object& schema, int depth) {
  std::vector<json::object> out;
  for (const char* key : {"anyOf", "oneOf"}) {
    const auto* list = schema.if_contains(key);
    if (list == nullptr || !list->is_array()) continue;
    json::object rest = schema;
    rest.erase(key);
    for (const auto& one : list->get_array()) {
      if (out.size() >= kMostAlternatives) break;
      auto whole = merged(rest, schema_of(one), depth + 1);
      if (!is_impossible(whole)) out.push_back(std::move(whole));
    }
    if (out.empty()) out.push_back(impossible());
    return out;
  }
  return out;
}

json::object either(std::vector<json::object> alternatives) {
  if (alternatives.empty()) return impossible();
  if (alternatives.size() == 1) return std::move(alternatives.front());
  json::array list;
  for (auto& one : alternatives) list.push_back(std::move(one));
  return {{"anyOf", std::move(list)}};
}

json::object merged(const json::object& one, const json::object& other, int depth) {
  if (is_impossible(one) || is_impossible(other)) return impossible();
  if (other.empty() || one == other) return one;
  if (one.empty()) return other;
  if (depth > 64) return impossible();
  if (one.contains("anyOf") || one.contains("oneOf") || other.contains("anyOf") || other.contains("oneOf")) {
    auto a = alternatives_of(one, depth);
    auto b = alternatives_of(other, depth);
    if (a.empty()) a.push_back(one);
    if (b.empty()) b.push_back(other);
    std::vector<json::object> out;
    for (const auto& x : a) {
      for (const auto& y : b) {
        if (x.contains("anyOf") || x.contains("oneOf") || y.contains("anyOf") || y.contains("oneOf") || out.size() >= kMostAlternatives) continue;
        auto both = merged(x, y, depth + 1);
        if (!is_impossible(both) && std::find(out.begin(), out.end(), both) == out.end()) out.push_back(std::move(both));
      }
    }
    return either(std::move(out));
  }
  json::object out = one;
  // What only the other says; what both say is settled below.
  for (const auto& member : other) out.emplace(member.key(), member.value());

  auto ours = types_of(one);
  auto theirs = types_of(other);
  if (!ours.empty() && !theirs.empty()) {
    std::set<std::string> both;
    for (const auto& type : ours) {
      if (theirs.contains(type)) both.insert(type);
      if (type == "integer" && theirs.contains("number")) both.insert(type);
    }
    if (ours.contains("number") && theirs.contains("integer")) both.insert("integer");
    if (both.contains("number")) both.erase("integer");
    if (both.empty()) return impossible();
    set_types(out, both);
  }
  for (const char* key : {"enum", "const"}) {
    const auto* a = one.if_contains(key);
    const auto* b = other.if_contains(key);
    if (a == nullptr || b == nullptr || *a == *b) continue;
    if (!a->is_array() || !b->is_array()) return impossible();
    json::array both;
    for (const auto& value : a->get_array()) {
      if (std::find(b->get_array().begin(), b->get_array().end(), value) != b->get_array().end()) both.push_back(value);
    }
    if (both.empty()) return impossible();
    out[key] = std::move(both);
  }
  for (const char* key : {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}) merge_bound(out, other, key, true);
  for (const char* key : {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}) merge_bound(out, other, key, false);
  for (const char* key : {"items", "additionalProperties"}) {
    const auto* a = one.if_contains(key);
    const auto* b = other.if_contains(key);
    if (a == nullptr || b == nullptr) continue;
    auto both = merged(schema_of(*a), schema_of(*b), depth + 1);
    if (is_impossible(both)) out[key] = false;
    else if (both.empty()) out[key] = true;
    else out[key] = std::move(both);
  }
  if (one.contains("uniqueItems") || other.contains("uniqueItems")) {
    const auto* a = one.if_contains("uniqueItems");
    const auto* b = other.if_contains("uniqueItems");
    out["uniqueItems"] = (a != nullptr && a->is_bool() && a->get_bool()) || (b != nullptr && b->is_bool() && b->get_bool());
  }
  if (one.contains("required") && other.contains("required")) {
    json::array required = one.at("required").is_array() ? one.at("required").get_array() : json::array();
    if (other.at("required").is_array()) {
      for (const auto& name : other.at("required").get_array()) {
        if (std::find(required.begin(), required.end(), name) == required.end()) required.push_back(name);
      }
    }
    out["required"] = std::move(required);
  }
  if (!merge_properties(out, one, other, depth)) return impossible();
  // A name that is required must be allowed.
  if (const auto* required = out.if_contains("required"); required != nullptr && required->is_array() && out.contains("additionalProperties") && out.at("additionalProperties") == false) {
    const auto* properties = properties_of(out);
    for (const auto& name : required->get_array()) {
      if (name.is_string() && (properties == nullptr || !properties->contains(name.get_string()))) return impossible();
    }
  }
  return out;
}

struct Inliner {
  const json::object& root;
  int left = 20'000;  // schemas that are made, so that a small text cannot become a huge one

  json::object inlined(const json::value& value, std::vector<std::string>& inside, int depth) {
    json::object schema = schema_of(value);
    if (--left < 0 || depth > 48) return impossible();
    if (const auto* ref = schema.if_contains("$ref"); ref != nullptr && ref->is_string()) {
      const std::string target(ref->get_string());
      schema.erase("$ref");
      if (std::count(inside.begin(), inside.end(), target) >= 2 || inside.size() >= kMostNesting * 2) return impossible();
      boost::system::error_code ec;
      const json::value whole(root);
      const json::value* found = target == "#" ? &whole : target.starts_with("#/") ? whole.find_pointer(target.substr(1), ec) : nullptr;
      if (found == nullptr || ec) return impossible();
      inside.push_back(target);
      auto resolved = inlined(*found, inside, depth + 1);
      inside.pop_back();
      if (schema.empty()) return resolved;
      return merged(resolved, inlined(schema, inside, depth + 1), 0);
    }
    schema.erase("$defs");
    schema.erase("definitions");
    for (const char* key : {"items", "additionalProperties"}) {
      auto* inner = schema.if_contains(key);
      if (inner == nullptr || !inner->is_object()) continue;
      auto made = inlined(*inner, inside, depth + 1);
      if (is_impossible(made)) *inner = false;
      else *inner = std::move(made);
    }
    if (auto* properties = schema.if_contains("properties"); properties != nullptr && properties->is_object()) {
      json::object made;
      for (const auto& member : properties->get_object()) {
        auto one = inlined(member.value(), inside, depth + 1);
        if (!is_impossible(one)) made[member.key()] = std::move(one);
        else if (requires_name(schema, member.key())) return impossible();
      }
      *properties = std::move(made);
    }
    for (const char* key : {"anyOf", "oneOf", "prefixItems"}) {
      auto* list = schema.if_contains(key);
      if (list == nullptr || !list->is_array()) continue;
      json::array made;
      for (const auto& one : list->get_array()) {
        auto inner = inlined(one, inside, depth + 1);
        if (!is_impossible(inner) || std::string_view(key) == "prefixItems") made.push_back(std::move(inner));
      }
      if (made.empty() && std::string_view(key) != "prefixItems") return impossible();
      *list = std::move(made);
    }
    if (const auto* all = schema.if_contains("allOf"); all != nullptr && all->is_array()) {
      const json::array parts = all->get_array();
      schema.erase("allOf");
      for (const auto& part : parts) schema = merged(schema, inlined(part, inside, depth + 1), 0);
    }
    return schema;
  }
};

}  // namespace

bool is_impossible(const json::object& schema) {
  const auto* none = schema.if_contains("not");
  return none != nullptr && none->is_object() && none->get_object().empty();
}

json::object inlined(const json::object& schema) {
  Inliner inliner{schema};
  std::vector<std::string> inside;
  return inliner.inlined(schema, inside, 0);
}

json::object common_ground(const std::vector<json::object>& schemas) {
  json::object out;
  for (const auto& schema : schemas) out = merged(out, inlined(schema), 0);
  return out;
}

}  // namespace sabir::evals
