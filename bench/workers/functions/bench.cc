// `add` as the engine's glue registers it.
#include "sabir/worker.hpp"

namespace {

int add(int a, int b) { return a + b; }

const bool registered = sabir::worker::add("bench", "add", [](const sabir::worker::Arguments& arguments) {
  return sabir::worker::to_json(add(arguments.take<int>("a"), arguments.take<int>("b")));
});

}  // namespace
