// Route: the way of the calls of one function: what does not change from one to the next. Private to the room.
//
// Threads: the loop's.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "in_process.h"
#include "recent.h"
#include "sabir/functions/functions.h"
#include "sabir/schema/validator.h"

namespace sabir::functions {

struct Route {
  std::shared_ptr<const project::Project> project;  // has `rule`
  std::shared_ptr<const Registry> registry;         // has `function`
  const Function* function = nullptr;               // null: a function of no registry, whose arguments and result are not checked
  std::optional<schema::Validator> input;
  std::optional<schema::Validator> output;
  bool exact = false;   // the schema looks into strings, so that a blob's text matters
  // Arguments that fit are as bind() would leave them, but for the binding.
  bool plain = false;
  bool recorded = false;  // its calls have effects, which are journaled
  std::shared_ptr<const workers::Callee> callee;
  const project::Language* language = nullptr;      // null where it is not installed
  std::string language_name;
  std::string pool_key;                             // SourceFile::pool()
  std::string module;                               // absolute path of the source
  const project::IsolationRule* rule = nullptr;
  std::chrono::milliseconds own{0};                 // the function's timeout
  Recent* recent = nullptr;                         // null: nothing is kept
  std::shared_ptr<const trace::Subject> subject;    // null: calls are not traced
  // What its first call found.
  workers::Pool* pool = nullptr;
  InProcess::Target* inside = nullptr;

  const std::string& address() const { return callee->address; }
  // What bind() gives for a plain function when the parameters `given` are there: bits in the order of the schema's properties.
  const std::string& binding(std::uint64_t given);
  Result<void> check_input(const protocol::Payload& arguments) const;
  Result<void> check_output(const protocol::Payload& value) const;

 private:
  std::vector<std::pair<std::uint64_t, std::string>> bindings_;
};

// Errors: kInvalidArguments when the function's own schema is no JSON Schema.
Result<std::shared_ptr<Route>> route_to(const Function& function, std::shared_ptr<const Registry> registry, const Setup& setup);

// The way to a function that is in no registry.
std::shared_ptr<Route> route_to(const project::SourceFile& source, std::string address, std::string function, std::string context_parameter,
                                const Setup& setup);

}  // namespace sabir::functions
