#include "shown_run.h"

#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <utility>

namespace sabir::cli {
namespace {

std::atomic<std::atomic<bool>*> g_cancel = nullptr;  // what Ctrl-C sets

void on_interrupt(int) {
  if (auto* const cancel = g_cancel.load()) cancel->store(true);
}

// Asks the person at the terminal; nobody there means no.
bool ask_person(const std::string& address, const std::string& arguments) {
  std::ifstream in("/dev/tty");
  std::ofstream out("/dev/tty");
  if (!in || !out || ::isatty(STDERR_FILENO) != 1) return false;
  out << "\nThe model wants to call " << address << " with " << arguments << ".\nThis cannot be undone. Allow it? [y/N] " << std::flush;
  std::string line;
  std::getline(in, line);
  return line == "y" || line == "Y" || line == "yes";
}

}  // namespace

ShownRun::ShownRun(const Globals& globals, Redact redact, bool offers_functions) : holds_(offers_functions && !on_terminal()) {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  g_cancel = cancelled_.get();
  events_.approve = ask_person;
  if (globals.json) return;
  events_.text = [this](std::string_view text) {
    clear_loading();
    if (holds_) {
      held_ += text;
      return;
    }
    std::cout << text << std::flush;
    wrote_ = true;
    in_line_ = !text.ends_with('\n');
  };
  events_.loading = [this](double progress) {
    if (::isatty(STDERR_FILENO) != 1) return;
    is_loading_ = true;
    std::cerr << "\rloading the model … " << static_cast<int>(progress * 100) << " %" << std::flush;
  };
  events_.calling = [this, redact](const std::string& address, const std::string& arguments) {
    clear_loading();
    end_line();
    wrote_ = false;
    if (!held_.empty()) note(std::exchange(held_, {}));
    note(styled("→ " + address + " " + redact(arguments), "2"));
  };
  events_.called = [redact](const std::string&, const std::string& outcome, bool ok) {
    std::string text = redact(outcome);
    if (text.size() > 300) text = text.substr(0, 297) + "…";
    note(styled((ok ? "← " : "✗ ") + text, ok ? "2" : "31"));
  };
}

ShownRun::~ShownRun() { g_cancel = nullptr; }

void ShownRun::end() {
  clear_loading();
  if (!held_.empty()) {
    std::cout << held_;
    wrote_ = true;
    in_line_ = !held_.ends_with('\n');
  }
  end_line();
}

void ShownRun::clear_loading() {
  if (is_loading_) std::cerr << "\r\x1b[K" << std::flush;
  is_loading_ = false;
}

void ShownRun::end_line() {
  if (in_line_) std::cout << "\n" << std::flush;
  in_line_ = false;
}

std::string trace_words(const json::object& answer) {
  const auto trace = string_or(answer, "trace");
  return trace.empty() || ::isatty(STDERR_FILENO) != 1 ? std::string() : ", trace " + std::string(trace.substr(0, 8));
}

}  // namespace sabir::cli
