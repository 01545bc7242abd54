// What the glue of a user's file needs: arguments, results, registration. The engine writes the glue; worker.cc has the
// main program (spec/worker-protocol.md).
//
// Threads: the main thread runs the calls, one at a time.
#pragma once

#ifndef SABIR_WORKER
#error "a worker's files are compiled with -DSABIR_WORKER"
#endif

#include <functional>
#include <optional>
#include <string>

#include "sabir/convert.hpp"
#include "sabir/error.hpp"

namespace sabir::worker {

// The arguments and the caller's context of one call, as a function's glue sees them.
class Arguments {
 public:
  Arguments(const Json& values, const Json& context) : values_(values), wire_context_(context) {}

  bool has(const char* name) const { return values_.contains(name); }
  // Errors: InvalidArgument.
  const Json& at(const char* name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) throw InvalidArgument(std::string("argument /") + name + " is missing");
    return *found;
  }
  // Errors: InvalidArgument.
  template <class T>
  T take(const char* name) const {
    return from_json<T>(at(name), std::string("/") + name);
  }
  const Context& context() const {
    if (!context_) {
      const auto text = [&](const char* name) {
        if (!wire_context_.is_object()) return std::string();
        const auto found = wire_context_.find(name);
        return found != wire_context_.end() && found->is_string() ? found->get<std::string>() : std::string();
      };
      context_ = {text("user"), text("tenant"), text("conversation"), text("run")};
    }
    return *context_;
  }

 private:
  const Json& values_;
  const Json& wire_context_;
  mutable std::optional<Context> context_;
};

using Handler = std::function<Json(const Arguments&)>;

// Registers a function, also during static initialisation. module: its file's path inside the project, its whole path, or its
// name without extension.
// function: its name, with its namespace in front where there is one ("geometry::area").
bool add(const char* module, const char* function, Handler handler);

}  // namespace sabir::worker
