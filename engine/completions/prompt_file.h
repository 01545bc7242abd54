// A .prompt file: YAML front matter, then a Jinja2 body that headings like `== system ==` divide into messages.
//
// A heading is recognised in the file's own text, before rendering, and travels through the renderer as a mark that no
// variable can contain; so text that a user supplied never opens a message of its own.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/project/project.h"

namespace sabir::completions {

struct PromptFile {
  json::object front_matter;
  std::string body;      // what follows the front matter, line ends as \n
  int lines_before = 0;  // lines of the file before the body
  project::Positions positions;  // of the front matter, in the file
};

// `file` is what errors call it. Errors: kTemplate with file, line and column.
Result<PromptFile> parse_prompt(std::string_view text, const std::string& file);

// Marks that stand for headings in one rendering. The secret is decimal digits only, which no filter changes.
class RoleMarks {
 public:
  explicit RoleMarks(std::string secret) : secret_(std::move(secret)) {}

  // Replaces each heading by its mark, line by line. Errors: kTemplate for a heading that is nearly a role.
  Result<std::string> mark(std::string_view body, const std::string& file, int lines_before) const;

  struct Heading {
    std::size_t mark = 0;  // where its mark stands in the rendered text
    std::size_t from = 0;  // and where it stands in Split::text
    std::size_t to = 0;
  };
  struct Split {
    std::string text;       // headings as they were written
    json::array messages;   // {"role", "content"}; empty when there was no heading
    std::vector<std::size_t> starts;  // of each message's content in `text`
    std::vector<Heading> headings;
    bool text_before = false;  // something other than white space stands before the first heading
  };
  Split split(std::string_view rendered) const;

  // What a mark begins with; the role's digit and U+E001 follow.
  std::string opening() const;
  std::size_t mark_size() const { return opening().size() + 4; }

 private:
  std::string secret_;
};

// \r\n and \r become \n, as in Jinja2; a byte order mark goes. Errors: kTemplate for text that is not UTF-8.
Result<std::string> clean_text(std::string_view text, const std::string& file);

}  // namespace sabir::completions
