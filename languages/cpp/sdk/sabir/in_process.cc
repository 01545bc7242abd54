// The main file of a library of functions that run inside the engine's own process: what worker.cc is to a worker, without
// connection and process. The engine opens the library and calls the three functions at its end (in_process.h).
//
// Threads: the engine's, several at once: a function that runs inside it has to be safe for that.
#ifndef SABIR_WORKER
#define SABIR_WORKER
#endif
#ifndef SABIR_IN_PROCESS
#define SABIR_IN_PROCESS
#endif

#include "sabir/in_process.h"

#include <exception>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "sabir/arguments_inline.hpp"
#include "sabir/exception_class.hpp"
#include "sabir/sabir.hpp"
#include "sabir/sabir_inline.hpp"
#include "sabir/text_access_inline.hpp"
#include "sabir/worker.hpp"

namespace sabir::worker {
namespace {

// By "module\nfunction". Filled while the library is opened, read alone afterwards.
std::unordered_map<std::string, Handler>& entries() {
  static std::unordered_map<std::string, Handler> all;
  return all;
}

void call(Handler handler, std::string_view arguments, std::string_view context, TextWriter& out) {
  const TextDocument given(arguments);
  if (context.empty()) {
    handler(Arguments(given.root(), given.root()), out);
  } else {
    const TextDocument caller(context);
    handler(Arguments(given.root(), caller.root()), out);
  }
  // A function without a result.
  if (out.empty()) write_null(out);
}

// Always 1.
int tell(TextWriter& out, int code, const std::string& type, const std::string& message, Json data = Json::object()) {
  data["type"] = type;
  out.clear();
  out.put(Json{{"code", code}, {"message", message}, {"data", std::move(data)}}.dump(-1, ' ', false, Json::error_handler_t::replace));
  return 1;
}

// Tells of the exception that is being handled.
int tell_exception(TextWriter& out) {
  using sabir::detail::class_of_current_exception;
  try {
    throw;
  } catch (const InvalidArgument& error) {
    return tell(out, -32602, "invalid_arguments", error.what());
  } catch (const InvalidResult& error) {
    return tell(out, -32000, "invalid_result", std::string("a value that JSON cannot carry: ") + error.what());
  } catch (const Json::exception& error) {
    return tell(out, -32000, "invalid_result", std::string("a value that JSON cannot carry: ") + error.what());
  } catch (const Error& error) {
    Json data{{"error_class", "sabir::Error"}, {"cause", {{"type", error.type}}}};
    if (!error.hint.empty()) data["hint"] = error.hint;
    return tell(out, -32000, "function_error", error.message, std::move(data));
  } catch (const std::exception& error) {
    return tell(out, -32000, "function_error", error.what(), {{"error_class", class_of_current_exception()}});
  } catch (...) {
    return tell(out, -32000, "function_error", "threw a value that is no std::exception", {{"error_class", class_of_current_exception()}});
  }
}

}  // namespace

bool add(const char* module, const char* function, Handler handler, bool /*watched*/) {
  entries()[std::string(module) + "\n" + function] = handler;
  return true;
}

}  // namespace sabir::worker

extern "C" {

__attribute__((visibility("default"))) int sabir_in_process_version() { return SABIR_IN_PROCESS_VERSION; }

__attribute__((visibility("default"))) const void* sabir_in_process_find(const char* key, std::size_t size) {
  const auto& all = sabir::worker::entries();
  const auto found = all.find(std::string(key, size));
  return found == all.end() ? nullptr : &found->second;
}

__attribute__((visibility("default"))) int sabir_in_process_call(const void* function, const char* arguments, std::size_t arguments_size, const char* context,
                                                                 std::size_t context_size, sabir_output* output) noexcept {
  try {
    sabir::worker::TextWriter out(*output);
    out.clear();
    try {
      sabir::worker::call(*static_cast<const sabir::worker::Handler*>(function), {arguments, arguments_size}, {context, context_size}, out);
      return 0;
    } catch (...) {
      return sabir::worker::tell_exception(out);
    }
  } catch (...) {
    output->size = 0;
    return 2;
  }
}
}
