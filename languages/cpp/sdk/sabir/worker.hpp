// What the glue of a user's file needs: arguments, results, registration. The engine writes the glue; worker.cc has the
// main program (spec/worker-protocol.md). Nothing here includes the JSON library, so that a user's file compiles fast.
//
// Threads: the main thread runs the calls, one at a time.
#pragma once

#ifndef SABIR_WORKER
#error "a worker's files are compiled with -DSABIR_WORKER"
#endif

#include <string>
#include <vector>

#include "sabir/context.hpp"
#include "sabir/convert.hpp"
#ifdef SABIR_IN_PROCESS
#include "sabir/text_access.hpp"
#endif

namespace sabir::worker {

// What arguments are read from, and what a result is written to.
#ifdef SABIR_IN_PROCESS
using Given = TextValue;
using Taken = TextWriter;
#else
using Given = Json;
using Taken = Json;
#endif

// The arguments and the caller's context of one call, as a function's glue sees them.
class Arguments {
 public:
  // `stop`: a std::stop_token; may be nullptr where no function takes one.
  Arguments(const Given& values, const Given& context, const void* stop = nullptr) : values_(values), wire_context_(context), stop_(stop) {}

  bool has(const char* name) const;
  // Errors: InvalidArgument.
  const Given& at(const char* name) const;
  // Errors: InvalidArgument.
  template <class T>
  T take(const char* name) const {
    return read<T>(at(name), Path{nullptr, name, 0});
  }
  // The argument, or what `otherwise` gives when it is absent.
  template <class T, class Otherwise>
  T take_or(const char* name, Otherwise otherwise) const {
    return has(name) ? take<T>(name) : otherwise();
  }
  // Errors: InvalidArgument when there is one that has not been taken.
  void all_taken() const;
  const Context& context() const;
  // The std::stop_token that is told of a cancellation; inside the engine nothing is.
  template <class Token>
  Token stop() const {
    return stop_ == nullptr ? Token() : *static_cast<const Token*>(stop_);
  }
  // Sends one value of a function that yields, and adds it to `all`; inside the engine it only adds. Errors: Cancelled.
  template <class T>
  void yield(const T& value, Taken& all) const {
    Taken& item = add_element(all);
    write(item, value);
#ifndef SABIR_IN_PROCESS
    send(item);
#endif
  }

 private:
  void send(const Json& value) const;

  const Given& values_;
  const Given& wire_context_;
  const void* stop_;
  mutable const char* first_taken_[8] = {};  // the others in taken_
  mutable std::size_t taken_count_ = 0;
  mutable std::vector<const char*> taken_;
  mutable Context context_;
};

// Calls the function and writes its value over `out`, which is null.
using Handler = void (*)(const Arguments& arguments, Taken& out);

// Registers a function, also during static initialisation. module: its file's path inside the project, its whole path, or its
// name without extension.
// function: its name, with its namespace in front where there is one ("geometry::area").
// watched: it may take long and knows of cancellation, so it is told at once.
bool add(const char* module, const char* function, Handler handler, bool watched = false);

}  // namespace sabir::worker
