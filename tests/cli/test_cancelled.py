"""A call that takes too long is ended in its function's own way, and the worker goes on."""
import time

from harness import write

RUBY = """
# Spins until it is cancelled.
#
# Timeout: 500ms
# @param marker [String]
def spin(marker)
  loop { 1 + 1 }
ensure
  File.write(marker, "cleaned")
end

# @effect read
# @return [Integer]
def worker = Process.pid
"""

CPP = """
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <stop_token>
#include <string>
#include <thread>

#include "sabir/yield.hpp"

/// Spins until it is told to stop.
/// Timeout: 500ms
bool spin(const std::string& marker, std::stop_token stop) {
  while (!stop.stop_requested()) {
  }
  std::ofstream(marker) << "cleaned";
  return true;
}

/// Yields for ever.
/// Timeout: 500ms
void pour(const std::string& marker, const sabir::Yield<int>& yield) {
  struct Cleaner {
    std::string marker;
    ~Cleaner() { std::ofstream(marker) << "cleaned"; }
  } cleaner{marker};
  for (int i = 0;; ++i) {
    yield(i);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

/// @effect read
int worker() { return ::getpid(); }
"""


def until(found):
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def cleans_up(machine, project, function, language):
    marker = project / ("marker-" + function)
    before = machine.sabir("call", language + "/endless.worker", cwd=project, timeout=300).json
    done = machine.sabir("call", "%s/endless.%s" % (language, function), "marker=%s" % marker, "--json", cwd=project)
    assert done.code == 1 and done.json["error"]["type"] == "timeout", done
    until(marker.exists)
    # The same worker goes on, once the function has returned.
    until(lambda: machine.sabir("call", language + "/endless.worker", cwd=project).json == before)


def test_ruby_runs_ensure(machine, project):
    write(project / "functions/ruby/endless.rb", RUBY)
    machine.start_engine(project)
    cleans_up(machine, project, "spin", "ruby")


def test_cpp_is_told_by_a_stop_token_and_by_its_next_value(machine, whole_project):
    write(whole_project / "functions/cpp/endless.cpp", CPP)
    machine.start_engine(whole_project)
    cleans_up(machine, whole_project, "spin", "cpp")
    cleans_up(machine, whole_project, "pour", "cpp")
    begin = time.monotonic()
    process = machine.start(machine.binary, "call", "endless.pour", "marker=%s" % (whole_project / "again"), "--stream", cwd=whole_project)
    assert [process.stdout.readline() for _ in range(3)] == ["0\n", "1\n", "2\n"]
    assert process.wait(20) == 1 and time.monotonic() - begin < 20
