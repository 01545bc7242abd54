// Telemetry: what becomes of an engine's spans: texts kept or not by the project's policy, secrets taken out, a SQLite file in the
// state folder, and an OTLP server where one is named. None of it fails a call or makes one wait.
//
// Threads: tracer() from any; the work is done on a thread of its own, which begins with the first span, and a second one that
// sends. Lifetimes: the destructor keeps what there is, within a few seconds at most; nobody may use the tracer then.
#pragma once

#include <functional>
#include <memory>

#include "sabir/project/project.h"
#include "sabir/secrets/secrets.h"
#include "sabir/trace/tracer.h"

namespace sabir::telemetry {

class Telemetry {
 public:
  // Null where OTEL_SDK_DISABLED is true. `learn` teaches the redactor what the project's secrets are; it is called on the thread
  // of the work, before each batch.
  static std::unique_ptr<Telemetry> start(std::shared_ptr<const project::Project> project, std::shared_ptr<const secrets::Secrets> secrets,
                                          std::function<void()> learn);
  ~Telemetry();

  trace::Tracer& tracer();

 private:
  struct State;
  explicit Telemetry(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sabir::telemetry
