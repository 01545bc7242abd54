// Context: who is calling.
//
// Threads: a plain value.
#pragma once

#include <string>

namespace sabir {

// Set by the caller, never by a model and never by the called function. A parameter of this type is filled in by the
// engine and absent from the function's schema. "" = nobody in particular.
struct Context {
  std::string user;
  std::string tenant;
  std::string conversation;
  std::string run;
};

}  // namespace sabir
