#include "sabir/journal/journal.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "engine_lock.h"
#include "sabir/base/ids.h"
#include "sabir/base/log.h"
#include "sabir/store/migration.h"

namespace sabir::journal {
namespace {

constexpr std::size_t kMostQueued = 4096;
constexpr std::size_t kMostPerCommit = 256;
constexpr std::size_t kMostArgumentBytes = 16'384;
constexpr std::size_t kMostMessageBytes = 4096;
constexpr std::chrono::seconds kLongestWait{30};
constexpr std::int64_t kKeepMs = std::int64_t{30} * 24 * 3600 * 1000;
constexpr std::int64_t kPruneEveryMs = 60'000;

const store::Format& format() {
  static const store::Format value{0x5341424a,  // "SABJ"
                                   {R"(
CREATE TABLE engine (
  id TEXT PRIMARY KEY,
  first_call INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER
) WITHOUT ROWID;
CREATE TABLE call (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  engine TEXT NOT NULL,
  begun_ms INTEGER NOT NULL,
  address TEXT NOT NULL,
  effect TEXT NOT NULL,
  idempotent INTEGER NOT NULL,
  idempotency_key TEXT NOT NULL,
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  conversation TEXT NOT NULL,
  run TEXT NOT NULL,
  arguments TEXT NOT NULL
);
CREATE TABLE outcome (
  call INTEGER PRIMARY KEY,
  ended_ms INTEGER NOT NULL,
  ok INTEGER NOT NULL,
  error_type TEXT NOT NULL,
  message TEXT NOT NULL
);
CREATE TABLE run (
  id TEXT PRIMARY KEY,
  engine TEXT NOT NULL,
  assistant TEXT NOT NULL,
  status TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  conversation TEXT NOT NULL,
  input TEXT NOT NULL,
  output TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE step (
  run TEXT NOT NULL,
  seq INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run, seq)
) WITHOUT ROWID;
)"}};
  return value;
}

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// At most `most` bytes, never ending inside a character.
std::string cut(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U) --most;
  text.resize(most);
  return text + "…";
}

json::value stored_json(std::string_view text) {
  auto value = parse_json(text);
  return value ? std::move(*value) : json::value(text);
}

Error too_busy() {
  return Error(ErrorCode::kBusy,
               "the journal has " + std::to_string(kMostQueued) + " records waiting to be written",
               "The disk is slow or too many calls run at once; try again in a moment.");
}

}  // namespace

struct Journal::State {
  // One write that waits for the next commit. `body` returns the id it made; `done` hears it after the commit.
  struct Job {
    std::function<Result<std::int64_t>(store::Connection&)> body;
    std::function<void(Result<std::int64_t>)> done;
    bool to_disk = false;
  };

  std::filesystem::path directory;
  std::string engine = new_id();
  std::unique_ptr<EngineLock> lock;
  std::unique_ptr<store::Connection> writer;  // the committing thread's own
  std::mutex reader_mutex;
  std::unique_ptr<store::Connection> reader;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> queue;
  bool stopping = false;
  std::int64_t pruned_ms = 0;
  std::thread thread;

