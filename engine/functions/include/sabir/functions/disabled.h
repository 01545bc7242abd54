// DisabledFunctions: which functions of a project may not be called for now, who said so, when and why. A record that grows by a
// line for each word about one, in <project>/.sabir/<environment>/disabled_functions.jsonl (mode 0600): the last word counts.
//
// Threads: any; every method blocks. Processes: lines are appended whole; a running engine sees others' within a second.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"

namespace sabir::functions {

struct Disabled {
  std::string address;   // with its language
  std::string who;
  std::string reason;    // may be empty
  std::int64_t at_ms = 0;
};
json::object to_json(const Disabled& disabled);
// What a call of it is answered: kDisabled.
Error error_of(const Disabled& disabled);

class DisabledFunctions {
 public:
  using ByAddress = std::map<std::string, std::shared_ptr<const Disabled>>;

  explicit DisabledFunctions(const std::filesystem::path& state_dir) : file_(state_dir / "disabled_functions.jsonl") {}
  const std::filesystem::path& file() const { return file_; }

  // Errors of all: kConfig (a file that is none of ours), kStoreNewer, kIo.
  Result<ByAddress> read() const;
  // `disabled` false: it may be called again; its `reason` says why.
  Result<void> write(const Disabled& word, bool disabled) const;

 private:
  std::filesystem::path file_;
};

// The lines of the file. Errors: kConfig, kStoreNewer.
Result<DisabledFunctions::ByAddress> parse_disabled(std::string_view text, const std::string& file);

}  // namespace sabir::functions
