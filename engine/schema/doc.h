// Doc comments in each language's idiom, and the tags that all of them may carry.
//
// Threads: pure functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/schema/function_schema.h"

namespace sabir::schema {

struct ParameterDoc {
  std::string type;  // as the comment writes it; may be ""
  std::string text;
};

struct Doc {
  std::string summary;  // first paragraph, one line
  std::string text;     // the whole without tags and without what is kept below
  std::map<std::string, ParameterDoc> parameters;
  std::map<std::string, std::vector<std::pair<std::string, ParameterDoc>>> options;  // YARD @option, by parameter
  std::string return_type;
  std::string return_text;
  Effect effect = Effect::kWrite;
  bool idempotent = false;
  bool is_private = false;  // @private, @api private, @internal
  std::vector<std::string> secrets;
  int timeout_ms = 0;
  int concurrency = 0;
  int retries = 0;
  std::vector<std::string> warnings;

  // Copies what belongs to the function as a whole.
  void apply(FunctionSchema& function) const;
};

// A Python docstring's value (Google, NumPy or Sphinx style).
Doc python_doc(std::string_view docstring);
// A comment without marks of its own: only the tags that all languages share are read.
Doc plain_doc(std::string_view text);
// Lines of a Ruby comment with their leading '#' (YARD tags).
Doc yard_doc(const std::vector<std::string>& lines);
// Lines of C++ comments with their marks (///, //!, /** */) and Doxygen commands.
Doc doxygen_doc(const std::vector<std::string>& lines);

// Indentation that all lines but the first share is removed, as are blank lines around: PEP 257.
std::vector<std::string> clean_lines(std::string_view docstring);

}  // namespace sabir::schema
