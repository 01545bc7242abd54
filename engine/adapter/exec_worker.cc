#include "sabir/adapter/exec_worker.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <unordered_map>

#include "exec_call.h"
#include "exec_file.h"
#include "sabir/base/json.h"
#include "sabir/languages/languages.h"
#include "sabir/net/loop.h"
#include "sabir/process/descendants.h"
#include "sabir/process/spawn.h"
#include "sabir/project/project.h"
#include "sabir/protocol/raw_json.h"
#include "sabir/workers/peer.h"

namespace sabir::adapter {
namespace fs = std::filesystem;
namespace {

using workers::Incoming;
using workers::Peer;

constexpr std::size_t kMostQueued = 10'000;
constexpr std::size_t kMostClients = 64;
constexpr std::size_t kLongestSocket = 100;
constexpr std::string_view kFolderName = "sabir-exec-";

std::string text_member(const std::vector<protocol::RawMember>& members, std::string_view key) {
  const auto value = protocol::find_member(members, key);
  return value && value->starts_with('"') ? protocol::unquote(*value) : std::string();
}

// A folder of this worker's own, which is removed with it; those that killed workers left are removed too.
fs::path private_folder() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  fs::path base = runtime && *runtime == '/' && std::strlen(runtime) + 40 < kLongestSocket && ::access(runtime, W_OK) == 0 ? runtime : "/tmp";
  std::error_code error;
  for (fs::directory_iterator it(base, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(kFolderName)) continue;
    const int pid = std::atoi(name.c_str() + kFolderName.size());
    std::error_code ignored;
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) fs::remove_all(it->path(), ignored);
  }
  std::string pattern = (base / (std::string(kFolderName) + std::to_string(::getpid()) + "-XXXXXX")).string();
  return ::mkdtemp(pattern.data()) ? fs::path(pattern) : fs::path();
}

class ExecWorker : private Peer::Handler {
 public:
  ExecWorker(project::Language language, std::string interpreter, bool debug, int in, int out)
      : language_(std::move(language)), interpreter_(std::move(interpreter)), debug_(debug), files_(language_, interpreter_), root_(fs::current_path()),
        peer_(loop_, in, out, *this) {}

  ~ExecWorker() override {
    running_.reset();
    clients_.clear();
    listener_.reset();
    std::error_code ignored;
    if (!folder_.empty()) fs::remove_all(folder_, ignored);
  }

  int run() {
    folder_ = private_folder();
    if (!folder_.empty()) {
      auto listener = net::Listener::open(loop_, (folder_ / "socket").string(), [this](int fd) { accept(fd); });
      if (listener) listener_ = std::move(*listener);
    }
    loop_.run();
    return status_;
  }

 private:
  struct Queued {
    std::string id;
    std::string params;
    std::vector<std::string> blobs;
    bool drain = false;
  };

  // A connection of the running call's: what the SDK's commands speak, spec/worker-protocol.md §9.
  class Client : private Peer::Handler {
   public:
    Client(ExecWorker& owner, int fd) : owner_(owner), peer_(owner.loop_, fd, fd, *this) {}
    Peer& peer() { return peer_; }
    bool gone() const { return gone_; }

   private:
    void on_request(const Incoming& request) override { owner_.client_request(*this, request); }
    void on_notification(const Incoming& notification) override { owner_.client_notification(notification); }
    void on_closed(const Error&) override {
      gone_ = true;
      owner_.forget_clients();
    }
    ExecWorker& owner_;
    bool gone_ = false;
    Peer peer_;
  };

  // ---- the engine's side ---------------------------------------------------------------------------------------------

  void on_request(const Incoming& request) override {
    if (request.method == "ping") return peer_.respond(request.id, "{}");
    if (request.method == "hello") return hello(request);
    if (request.method == "start") return start(request);
    if (request.method != "call" && request.method != "drain") {
      return peer_.respond_error(request.id, Error(ErrorCode::kProtocol, "there is no method '" + std::string(request.method) + "'").with_data(R"({"rpc":-32601})"));
    }
    if (queue_.size() >= kMostQueued) return peer_.respond_error(request.id, Error(ErrorCode::kBusy, "too many calls wait in one worker"));
    queue_.push_back({std::string(request.id), std::string(request.body), std::move(request.blobs), request.method == "drain"});
    pump();
  }

