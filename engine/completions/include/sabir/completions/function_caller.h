// FunctionCaller: the project's functions, for templates that call them. Whoever renders plugs it in.
//
// Threads: that of the rendering.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::completions {

class FunctionCaller {
 public:
  virtual ~FunctionCaller() = default;
  // Blocks until the function has answered, or may not take longer. `prompt` is the name of the one that is rendered, `positional` a
  // JSON array and `named` a JSON object. The value is JSON. Errors: kTemplate for a function that does more than read, and the call's own.
  virtual Result<std::string> call(const std::string& prompt, const std::string& address, std::string_view positional, std::string_view named) = 0;
  // Whether the project has such a function: a template that may not call it is told so.
  virtual bool has(const std::string& address) = 0;
  // Whether the prompt may have a secret in it; `declared` is what its front matter grants. Errors: kNotGranted.
  virtual Result<void> allow_secret(const std::string& prompt, const std::string& file, const std::string& name, const std::vector<std::string>& declared) = 0;
};

}  // namespace sabir::completions
