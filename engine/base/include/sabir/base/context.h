// CallContext: who is calling, set by the caller and never by a model or by the called function.
//
// Threads: plain value.
#pragma once

#include <string>

namespace sabir {

struct CallContext {
  std::string user;          // "" = nobody in particular
  std::string tenant;
  std::string conversation;
  std::string run;

  bool operator==(const CallContext&) const = default;
};

}  // namespace sabir
