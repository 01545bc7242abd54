"""C++ that runs inside the engine because sabir.yml says so."""
import json
import threading
import time

from harness import write

INSIDE = '''#include <chrono>
#include <cstdint>
#include <cstddef>
#include <map>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "sabir/sabir.hpp"
#include "sabir/yield.hpp"

struct Point {
  double x = 0;
  double y = 0;
};

// The process that runs it.
//
// Effect: read
std::int64_t process() { return ::getpid(); }

// Effect: read
Point twice(const Point& point) { return {point.x * 2, point.y * 2}; }

// Effect: read
std::string user(const sabir::Context& caller) { return caller.user; }

// Effect: read
std::int64_t length(const std::string& text) { return static_cast<std::int64_t>(text.size()); }

// Effect: read
void fail(const std::string& message) { throw std::runtime_error(message); }

// Effect: read
void fail_strangely() { throw 7; }

// Effect: read
// Timeout: 300ms
int sleep(std::int64_t milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return 1;
}

// Asks the engine.
//
// Effect: read
int ask() { return sabir::call("twice", {}).get<int>(); }

struct Basket {
  std::vector<Point> points;
  std::map<std::string, std::optional<std::string>> labels;
};

// Effect: read
Basket turned(const Basket& basket, const nlohmann::json& more) {
  Basket out = basket;
  for (auto& point : out.points) std::swap(point.x, point.y);
  out.labels["more"] = more.dump();
  return out;
}

// Effect: read
std::vector<std::byte> reversed(const std::vector<std::byte>& bytes) { return {bytes.rbegin(), bytes.rend()}; }

// Effect: read
std::string broken() { return "\\xff"; }

// Effect: read
bool stopped(std::stop_token stop) { return stop.stop_requested(); }

// Effect: read
void count(int n, const sabir::Yield<int>& yield) {
  for (int i = 0; i < n; ++i) yield(i);
}

// Effect: read
void crash() { *static_cast<volatile int*>(nullptr) = 1; }
'''
OUTSIDE = '''#include <cstdint>
#include <unistd.h>

// The process that runs it.
//
// Effect: read
std::int64_t process() { return ::getpid(); }
'''


def test_functions_that_opted_in_run_inside_the_engine(machine, project):
    write(project / "functions/cpp/inside.cpp", INSIDE)
    write(project / "functions/cpp/outside.cpp", OUTSIDE)
    config = project / "sabir.yml"
    config.write_text(config.read_text() + "\nisolation: {functions/cpp/inside.cpp: in_process}\n")
    engine = machine.start_engine(project)
    for pipe in (engine.stdout, engine.stderr):
        threading.Thread(target=pipe.read, daemon=True).start()

    def call(address, *words, code=0):
        done = machine.sabir("call", address, *words, "--json", cwd=project, timeout=600)
        assert done.code == code, done
        return done.json if code == 0 else json.loads(done.out)["error"]

    assert call("inside.process") == engine.pid
    assert call("outside.process") not in (engine.pid, 0)
    assert call("inside.twice", 'point:={"x": 1.5, "y": 2}') == {"x": 3.0, "y": 4.0}
    assert call("inside.length", "text=" + "é" * 50_000) == 100_000
    assert call("inside.user", "--user", "ana") == "ana"
    # Values of every kind, read and written without the JSON library.
    turned = call("inside.turned", 'basket:={"points": [{"x": 1, "y": 2.5}], "labels": {"a": "\\u00e9\\"", "b": null}}', 'more:={"n": [1, 2]}')
    assert turned == {"points": [{"x": 2.5, "y": 1.0}], "labels": {"a": 'é"', "b": None, "more": '{"n":[1,2]}'}}, turned
    assert call("inside.reversed", "bytes=AQID") == "AwIB"
    assert call("inside.stopped") is False
    assert call("inside.count", "n:=3") == [0, 1, 2]
    assert call("inside.broken", code=1)["type"] == "invalid_result"

    # Exceptions end at the interface, with the function's own words.
    error = call("inside.fail", "message=no stock", code=1)
    assert error["type"] == "function_error" and error["message"] == "no stock", error
    assert call("inside.fail_strangely", code=1)["type"] == "function_error"
    assert call("inside.twice", 'point:={"x": "one"}', code=1)["type"] == "invalid_arguments"
    assert call("inside.ask", code=1)["type"] == "function_error"

    # A slow one holds up nobody and is answered at its deadline.
    begin = time.monotonic()
    slow = threading.Thread(target=lambda: call("inside.sleep", "milliseconds:=3000", code=1))
    slow.start()
    assert call("inside.process") == engine.pid
    slow.join(20)
    error = call("inside.sleep", "milliseconds:=3000", code=1)
    assert error["type"] == "timeout" and time.monotonic() - begin < 20, error

    # A function that was always quick, so that the engine's own loop calls it, and then is not.
    for _ in range(10):
        assert call("inside.sleep", "milliseconds:=0") == 1
    slow = threading.Thread(target=lambda: call("inside.sleep", "milliseconds:=6000", code=1))
    slow.start()
    begin = time.monotonic()
    while slow.is_alive():
        assert call("inside.process") == engine.pid
    assert time.monotonic() - begin < 4

    # Often enough that the engine's own loop calls it; then a saved change is served.
    for _ in range(12):
        assert call("inside.twice", 'point:={"x": 1, "y": 0}')["x"] == 2
    write(project / "functions/cpp/inside.cpp", INSIDE.replace("point.x * 2", "point.x * 3"))
    for _ in range(600):
        if call("inside.twice", 'point:={"x": 1, "y": 0}')["x"] == 3:
            break
        time.sleep(0.2)
    assert call("inside.twice", 'point:={"x": 1, "y": 0}')["x"] == 3

    # Trusted code: what the documentation says of a crash.
    machine.sabir("call", "inside.crash", cwd=project)
    engine.wait(20)
    assert engine.returncode != 0


def test_calls_inside_the_engine_are_recorded_and_replayed(machine, project):
    write(project / "functions/cpp/inside.cpp", INSIDE)
    write(project / "functions/python/via.py", "import sabir\n\n\ndef go(n: int) -> list:\n    return [sabir.call('inside.length', text='x' * i) for i in range(n)]\n")
    config = project / "sabir.yml"
    config.write_text(config.read_text() + "\nisolation: {functions/cpp/inside.cpp: in_process}\n")
    # Built first: the time is not that of the call, but it is that of the call's caller.
    assert machine.sabir("call", "inside.length", "text=a", cwd=project, timeout=300).code == 0
    live = machine.sabir("call", "via.go", "n=4", "--json", "--record", "inside", cwd=project, timeout=300)
    assert live.code == 0 and live.json == [0, 1, 2, 3], live
    entries = json.loads((project / "tests/recordings/inside.json").read_text())["entries"]
    assert [entry["function"] for entry in entries] == ["python/via.go"] + 4 * ["cpp/inside.length"], entries
    assert [entry["value"] for entry in entries[1:]] == [0, 1, 2, 3] and entries[1]["caller"] == "via.go", entries
    one = machine.sabir("call", "inside.length", "text=xxx", "--replay", "inside", "--replay-functions", cwd=project)
    assert one.code == 0 and one.out == "3\n", one
