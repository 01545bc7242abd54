// `add` as the engine's glue registers it.
#include "sabir/worker.hpp"

namespace {

int add(int a, int b) { return a + b; }

const bool registered = sabir::worker::add("bench", "add", [](const sabir::worker::Arguments& arguments, sabir::Json& out) {
  sabir::worker::write(out, add(arguments.take<int>("a"), arguments.take<int>("b")));
});

}  // namespace
