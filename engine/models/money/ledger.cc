#include "sabir/models/ledger.h"

#include <array>
#include <cmath>
#include <ctime>
#include <map>
#include <mutex>

#include "sabir/store/migration.h"

namespace sabir::models {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;
constexpr std::int64_t kKeepCallsMs = 400 * kDayMs;
constexpr std::int64_t kKeepSumsMs = 70 * kDayMs;  // a month's sum is written to until it ends

// `spent` has the sums that budgets look at, so that a check costs the same after a year as on the first day.
const store::Format& format() {
  static const store::Format value{0x53414255,  // "SABU"
                                   {R"(
CREATE TABLE call (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  day TEXT NOT NULL,
  run TEXT NOT NULL,
  conversation TEXT NOT NULL,
  assistant TEXT NOT NULL,
  function TEXT NOT NULL,
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  alias TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  input INTEGER NOT NULL,
  output INTEGER NOT NULL,
  cached INTEGER NOT NULL,
  cache_write INTEGER NOT NULL,
  reasoning INTEGER NOT NULL,
  nusd INTEGER,
  outcome TEXT NOT NULL
);
CREATE INDEX call_at ON call (at_ms);
CREATE TABLE spent (
  key TEXT PRIMARY KEY,
  nusd INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE lease (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  expires_ms INTEGER NOT NULL,
  day_key TEXT NOT NULL,
  month_key TEXT NOT NULL,
  run_key TEXT NOT NULL,
  user_key TEXT NOT NULL,
  user_month_key TEXT NOT NULL,
  nusd INTEGER,
  tokens INTEGER NOT NULL,
  facts TEXT NOT NULL
);
CREATE TABLE alias_switch (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  who TEXT NOT NULL,
  alias TEXT NOT NULL,
  from_model TEXT NOT NULL,
  to_model TEXT NOT NULL
);
)"}};
  return value;
}

std::string date_text(std::int64_t at_ms, const char* pattern) {
  const std::time_t seconds = at_ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[16];
  std::strftime(text, sizeof text, pattern, &parts);
  return text;
}

// What a call counts for.
struct Keys {
  std::string day;
  std::string month;
  std::string run;  // "" outside of a run
  std::string user;
  std::string user_month;

  static Keys of(const CallContext& context, std::int64_t at_ms) {
    const std::string date = date_text(at_ms, "%Y-%m-%d");
    const std::string month = date.substr(0, 7);
    // Nobody in particular is a user too: a budget of each user has no way around it.
    const std::string user = context.tenant + "\x1f" + context.user;
    return {"day:" + date, "month:" + month, context.run.empty() ? std::string() : "run:" + context.run, "user:" + date + ":" + user, "user_month:" + month + ":" + user};
  }
  std::array<const std::string*, 5> all() const { return {&day, &month, &run, &user, &user_month}; }
};

json::object to_json(const CallFacts& facts) {
  const auto& context = facts.caller.context;
  return {{"run", context.run}, {"conversation", context.conversation}, {"tenant", context.tenant}, {"user", context.user},
          {"assistant", facts.caller.assistant}, {"function", facts.caller.function}, {"alias", facts.alias}, {"provider", facts.provider}, {"model", facts.model}};
}

CallFacts facts_of(std::string_view text) {
  CallFacts facts;
  const auto value = parse_json(text);
  if (!value || !value->is_object()) return facts;
  const auto& object = value->get_object();
  const auto get = [&](const char* key) { return std::string(string_or(object, key)); };
  facts.caller.context = {get("user"), get("tenant"), get("conversation"), get("run")};
  facts.caller.assistant = get("assistant");
  facts.caller.function = get("function");
  facts.alias = get("alias");
  facts.provider = get("provider");
  facts.model = get("model");
  return facts;
}

std::string dollars(std::int64_t nusd) {
  char text[64];
  std::snprintf(text, sizeof text, "%.6f", static_cast<double>(nusd) / 1e9);
  std::string out(text);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out;
}

constexpr const char* kDayLeases = "SELECT coalesce(sum(nusd), 0), coalesce(sum(tokens), 0) FROM lease WHERE day_key = ?";
constexpr const char* kMonthLeases = "SELECT coalesce(sum(nusd), 0), coalesce(sum(tokens), 0) FROM lease WHERE month_key = ?";
constexpr const char* kRunLeases = "SELECT coalesce(sum(nusd), 0), coalesce(sum(tokens), 0) FROM lease WHERE run_key = ?";
constexpr const char* kUserLeases = "SELECT coalesce(sum(nusd), 0), coalesce(sum(tokens), 0) FROM lease WHERE user_key = ?";
constexpr const char* kUserMonthLeases = "SELECT coalesce(sum(nusd), 0), coalesce(sum(tokens), 0) FROM lease WHERE user_month_key = ?";

struct Scope {
  const char* name;    // in the configuration
  const char* words;
  const char* promised;  // SQL of what its leases hold
  const std::optional<Budget>& budget;
  const std::string& key;
};

}  // namespace

bool Budgets::in_money() const {
  for (const auto* budget : {&day, &month, &run, &user, &user_month}) {
    if (*budget && (*budget)->nusd) return true;
  }
  return false;
}

struct Ledger::State {
  std::mutex mutex;
  std::unique_ptr<store::Connection> connection;
  Now now;

  std::int64_t now_ms() const { return std::chrono::duration_cast<milliseconds>(now().time_since_epoch()).count(); }

  Result<void> book(const CallFacts& facts, const Usage& usage, std::optional<std::int64_t> nusd, const std::string& outcome, std::int64_t at_ms) {
    const auto& context = facts.caller.context;
    const Keys keys = Keys::of(context, at_ms);
    const std::string day = keys.day.substr(4);
    {
      auto insert = connection->prepare(
          "INSERT INTO call (at_ms, day, run, conversation, assistant, function, tenant, user, alias, provider, model, input, output, cached, "
          "cache_write, reasoning, nusd, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
      if (!insert) return fail(std::move(insert.error()));
      insert->bind(at_ms).bind(day).bind(context.run).bind(context.conversation).bind(facts.caller.assistant).bind(facts.caller.function);
      insert->bind(context.tenant).bind(context.user).bind(facts.alias).bind(facts.provider).bind(facts.model);
      insert->bind(usage.input_tokens).bind(usage.output_tokens).bind(usage.cached_tokens).bind(usage.cache_write_tokens).bind(usage.reasoning_tokens);
      insert->bind(nusd).bind(outcome);
      if (auto done = insert->run(); !done) return done;
    }
    for (const auto* key : keys.all()) {
      if (key->empty()) continue;
      auto add = connection->prepare(
          "INSERT INTO spent (key, nusd, tokens, updated_ms) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
          "nusd = nusd + excluded.nusd, tokens = tokens + excluded.tokens, updated_ms = excluded.updated_ms");
      if (!add) return fail(std::move(add.error()));
      add->bind(*key).bind(nusd.value_or(0)).bind(usage.input_tokens + usage.output_tokens).bind(at_ms);
      if (auto done = add->run(); !done) return done;
    }
    return {};
  }

  Result<void> drop(std::int64_t lease) {
    auto remove = connection->prepare("DELETE FROM lease WHERE id = ?");
    if (!remove) return fail(std::move(remove.error()));
    remove->bind(lease);
    return remove->run();
  }

  // Leases whose engines have died: nobody knows what their calls took, so they count as if they had taken it all.
  Result<void> book_expired(std::int64_t at_ms) {
    struct Expired {
      std::int64_t id;
      std::optional<std::int64_t> nusd;
      std::int64_t tokens;
      CallFacts facts;
    };
    std::vector<Expired> expired;
    {
      auto select = connection->prepare("SELECT id, nusd, tokens, facts FROM lease WHERE expires_ms <= ?");
      if (!select) return fail(std::move(select.error()));
      select->bind(at_ms);
      while (true) {
        auto row = select->step();
        if (!row) return fail(std::move(row.error()));
        if (!*row) break;
        expired.push_back({select->integer(0), select->is_null(1) ? std::nullopt : std::optional(select->integer(1)), select->integer(2), facts_of(select->view(3))});
      }
    }
    for (const auto& one : expired) {
      Usage usage;
      usage.input_tokens = one.tokens;
      if (auto booked = book(one.facts, usage, one.nusd, "unknown", at_ms); !booked) return booked;
      if (auto gone = drop(one.id); !gone) return gone;
    }
    return {};
  }

  Result<std::pair<std::int64_t, std::int64_t>> two_sums(std::string_view sql, const std::string& key) {
    auto select = connection->prepare(sql);
    if (!select) return fail(std::move(select.error()));
    select->bind(key);
    auto row = select->step();
    if (!row) return fail(std::move(row.error()));
    return *row ? std::pair(select->integer(0), select->integer(1)) : std::pair<std::int64_t, std::int64_t>(0, 0);
  }

  Result<void> check(const Scope& scope, const Estimate& estimate) {
    if (!scope.budget || scope.key.empty()) return {};
    auto spent = two_sums("SELECT nusd, tokens FROM spent WHERE key = ?", scope.key);
    if (!spent) return fail(std::move(spent.error()));
    auto promised = two_sums(scope.promised, scope.key);
    if (!promised) return fail(std::move(promised.error()));
    const auto over = [&](std::int64_t limit, std::int64_t used, std::int64_t under_way, std::int64_t asked, const std::string& unit, const auto& text) -> Result<void> {
      if (used + under_way + asked <= limit) return {};
      json::object data{{"reason", "budget"}, {"budget", scope.name}, {"unit", unit}};
      std::string message = std::string("the budget of ") + scope.words + " does not allow this call: " + text(used) + " of " + text(limit) + " " + unit + " spent";
      if (under_way > 0) message += ", " + text(under_way) + " promised to calls under way";
      message += "; this call may take " + text(asked);
      return fail(Error(ErrorCode::kBudget, std::move(message),
                        std::string("Raise budgets.") + scope.name + " in config/openai_config.yml, set a smaller max_tokens, or ask again when its time is over; `sabir usage` shows who spent it.")
                      .with_data(json::serialize(data)));
    };
    if (scope.budget->nusd) {
      if (auto ok = over(*scope.budget->nusd, spent->first, promised->first, estimate.nusd.value_or(0), "USD", dollars); !ok) return ok;
    }
    if (scope.budget->tokens) {
      return over(*scope.budget->tokens, spent->second, promised->second, estimate.tokens, "tokens", [](std::int64_t n) { return std::to_string(n); });
    }
    return {};
  }
};

Ledger::Ledger(std::unique_ptr<State> state) : state_(std::move(state)) {}
Ledger::~Ledger() = default;

Result<std::shared_ptr<Ledger>> Ledger::open(const std::filesystem::path& directory, Now now) {
  auto connection = store::open_format(directory / "usage.db", format());
  if (!connection) return fail(std::move(connection.error()));
  auto state = std::make_unique<State>();
  state->connection = std::move(*connection);
  state->now = std::move(now);
  const std::int64_t at_ms = state->now_ms();
  auto pruned = state->connection->transact([&]() -> Result<void> {
    for (const auto& [sql, before] : {std::pair("DELETE FROM call WHERE at_ms < ?", at_ms - kKeepCallsMs), std::pair("DELETE FROM spent WHERE updated_ms < ?", at_ms - kKeepSumsMs)}) {
      auto remove = state->connection->prepare(sql);
      if (!remove) return fail(std::move(remove.error()));
      remove->bind(before);
      if (auto done = remove->run(); !done) return done;
    }
    return {};
  });
  if (!pruned) return fail(std::move(pruned.error()));
  return std::shared_ptr<Ledger>(new Ledger(std::move(state)));
}

Result<std::int64_t> Ledger::lease(const CallFacts& facts, const Estimate& estimate, const Budgets& budgets, milliseconds lasts) {
  if (budgets.in_money() && !estimate.nusd) {
    return fail(Error(ErrorCode::kBudget, "there is a budget in USD, and the price of model '" + facts.model + "' is not known",
                      "Add it under `prices:` in config/openai_config.yml, in USD for a million tokens: " + facts.model + ": {input: …, output: …}.")
                    .with_data(R"({"reason":"no_price"})"));
  }
  const std::lock_guard lock(state_->mutex);
  std::int64_t id = 0;
  const std::string facts_text = json::serialize(to_json(facts));
  auto done = state_->connection->transact([&]() -> Result<void> {
    const std::int64_t at_ms = state_->now_ms();
    if (auto booked = state_->book_expired(at_ms); !booked) return booked;
    const Keys keys = Keys::of(facts.caller.context, at_ms);
    for (const Scope& scope : {Scope{"day", "this day (UTC)", kDayLeases, budgets.day, keys.day}, Scope{"month", "this month (UTC)", kMonthLeases, budgets.month, keys.month},
                               Scope{"run", "this run", kRunLeases, budgets.run, keys.run}, Scope{"user", "this user's day (UTC)", kUserLeases, budgets.user, keys.user},
                               Scope{"user_month", "this user's month (UTC)", kUserMonthLeases, budgets.user_month, keys.user_month}}) {
      if (auto ok = state_->check(scope, estimate); !ok) return ok;
    }
    auto insert = state_->connection->prepare(
        "INSERT INTO lease (expires_ms, day_key, month_key, run_key, user_key, user_month_key, nusd, tokens, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    if (!insert) return fail(std::move(insert.error()));
    insert->bind(at_ms + lasts.count()).bind(keys.day).bind(keys.month).bind(keys.run).bind(keys.user).bind(keys.user_month);
    insert->bind(estimate.nusd).bind(estimate.tokens).bind(facts_text);
    if (auto ran = insert->run(); !ran) return ran;
    id = state_->connection->last_insert_id();
    return {};
  });
  if (!done) return fail(std::move(done.error()));
  return id;
}

Result<void> Ledger::settle(std::optional<std::int64_t> lease, const CallFacts& facts, const Usage& usage, std::optional<std::int64_t> nusd,
                            const std::string& outcome) {
  const std::lock_guard lock(state_->mutex);
  return state_->connection->transact([&]() -> Result<void> {
    if (lease) {
      if (auto gone = state_->drop(*lease); !gone) return gone;
      // It took longer than it was promised for and is booked already.
      if (state_->connection->changes() == 0) return {};
    }
    return state_->book(facts, usage, nusd, outcome, state_->now_ms());
  });
}

Result<void> Ledger::release(std::int64_t lease) {
  const std::lock_guard lock(state_->mutex);
  return state_->connection->transact([&] { return state_->drop(lease); });
}

Result<json::array> Ledger::usage(const std::string& by, std::int64_t since_ms) {
  static const std::map<std::string, std::string, std::less<>> kinds = [] {
    std::map<std::string, std::string, std::less<>> out;
    for (const auto& [name, group] : std::initializer_list<std::pair<std::string, std::string>>{{"day", "day"},
                                                                                               {"user", "CASE WHEN tenant = '' THEN user ELSE tenant || '/' || user END"},
                                                                                               {"assistant", "assistant"},
                                                                                               {"model", "provider || '/' || model"},
                                                                                               {"function", "function"},
                                                                                               {"alias", "alias"}}) {
      out[name] = "SELECT " + group + ", count(*), sum(input), sum(output), sum(cached), sum(nusd), sum(nusd IS NULL), sum(outcome = 'cached') "
                  "FROM call WHERE at_ms >= ? GROUP BY 1 ORDER BY " + (name == "day" ? "1" : "6 DESC, 1");
    }
    return out;
  }();
  const auto kind = kinds.find(by);
  if (kind == kinds.end()) return fail(ErrorCode::kInvalidArguments, "usage is not kept by '" + by + "'", "It is by day, user, assistant, model, function or alias.");
  const std::lock_guard lock(state_->mutex);
  if (auto booked = state_->connection->transact([&] { return state_->book_expired(state_->now_ms()); }); !booked) return fail(std::move(booked.error()));
  auto select = state_->connection->prepare(kind->second);
  if (!select) return fail(std::move(select.error()));
  select->bind(since_ms);
  json::array rows;
  while (true) {
    auto row = select->step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return rows;
    rows.push_back({{by, select->text(0)}, {"calls", select->integer(1)}, {"input_tokens", select->integer(2)}, {"output_tokens", select->integer(3)},
                    {"cached_tokens", select->integer(4)}, {"cost_usd", static_cast<double>(select->integer(5)) / 1e9}, {"unpriced_calls", select->integer(6)},
                    {"cached_calls", select->integer(7)}});
  }
}

Result<void> Ledger::use(const std::string& alias, const std::string& from, const std::string& to, const std::string& who) {
  const std::lock_guard lock(state_->mutex);
  return state_->connection->transact([&]() -> Result<void> {
    auto insert = state_->connection->prepare("INSERT INTO alias_switch (at_ms, who, alias, from_model, to_model) VALUES (?, ?, ?, ?, ?)");
    if (!insert) return fail(std::move(insert.error()));
    insert->bind(state_->now_ms()).bind(who).bind(alias).bind(from).bind(to);
    return insert->run();
  });
}

Result<std::vector<Switch>> Ledger::switches() {
  const std::lock_guard lock(state_->mutex);
  auto select = state_->connection->prepare(
      "SELECT at_ms, who, alias, from_model, to_model FROM alias_switch WHERE id IN (SELECT max(id) FROM alias_switch GROUP BY alias) AND to_model <> '' ORDER BY alias");
  if (!select) return fail(std::move(select.error()));
  std::vector<Switch> out;
  while (true) {
    auto row = select->step();
    if (!row) return fail(std::move(row.error()));
    if (!*row) return out;
    out.push_back({select->integer(0), select->text(1), select->text(2), select->text(3), select->text(4)});
  }
}

Result<std::int64_t> Ledger::switch_version() {
  const std::lock_guard lock(state_->mutex);
  auto select = state_->connection->prepare("SELECT coalesce(max(id), 0) FROM alias_switch");
  if (!select) return fail(std::move(select.error()));
  auto row = select->step();
  if (!row) return fail(std::move(row.error()));
  return *row ? select->integer(0) : 0;
}

}  // namespace sabir::models
