// What the exec adapter knows of a source file: its functions as the language's describe program tells them, with how each
// argument is passed and how the result is read (spec/exec-adapter.md).
//
// Threads: one at a time. Lifetimes: a file's functions live until the next find() of that file.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/project/project.h"
#include "sabir/schema/validator.h"

namespace sabir::adapter {

struct ExecParameter {
  std::string name;
  std::string pass;       // "word", "option", "flag", "stdin", "options", "variable"
  std::string form;       // "text", "json", "list", "map"
  bool required = true;
  bool variadic = false;
  std::optional<std::string> fallback;  // JSON text
  std::shared_ptr<const schema::Validator> validator;  // null = anything
};

struct ExecFunction {
  std::string name;
  std::vector<ExecParameter> parameters;
  std::string result = "text";  // "text", "json", "bytes", "none", "status", "lines"
  std::string result_type;      // JSON Schema's one type, "" = several or any
  bool nullable = false;        // no output is null
  bool generator = false;
};

class ExecFiles {
 public:
  ExecFiles(const project::Language& language, std::string interpreter) : language_(language), interpreter_(std::move(interpreter)) {}

  // Asks the describe program when the file is new or has changed. Errors: kLoadFailed with file and line,
  // kUnknownFunction, kUnavailable.
  Result<const ExecFunction*> find(const std::filesystem::path& root, const std::string& file, const std::string& function);

 private:
  struct Known {
    std::string stamp;
    std::map<std::string, ExecFunction> functions;
  };
  Result<std::map<std::string, ExecFunction>> ask(const std::filesystem::path& root, const std::string& file) const;

  const project::Language& language_;
  std::string interpreter_;
  std::map<std::string, Known> files_;
};

}  // namespace sabir::adapter