  void hello(const Incoming& request) {
    const auto params = parse_json(request.body);
    json::error_code ec;
    const auto* min = params ? params->find_pointer("/protocol/min", ec) : nullptr;
    const auto* max = params ? params->find_pointer("/protocol/max", ec) : nullptr;
    if (!min || !max || !min->is_int64() || !max->is_int64()) {
      return peer_.respond_error(request.id, Error(ErrorCode::kInvalidArguments, "hello needs protocol.min and protocol.max"));
    }
    if (min->get_int64() > 1 || max->get_int64() < 1) {
      peer_.respond_error(request.id, Error(ErrorCode::kProtocol, "this worker speaks protocol 1").with_data(R"({"rpc":-32001})"));
      status_ = 1;
      return leave();
    }
    peer_.respond(request.id, compact_json(json::object{{"protocol", 1}, {"language", language_.name}, {"runtime", version()}, {"sdk", SABIR_VERSION},
                                                        {"capabilities", {{"blobs", true}, {"chunks", true}, {"cancel", true}}}}));
  }

  std::string version() const {
    if (language_.version.empty()) return "unknown";
    process::SpawnSpec spec;
    spec.argv = languages::filled(language_.version, languages::usual_values(language_, root_, interpreter_));
    spec.environment = process::environment_with({});
    auto run = process::run(std::move(spec), std::chrono::seconds(5));
    std::string text = run ? run->output.substr(0, run->output.find('\n')) : std::string();
    return text.empty() ? "unknown" : text;
  }

  void start(const Incoming& request) {
    const auto members = protocol::raw_members(request.body);
    const std::string project = members ? text_member(*members, "project") : "";
    if (project.empty()) return peer_.respond_error(request.id, Error(ErrorCode::kInvalidArguments, "start needs the project's folder"));
    std::error_code error;
    if (fs::is_directory(project, error)) root_ = project;
    environment_["SABIR_PROJECT"] = project;
    if (const auto name = text_member(*members, "environment"); !name.empty() && std::getenv("SABIR_ENV") == nullptr) environment_["SABIR_ENV"] = name;
    peer_.respond(request.id, "{}");
  }

  void on_notification(const Incoming& notification) override {
    const auto members = protocol::raw_members(notification.body);
    const auto id = members ? protocol::find_member(*members, "id") : std::nullopt;
    if (!id) return;
    if (notification.method == "chunk" || notification.method == "progress") return relay(notification, *members, *id);
    if (notification.method != "cancel") return;
    const std::string reason = text_member(*members, "reason");
    if (running_ && *id == running_id_) return running_->cancel(reason);
    const auto found = std::find_if(queue_.begin(), queue_.end(), [&](const auto& queued) { return !queued.drain && queued.id == *id; });
    if (found == queue_.end()) return;
    peer_.respond_error(found->id, Error(ErrorCode::kCancelled, "the call was cancelled before it ran").with_data("{\"reason\":" + protocol::quote(reason) + "}"));
    queue_.erase(found);
  }

  void on_closed(const Error&) override {
    running_.reset();
    loop_.stop();
  }

  // Ends once the last answers have gone out; an engine that reads none of them is not waited for.
  void leave(int tries = 400) {
    if (peer_.unsent() == 0 || tries == 0) {
      loop_.post([this] { loop_.stop(); });
      return;
    }
    loop_.after(std::chrono::milliseconds(5), [this, tries] { leave(tries - 1); });
  }

  // ---- calls ---------------------------------------------------------------------------------------------------------

  void pump() {
    while (!running_ && !leaving_ && !queue_.empty()) {
      Queued next = std::move(queue_.front());
      queue_.pop_front();
      if (next.drain) {
        peer_.respond(next.id, "{}");
        leaving_ = true;
        return leave();
      }
      if (auto begun = begin(next); !begun) peer_.respond_error(next.id, begun.error());
    }
  }

