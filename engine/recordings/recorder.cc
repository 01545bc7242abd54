#include "sabir/recordings/recorder.h"

#include <vector>

#include "file_lock.h"
#include "sabir/base/file.h"
#include "sabir/base/log.h"

namespace sabir::recordings {
namespace fs = std::filesystem;

std::uint64_t Recorder::begin(std::uint64_t parent) {
  const std::lock_guard hold(mutex_);
  const auto id = next_++;
  nodes_[id].parent = parent;
  return id;
}

void Recorder::finish(std::uint64_t id, Entry entry) {
  std::unique_lock hold(mutex_);
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || found->second.entry) return;
  if (unwritten_ + written_ >= kMostEntries) {
    if (!full_) log(LogLevel::kWarning, options_.file.string() + ": only the first " + std::to_string(kMostEntries) + " calls are recorded");
    full_ = true;
    return;
  }
  found->second.entry = std::move(entry);
  ++unwritten_;
  hold.unlock();
  if (options_.changed) options_.changed();
}

Recording Recorder::recording() const {
  Recording out;
  out.name = scrubber_.text(options_.name);
  out.override_alias = options_.override_alias;
  const std::lock_guard hold(mutex_);
  std::map<std::uint64_t, std::vector<std::uint64_t>> below;
  for (const auto& [id, node] : nodes_) below[nodes_.contains(node.parent) && node.parent < id ? node.parent : 0].push_back(id);
  std::vector<std::uint64_t> todo;
  const auto push = [&](std::uint64_t parent) {
    const auto found = below.find(parent);
    if (found != below.end()) todo.insert(todo.end(), found->second.rbegin(), found->second.rend());
  };
  push(0);
  while (!todo.empty()) {
    const auto id = todo.back();
    todo.pop_back();
    if (const auto& entry = nodes_.at(id).entry) out.entries.push_back(scrubber_.entry(*entry));
    push(id);
  }
  return out;
}

Result<void> Recorder::flush(bool last) {
  const std::lock_guard alone(writing_);
  {
    const std::lock_guard hold(mutex_);
    // At the end it is written again even so: a secret may have become known since.
    const bool again = last && written_ > 0 && options_.since_ms == 0;
    if (unwritten_ == 0 && !again) return {};
    // All is written each time; with many entries that is done more seldom.
    if (!last && (options_.since_ms != 0 || unwritten_ < written_ / 8)) return {};
    written_ += unwritten_;
    unwritten_ = 0;
  }
  return write(recording());
}

Result<void> Recorder::write(const Recording& recording) {
  std::error_code ec;
  fs::create_directories(options_.file.parent_path(), ec);
  if (options_.since_ms == 0) return write_file(options_.file, to_text(recording));
  const FileLock lock(options_.lock);
  Recording all = recording;
  if (changed_ms(options_.file) >= options_.since_ms) {
    auto text = read_file(options_.file, kMostBytes);
    if (!text) return fail(std::move(text.error()));
    auto before = parse_recording(*text, options_.file.string());
    if (!before) return fail(std::move(before.error()));
    all.entries.insert(all.entries.begin(), before->entries.begin(), before->entries.end());
  }
  return write_file(options_.file, to_text(all));
}

}  // namespace sabir::recordings
