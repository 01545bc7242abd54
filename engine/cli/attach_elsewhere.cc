#include "attach_elsewhere.h"

#include <mutex>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "remote_engine.h"
#include "sabir/base/json.h"
#include "sabir/net/loop.h"
#include "sabir/protocol/payload.h"
#include "sabir/protocol/raw_json.h"
#include "sabir/runtime/client_session.h"

namespace sabir::cli {
namespace {

using protocol::Payload;

constexpr std::size_t kAtOnce = 16;
// The engine has a bound of its own, and it is the one that counts.
constexpr std::chrono::milliseconds kPatience{std::chrono::hours(1)};

// Connections to the engine: each is for one request at a time, and is kept for the next.
class Connections {
 public:
  explicit Connections(EngineAddress address) : address_(std::move(address)) {}

  Result<std::unique_ptr<RemoteEngine>> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto one = std::move(idle_.back());
        idle_.pop_back();
        return one;
      }
    }
    return RemoteEngine::open(address_);
  }
  void put(std::unique_ptr<RemoteEngine> one) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(one));
  }

 private:
  const EngineAddress address_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<RemoteEngine>> idle_;
};

// A request's params as one text: long texts in their places.
Result<std::string> whole_params(workers::EngineRequest& request) {
  if (request.blobs.empty()) return std::move(request.params);
  const auto members = protocol::raw_members(request.params);
  if (!members) return fail(Error(members.error()));
  auto blobs = protocol::read_blob_list(protocol::find_member(*members, "blobs").value_or(""), std::move(request.blobs), "");
  if (!blobs) return fail(std::move(blobs.error()));
  std::string without = "{";
  for (const auto& [name, value] : *members) {
    if (name == "blobs") continue;
    if (without.size() > 1) without += ',';
    without += protocol::quote(name) + ":" + std::string(value);
  }
  return protocol::inflate({without + "}", std::move(*blobs)});
}

// The result object for the SDK: long texts beside the JSON.
Payload for_frame(std::string text) {
  auto out = protocol::deflate(std::move(text));
  if (!out.blobs.empty()) {
    out.json.pop_back();
    out.json += protocol::blob_list(out.blobs, "") + "}";
  }
  return out;
}

void ask(Connections& connections, workers::EngineRequest& request, net::Loop& loop, const std::shared_ptr<std::atomic<bool>>& cancelled) {
  const auto answer = [&]() -> Result<Payload> {
    if (*cancelled) return fail(ErrorCode::kCancelled, "cancelled");
    auto params = whole_params(request);
    if (!params) return fail(std::move(params.error()));
    const auto members = protocol::raw_members(*params);
    auto patience = kPatience;
    if (const auto given = members ? protocol::find_member(*members, "timeout_ms") : std::nullopt) {
      patience = std::clamp(std::chrono::milliseconds(std::atoll(std::string(*given).c_str())), std::chrono::milliseconds(1), std::chrono::milliseconds(std::chrono::hours(24)));
    }
    RemoteEngine::OnEvent on_event;
    if (members && protocol::find_member(*members, "stream") == "true") {
      on_event = [&](std::string_view type, std::string_view data) {
        loop.post([notify = request.notify, type = std::string(type), data = std::string(data)] { notify(type, data); });
      };
    }
    auto connection = connections.take();
    if (!connection) return fail(std::move(connection.error()));
    auto result = (*connection)->request(request.method, *params, patience, on_event, cancelled);
    connections.put(std::move(*connection));
    if (!result) return fail(std::move(result.error()));
    return for_frame(std::move(*result));
  };
  loop.post([reply = request.reply, outcome = std::make_shared<Result<Payload>>(answer())] { reply(std::move(*outcome)); });
}

}  // namespace

Result<void> attach_elsewhere(const SessionOptions& options, int in, int out) {
  if (auto tried = RemoteEngine::open(options.engine); !tried) return fail(std::move(tried.error()));
  Connections connections(options.engine);
  net::Loop loop;
  boost::asio::thread_pool threads(kAtOnce);
  const auto begin = [&](workers::EngineRequest request) {
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    request.caller->when_ended.push_back([cancelled] { cancelled->store(true); });
    boost::asio::post(threads, [&connections, &loop, cancelled, request = std::make_shared<workers::EngineRequest>(std::move(request))] { ask(connections, *request, loop, cancelled); });
  };
  std::unique_ptr<runtime::ClientSession> session;
  loop.post([&] {
    session = std::make_unique<runtime::ClientSession>(loop, in, out, options.directory, options.environment, trace::SpanContext{}, begin, [&](runtime::ClientSession*) {
      // This function lives in the session that ends here, and so do its captures. What is under way answers nobody then.
      auto& running = loop;
      session.reset();
      running.stop();
    });
  });
  loop.run();
  threads.join();
  return {};
}

}  // namespace sabir::cli
