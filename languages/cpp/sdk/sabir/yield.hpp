// Yield: how a function gives its values one by one. A parameter `const sabir::Yield<T>& yield` is filled in by the engine
// and absent from the function's schema; the function itself returns void, its result is the array of what it gave.
//
//   void countdown(int from, const sabir::Yield<int>& yield) {
//     for (int i = from; i > 0; --i) yield(i);
//   }
//
// Threads: call it in the function's own thread. Lifetime: not after the function has returned.
#pragma once

#include <exception>
#include <functional>
#include <utility>

namespace sabir {

// The call was cancelled. Let it pass: what stands on the stack is cleaned up, and the engine knows.
class Cancelled : public std::exception {
 public:
  const char* what() const noexcept override { return "the call was cancelled"; }
};

template <class T>
class Yield {
 public:
  // In a test, `take` may be any function of one value: [&](int i) { seen.push_back(i); }.
  explicit Yield(std::function<void(const T&)> take) : take_(std::move(take)) {}
  // Errors: Cancelled, when the call was cancelled.
  void operator()(const T& value) const { take_(value); }

 private:
  std::function<void(const T&)> take_;
};

}  // namespace sabir
