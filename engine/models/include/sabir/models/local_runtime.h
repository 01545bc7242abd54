// LocalRuntime: runs GGUF files of this machine for the `local` provider. One process per model, apart from the engine, so
// that a crash of the evaluator is an error of one call.
//
// Threads: complete() blocks, from any thread; calls for one model run one after another.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/models/model.h"

namespace sabir::models {

// One model as configured.
struct LocalSpec {
  std::string name;                // of the catalog, or a path to a .gguf file
  int context_tokens = 0;          // 0 = the worker's default
  int threads = 0;                 // 0 = all cores
  std::chrono::milliseconds idle{std::chrono::minutes(10)};  // unloaded after this long without a call

  bool operator==(const LocalSpec&) const = default;
};

class LocalRuntime {
 public:
  virtual ~LocalRuntime() = default;
  // Errors: those of LocalRuntimeOptions::find, kUnavailable (the process does not start), kModel (it died, or says so),
  // kTimeout, kCancelled. `request.timeout` bounds the wait for earlier calls and the answer, each; loading has a bound
  // of its own.
  virtual Result<Reply> complete(const LocalSpec& spec, const Request& request, const OnEvent& on_event) = 0;
  // One vector a text, of length 1. Errors: the same.
  virtual Result<Embeddings> embed(const LocalSpec& spec, const EmbedRequest& request) = 0;
  // Ends every process; later calls start new ones.
  virtual void shutdown() = 0;
};

// Where a model's parts lie. ModelStore answers it; tests answer it themselves.
struct LocalFiles {
  std::filesystem::path weights;
  std::vector<std::string> argv;            // node and the worker's file
  std::vector<std::string> environment;     // "NAME=value", the whole of it
  std::filesystem::path cache;              // evaluation states that outlive the process; "" = none kept
};
using FindLocalFiles = std::function<Result<LocalFiles>(const LocalSpec& spec)>;

struct LocalRuntimeOptions {
  FindLocalFiles find;
  std::chrono::milliseconds startup{30'000};      // to the worker's first word
  std::chrono::milliseconds load{180'000};        // of the weights
  std::chrono::milliseconds grace{3'000};         // between cancel and kill
  std::size_t most_processes = 2;                 // beyond it the longest idle one is ended
};

// Speaks the worker protocol with one process per LocalSpec.
std::shared_ptr<LocalRuntime> make_process_runtime(LocalRuntimeOptions options);

}  // namespace sabir::models
