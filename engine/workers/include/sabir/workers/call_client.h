// CallClient: the client that a chain of calls is made for, as far as it can be spoken to while they run. What a function
// calls is made for the same client.
//
// Threads: the loop's.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "sabir/base/error.h"

namespace sabir::workers {

class CallClient {
 public:
  virtual ~CallClient() = default;

  // Puts questions to the client, and to the person before it: {"key": {"method", "params"}}, as the Model Context Protocol has
  // them. `answered` gets its answers by key, as JSON text, once. An error may mean that the call is made again from its
  // beginning once the answers are there.
  virtual void ask(const std::string& questions_json, std::function<void(Result<std::string>)> answered) = 0;

  // What the client can be asked: its capabilities, as the Model Context Protocol has them, as JSON text.
  virtual std::string capabilities() = 0;

  // One record of a function's log.
  virtual void log(std::string_view level, std::string_view address, std::string_view message) = 0;
};

}  // namespace sabir::workers