  void commit_loop();
  void commit(std::vector<Job>& jobs);
  void prune();
  bool enqueue(Job& job, bool bounded);
  Result<std::int64_t> wait_for(Job job);
  Result<std::int64_t> insert_call(store::Connection& connection, const CallRecord& record, std::int64_t begun_ms);
  Result<void> read(const std::function<Result<void>(store::Connection&)>& body);
  Job begin_job(CallRecord record);
};

bool Journal::State::enqueue(Job& job, bool bounded) {
  const std::lock_guard hold(mutex);
  if (bounded && queue.size() >= kMostQueued) return false;
  queue.push_back(std::move(job));
  changed.notify_one();
  return true;
}

Result<std::int64_t> Journal::State::wait_for(Job job) {
  auto promise = std::make_shared<std::promise<Result<std::int64_t>>>();
  auto future = promise->get_future();
  job.done = [promise](Result<std::int64_t> result) { promise->set_value(std::move(result)); };
  if (!enqueue(job, true)) return fail(too_busy());
  if (future.wait_for(kLongestWait) != std::future_status::ready) {
    return fail(ErrorCode::kBusy, "the journal in " + directory.string() + " did not answer within 30 s",
                "Check the disk that holds it.");
  }
  return future.get();
}

void Journal::State::commit_loop() {
  while (true) {
    std::vector<Job> jobs;
    {
      std::unique_lock hold(mutex);
      changed.wait(hold, [this] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      while (!queue.empty() && jobs.size() < kMostPerCommit) {
        jobs.push_back(std::move(queue.front()));
        queue.pop_front();
      }
    }
    commit(jobs);
    prune();
  }
}

void Journal::State::commit(std::vector<Job>& jobs) {
  std::vector<Result<std::int64_t>> results(jobs.size());
  const auto run = [&](std::size_t first, std::size_t last, bool to_disk) -> Result<void> {
    const auto durability = to_disk ? store::Durability::kPower : store::Durability::kProcess;
    if (auto set = writer->set_durability(durability); !set) return set;
    return writer->transact([&]() -> Result<void> {
      for (std::size_t i = first; i < last; ++i) {
        results[i] = jobs[i].body(*writer);
        if (!results[i] && results[i].error().code != ErrorCode::kNotFound) return fail(results[i].error());
      }
      return {};
    });
  };
  bool to_disk = false;
  for (const auto& job : jobs) to_disk = to_disk || job.to_disk;
  if (auto whole = run(0, jobs.size(), to_disk); !whole) {
    // One bad record must not spoil the others.
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (auto alone = run(i, i + 1, jobs[i].to_disk); !alone) results[i] = fail(std::move(alone.error()));
    }
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (jobs[i].done) {
      jobs[i].done(std::move(results[i]));
    } else if (!results[i]) {
      log(LogLevel::kWarning, "journal: an outcome was not recorded: " + results[i].error().message);
    }
  }
}

// Drops what ended long ago, a bounded number at a time.
void Journal::State::prune() {
  const std::int64_t now = now_ms();
  if (now - pruned_ms < kPruneEveryMs) return;
  pruned_ms = now;
  const std::int64_t before = now - kKeepMs;
  const auto pruned = writer->transact([&]() -> Result<void> {
    for (const std::string_view sql : {
             "DELETE FROM call WHERE id IN (SELECT id FROM call ORDER BY id LIMIT 500) AND begun_ms < ?1 "
             "AND id IN (SELECT call FROM outcome)",
             "DELETE FROM outcome WHERE call IN (SELECT call FROM outcome ORDER BY call LIMIT 500) AND ended_ms < ?1 "
             "AND call NOT IN (SELECT id FROM call)",
             "DELETE FROM step WHERE run IN (SELECT id FROM run ORDER BY id LIMIT 20) "
             "AND run IN (SELECT id FROM run WHERE ended_ms < ?1)",
             "DELETE FROM run WHERE id IN (SELECT id FROM run ORDER BY id LIMIT 20) AND ended_ms < ?1",
         }) {
      auto statement = writer->prepare(sql);
      if (!statement) return fail(std::move(statement.error()));
      if (auto done = statement->bind(before).run(); !done) return done;
    }
    return {};
  });
  if (!pruned) log(LogLevel::kWarning, "journal: " + pruned.error().message);
}

Result<std::int64_t> Journal::State::insert_call(store::Connection& connection, const CallRecord& record,
                                                 std::int64_t begun_ms) {
  auto insert = connection.prepare(
      "INSERT INTO call (engine, begun_ms, address, effect, idempotent, idempotency_key, tenant, user, conversation, "
      "run, arguments) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  if (!insert) return fail(std::move(insert.error()));
  insert->bind(engine).bind(begun_ms).bind(record.address);
  insert->bind(record.effect == CallEffect::kIrreversible ? "irreversible" : "write");
  insert->bind(record.idempotent ? 1 : 0).bind(record.idempotency_key);
  insert->bind(record.context.tenant).bind(record.context.user).bind(record.context.conversation);
  insert->bind(record.context.run).bind(record.arguments_json);
  if (auto done = insert->run(); !done) return fail(std::move(done.error()));
  return connection.last_insert_id();
}

Journal::State::Job Journal::State::begin_job(CallRecord record) {
  record.arguments_json = cut(std::move(record.arguments_json), kMostArgumentBytes);
  Job job;
  job.to_disk = record.effect == CallEffect::kIrreversible;
  job.body = [this, record = std::move(record), begun = now_ms()](store::Connection& connection) {
    return insert_call(connection, record, begun);
  };
  return job;
}

Result<void> Journal::State::read(const std::function<Result<void>(store::Connection&)>& body) {
  const std::lock_guard hold(reader_mutex);
  if (reader == nullptr) {
    store::OpenOptions options;
    options.access = store::Access::kReadOnly;
    auto opened = store::Connection::open(directory / "journal.db", options);
    if (!opened) return fail(std::move(opened.error()));
    reader = std::move(*opened);
  }
  return body(*reader);
}

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Journal>> Journal::open(const std::filesystem::path& directory) {
  auto state = std::make_unique<State>();
  state->directory = directory;
  auto writer = store::open_format(directory / "journal.db", format());
  if (!writer) return fail(std::move(writer.error()));
  state->writer = std::move(*writer);
  auto lock = EngineLock::take(directory / "engines", state->engine);
  if (!lock) return fail(std::move(lock.error()));
  state->lock = std::move(*lock);
  State* raw = state.get();
  auto registered = raw->writer->transact([raw]() -> Result<void> {
    auto insert = raw->writer->prepare(
        "INSERT INTO engine (id, first_call, started_ms) SELECT ?, coalesce(max(id), 0) + 1, ? FROM call");
    if (!insert) return fail(std::move(insert.error()));
    return insert->bind(raw->engine).bind(now_ms()).run();
  });
  if (!registered) return fail(std::move(registered.error()));
  state->pruned_ms = now_ms();
  state->thread = std::thread([raw] { raw->commit_loop(); });
  return std::unique_ptr<Journal>(new Journal(std::move(state)));
}

Journal::~Journal() {
  {
    const std::lock_guard hold(state_->mutex);
    state_->stopping = true;
    state_->changed.notify_one();
  }
  state_->thread.join();
  // An engine that leaves calls open stays listed, so that unfinished() finds them.
  State& state = *state_;
  const auto ended = state.writer->transact([&]() -> Result<void> {
    auto update = state.writer->prepare(
        "UPDATE engine SET ended_ms = ?2 WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM call LEFT JOIN outcome ON "
        "outcome.call = call.id WHERE call.id >= engine.first_call AND call.engine = ?1 AND outcome.call IS NULL)");
    if (!update) return fail(std::move(update.error()));
    return update->bind(state.engine).bind(now_ms()).run();
  });
  if (!ended) log(LogLevel::kWarning, "journal: " + ended.error().message);
}

Result<std::int64_t> Journal::begin(CallRecord record) { return state_->wait_for(state_->begin_job(std::move(record))); }

void Journal::begin_async(CallRecord record, std::function<void(Result<std::int64_t>)> done) {
  auto job = state_->begin_job(std::move(record));
  job.done = std::move(done);
  if (!state_->enqueue(job, true)) job.done(fail(too_busy()));
}

void Journal::finish(std::int64_t id, Outcome outcome) {
  outcome.message = cut(std::move(outcome.message), kMostMessageBytes);
  State::Job job;
  job.body = [id, outcome = std::move(outcome), ended = now_ms()](store::Connection& connection) -> Result<std::int64_t> {
    auto insert = connection.prepare(
        "INSERT OR IGNORE INTO outcome (call, ended_ms, ok, error_type, message) VALUES (?, ?, ?, ?, ?)");
    if (!insert) return fail(std::move(insert.error()));
    insert->bind(id).bind(ended).bind(outcome.ok ? 1 : 0).bind(outcome.error_type).bind(outcome.message);
    if (auto done = insert->run(); !done) return fail(std::move(done.error()));
    return id;
  };
  // Never refused: each outcome belongs to a record that was let in.
  state_->enqueue(job, false);
}

Result<std::vector<Unfinished>> Journal::unfinished(int limit) {
  std::vector<Unfinished> found;
  std::vector<std::string> settled;
  State& state = *state_;
  auto done = state.read([&](store::Connection& connection) -> Result<void> {
    std::vector<std::pair<std::string, std::int64_t>> engines;
    {
      auto statement = connection.prepare("SELECT id, first_call FROM engine WHERE ended_ms IS NULL ORDER BY id");
      if (!statement) return fail(std::move(statement.error()));
      while (true) {
        auto row = statement->step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) break;
        engines.emplace_back(statement->text(0), statement->integer(1));
      }
    }
    for (const auto& [engine, first_call] : engines) {
      if (engine == state.engine || EngineLock::is_alive(state.directory / "engines", engine)) continue;
      auto statement = connection.prepare(
          "SELECT call.id, begun_ms, address, effect, idempotent, idempotency_key, tenant, user, conversation, run, "
          "arguments FROM call LEFT JOIN outcome ON outcome.call = call.id WHERE call.id >= ? AND engine = ? AND "
          "outcome.call IS NULL ORDER BY call.id LIMIT ?");
      if (!statement) return fail(std::move(statement.error()));
      statement->bind(first_call).bind(engine).bind(limit - static_cast<std::int64_t>(found.size()));
      const std::size_t before = found.size();
      while (true) {
        auto row = statement->step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) break;
        Unfinished call;
        call.id = statement->integer(0);
        call.begun_ms = statement->integer(1);
        call.call.address = statement->text(2);
        call.call.effect = statement->view(3) == "irreversible" ? CallEffect::kIrreversible : CallEffect::kWrite;
        call.call.idempotent = statement->integer(4) != 0;
        call.call.idempotency_key = statement->text(5);
        call.call.context.tenant = statement->text(6);
        call.call.context.user = statement->text(7);
        call.call.context.conversation = statement->text(8);
        call.call.context.run = statement->text(9);
        call.call.arguments_json = statement->text(10);
        call.engine = engine;
        found.push_back(std::move(call));
      }
      if (static_cast<int>(found.size()) >= limit) return {};
      if (found.size() == before) settled.push_back(engine);
    }
    return {};
  });
  if (!done) return fail(std::move(done.error()));
  // A dead engine with nothing open needs no second look.
  for (const auto& engine : settled) {
    State::Job job;
    job.body = [engine](store::Connection& connection) -> Result<std::int64_t> {
      auto update = connection.prepare("UPDATE engine SET ended_ms = ? WHERE id = ?");
      if (!update) return fail(std::move(update.error()));
      if (auto ended = update->bind(now_ms()).bind(engine).run(); !ended) return fail(std::move(ended.error()));
      return 0;
    };
    state.enqueue(job, false);
    EngineLock::forget(state.directory / "engines", engine);
  }
  return found;
}

