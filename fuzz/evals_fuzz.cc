// Files of evals and parity groups, tables, kept runs and a judge's words: any text is read, or ends in an error with words and a place.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sabir/evals/eval_file.h"
#include "sabir/evals/expect.h"
#include "sabir/evals/kept_runs.h"
#include "sabir/evals/parity.h"

using namespace sabir;
using namespace sabir::evals;

namespace {
void check_error(const Error& error) {
  if (error.message.empty() || error.file.empty()) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 16384) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto eval = parse_eval(text, "tests/evals/fuzz.yml", "fuzz", [](const std::string&) -> Result<std::string> { return std::string("id,ask\na,b\n"); });
  if (!eval) {
    check_error(eval.error());
  } else {
    Observed observed;
    observed.answer = "{\"a\": 1}";
    observed.calls.push_back({"python/a.b", {{"x", 1}}, "1", true});
    for (const auto& one : eval->cases) {
      if (one.expect.empty() || one.samples < 1) std::abort();
      for (const auto& failure : check(one.expect, observed)) {
        if (failure.what.empty()) std::abort();
      }
    }
  }
  if (const auto settings = parse_parity_settings(text, "tests/parity/a.b.yml"); !settings) check_error(settings.error());
  if (const auto rows = parse_csv(text, "t.csv"); !rows) check_error(rows.error());
  if (const auto rows = parse_jsonl(text, "t.jsonl"); !rows) check_error(rows.error());
  if (const auto run = parse_kept_run(text, "run.json"); !run) check_error(run.error());
  if (const auto judged = parse_judgement(text); judged && !(judged->score >= 0 && judged->score <= 1)) std::abort();
  return 0;
}
