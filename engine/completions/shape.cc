#include "shape.h"

namespace sabir::completions {
namespace {

constexpr int kMostDepth = 16;

// Of what adds but a condition, such as {"required": […]}, nothing is known of types and members.
bool says_of_types(const json::value& schema) {
  const auto* object = schema.if_object();
  if (object == nullptr || object->empty()) return true;
  for (const std::string_view key : {"type", "properties", "$ref", "enum", "const", "allOf", "anyOf", "oneOf"}) {
    if (object->contains(key)) return true;
  }
  return false;
}

}  // namespace

void Shape::add(const json::value& value, int depth) {
  const auto* schema = value.if_object();
  if (schema == nullptr || depth > kMostDepth) {
    is_open_ = true;
    is_untyped_ = true;
    types_.clear();
    return;
  }
  bool is_typed = false;
  bool is_combined = false;
  const bool has_own_members = schema->contains("properties") || (schema->contains("additionalProperties") && schema->at("additionalProperties") == false);
  bool is_object = false;
  const auto add_type = [&](std::string_view type) {
    is_typed = true;
    is_object = is_object || type == "object";
    if (!is_untyped_) types_.emplace(type == "integer" ? "number" : type);
  };
  const auto add_value_type = [&](const json::value& one) {
    add_type(one.is_string() ? "string" : one.is_number() ? "number" : one.is_bool() ? "boolean" : one.is_null() ? "null" : one.is_array() ? "array" : "object");
  };
  if (const auto* type = schema->if_contains("type")) {
    if (type->is_string()) add_type(type->get_string());
    if (type->is_array()) {
      for (const auto& one : type->get_array()) {
        if (one.is_string()) add_type(one.get_string());
      }
    }
  } else if (const auto* options = schema->if_contains("enum"); options != nullptr && options->is_array()) {
    for (const auto& one : options->get_array()) add_value_type(one);
  } else if (const auto* constant = schema->if_contains("const")) {
    add_value_type(*constant);
  }
  if (const auto* members = schema->if_contains("properties"); members != nullptr && members->is_object()) {
    for (const auto& member : members->get_object()) members_[std::string(member.key())].push_back(&member.value());
  }
  add_required(*schema);
  if (const auto* others = schema->if_contains("additionalProperties"); others != nullptr && *others != false) {
    is_open_ = true;
    others_.push_back(others);
  }
  if (schema->contains("patternProperties")) is_open_ = true;
  if (const auto* items = schema->if_contains("items"); items != nullptr && !schema->contains("prefixItems")) items_.push_back(items);
  if (const auto* reference = schema->if_contains("$ref"); reference != nullptr && reference->is_string()) {
    is_combined = true;
    add_reference(reference->get_string(), depth);
  }
  for (const std::string_view key : {"allOf", "anyOf", "oneOf"}) {
    const auto* list = schema->if_contains(key);
    if (list == nullptr || !list->is_array()) continue;
    for (const auto& one : list->get_array()) {
      if (!says_of_types(one)) {
        add_required(one.get_object());
        continue;
      }
      is_combined = true;
      add(one, depth + 1);
    }
  }
  for (const std::string_view key : {"then", "else"}) {
    if (const auto* branch = schema->if_contains(key)) {
      if (!says_of_types(*branch)) continue;
      is_combined = true;
      add(*branch, depth + 1);
    }
  }
  if (schema->contains("$dynamicRef") || schema->contains("dependentSchemas")) is_open_ = true;
  has_members_ = has_members_ || has_own_members;
  if (is_combined) return;
  if ((!is_typed || is_object) && !has_own_members) is_open_ = true;
  if (is_typed) return;
  if (has_own_members) {
    add_type("object");
  } else {
    is_untyped_ = true;
    types_.clear();
  }
}

void Shape::add_required(const json::object& schema) {
  const auto* names = schema.if_contains("required");
  if (names == nullptr || !names->is_array()) return;
  for (const auto& name : names->get_array()) {
    if (name.is_string()) required_.emplace(name.get_string());
  }
}

void Shape::add_reference(std::string_view reference, int depth) {
  const json::value* target = nullptr;
  if (reference.starts_with("#")) {
    boost::system::error_code ec;
    target = root_->find_pointer(reference.substr(1), ec);
  }
  static const json::value kUnknown;
  // No copy: a shape points into the schema.
  add(target == nullptr ? kUnknown : *target, depth + 1);
}

std::vector<std::string> Shape::members() const {
  std::vector<std::string> names;
  for (const auto& [name, schemas] : members_) names.push_back(name);
  return names;
}

Shape::Has Shape::member(std::string_view name) const {
  if (!may_be("object")) return Has::kNo;
  if (members_.contains(name)) return Has::kYes;
  if (!is_declared()) return others_.empty() ? Has::kUnknown : Has::kYes;
  return Has::kNo;
}

Shape Shape::of(const std::vector<const json::value*>& schemas) const {
  Shape shape(*root_);
  for (const auto* schema : schemas) shape.add(*schema, 1);
  if (schemas.empty()) shape.add(json::value(), 0);
  return shape;
}

Shape Shape::at_member(std::string_view name) const {
  const auto found = members_.find(name);
  return of(found == members_.end() ? others_ : found->second);
}

Shape Shape::at_element() const {
  if (may_be("array")) return of(items_);
  Shape text(*root_);
  // Of a text its characters, of a mapping its keys.
  text.types_.insert("string");
  return text;
}

}  // namespace sabir::completions