Result<std::string> Journal::start_run(const RunRecord& record) {
  const std::string id = new_id();
  State::Job job;
  job.body = [this, id, record, started = now_ms()](store::Connection& connection) -> Result<std::int64_t> {
    auto insert = connection.prepare(
        "INSERT INTO run (id, engine, assistant, status, started_ms, tenant, user, conversation, input, output) "
        "VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?, 'null')");
    if (!insert) return fail(std::move(insert.error()));
    insert->bind(id).bind(state_->engine).bind(record.assistant).bind(started);
    insert->bind(record.context.tenant).bind(record.context.user).bind(record.context.conversation);
    if (auto done = insert->bind(record.input_json).run(); !done) return fail(std::move(done.error()));
    return 0;
  };
  auto done = state_->wait_for(std::move(job));
  if (!done) return fail(std::move(done.error()));
  return id;
}

Result<std::int64_t> Journal::step(const std::string& run, const std::string& kind, const std::string& json_text) {
  State::Job job;
  job.body = [run, kind, json_text, at = now_ms()](store::Connection& connection) -> Result<std::int64_t> {
    std::int64_t seq = 0;
    {
      auto newest = connection.prepare(
          "SELECT coalesce((SELECT max(seq) FROM step WHERE run = ?1), 0) FROM run WHERE id = ?1");
      if (!newest) return fail(std::move(newest.error()));
      auto row = newest->bind(run).step();
      if (!row) return fail(std::move(row.error()));
      if (!*row) return fail(ErrorCode::kNotFound, "there is no run '" + run + "'");
      seq = newest->integer(0) + 1;
    }
    auto insert = connection.prepare("INSERT INTO step (run, seq, kind, at_ms, value) VALUES (?, ?, ?, ?, ?)");
    if (!insert) return fail(std::move(insert.error()));
    if (auto done = insert->bind(run).bind(seq).bind(kind).bind(at).bind(json_text).run(); !done) {
      return fail(std::move(done.error()));
    }
    return seq;
  };
  return state_->wait_for(std::move(job));
}

