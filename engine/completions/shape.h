// Shape: what a JSON Schema says of the values it allows, as far as templates ask: types, members, elements. Where schemas are
// combined a shape has what any of them has, so that what it denies none of them allows.
//
// Threads: pure functions. Lifetime: a shape points into the schema.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/json.h"

namespace sabir::completions {

class Shape {
 public:
  // `root` is the whole schema, which references in `schema` lead through.
  Shape(const json::value& root, const json::value& schema) : root_(&root) { add(schema, 0); }

  // Whether members are declared, so that others are not meant.
  bool is_declared() const { return has_members_ && !is_open_; }
  bool has_members() const { return has_members_; }
  std::vector<std::string> members() const;
  bool requires_member(std::string_view name) const { return required_.contains(std::string(name)); }
  // No type is any type.
  const std::set<std::string>& types() const { return types_; }
  bool may_be(std::string_view type) const { return types_.empty() || types_.contains(std::string(type)); }

  enum class Has { kYes, kNo, kUnknown };
  Has member(std::string_view name) const;
  // Shapes of what is below; one that says nothing where nothing is known.
  Shape at_member(std::string_view name) const;
  Shape at_element() const;
  Shape at_value() const { return of(others_); }

 private:
  explicit Shape(const json::value& root) : root_(&root) {}
  Shape of(const std::vector<const json::value*>& schemas) const;
  void add(const json::value& schema, int depth);
  void add_required(const json::object& schema);
  void add_reference(std::string_view reference, int depth);

  const json::value* root_;
  std::set<std::string> types_;
  bool is_untyped_ = false;  // one of the schemas allows every type
  std::map<std::string, std::vector<const json::value*>, std::less<>> members_;
  std::set<std::string> required_;
  std::vector<const json::value*> items_;
  std::vector<const json::value*> others_;  // of members that are not declared
  bool has_members_ = false;
  bool is_open_ = false;
};

}  // namespace sabir::completions
