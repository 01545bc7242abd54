#include "exec_call.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "exec_result.h"
#include "sabir/base/text.h"
#include "sabir/process/descendants.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::adapter {
namespace {

constexpr std::size_t kMostOutput = std::size_t{60} << 20U;   // of a result or a record; a frame holds 64 MiB
constexpr std::size_t kMostUnsent = std::size_t{4} << 20U;
constexpr std::size_t kMostTail = 4096;
constexpr std::size_t kMostMessage = 2000;
constexpr std::size_t kMessageLines = 5;
constexpr std::size_t kMostWords = 16;
constexpr std::chrono::milliseconds kGrace{300};              // between SIGTERM and SIGKILL
constexpr std::chrono::milliseconds kSettle{500};             // for streams that somebody holds open beyond the process's end
constexpr int kArguments = 3;
constexpr int kControl = 4;

int number_of(std::string_view text) {
  int value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  return ec == std::errc() && end == text.data() + text.size() && value > 0 ? value : 0;
}

bool is_number(std::string_view text) {
  return !text.empty() && (text.front() == '-' || (text.front() >= '0' && text.front() <= '9')) && protocol::check_json(text).has_value();
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// Invalid UTF-8 becomes U+FFFD.
std::string clean(std::string_view text) { return protocol::unquote(protocol::quote(text)); }

}  // namespace

ExecCall::ExecCall(net::Loop& loop, ExecSpec spec, ExecEvents events)
    : loop_(loop), spec_(std::move(spec)), function_(*spec_.function), events_(std::move(events)) {}

ExecCall::~ExecCall() {
  loop_.unwatch(watch_);
  for (const auto timer : {kill_timer_, settle_timer_, resume_timer_}) loop_.cancel(timer);
  if (!process_gone_ && child_.pid() > 0) {
    process::signal_descendants(SIGKILL);
    (void)child_.wait(std::chrono::milliseconds(1000));
    process::end_descendants();
  }
}

Result<std::unique_ptr<ExecCall>> ExecCall::start(net::Loop& loop, ExecSpec spec, ExecEvents events) {
  std::unique_ptr<ExecCall> call(new ExecCall(loop, std::move(spec), std::move(events)));
  if (auto started = call->spawn(); !started) return fail(std::move(started.error()));
  return call;
}

Result<void> ExecCall::open(Reader& reader, std::map<int, int>& descriptors, int number, std::vector<process::Fd>& theirs) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, std::string("cannot make a pipe: ") + std::strerror(errno));
  theirs.emplace_back(ends[1]);
  descriptors[number] = ends[1];
  reader.ended = [this] { stream_ended(); };
  reader.stream = std::make_unique<net::Stream>(loop_, ends[0], ends[0], reader);
  ++open_streams_;
  return {};
}

Result<void> ExecCall::spawn() {
  process::SpawnSpec child;
  child.argv = spec_.argv;
  child.environment = spec_.environment;
  child.directory = spec_.directory;
  // In the worker's own group: what ends the worker ends the call.
  child.own_group = spec_.terminal;
  child.terminal = spec_.terminal;
  std::vector<process::Fd> theirs;
  output_reader_.bytes = [this](std::string_view bytes) { take_output(bytes); };
  log_reader_.bytes = [this](std::string_view bytes) { take_log(bytes); };
  control_reader_.bytes = [this](std::string_view bytes) { take_control(bytes); };
  for (const auto& [reader, number] : {std::pair(&output_reader_, 1), std::pair(&log_reader_, 2), std::pair(&control_reader_, kControl)}) {
    if (spec_.terminal && number == 2) continue;
    if (auto opened = open(*reader, child.descriptors, number, theirs); !opened) return opened;
  }
  if (spec_.terminal) {
    child.descriptors[0] = 0;
    child.descriptors[2] = 2;
  }
  auto words = process::memory_file(spec_.input.words);
  if (!words) return fail(std::move(words.error()));
  child.descriptors[kArguments] = words->get();
  process::Fd standard_in;
  if (spec_.input.has_standard_in) {
    auto file = process::memory_file(spec_.input.standard_in);
    if (!file) return fail(std::move(file.error()));
    standard_in = std::move(*file);
    child.descriptors[0] = standard_in.get();
  }
  spec_.input = {};
  auto spawned = process::spawn(child);
  if (!spawned) return fail(std::move(spawned.error()));
  child_ = std::move(*spawned);
  watch_ = loop_.when_readable(child_.pidfd(), [this] { process_ended(); });
  return {};
}

void ExecCall::cancel(const std::string& reason) {
  if (cancelled_ || process_gone_) return;
  cancelled_ = reason;
  process::signal_descendants(SIGTERM);
  kill_timer_ = loop_.after(kGrace, [] { process::signal_descendants(SIGKILL); });
}

void ExecCall::give_up(Error error) {
  if (stopped_) return;
  stopped_ = std::move(error);
  process::signal_descendants(SIGKILL);
}

// ---- what the process writes -----------------------------------------------------------------------------------------

