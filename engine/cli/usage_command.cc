// sabir usage.
#include <algorithm>

#include "command.h"
#include "sabir/project/project.h"

namespace sabir::cli {
namespace {

struct UsageOptions {
  std::string by = "day";
  std::string since;
};

Result<json::array> rows_of(const Globals& globals, const std::string& by, std::int64_t since_ms) {
  auto session = Session::open(globals.session);
  if (!session) return fail(std::move(session.error()));
  auto answer = (*session)->ask("usage.list", {{"by", by}, {"since_ms", since_ms}});
  if (!answer) return fail(std::move(answer.error()));
  return std::move(answer->at("rows").as_array());
}

void usage(Globals& globals, const UsageOptions& options) {
  const auto since = options.since.empty() ? Result<std::int64_t>(0) : moment_ms("--since", options.since);
  if (!since) return fail_with(globals, since.error());
  auto rows = rows_of(globals, options.by, *since);
  if (!rows) return fail_with(globals, rows.error());
  double total = 0;
  std::int64_t unpriced = 0;
  std::int64_t cached = 0;
  for (const auto& row : *rows) {
    total += row.at("cost_usd").to_number<double>();
    unpriced += row.at("unpriced_calls").to_number<std::int64_t>();
    cached += row.at("cached_calls").to_number<std::int64_t>();
  }
  if (globals.json) return print_json({{"by", options.by}, {"rows", *rows}, {"cost_usd", total}, {"unpriced_calls", unpriced}, {"cached_calls", cached}});
  if (rows->empty()) return note("No calls of models" + (options.since.empty() ? std::string() : " since " + options.since) + ".");
  std::size_t width = 4;
  const auto name = [&](const json::value& row) {
    const std::string text(string_or(row.get_object(), options.by));
    return text.empty() ? std::string("—") : text;
  };
  for (const auto& row : *rows) width = std::max(width, name(row).size());
  print(styled(padded(options.by, width, false) + padded("calls", 9, true) + padded("input", 13, true) + padded("output", 12, true) + padded("USD", 13, true), "2"));
  const auto number = [](const json::value& row, const char* key) { return compact_json(row.at(key)); };
  for (const auto& row : *rows) {
    const bool some_unknown = row.at("unpriced_calls").to_number<std::int64_t>() > 0;
    print(padded(name(row), width, false) + padded(number(row, "calls"), 9, true) + padded(number(row, "input_tokens"), 13, true) +
          padded(number(row, "output_tokens"), 12, true) + padded(dollars(row.at("cost_usd").to_number<double>()), 13, true) + (some_unknown ? " + ?" : ""));
  }
  print(styled(padded("all", width, false) + padded("", 34, true) + padded(dollars(total), 13, true), "1"));
  if (cached > 0) note(std::to_string(cached) + (cached == 1 ? " of the calls was" : " of the calls were") + " answered from the cache.");
  if (unpriced > 0) note(std::to_string(unpriced) + " calls have no known price: add their models under `prices:` in config/openai_config.yml.");
}

}  // namespace

void add_usage_command(Command& app, Globals& globals) {
  auto options = std::make_shared<UsageOptions>();
  auto* const command = app.add_subcommand("usage", "What the project's calls of models took: tokens and money.");
  add_common(*command, globals);
  command->add_option("--by", options->by, "day, user, assistant, model, function or alias").show_default();
  command->add_option("--since", options->since, "a date (UTC) or a span: 2026-11-01, 36h, 7d (default: all)");
  command->callback([&globals, options] { usage(globals, *options); });
}

}  // namespace sabir::cli
