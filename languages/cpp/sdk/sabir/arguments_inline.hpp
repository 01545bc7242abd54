// Definitions of Arguments, but for what needs the worker's connection.
#pragma once

#include <algorithm>
#include <iterator>

#include "sabir/json_access_inline.hpp"
#include "sabir/worker.hpp"

namespace sabir::worker {

bool Arguments::has(const char* name) const { return member(values_, name) != nullptr; }

const Given& Arguments::at(const char* name) const {
  const Given* const found = member(values_, name);
  if (found == nullptr) throw InvalidArgument(std::string("argument /") + name + " is missing");
  if (taken_count_ < std::size(first_taken_)) first_taken_[taken_count_] = name;
  else taken_.push_back(name);
  ++taken_count_;
  return *found;
}

void Arguments::all_taken() const {
  if (taken_count_ >= member_count(values_)) return;
  read_object(values_, Path{}, const_cast<Arguments*>(this), [](void* self, const std::string& name, const Given&) {
    const auto& given = *static_cast<const Arguments*>(self);
    const auto is_it = [&](const char* one) { return one == name; };
    const char* const* const begin = given.first_taken_;
    const char* const* const end = begin + std::min(given.taken_count_, std::size(given.first_taken_));
    if (std::none_of(begin, end, is_it) && std::none_of(given.taken_.begin(), given.taken_.end(), is_it)) {
      throw InvalidArgument("the function has no argument " + name);
    }
  });
}

const Context& Arguments::context() const {
  const auto text = [&](const char* name) {
    const Given* const found = member(wire_context_, name);
    return found != nullptr && is_text(*found) ? read_text(*found, Path{}) : std::string();
  };
  context_ = {text("user"), text("tenant"), text("conversation"), text("run")};
  return context_;
}

}  // namespace sabir::worker
