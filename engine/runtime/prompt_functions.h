// PromptFunctions: the project's functions, called by the templates of one rendering on behalf of whoever asked for it.
//
// Threads: the rendering's, which is never the loop's. Lifetimes: `caller` outlives it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "engine_state.h"
#include "sabir/completions/function_caller.h"

namespace sabir::runtime {

class Engine::PromptFunctions final : public completions::FunctionCaller {
 public:
  // `cancelled` may be null.
  PromptFunctions(State& engine, workers::Caller& caller, std::shared_ptr<std::atomic<bool>> cancelled = nullptr);

  Result<std::string> call(const std::string& prompt, const std::string& address, std::string_view positional, std::string_view named) override;
  bool has(const std::string& address) override;
  Result<void> allow_secret(const std::string& prompt, const std::string& file, const std::string& name, const std::vector<std::string>& declared) override;

 private:
  std::shared_ptr<const functions::Registry> registry();
  Result<protocol::Payload> wait_for(functions::CallRequest request);

  State& engine_;
  workers::Caller& caller_;
  std::shared_ptr<std::atomic<bool>> cancelled_;
  workers::Clock::time_point deadline_;  // of all calls together
};

}  // namespace sabir::runtime
