#include "sabir/journal/journal.h"

#include <array>
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
)",
                                    R"(
CREATE TABLE approval (
  id TEXT PRIMARY KEY,
  run TEXT NOT NULL,
  assistant TEXT NOT NULL,
  call_id TEXT NOT NULL,
  address TEXT NOT NULL,
  arguments TEXT NOT NULL,
  why TEXT NOT NULL,
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  conversation TEXT NOT NULL,
  asked_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  state TEXT NOT NULL,
  decided_ms INTEGER NOT NULL,
  decided_by TEXT NOT NULL,
  reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX approval_of_run ON approval (run);
CREATE TABLE suspended (
  run TEXT PRIMARY KEY,
  state TEXT NOT NULL
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
             "DELETE FROM approval WHERE id IN (SELECT id FROM approval ORDER BY id LIMIT 100) AND asked_ms < ?1 "
             "AND run NOT IN (SELECT run FROM suspended)",
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

json::object to_json(const Approval& approval) {
  json::object out{{"id", approval.id}, {"run", approval.run}, {"assistant", approval.assistant}, {"call", approval.call_id}, {"address", approval.address},
                   {"arguments", stored_json(approval.arguments_json)}, {"state", approval.state}, {"asked_ms", approval.asked_ms}, {"expires_ms", approval.expires_ms}};
  if (!approval.why.empty()) out["why"] = approval.why;
  if (!approval.context.user.empty()) out["user"] = approval.context.user;
  if (!approval.context.tenant.empty()) out["tenant"] = approval.context.tenant;
  if (!approval.context.conversation.empty()) out["conversation"] = approval.context.conversation;
  if (approval.decided_ms > 0) {
    out["decided_ms"] = approval.decided_ms;
    out["decided_by"] = approval.decided_by;
    if (!approval.reason.empty()) out["reason"] = approval.reason;
  }
  return out;
}

namespace {

constexpr std::string_view kApproval =
    "SELECT id, run, assistant, call_id, address, arguments, why, tenant, user, conversation, asked_ms, expires_ms, "
    "state, decided_ms, decided_by, reason FROM approval ";

Approval read_approval(const store::Statement& row, std::int64_t now) {
  Approval out;
  out.id = row.text(0);
  out.run = row.text(1);
  out.assistant = row.text(2);
  out.call_id = row.text(3);
  out.address = row.text(4);
  out.arguments_json = row.text(5);
  out.why = row.text(6);
  out.context.tenant = row.text(7);
  out.context.user = row.text(8);
  out.context.conversation = row.text(9);
  out.asked_ms = row.integer(10);
  out.expires_ms = row.integer(11);
  out.state = row.text(12);
  out.decided_ms = row.integer(13);
  out.decided_by = row.text(14);
  out.reason = row.text(15);
  if (out.state == "waiting" && out.expires_ms <= now) out.state = "expired";
  return out;
}

enum class Which { kWaiting, kAll, kById, kOfRun };

// `parameter` is an id, or a run's.
Result<std::vector<Approval>> select_approvals(store::Connection& connection, Which which, std::string_view parameter = {}) {
  static const std::array<std::string, 4> texts = {std::string(kApproval) + "WHERE state = 'waiting' ORDER BY id DESC LIMIT 1000",
                                                   std::string(kApproval) + "ORDER BY id DESC LIMIT 1000", std::string(kApproval) + "WHERE id = ?",
                                                   std::string(kApproval) + "WHERE run = ? ORDER BY id"};
  auto statement = connection.prepare(texts[static_cast<std::size_t>(which)]);
  if (!statement) return fail(std::move(statement.error()));
  if (!parameter.empty()) statement->bind(parameter);
  std::vector<Approval> out;
  const auto now = now_ms();
  while (true) {
    auto row = statement->step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return out;
    out.push_back(read_approval(*statement, now));
  }
}

}  // namespace

Result<void> Journal::suspend(const std::string& run, const std::string& state_json, const std::vector<Approval>& approvals) {
  State::Job job;
  job.to_disk = true;
  job.body = [run, state_json, approvals](store::Connection& connection) -> Result<std::int64_t> {
    for (const auto& one : approvals) {
      auto insert = connection.prepare("INSERT INTO approval VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', 0, '', '')");
      if (!insert) return fail(std::move(insert.error()));
      insert->bind(one.id).bind(run).bind(one.assistant).bind(one.call_id).bind(one.address).bind(one.arguments_json).bind(one.why);
      insert->bind(one.context.tenant).bind(one.context.user).bind(one.context.conversation).bind(one.asked_ms).bind(one.expires_ms);
      if (auto done = insert->run(); !done) return fail(std::move(done.error()));
    }
    auto keep = connection.prepare("INSERT OR REPLACE INTO suspended (run, state) VALUES (?, ?)");
    if (!keep) return fail(std::move(keep.error()));
    if (auto done = keep->bind(run).bind(state_json).run(); !done) return fail(std::move(done.error()));
    auto update = connection.prepare("UPDATE run SET status = 'waiting' WHERE id = ?");
    if (!update) return fail(std::move(update.error()));
    if (auto done = update->bind(run).run(); !done) return fail(std::move(done.error()));
    if (connection.changes() == 0) return fail(ErrorCode::kNotFound, "there is no run '" + run + "'");
    return 0;
  };
  auto done = state_->wait_for(std::move(job));
  if (!done) return fail(std::move(done.error()));
  return {};
}

Result<std::vector<Approval>> Journal::approvals(bool waiting) {
  std::vector<Approval> out;
  auto done = state_->read([&](store::Connection& connection) -> Result<void> {
    auto found = select_approvals(connection, waiting ? Which::kWaiting : Which::kAll);
    if (!found) return fail(std::move(found.error()));
    for (auto& one : *found) {
      if (!waiting || one.state == "waiting") out.push_back(std::move(one));
    }
    return {};
  });
  if (!done) return fail(std::move(done.error()));
  return out;
}

Result<Approval> Journal::decide(const std::string& id, bool approved, const std::string& who, const std::string& reason) {
  auto found = std::make_shared<Approval>();
  State::Job job;
  job.to_disk = true;
  job.body = [id, approved, who, reason, found](store::Connection& connection) -> Result<std::int64_t> {
    auto rows = select_approvals(connection, Which::kById, id);
    if (!rows) return fail(std::move(rows.error()));
    if (rows->empty()) return fail(ErrorCode::kNotFound, "there is no approval '" + id + "'", "`sabir approvals list` shows those that wait.");
    Approval& one = rows->front();
    if (one.state == "expired") return fail(ErrorCode::kConflict, "the approval '" + id + "' has expired", "Ask the assistant again.");
    if (one.state != "waiting") return fail(ErrorCode::kConflict, "'" + one.decided_by + "' has " + one.state + " it already");
    one.state = approved ? "approved" : "denied";
    one.decided_ms = now_ms();
    one.decided_by = who;
    one.reason = reason;
    auto update = connection.prepare("UPDATE approval SET state = ?, decided_ms = ?, decided_by = ?, reason = ? WHERE id = ?");
    if (!update) return fail(std::move(update.error()));
    if (auto done = update->bind(one.state).bind(one.decided_ms).bind(who).bind(reason).bind(id).run(); !done) return fail(std::move(done.error()));
    *found = std::move(one);
    return 0;
  };
  auto done = state_->wait_for(std::move(job));
  if (!done) return fail(std::move(done.error()));
  return std::move(*found);
}

Result<std::optional<Journal::Suspended>> Journal::take(const std::string& run) {
  auto found = std::make_shared<std::optional<Suspended>>();
  State::Job job;
  job.to_disk = true;
  job.body = [this, run, found](store::Connection& connection) -> Result<std::int64_t> {
    auto approvals = select_approvals(connection, Which::kOfRun, run);
    if (!approvals) return fail(std::move(approvals.error()));
    for (const auto& one : *approvals) {
      if (one.state == "waiting") return 0;
    }
    Suspended out{{}, std::move(*approvals)};
    {
      auto statement = connection.prepare("SELECT state FROM suspended JOIN run ON run.id = suspended.run WHERE suspended.run = ? AND run.status = 'waiting'");
      if (!statement) return fail(std::move(statement.error()));
      auto row = statement->bind(run).step();
      if (!row) return fail(std::move(row.error()));
      if (!*row) return 0;
      out.state_json = statement->text(0);
    }
    // Before anything is called: what an engine took and did not end, because it died, is not done twice.
    auto update = connection.prepare("UPDATE run SET status = 'running', engine = ? WHERE id = ?");
    if (!update) return fail(std::move(update.error()));
    if (auto done = update->bind(state_->engine).bind(run).run(); !done) return fail(std::move(done.error()));
    auto forget = connection.prepare("DELETE FROM suspended WHERE run = ?");
    if (!forget) return fail(std::move(forget.error()));
    if (auto done = forget->bind(run).run(); !done) return fail(std::move(done.error()));
    auto expire = connection.prepare("UPDATE approval SET state = 'expired' WHERE run = ? AND state = 'waiting'");
    if (!expire) return fail(std::move(expire.error()));
    if (auto done = expire->bind(run).run(); !done) return fail(std::move(done.error()));
    *found = std::move(out);
    return 0;
  };
  auto done = state_->wait_for(std::move(job));
  if (!done) return fail(std::move(done.error()));
  return std::move(*found);
}

Result<std::vector<std::string>> Journal::decided_runs() {
  std::vector<std::string> out;
  auto done = state_->read([&](store::Connection& connection) -> Result<void> {
    auto statement = connection.prepare(
        "SELECT run FROM suspended WHERE NOT EXISTS (SELECT 1 FROM approval WHERE approval.run = suspended.run AND "
        "state = 'waiting' AND expires_ms > ?) LIMIT 100");
    if (!statement) return fail(std::move(statement.error()));
    statement->bind(now_ms());
    while (true) {
      auto row = statement->step();
      if (!row) return fail(std::move(row.error()));
      if (!*row) return {};
      out.push_back(statement->text(0));
    }
  });
  if (!done) return fail(std::move(done.error()));
  return out;
}

Result<void> Journal::flush() {
  State::Job job;
  job.body = [](store::Connection&) -> Result<std::int64_t> { return 0; };
  auto done = state_->wait_for(std::move(job));
  if (!done) return fail(std::move(done.error()));
  return {};
}

}  // namespace sabir::journal
