#include "verdicts.h"

#include <signal.h>

#include <cstdlib>

#include "sabir/base/file.h"

namespace sabir::cli {
namespace {
std::atomic<std::atomic<bool>*> g_cancel = nullptr;

void on_interrupt(int) {
  auto* const cancel = g_cancel.load();
  if (cancel != nullptr && !cancel->exchange(true)) return;
  ::signal(SIGINT, SIG_DFL);
  ::raise(SIGINT);
}
}  // namespace

testing::Suite suite_of(const std::string& name, const std::vector<evals::Verdict>& verdicts, double seconds) {
  testing::Suite out;
  out.name = name;
  out.expected = static_cast<int>(verdicts.size());
  out.seconds = seconds;
  for (const auto& verdict : verdicts) {
    testing::Case one;
    one.id = verdict.name;
    one.outcome = verdict.outcome == evals::Outcome::kPassed    ? testing::Outcome::kPassed
                  : verdict.outcome == evals::Outcome::kSkipped ? testing::Outcome::kSkipped
                                                                : testing::Outcome::kFailed;
    one.seconds = verdict.seconds;
    one.file = verdict.file;
    one.line = verdict.line;
    one.message = verdict.message;
    one.text = verdict.text;
    out.cases.push_back(std::move(one));
  }
  return out;
}

Result<void> write_junit(const std::string& path, testing::Suite suite) {
  testing::Summary summary;
  summary.seconds = suite.seconds;
  summary.suites.push_back(std::move(suite));
  return write_file(path, testing::to_junit(summary));
}

std::shared_ptr<std::atomic<bool>> cancelled_by_interrupt() {
  static const auto kCancelled = std::make_shared<std::atomic<bool>>(false);
  g_cancel = kCancelled.get();
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  return kCancelled;
}

SetVariable::SetVariable(const char* name, const std::string& value) {
  if (value.empty()) return;
  name_ = name;
  if (const char* was = std::getenv(name)) was_ = was;
  ::setenv(name, value.c_str(), 1);
}

SetVariable::~SetVariable() {
  if (name_ == nullptr) return;
  if (was_) ::setenv(name_, was_->c_str(), 1);
  else ::unsetenv(name_);
}

}  // namespace sabir::cli