void ExecCall::take_output(std::string_view bytes) {
  if (stopped_) return;
  if (!function_.generator) {
    if (output_.size() + bytes.size() > kMostOutput) {
      return give_up(Error(ErrorCode::kLimit, function_.name + " wrote more than " + std::to_string(kMostOutput >> 20U) + " MB to standard output"));
    }
    output_ += bytes;
    return;
  }
  std::size_t from = 0;
  while (true) {
    const std::size_t end = bytes.find('\n', from);
    if (end == std::string_view::npos) break;
    yield_line(output_ + std::string(bytes.substr(from, end - from)));
    output_.clear();
    from = end + 1;
  }
  output_ += bytes.substr(from);
  if (output_.size() > kMostOutput) give_up(Error(ErrorCode::kLimit, function_.name + " wrote a line of more than " + std::to_string(kMostOutput >> 20U) + " MB"));
  hold_back();
}

void ExecCall::yield_line(std::string line) {
  if (stopped_) return;
  auto value = read_result(function_, std::move(line), 0);
  if (!value) return give_up(value.error());
  yielded_bytes_ += value->json.size();
  for (const auto& blob : value->blobs) yielded_bytes_ += blob.data.size();
  if (yielded_bytes_ > kMostOutput) {
    return give_up(Error(ErrorCode::kLimit, function_.name + " yielded more than " + std::to_string(kMostOutput >> 20U) + " MB"));
  }
  yielded_.json += (yielded_count_ > 0 ? "," : "") + value->json;
  for (const auto& blob : value->blobs) yielded_.blobs.push_back({"/" + std::to_string(yielded_count_) + blob.at, blob.bytes, blob.data});
  ++yielded_count_;
  events_.chunk(std::move(*value));
}

// While the engine takes chunks slower than they come, the process waits in its write.
void ExecCall::hold_back() {
  if (resume_timer_ != 0 || !output_reader_.stream || events_.unsent() < kMostUnsent) return;
  output_reader_.stream->pause_reading(true);
  resume_timer_ = loop_.after(std::chrono::milliseconds(5), [this] {
    resume_timer_ = 0;
    if (output_reader_.stream) output_reader_.stream->pause_reading(false);
    hold_back();
  });
}

void ExecCall::take_log(std::string_view bytes) {
  write_all(2, bytes);
  log_tail_ += bytes;
  if (log_tail_.size() > kMostTail) log_tail_.erase(0, log_tail_.size() - kMostTail);
}

// Records: a name, a count, and so many words, each ended by a NUL.
void ExecCall::take_control(std::string_view bytes) {
  if (stopped_) return;
  control_ += bytes;
  if (control_.size() > kMostOutput) return give_up(Error(ErrorCode::kLimit, function_.name + " returned more than " + std::to_string(kMostOutput >> 20U) + " MB"));
  std::size_t from = 0;
  while (true) {
    const std::size_t end = control_.find('\0', from);
    if (end == std::string::npos) break;
    words_.push_back(control_.substr(from, end - from));
    from = end + 1;
    if (words_.size() < 2) continue;
    const auto count = static_cast<std::size_t>(number_of(words_[1]));
    if (count > kMostWords || (count == 0 && words_[1] != "0")) {
      words_.clear();
      control_.clear();
      return;
    }
    if (words_.size() == count + 2) {
      record(words_);
      words_.clear();
    }
  }
  control_.erase(0, from);
}

void ExecCall::record(const std::vector<std::string>& words) {
  const auto& name = words[0];
  const auto word = [&](std::size_t i) { return i + 2 < words.size() ? words[i + 2] : std::string(); };
  if (name == "loaded") {
    loaded_ = true;
  } else if (name == "unknown") {
    unknown_ = true;
  } else if (name == "at") {
    at_file_ = word(0);
    at_line_ = number_of(word(1));
  } else if (name == "error") {
    told_ = true;
    error_class_ = clean(word(0));
    error_message_ = clean(word(1));
    told_file_ = word(2);
    told_line_ = number_of(word(3));
  } else if (name == "return") {
    returned_ = word(0);
  } else if (name == "log") {
    const auto level = word(0);
    const bool known = level == "debug" || level == "info" || level == "warning" || level == "error";
    events_.notify("log", "{\"level\":\"" + (known ? level : std::string("info")) + "\",\"message\":" + protocol::quote(word(1)) + "}");
  } else if (name == "progress") {
    std::string members = "{\"done\":" + (is_number(word(0)) ? word(0) : std::string("0"));
    if (is_number(word(1))) members += ",\"total\":" + word(1);
    if (!word(2).empty()) members += ",\"message\":" + protocol::quote(word(2));
    events_.notify("progress", members + "}");
  }
}

// ---- its end ---------------------------------------------------------------------------------------------------------

void ExecCall::process_ended() {
  watch_ = 0;
  if (auto status = child_.wait(std::chrono::milliseconds(100))) status_ = *status;
  process_gone_ = true;
  // What it leaves running would write into the next call's log and hold its pipes open.
  process::end_descendants();
  if (open_streams_ == 0) return finish();
  settle_timer_ = loop_.after(kSettle, [this] {
    settle_timer_ = 0;
    finish();
  });
}

