// KeptFiles: the files of completions/ as they were read last, kept for as long as nothing changed: by the stamp of the file, and
// by its content where the stamp is too young to tell.
//
// Threads: any. A file that was given out stays as it is, whatever is read later.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>

#include "folder.h"
#include "prompt_file.h"
#include "sabir/base/inputs.h"
#include "sabir/bridge/bridge.h"

namespace sabir::completions {

struct TemplateFile {
  Folder::Found found;
  std::string bytes;  // as they are on the disk
  std::string hash;   // their fingerprint()
  std::string text;   // without front matter, headings as marks
  json::object front_matter;
  project::Positions positions;  // of the front matter, in the file
  std::string defaults;       // input.defaults as JSON; "" where there are none
  int lines_before = 0;       // of the file, before `text`
  std::uint64_t version = 0;  // of this content alone
  std::shared_ptr<sb_schema> input_schema;  // null where the front matter has none
};

class KeptFiles {
 public:
  KeptFiles(Folder folder, const RoleMarks& marks) : folder_(std::move(folder)), marks_(marks) {}

  // Errors: as Folder::find and parse_prompt; kLimit for a file over 1 MiB.
  Result<std::shared_ptr<const TemplateFile>> get(std::string_view name, bool for_include);

  const Folder& folder() const { return folder_; }

 private:
  struct Entry {
    std::shared_ptr<const TemplateFile> file;
    Stamp::Numbers stamp{};
    bool is_settled = false;
  };
  Result<std::shared_ptr<const TemplateFile>> read(Folder::Found found, const TemplateFile* last);

  Folder folder_;
  const RoleMarks& marks_;
  std::atomic<std::uint64_t> versions_ = 0;
  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;  // by how and by what name they were asked for
  std::size_t bytes_ = 0;
};

}  // namespace sabir::completions