  Result<void> begin(Queued& queued) {
    const auto members = protocol::raw_members(queued.params);
    if (!members) return fail(ErrorCode::kInvalidArguments, "a call needs module, function and arguments");
    const std::string module = text_member(*members, "module");
    const std::string name = text_member(*members, "function");
    if (module.empty() || name.empty()) return fail(ErrorCode::kInvalidArguments, "a call needs module, function and arguments");
    auto blobs = protocol::read_blob_list(protocol::find_member(*members, "blobs").value_or(""), std::move(queued.blobs), "/arguments");
    if (!blobs) return fail(std::move(blobs.error()));
    auto function = files_.find(root_, module, name);
    if (!function) return fail(std::move(function.error()));
    ExecSpec spec;
    spec.function = *function;
    auto input = bind_arguments(**function, module, {std::string(protocol::find_member(*members, "arguments").value_or("{}")), std::move(*blobs)});
    if (!input) return fail(std::move(input.error()));
    spec.input = std::move(*input);
    spec.file = module;
    spec.own_folder = language_.resources.string();
    spec.argv = languages::filled(debug_ && !language_.call_debug.empty() ? language_.call_debug : language_.call,
                                  languages::usual_values(language_, root_, interpreter_));
    spec.environment = environment(*members);
    spec.directory = root_;
    spec.terminal = debug_;
    running_id_ = queued.id;
    ExecEvents events;
    events.done = [this](Result<protocol::Payload> result) { finished(std::move(result)); };
    events.chunk = [this](protocol::Payload value) {
      std::vector<std::string_view> bytes;
      for (const auto& blob : value.blobs) bytes.push_back(blob.data);
      peer_.notify("chunk", "{\"id\":" + running_id_ + ",\"value\":" + value.json + protocol::blob_list(value.blobs, "/value") + "}", bytes);
    };
    events.notify = [this](std::string_view method, std::string_view told) { peer_.notify(method, "{\"id\":" + running_id_ + "," + std::string(told.substr(1))); };
    events.unsent = [this] { return peer_.unsent(); };
    auto call = ExecCall::start(loop_, std::move(spec), std::move(events));
    if (!call) return fail(std::move(call.error()));
    running_ = std::move(*call);
    return {};
  }

  std::vector<std::string> environment(const std::vector<protocol::RawMember>& members) const {
    auto changes = environment_;
    changes["SABIR_FD"] = "";
    changes["SABIR_BIN"] = languages::engine_program();
    changes["SABIR_SDK"] = (language_.resources / language_.sdk).string();
    if (listener_) changes["SABIR_CALL_SOCKET"] = (folder_ / "socket").string();
    if (!folder_.empty()) changes["SABIR_WORKER_FOLDER"] = folder_.string();
    const auto context = protocol::find_member(members, "context");
    const auto fields = context ? protocol::raw_members(*context) : Result<std::vector<protocol::RawMember>>(std::vector<protocol::RawMember>());
    for (const auto* field : {"user", "tenant", "conversation", "run"}) {
      std::string name = "SABIR_CONTEXT_" + std::string(field);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
      std::string value = fields ? text_member(*fields, field) : "";
      std::erase(value, '\0');
      changes[name] = std::move(value);
    }
    std::string key = text_member(members, "idempotency_key");
    std::erase(key, '\0');
    changes["SABIR_IDEMPOTENCY_KEY"] = std::move(key);
    changes["SABIR_DEADLINE_MS"] = std::string(protocol::find_member(members, "deadline_ms").value_or(""));
    // Texts are UTF-8, whatever this machine's locale is.
    const char* all = std::getenv("LC_ALL");
    const char* type = all && *all ? all : std::getenv("LC_CTYPE");
    const char* used = type && *type ? type : std::getenv("LANG");
    const std::string locale(used ? used : "");
    if (locale.find("UTF-8") == std::string::npos && locale.find("utf8") == std::string::npos) changes["LC_ALL"] = "C.UTF-8";
    return process::environment_with(changes);
  }

  void finished(Result<protocol::Payload> result) {
    if (result) {
      std::vector<std::string_view> bytes;
      for (const auto& blob : result->blobs) bytes.push_back(blob.data);
      peer_.respond(running_id_, "{\"value\":" + result->json + protocol::blob_list(result->blobs, "/value") + "}", bytes);
    } else {
      peer_.respond_error(running_id_, result.error());
    }
    // Not from inside the call's own callback.
    loop_.post([this, call = std::shared_ptr<ExecCall>(std::move(running_))] {
      clients_.clear();
      asked_.clear();
      pump();
    });
  }

  // ---- what the running call asks ------------------------------------------------------------------------------------

  void accept(int fd) {
    if (!running_ || clients_.size() >= kMostClients) {
      ::close(fd);
      return;
    }
    clients_.push_back(std::make_shared<Client>(*this, fd));
  }

  void forget_clients() {
    loop_.post([this] { std::erase_if(clients_, [](const auto& client) { return client->gone(); }); });
  }

