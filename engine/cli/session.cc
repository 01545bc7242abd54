#include "session.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "resources.h"
#include "sabir/net/loop.h"
#include "sabir/protocol/message.h"

namespace sabir::cli {

namespace {

bool set(const char* name) {
  const char* value = std::getenv(name);
  return value && *value;
}

// Its calls belong to a recording or a store of its own, not to an engine that runs for others too.
bool has_recording(const SessionOptions& options) {
  return !options.recording.record.empty() || !options.recording.replay.empty() || set("SABIR_RECORD") || set("SABIR_REPLAY");
}

// A recording, or a store of its own, is for an engine of this process.
bool wants_own_engine(const SessionOptions& options) { return has_recording(options) || set("SABIR_STATE_DIR"); }

struct Apart {
  std::filesystem::path store;
  recordings::Choice recording;
};

Result<std::unique_ptr<runtime::Engine>> open_with(const SessionOptions& options, bool live, EngineHooks hooks, const Apart* apart = nullptr) {
  auto root = project::find_root(options.directory.empty() ? std::filesystem::current_path() : options.directory);
  if (!root) return fail(std::move(root.error()));
  runtime::EngineOptions engine;
  if (apart != nullptr) {
    engine.store = apart->store;
    engine.recording = apart->recording;
  } else if (!live) {
    auto choice = recording_choice(options, *root);
    if (!choice) return fail(std::move(choice.error()));
    engine.recording = std::move(*choice);
  }
  auto unpacked = resources();
  if (!unpacked) return fail(std::move(unpacked.error()));
  engine.root = *root;
  engine.environment = options.environment;
  engine.resources = *unpacked;
  engine.cache = cache_dir();
  engine.debug = options.debug;
  engine.reloaded = std::move(hooks.reloaded);
  engine.output = std::move(hooks.output);
  engine.failed = std::move(hooks.failed);
  if (set("TRACEPARENT")) engine.traceparent = std::getenv("TRACEPARENT");
  return runtime::Engine::open(std::move(engine));
}

}  // namespace

Result<recordings::Choice> recording_choice(const SessionOptions& options, const std::filesystem::path& root) {
  const auto& words = options.recording;
  if (!words.record.empty() && !words.replay.empty()) return fail(ErrorCode::kUsage, "--record and --replay exclude each other");
  if (words.functions && words.replay.empty() && !set("SABIR_REPLAY")) return fail(ErrorCode::kUsage, "--replay-functions needs --replay FILE");
  recordings::Choice choice;
  if (words.record.empty() && words.replay.empty()) {
    auto told = recordings::choice_from_environment(root);
    if (!told) return told;
    choice = std::move(*told);
    choice.functions = choice.functions || words.functions;
  } else {
    choice.mode = words.record.empty() ? recordings::Mode::kReplay : recordings::Mode::kRecord;
    choice.path = recordings::recording_path(words.record.empty() ? words.replay : words.record, root);
    choice.functions = words.functions;
  }
  if (choice.name.empty()) choice.name = words.name;
  return choice;
}

Result<std::unique_ptr<runtime::Engine>> open_engine(const SessionOptions& options, EngineHooks hooks) {
  return open_with(options, false, std::move(hooks));
}

Result<std::unique_ptr<runtime::Engine>> open_live_engine(const SessionOptions& options) { return open_with(options, true, {}); }

Result<std::unique_ptr<runtime::Engine>> open_engine_apart(const SessionOptions& options, const std::filesystem::path& store, recordings::Choice recording) {
  const Apart apart{store, std::move(recording)};
  return open_with(options, false, {}, &apart);
}

Result<ThrownAway> ThrownAway::make() {
  std::error_code ec;
  const auto folder = std::filesystem::temp_directory_path(ec);
  std::string path = ((ec ? std::filesystem::path("/tmp") : folder) / "sabir-store-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) return fail(ErrorCode::kIo, "cannot make a folder for a store: " + path + ": " + std::strerror(errno), "Set TMPDIR to a folder that can be written to.");
  return ThrownAway(path);
}

ThrownAway::~ThrownAway() {
  std::error_code ec;
  if (!path_.empty()) std::filesystem::remove_all(path_, ec);
}

Result<std::unique_ptr<Session>> Session::join(const SessionOptions& options) {
  if (!options.engine.url.empty()) {
    if (has_recording(options)) return fail(ErrorCode::kUsage, "what an engine elsewhere is asked is not recorded or replayed here", "Leave --record, --replay and their variables away.");
    if (options.debug) return fail(ErrorCode::kUsage, "a worker elsewhere cannot be debugged at this terminal", "Leave --engine away.");
    if (!options.context.user.empty() || !options.context.tenant.empty()) {
      return fail(ErrorCode::kUsage, "on whose behalf an engine elsewhere does something is its token's to say", "Leave --user and --tenant away; the token says: sabir tokens add NAME --user ada.");
    }
    auto elsewhere = RemoteEngine::open(options.engine);
    if (!elsewhere) return fail(std::move(elsewhere.error()));
    std::unique_ptr<Session> session(new Session());
    session->elsewhere_ = std::move(*elsewhere);
    return session;
  }
  if (const char* socket = std::getenv("SABIR_CALL_SOCKET"); socket && *socket && options.join_running) {
    // Inside a function's process: what is asked for belongs to the running call, with its caller, depth and deadline.
    if (!options.recording.record.empty() || !options.recording.replay.empty()) {
      return fail(ErrorCode::kUsage, "inside of a function nothing is recorded or replayed by itself",
                  "Give --record or --replay to the command that calls the function.");
    }
    auto fd = net::connect_unix(socket);
    if (!fd) {
      return fail(ErrorCode::kIo, "the call that started this command has ended", "unset SABIR_CALL_SOCKET to use the project's own engine.");
    }
    std::unique_ptr<Session> session(new Session());
    session->fd_ = *fd;
    session->hello_ = R"({"protocol":{"min":1,"max":1},"role":"client","language":"cli"})";
    if (auto root = project::find_root(options.directory.empty() ? std::filesystem::current_path() : options.directory)) session->root_ = *root;
    return session;
  }
  auto root = project::find_root(options.directory.empty() ? std::filesystem::current_path() : options.directory);
  if (!root) return fail(std::move(root.error()));
  if (options.join_running && !wants_own_engine(options)) {
    if (auto socket = runtime::Engine::find_running(*root, options.environment)) {
      if (auto fd = net::connect_unix(*socket)) {
        std::unique_ptr<Session> session(new Session());
        session->root_ = *root;
        session->context_ = options.context;
        session->fd_ = *fd;
        json::object hello{{"protocol", {{"min", 1}, {"max", 1}}}, {"role", "client"}, {"language", "cli"}, {"sdk", SABIR_VERSION},
                                 {"project", root->string()},
                                 {"context", {{"user", options.context.user}, {"tenant", options.context.tenant},
                                              {"conversation", options.context.conversation}, {"run", options.context.run}}}};
        if (set("TRACEPARENT")) hello["traceparent"] = std::getenv("TRACEPARENT");
        session->hello_ = json::serialize(hello);
        return session;
      }
    }
  }
  return nullptr;
}

Result<std::unique_ptr<Session>> Session::open(const SessionOptions& options) {
  auto joined = join(options);
  if (!joined || *joined) return joined;
  auto engine = open_engine(options);
  if (!engine) return fail(std::move(engine.error()));
  std::unique_ptr<Session> session(new Session());
  session->root_ = (*engine)->project().root;
  session->context_ = options.context;
  session->engine_ = std::move(*engine);
  return session;
}

Session::~Session() {
  if (fd_ >= 0) ::close(fd_);
}

Result<protocol::Payload> Session::request(const std::string& method, protocol::Payload params, std::chrono::milliseconds timeout,
                                           runtime::Engine::OnNotice on_notice) {
  if (elsewhere_) {
    auto text = protocol::inflate(params);
    if (!text) return fail(std::move(text.error()));
    auto answer = elsewhere_->request(method, *text, timeout, on_notice, cancelled_);
    if (!answer) return fail(std::move(answer.error()));
    return protocol::Payload{std::move(*answer), {}};
  }
  if (fd_ >= 0) return remote_request(method, params, timeout, on_notice);
  return engine_->request(method, std::move(params), context_, timeout, std::move(on_notice));
}

Result<protocol::Payload> Session::remote_request(const std::string& method, const protocol::Payload& params,
                                                  std::chrono::milliseconds timeout, const runtime::Engine::OnNotice& on_notice) {
  std::string out;
  std::int64_t hello_id = 0;
  if (!greeted_) {
    hello_id = next_id_++;
    protocol::append_frame(out, protocol::make_request(hello_id, "hello", hello_));
    greeted_ = true;
  }
  const std::int64_t id = next_id_++;
  std::vector<std::string> blobs;
  for (const auto& blob : params.blobs) blobs.push_back(blob.data);
  protocol::append_frame(out, protocol::make_request(id, method, params.json), protocol::views_of(blobs));
  std::string_view rest = out;
  while (!rest.empty()) {
    const auto n = ::write(fd_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(ErrorCode::kIo, std::string("the running engine went away: ") + std::strerror(errno));
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout + std::chrono::seconds(2);
  char buffer[65536];
  while (true) {
    auto frame = reader_.next();
    if (!frame) return fail(std::move(frame.error()));
    if (*frame) {
      auto message = protocol::parse_message((*frame)->json);
      if (message && message->kind == protocol::MessageKind::kNotification && on_notice) {
        const auto members = protocol::raw_members(message->params);
        if (members && protocol::find_member(*members, "id") == std::to_string(id)) on_notice(message->method, message->params);
        continue;
      }
      if (!message || message->kind != protocol::MessageKind::kResponse) continue;
      if (message->number() == hello_id && !message->error.empty()) return fail(protocol::error_of(message->error));
      if (message->number() != id) continue;
      if (!message->error.empty()) return fail(protocol::error_of(message->error));
      const auto members = protocol::raw_members(message->result);
      const auto list = members ? protocol::find_member(*members, "blobs") : std::nullopt;
      auto read = protocol::read_blob_list(list.value_or(""), std::move((*frame)->blobs), "");
      if (!read) return fail(std::move(read.error()));
      return protocol::Payload{std::string(message->result), std::move(*read)};
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return fail(ErrorCode::kTimeout, "the running engine did not answer in time");
    pollfd ready{fd_, POLLIN, 0};
    const int n = ::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(left, 1'000'000)));
    if (n < 0 && errno != EINTR) return fail(ErrorCode::kIo, std::string("poll: ") + std::strerror(errno));
    if (n <= 0) continue;
    const auto got = ::read(fd_, buffer, sizeof buffer);
    if (got <= 0) return fail(ErrorCode::kIo, "the running engine went away", "Try again: the command then starts one of its own.");
    reader_.append({buffer, static_cast<std::size_t>(got)});
  }
}

Result<json::object> Session::ask(const std::string& method, const json::object& params, std::chrono::milliseconds timeout) {
  return ask_text(method, json::serialize(params), timeout);
}

Result<json::object> Session::ask_text(const std::string& method, std::string params, std::chrono::milliseconds timeout) {
  auto payload = elsewhere_ ? protocol::Payload{std::move(params), {}} : protocol::deflate(std::move(params));
  if (!payload.blobs.empty()) {
    payload.json.pop_back();
    payload.json += protocol::blob_list(payload.blobs, "") + "}";
  }
  auto answer = request(method, std::move(payload), timeout);
  if (!answer) return fail(std::move(answer.error()));
  auto text = protocol::inflate(*answer);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text);
  if (!value || !value->is_object()) return fail(ErrorCode::kProtocol, "the engine's answer is no object");
  value->get_object().erase("blobs");
  return std::move(value->get_object());
}

}  // namespace sabir::cli