void ExecCall::stream_ended() {
  if (--open_streams_ == 0 && process_gone_) loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) finish();
  });
}

void ExecCall::finish() {
  if (finished_) return;
  finished_ = true;
  auto result = outcome();
  const auto done = std::move(events_.done);
  done(std::move(result));
}

Result<protocol::Payload> ExecCall::outcome() {
  const bool failed = status_.signal != 0 || status_.code != 0;
  if (stopped_) return fail(*stopped_);
  if (cancelled_ && failed) return fail(Error(ErrorCode::kCancelled, "the call was cancelled").with_data("{\"reason\":" + protocol::quote(*cancelled_) + "}"));
  if (unknown_) return fail(ErrorCode::kUnknownFunction, spec_.file + " defines no function " + function_.name);
  if (!loaded_) {
    std::string message;
    auto [file, line] = place_in_log(&message);
    if (at_line_ > 0 && (line == 0 || is_ours(file))) {
      file = at_file_;
      line = at_line_;
    }
    if (message.empty()) message = failed ? "loading it " + status_.text() : "it ended while it was loaded: `exit` at its top level?";
    return fail(Error(ErrorCode::kLoadFailed, std::move(message)).at(file.empty() ? spec_.file : file, line).with_data("{\"traceback\":" + protocol::quote(log_tail_) + "}"));
  }
  const bool answers = function_.result == "status" && status_.signal == 0 && status_.code == 1 && !told_;
  if (failed && !answers) return fail(failure());
  if (function_.generator) {
    if (!output_.empty()) yield_line(std::move(output_));
    if (stopped_) return fail(*stopped_);
    yielded_.json += "]";
    return std::move(yielded_);
  }
  if (returned_) {
    // Then standard output was for people.
    write_all(2, output_);
    return read_result(function_, std::move(*returned_), status_.code);
  }
  return read_result(function_, std::move(output_), status_.code);
}

// `FILE: line 3: message`, as bash and its like write it, in the last line that has that form.
std::pair<std::string, int> ExecCall::place_in_log(std::string* message) const {
  const auto lines = split_lines(log_tail_);
  std::pair<std::string, int> place;
  std::size_t last = lines.size();
  while (last > 0 && trim(lines[last - 1]).empty()) --last;
  for (std::size_t i = last; i > 0 && place.second == 0; --i) {
    const auto line = lines[i - 1];
    const std::size_t mark = line.find(": line ");
    if (mark == std::string_view::npos || mark == 0) continue;
    const std::size_t colon = line.find(':', mark + 7);
    if (colon == std::string_view::npos) continue;
    const int number = number_of(line.substr(mark + 7, colon - mark - 7));
    if (number == 0) continue;
    place = {std::string(line.substr(0, mark)), number};
  }
  if (message) {
    const std::size_t from = last > kMessageLines ? last - kMessageLines : 0;
    for (std::size_t i = from; i < last; ++i) {
      auto line = lines[i];
      if (const std::string before = place.first + ": line " + std::to_string(place.second) + ": "; place.second > 0 && line.starts_with(before)) line.remove_prefix(before.size());
      *message += (message->empty() ? "" : "\n") + std::string(line);
    }
    if (message->size() > kMostMessage) message->erase(0, message->size() - kMostMessage);
    *message = clean(*message);
  }
  return place;
}

bool ExecCall::is_ours(const std::string& file) const { return file != spec_.file && file.starts_with(spec_.own_folder + "/"); }

Error ExecCall::failure() const {
  std::string message;
  auto [file, line] = place_in_log(&message);
  const auto lines = split_lines(log_tail_);
  const bool last_says = !lines.empty() && line > 0 && trim(log_tail_).ends_with(lines.back()) && lines.back().find(": line ") != std::string_view::npos;
  if (told_) {
    message = error_message_;
    file = told_file_;
    line = told_line_;
  } else if (at_line_ > 0 && !(last_says && !is_ours(file))) {
    file = at_file_;
    line = at_line_;
  }
  if (is_ours(file)) line = 0;
  if (message.empty()) message = function_.name + " " + status_.text();
  json::object data{{"error_class", told_ ? error_class_ : status_.signal != 0 ? "Signal" : "ExitStatus"}};
  if (status_.signal != 0) data["signal"] = status_.signal;
  else data["status"] = status_.code;
  if (!log_tail_.empty()) data["traceback"] = clean(log_tail_);
  if (cause_) {
    json::object cause = to_json(*cause_);
    const std::string type(string_or(cause, "type"));
    cause.erase("message");
    data["cause"] = {{"type", type}, {"data", std::move(cause)}};
  }
  return Error(ErrorCode::kFunctionError, std::move(message)).at(line > 0 ? file : spec_.file, line).with_data(compact_json(data));
}

}  // namespace sabir::adapter
