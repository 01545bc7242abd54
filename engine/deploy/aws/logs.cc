#include "aws/logs.h"

#include <algorithm>
#include <deque>
#include <set>
#include <thread>

namespace sabir::deploy {
namespace {

constexpr std::chrono::hours kBack{24};
constexpr std::chrono::milliseconds kBetween{2'000};
constexpr std::chrono::milliseconds kLook{200};
constexpr int kMostPages = 50;

std::int64_t now_ms() { return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

Result<void> cloudwatch_logs(const AwsPlace& place, const std::string& group, const LogOptions& options, const Say& say) {
  aws::Client client({"logs", "CloudWatch Logs", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", place.file}, place.client);
  std::int64_t from = now_ms() - std::chrono::milliseconds(kBack).count();
  std::set<std::string> last;  // ids at `from`, which come once more
  bool is_first = true;
  const auto stopped = [&] { return options.stop && options.stop(); };
  while (!stopped()) {
    std::deque<std::string> lines;
    std::string token;
    for (int page = 0; page < kMostPages && !stopped(); ++page) {
      json::object asked{{"logGroupName", group}, {"startTime", from}, {"interleaved", true}};
      if (!token.empty()) asked["nextToken"] = token;
      aws::Call call;
      call.action = "logs:FilterLogEvents";
      call.what = group;
      call.headers = {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "Logs_20140328.FilterLogEvents"}};
      call.body = compact_json(asked);
      call.tries = 5;
      auto answer = client.send(call);
      if (!answer) return fail(std::move(answer.error()));
      auto value = parse_json(answer->body);
      if (!value || !value->is_object()) return fail(ErrorCode::kUnavailable, "CloudWatch Logs, " + group + ": the answer is no JSON object");
      const auto* events = value->get_object().if_contains("events");
      for (const auto& one : events && events->is_array() ? events->get_array() : json::array()) {
        if (!one.is_object()) continue;
        const auto& event = one.get_object();
        const auto* stamp = event.if_contains("timestamp");
        const std::int64_t at = stamp && stamp->is_int64() ? stamp->get_int64() : from;
        const std::string id(string_or(event, "eventId"));
        if (at < from || last.contains(id)) continue;
        if (at > from) last.clear();
        from = at;
        last.insert(id);
        lines.emplace_back(string_or(event, "message"));
        if (is_first && lines.size() > static_cast<std::size_t>(std::max(options.lines, 1))) lines.pop_front();
      }
      token = string_or(value->get_object(), "nextToken");
      if (token.empty()) break;
    }
    for (const auto& line : lines) say(line);
    is_first = false;
    if (!options.follow) return {};
    for (auto waited = std::chrono::milliseconds(0); waited < kBetween && !stopped(); waited += kLook) std::this_thread::sleep_for(kLook);
  }
  return {};
}

}  // namespace sabir::deploy
