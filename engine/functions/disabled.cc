#include "sabir/functions/disabled.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "sabir/base/file.h"
#include "sabir/base/text.h"

namespace sabir::functions {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::size_t kMostRead = std::size_t{16} << 20U;

std::string moment(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

}  // namespace

json::object to_json(const Disabled& disabled) {
  return {{"address", disabled.address}, {"who", disabled.who}, {"reason", disabled.reason}, {"at_ms", disabled.at_ms}};
}

Error error_of(const Disabled& disabled) {
  Error error(ErrorCode::kDisabled, disabled.address + " is disabled: by " + disabled.who + ", " + moment(disabled.at_ms) + (disabled.reason.empty() ? "" : ", " + disabled.reason),
              "`sabir functions enable " + disabled.address + "` lets it be called again.");
  error.data = compact_json(json::object{{"disabled", to_json(disabled)}});
  return error;
}

Result<DisabledFunctions::ByAddress> parse_disabled(std::string_view text, const std::string& file) {
  DisabledFunctions::ByAddress out;
  int line = 0;
  while (!text.empty()) {
    ++line;
    const auto end = text.find('\n');
    // What a killed writer left of a line is no word.
    if (end == std::string_view::npos) break;
    const auto one = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (one.empty()) continue;
    const auto value = parse_json(one);
    const auto* object = value ? value->if_object() : nullptr;
    const auto* format = object ? object->if_contains("format") : nullptr;
    const auto* disabled = object ? object->if_contains("disabled") : nullptr;
    const auto* at = object ? object->if_contains("at_ms") : nullptr;
    if (format && format->is_int64() && format->get_int64() > kFormat) return fail(Error(ErrorCode::kStoreNewer, "which functions are disabled was written by a newer Sabir").at(file, line));
    Disabled word;
    if (object) word = {std::string(string_or(*object, "address")), std::string(string_or(*object, "who")), std::string(string_or(*object, "reason")), 0};
    if (!format || !disabled || !disabled->is_bool() || !at || !at->is_int64() || word.address.empty()) {
      // A half line that another one follows.
      if (!value) continue;
      return fail(Error(ErrorCode::kConfig, "this is no word about a function", "Remove the line; `sabir functions disable` writes this file.").at(file, line));
    }
    word.at_ms = at->get_int64();
    if (disabled->get_bool()) {
      auto key = word.address;
      out[std::move(key)] = std::make_shared<const Disabled>(std::move(word));
    } else {
      out.erase(word.address);
    }
  }
  return out;
}

Result<DisabledFunctions::ByAddress> DisabledFunctions::read() const {
  std::error_code ec;
  if (!std::filesystem::exists(file_, ec) && !ec) return ByAddress();
  auto text = read_file(file_, kMostRead);
  if (!text && text.error().code == ErrorCode::kNotFound) return ByAddress();
  if (!text) return fail(std::move(text.error()));
  return parse_disabled(*text, file_.string());
}

Result<void> DisabledFunctions::write(const Disabled& word, bool disabled) const {
  std::error_code ec;
  std::filesystem::create_directories(file_.parent_path(), ec);
  json::object line = to_json(word);
  line["format"] = kFormat;
  line["disabled"] = disabled;
  const int fd = ::open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return fail(ErrorCode::kIo, file_.string() + ": " + std::strerror(errno));
  // After half a line of a writer that died.
  char last = '\n';
  if (const auto size = ::lseek(fd, 0, SEEK_END); size > 0 && ::pread(fd, &last, 1, size - 1) != 1) last = '\n';
  const std::string text = (last == '\n' ? "" : "\n") + compact_json(line) + "\n";
  const auto written = ::write(fd, text.data(), text.size());
  const int why = errno;
  const bool kept = written == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  ::close(fd);
  if (!kept) return fail(written >= 0 || why == ENOSPC ? ErrorCode::kStorageFull : ErrorCode::kIo, file_.string() + " cannot be written: " + std::strerror(why));
  return {};
}

}  // namespace sabir::functions
