// A call's arguments as words: what the interpreter's process is given beside the name of the function. JSON texts pass
// through as they came, so that no number loses a digit.
//
// Threads: pure functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "exec_file.h"
#include "sabir/base/error.h"
#include "sabir/protocol/payload.h"

namespace sabir::adapter {

struct ExecInput {
  std::string words;        // everything, each word ended by a NUL: spec/exec-adapter.md
  std::string standard_in;
  bool has_standard_in = false;
};

// `arguments` is a JSON object; the blobs' pointers lead into it. Errors: kInvalidArguments naming the argument.
Result<ExecInput> bind_arguments(const ExecFunction& function, const std::string& file, const protocol::Payload& arguments);

// `text` with each blob as a JSON string in place of the null that its pointer leads to. Errors: kInvalidArguments.
Result<std::string> place_blobs(std::string_view text, const std::vector<const protocol::Blob*>& blobs, std::size_t prefix);

}  // namespace sabir::adapter