Result<void> Journal::finish_run(const std::string& run, const std::string& status, const std::string& output_json) {
  State::Job job;
  job.body = [run, status, output_json, ended = now_ms()](store::Connection& connection) -> Result<std::int64_t> {
    auto update = connection.prepare("UPDATE run SET status = ?, ended_ms = ?, output = ? WHERE id = ?");
    if (!update) return fail(std::move(update.error()));
    if (auto done = update->bind(status).bind(ended).bind(output_json).bind(run).run(); !done) {
      return fail(std::move(done.error()));
    }
    if (connection.changes() == 0) return fail(ErrorCode::kNotFound, "there is no run '" + run + "'");
    return 0;
  };
  auto done = state_->wait_for(std::move(job));
  if (!done) return fail(std::move(done.error()));
  return {};
}

Result<json::object> Journal::run(const std::string& id) {
  json::object run;
  State& state = *state_;
  auto done = state.read([&](store::Connection& connection) -> Result<void> {
    auto statement = connection.prepare(
        "SELECT assistant, status, started_ms, ended_ms, input, output, engine, tenant, user, conversation FROM run "
        "WHERE id = ?");
    if (!statement) return fail(std::move(statement.error()));
    auto row = statement->bind(id).step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return fail(ErrorCode::kNotFound, "there is no run '" + id + "'");
    std::string status = statement->text(1);
    const std::string engine = statement->text(6);
    if (status == "running" && engine != state.engine &&
        !EngineLock::is_alive(state.directory / "engines", engine)) {
      status = "interrupted";
    }
    run["run"] = id;
    run["assistant"] = statement->view(0);
    run["status"] = status;
    run["started_ms"] = statement->integer(2);
    run["ended_ms"] = statement->is_null(3) ? json::value(nullptr) : json::value(statement->integer(3));
    run["input"] = stored_json(statement->view(4));
    run["output"] = stored_json(statement->view(5));
    run["context"] = {{"tenant", statement->view(7)}, {"user", statement->view(8)},
                      {"conversation", statement->view(9)}};
    json::array steps;
    auto step = connection.prepare("SELECT seq, kind, at_ms, value FROM step WHERE run = ? ORDER BY seq");
    if (!step) return fail(std::move(step.error()));
    step->bind(id);
    while (true) {
      auto next = step->step();
      if (!next) return fail(std::move(next.error()));
      if (!*next) break;
      steps.push_back({{"seq", step->integer(0)},
                       {"kind", step->view(1)},
                       {"at_ms", step->integer(2)},
                       {"value", stored_json(step->view(3))}});
    }
    run["steps"] = std::move(steps);
    return {};
  });
  if (!done) return fail(std::move(done.error()));
  return run;
}

Result<void> Journal::flush() {
  State::Job job;
  job.body = [](store::Connection&) -> Result<std::int64_t> { return 0; };
  auto done = state_->wait_for(std::move(job));
  if (!done) return fail(std::move(done.error()));
  return {};
}

}  // namespace sabir::journal
