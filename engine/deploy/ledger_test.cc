#include "sabir/deploy/ledger.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "ignore.h"
#include "sabir/base/ids.h"
#include "sabir/deploy/lock.h"
#include "terraform/plan_json.h"

namespace sabir::deploy {
namespace {
namespace fs = std::filesystem;

struct LedgerTest : ::testing::Test {
  fs::path folder = fs::temp_directory_path() / ("sabir-deploy-" + new_id());
  std::unique_ptr<Backend> backend = folder_backend(folder);
  ~LedgerTest() override { fs::remove_all(folder); }

  static Release release(int number) { return {"r" + std::to_string(number), std::string(64, static_cast<char>('a' + number)), "0.1.0", std::string(64, 'e'), {}, {}}; }
  static Record record(const std::string& operation, RecordKind kind, const std::string& what, const std::string& outcome = {}, std::optional<Release> about = {}) {
    Record out;
    out.operation = operation;
    out.kind = kind;
    out.what = what;
    out.outcome = outcome;
    out.release = std::move(about);
    return out;
  }
  static std::vector<Record> released(const std::string& operation, int number) {
    return {record(operation, RecordKind::kBegun, "apply"), record(operation, RecordKind::kDone, "named", {}, release(number)), record(operation, RecordKind::kStep, "activate"), record(operation, RecordKind::kDone, "activate"),
            record(operation, RecordKind::kEnded, "", "released", release(number))};
  }
};

TEST_F(LedgerTest, RecordsComeBackInOrderAndAChangedOneIsRefused) {
  Ledger ledger(*backend);
  ASSERT_TRUE(ledger.read());
  for (const auto& one : released("A", 1)) ASSERT_TRUE(ledger.append(one));
  auto again = Ledger(*backend).read();
  ASSERT_TRUE(again) << again.error().message;
  ASSERT_EQ(again->size(), 5U);
  EXPECT_EQ((*again)[4].outcome, "released");
  EXPECT_EQ((*again)[4].release->bundle_hash, release(1).bundle_hash);
  std::ofstream(folder / "ledger/00000002.json", std::ios::app) << " ";
  auto changed = Ledger(*backend).read();
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, ErrorCode::kStorage);
}

TEST_F(LedgerTest, TwoThatWriteTheSameRecordDoNotBothSucceed) {
  Ledger one(*backend);
  Ledger other(*backend);
  ASSERT_TRUE(one.read());
  ASSERT_TRUE(other.read());
  ASSERT_TRUE(one.append(record("A", RecordKind::kBegun, "apply")));
  auto second = other.append(record("B", RecordKind::kBegun, "apply"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
}

TEST_F(LedgerTest, HistoryKnowsWhatIsLiveAndWhatWasCutOff) {
  auto records = released("A", 1);
  for (const auto& one : released("B", 2)) records.push_back(one);
  auto history = history_of(records);
  EXPECT_EQ(history.live->id, "r2");
  EXPECT_EQ(history.good_before("r2")->id, "r1");
  EXPECT_EQ(history.open(), nullptr);
  EXPECT_TRUE(history.certain);
  records.push_back(record("C", RecordKind::kBegun, "apply"));
  records.push_back(record("C", RecordKind::kStep, "check"));
  EXPECT_FALSE(history_of(records).open()->touched);
  records.push_back(record("C", RecordKind::kStep, "activate"));
  history = history_of(records);
  ASSERT_NE(history.open(), nullptr);
  EXPECT_TRUE(history.open()->touched);
  EXPECT_EQ(history.live->id, "r2");
  records.push_back(record("C", RecordKind::kEnded, "", "interrupted"));
  EXPECT_FALSE(history_of(records).certain);
  records.push_back(record("D", RecordKind::kBegun, "rollback"));
  records.push_back(record("D", RecordKind::kEnded, "", "rolled_back", release(1)));
  history = history_of(records);
  EXPECT_TRUE(history.certain);
  EXPECT_EQ(history.live->id, "r1");
  // A way back leads on to older ones, and not to what was left.
  EXPECT_FALSE(history.good_before("r1"));
  EXPECT_EQ(history.last_release, 2);
}

TEST_F(LedgerTest, ALockIsHeldByOneAndADeadOneIsTakenOver) {
  std::optional<LockHolder> broken;
  {
    auto first = Lock::take(*backend, "apply", false, broken);
    ASSERT_TRUE(first);
    auto second = Lock::take(*backend, "apply", false, broken);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kBusy);
  }
  EXPECT_FALSE(*Lock::look(*backend));
  auto text = R"({"format":1,"by":"a@b","what":"apply","machine":"elsewhere","boot":"x","pid":1,"started":1,"since_ms":1,"beat_ms":1})";
  ASSERT_TRUE(backend->put("lock.json", text, std::nullopt));
  auto third = Lock::take(*backend, "apply", false, broken);
  ASSERT_TRUE(third) << third.error().message;
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->by, "a@b");
}

TEST(IgnoreTest, PatternsAreReadAsGitReadsThem) {
  const Ignore ignore("# no\n/build/\n*.log\n!keep.log\n__pycache__/\ndocs/*.tmp\n**/cache\n");
  EXPECT_TRUE(ignore.matches("build", true));
  EXPECT_FALSE(ignore.matches("build", false));
  EXPECT_FALSE(ignore.matches("src/build", true));
  EXPECT_TRUE(ignore.matches("a/b.log", false));
  EXPECT_FALSE(ignore.matches("a/keep.log", false));
  EXPECT_TRUE(ignore.matches("x/__pycache__", true));
  EXPECT_TRUE(ignore.matches("docs/a.tmp", false));
  EXPECT_FALSE(ignore.matches("docs/x/a.tmp", false));
  EXPECT_TRUE(ignore.matches("x/y/cache", true));
}

TEST(PlanJsonTest, ChangesAreNamedAndSensitiveValuesHidden) {
  const auto plan = parse_json(R"({"resource_changes":[
    {"address":"a.b","change":{"actions":["update"],"before":{"size":1,"key":"old","same":1},"after":{"size":2,"key":"new","same":1},"before_sensitive":{"key":true},"after_sensitive":{"key":true}}},
    {"address":"c.d","change":{"actions":["no-op"],"before":{},"after":{}}},
    {"address":"e.f","change":{"actions":["create","delete"],"before":{"x":{"y":1,"z":1}},"after":{"x":{"y":2,"z":1}}}}],
    "planned_values":{"outputs":{"drift":{"value":["gone"]}}}})");
  const auto out = read_plan(plan->get_object());
  ASSERT_EQ(out.changes.size(), 2U);
  EXPECT_EQ(out.changes[0].detail, "size: 1 -> 2\nkey: (sensitive) -> (sensitive)");
  EXPECT_EQ(out.changes[1].kind, ChangeKind::kReplace);
  EXPECT_EQ(out.changes[1].detail, "x.y: 1 -> 2");
  EXPECT_EQ(out.drift, std::vector<std::string>{"gone"});
}

}  // namespace
}  // namespace sabir::deploy