  void client_request(Client& client, const Incoming& request) {
    if (request.method == "hello") {
      return client.peer().respond(request.id, compact_json(json::object{{"protocol", 1}, {"engine", SABIR_VERSION}, {"project", root_.string()},
                                                                         {"environment", environment_.contains("SABIR_ENV") ? environment_.at("SABIR_ENV") : ""}}));
    }
    if (request.method == "ping") return client.peer().respond(request.id, "{}");
    const auto members = protocol::raw_members(request.body);
    if (!members || protocol::find_member(*members, "parent")) {
      return client.peer().respond_error(request.id, Error(ErrorCode::kInvalidArguments, "params must be an object without 'parent'"));
    }
    const std::string params = "{\"parent\":" + running_id_ + (members->empty() ? "}" : "," + std::string(request.body.substr(1)));
    const auto found = std::find_if(clients_.begin(), clients_.end(), [&](const auto& one) { return one.get() == &client; });
    if (found == clients_.end()) return;
    const std::weak_ptr<Client> asker = *found;
    const std::string id(request.id);
    const auto number = peer_.request(request.method, params, protocol::views_of(request.blobs), [this, asker, id](std::int64_t asked, Result<Incoming> answer) {
      asked_.erase(asked);
      if (!answer && running_) running_->engine_failed(answer.error());
      const auto to = asker.lock();
      if (!to || to->gone()) return;
      if (answer) to->peer().respond(id, answer->body, protocol::views_of(answer->blobs));
      else to->peer().respond_error(id, answer.error());
    });
    asked_.emplace(number, std::pair(asker, id));
  }

  // What the SDK notifies belongs to the running call.
  void client_notification(const Incoming& notification) {
    if (notification.method != "log" && notification.method != "progress") return;
    const auto members = protocol::raw_members(notification.body);
    if (!running_ || !members || protocol::find_member(*members, "id")) return;
    peer_.notify(notification.method, "{\"id\":" + running_id_ + (members->empty() ? "}" : "," + std::string(notification.body.substr(1))));
  }

  // A chunk or a progress of something that the running call has asked for.
  void relay(const Incoming& notification, const std::vector<protocol::RawMember>& members, std::string_view id) {
    std::int64_t number = 0;
    if (std::from_chars(id.data(), id.data() + id.size(), number).ec != std::errc()) return;
    const auto found = asked_.find(number);
    if (found == asked_.end()) return;
    const auto to = found->second.first.lock();
    if (!to || to->gone()) return;
    std::string params = "{\"id\":" + found->second.second;
    for (const auto& member : members) {
      if (member.key != "id") params += ",\"" + std::string(member.key) + "\":" + std::string(member.value);
    }
    to->peer().notify(notification.method, params + "}");
  }

  net::Loop loop_;
  project::Language language_;
  std::string interpreter_;
  bool debug_;
  ExecFiles files_;
  fs::path root_;
  fs::path folder_;
  std::map<std::string, std::string> environment_;
  std::unique_ptr<net::Listener> listener_;
  std::deque<Queued> queue_;
  std::unique_ptr<ExecCall> running_;
  std::string running_id_;  // raw JSON
  std::vector<std::shared_ptr<Client>> clients_;
  std::unordered_map<std::int64_t, std::pair<std::weak_ptr<Client>, std::string>> asked_;
  bool leaving_ = false;
  int status_ = 0;
  Peer peer_;  // last: its callbacks use the rest
};

bool read_descriptors(const char* text, int& in, int& out) {
  char* end = nullptr;
  const long first = text ? std::strtol(text, &end, 10) : -1;
  if (!text || end == text || first < 3 || first > 100000) return false;
  long second = first;
  if (*end == ',') {
    const char* from = end + 1;
    second = std::strtol(from, &end, 10);
    if (end == from || second < 3 || second > 100000) return false;
  }
  if (*end != '\0' || ::fcntl(static_cast<int>(first), F_GETFD) < 0 || ::fcntl(static_cast<int>(second), F_GETFD) < 0) return false;
  in = static_cast<int>(first);
  out = static_cast<int>(second);
  return true;
}

}  // namespace

int run_exec_worker(const fs::path& folder, const std::string& interpreter, bool debug) {
  int in = -1;
  int out = -1;
  if (!read_descriptors(std::getenv("SABIR_FD"), in, out)) {
    static constexpr std::string_view kWhat = "sabir: exec-worker is started by the engine\n";
    [[maybe_unused]] const auto written = ::write(2, kWhat.data(), kWhat.size());
    return 2;
  }
  ::fcntl(in, F_SETFD, FD_CLOEXEC);
  ::fcntl(out, F_SETFD, FD_CLOEXEC);
  ::unsetenv("SABIR_FD");
  auto languages = project::load_language(folder);
  if (!languages) {
    const std::string what = "sabir: " + to_text(languages.error()) + "\n";
    [[maybe_unused]] const auto written = ::write(2, what.data(), what.size());
    return 2;
  }
  process::adopt_orphans();
  return ExecWorker(std::move(*languages), interpreter, debug, in, out).run();
}

}  // namespace sabir::adapter
