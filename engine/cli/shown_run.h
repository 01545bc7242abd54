// ShownRun: an answer as it comes, on the terminal: its text on standard output, everything else on standard error. Ctrl-C cancels it.
//
// Threads: the main thread. Lifetime: one at a time; the events hold while it lives.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "command.h"
#include "sabir/runtime/engine.h"
#include "sabir/secrets/redactor.h"

namespace sabir::cli {

class ShownRun {
 public:
  // `offers_functions`: what the model says before it calls one is not its answer, and goes to standard error where that is no terminal's.
  // `redact` takes secrets out of what is shown of calls.
  using Redact = std::function<std::string(std::string_view text)>;
  ShownRun(const Globals& globals, Redact redact, bool offers_functions = false);
  ShownRun(const Globals& globals, runtime::Engine& engine, bool offers_functions = false)
      : ShownRun(globals, [redactor = engine.redactor()](std::string_view text) { return redactor->redact(text); }, offers_functions) {}
  ~ShownRun();
  ShownRun(const ShownRun&) = delete;
  ShownRun& operator=(const ShownRun&) = delete;

  // With --json nothing is shown before the end.
  const runtime::RunEvents& events() const { return events_; }
  std::shared_ptr<std::atomic<bool>> cancelled() const { return cancelled_; }
  // Ends the line that is being written.
  void end();
  // Of the last text; true where some of it was shown.
  bool wrote() const { return wrote_; }

 private:
  void clear_loading();
  void end_line();

  runtime::RunEvents events_;
  std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
  const bool holds_;
  std::string held_;
  bool is_loading_ = false;
  bool in_line_ = false;
  bool wrote_ = false;
};

// ", trace 1a2b3c4d" of an answer, where a person sees it; of no use in a log that is compared with another.
std::string trace_words(const json::object& answer);

}  // namespace sabir::cli
