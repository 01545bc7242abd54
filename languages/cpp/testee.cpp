// What the conformance runner calls. conformance/README.md describes each function. What C++ has no way for is absent:
// spread and named arguments, values without a JSON form.
#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "sabir/sabir.hpp"
#include "sabir/yield.hpp"

class TesteeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Colour { red, blue };

struct Point {
  double x = 0;
  double y = 0;
};

struct Structured {
  Point point;
  Colour colour = Colour::red;
};

static int count_of_runs = 0;

/// Its argument.
nlohmann::json echo(nlohmann::json value) { return value; }

/// a - b.
double subtract(double a, double b) { return a - b; }

/// greeting and the caller's user, joined by a space.
std::string context_user(std::string greeting, sabir::Context context) { return greeting + " " + context.user; }

/// The whole context.
std::map<std::string, std::string> context_fields(sabir::Context context) {
  return {{"user", context.user}, {"tenant", context.tenant}, {"conversation", context.conversation}, {"run", context.run}};
}

/// Raises an error with that text.
void fail(std::string message) { throw TesteeError(message); }

/// NaN, which JSON cannot carry.
double not_a_number() { return std::nan(""); }

/// Yields 0 … n - 1.
void count(int n, const sabir::Yield<int>& yield) {
  for (int i = 0; i < n; ++i) yield(i);
}

/// `size` bytes of text.
std::string text_of(int size) {
  std::string text;
  for (int i = 0; i < size / 2; ++i) text += "é";
  return size % 2 == 1 ? text + "x" : text;
}

/// `size` bytes, each its index modulo 256.
std::vector<std::byte> bytes_of(int size) {
  std::vector<std::byte> bytes;
  for (int i = 0; i < size; ++i) bytes.push_back(static_cast<std::byte>(i % 256));
  return bytes;
}

/// The argument's length: characters of a string, bytes of a byte sequence.
int length(nlohmann::json value) {
  if (value.is_binary()) return static_cast<int>(value.get_binary().size());
  int characters = 0;
  for (const char c : value.get<std::string>()) characters += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
  return characters;
}

/// "bytes" for a byte sequence, "text" for a string, else "other".
std::string kind(nlohmann::json value) { return value.is_binary() ? "bytes" : value.is_string() ? "text" : "other"; }

/// Writes to standard output and standard error, which are the log.
std::string print_line(std::string text) {
  std::cout << text << "\n";
  std::cerr << text << "\n";
  return text;
}

/// Waits, without talking to the engine.
int sleep(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return milliseconds;
}

/// functions.call of the engine.
nlohmann::json call_engine(std::string address, nlohmann::json arguments) { return sabir::call(address, arguments); }

/// The engine's error as a value.
nlohmann::json call_engine_caught(std::string address) {
  try {
    return {{"value", sabir::call(address)}};
  } catch (const sabir::Error& error) {
    return {{"type", error.type}, {"message", error.message}};
  }
}

/// One progress and one log notification before the answer.
std::string report(std::string message) {
  sabir::progress(1, 2, message);
  sabir::log(message);
  return message;
}

/// How often this function ran in this worker.
int count_run() { return ++count_of_runs; }

/// How often count_run ran in this worker.
int runs() { return count_of_runs; }

/// A parameter of the language's own type for moments; another, an hour later.
std::chrono::sys_seconds an_hour_later(std::chrono::sys_seconds moment) { return moment + std::chrono::hours(1); }

/// Values of the language's own kinds as JSON: {"point": {"x": 1.5, "y": 2}, "colour": "red"}.
Structured structured() { return {{1.5, 2}, Colour::red}; }
