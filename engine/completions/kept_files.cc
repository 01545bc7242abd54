#include "kept_files.h"

#include <algorithm>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/completions/renderer.h"

namespace sabir::completions {
namespace {

constexpr std::size_t kMostTemplateBytes = std::size_t{1} << 20U;
constexpr std::size_t kMostEntries = 1024;
constexpr std::size_t kMostBytes = std::size_t{32} << 20U;

Result<std::shared_ptr<sb_schema>> compiled_schema(const PromptFile& prompt, const std::string& file) {
  const auto* input = prompt.front_matter.if_contains("input");
  const auto* schema = input == nullptr ? nullptr : input->get_object().if_contains("schema");
  if (schema == nullptr) return std::shared_ptr<sb_schema>();
  const std::string text = json::serialize(*schema);
  sb_buf problem{nullptr, 0};
  std::shared_ptr<sb_schema> compiled(sb_schema_compile({text.data(), text.size()}, &problem), sb_schema_free);
  const std::string told(problem.data == nullptr ? "" : problem.data, problem.size);
  sb_free(problem);
  if (compiled) return compiled;
  const auto report = parse_json(told);
  const std::string why(report && report->is_object() ? string_or(report->get_object(), "message") : told);
  const auto [line, column] = project::position_of(prompt.positions, "/input/schema");
  return fail(Error(ErrorCode::kTemplate, "input.schema is not a JSON Schema: " + why).at(file, line, column));
}

Result<std::string> template_bytes(const Folder::Found& found) {
  auto bytes = read_file(found.path, kMostTemplateBytes);
  if (bytes) return bytes;
  const bool is_large = bytes.error().code == ErrorCode::kLimit;
  Error error(is_large ? ErrorCode::kLimit : ErrorCode::kTemplate, is_large ? "larger than 1 MiB" : "cannot be read");
  return fail(std::move(error).at(found.file).with_detail(bytes.error().message));
}

}  // namespace

Result<json::object> read_front_matter(const std::filesystem::path& root, const std::string& name) {
  const auto found = Folder(root).find(name, false);
  if (!found) return fail(found.error());
  auto bytes = template_bytes(*found);
  if (!bytes) return fail(std::move(bytes.error()));
  if (!found->name.ends_with(".prompt")) return json::object();
  auto prompt = parse_prompt(*bytes, found->file);
  if (!prompt) return fail(std::move(prompt.error()));
  return std::move(prompt->front_matter);
}

Result<std::shared_ptr<const TemplateFile>> KeptFiles::get(std::string_view name, bool for_include) {
  std::string key(for_include ? "+" : "-");
  key += name;
  Entry last;
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = entries_.find(key); known != entries_.end()) last = known->second;
  }
  if (last.file && last.is_settled) {
    const auto& found = last.file->found;
    const auto is_file = [](const std::filesystem::path& path) {
      std::error_code ec;
      return std::filesystem::is_regular_file(path, ec);
    };
    if (std::none_of(found.passed_over.begin(), found.passed_over.end(), is_file) && has_stamp_of_content(found.asked, last.stamp)) return last.file;
  }
  const auto begun = std::chrono::system_clock::now();
  auto found = folder_.find(name, for_include);
  if (!found) return fail(std::move(found.error()));
  const Stamp stamp = stamp_of_content(found->asked);
  auto file = read(std::move(*found), last.file.get());
  if (!file) return file;
  // The same content at the same place is the same file.
  if (last.file && *file == nullptr) *file = last.file;
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMostEntries || bytes_ > kMostBytes) {
    entries_.clear();
    bytes_ = 0;
  }
  bytes_ += (*file)->bytes.size() + (*file)->text.size();
  entries_.insert_or_assign(std::move(key), Entry{*file, stamp.numbers, is_settled(stamp, begun)});
  return file;
}

// Null where it is as `last` was.
Result<std::shared_ptr<const TemplateFile>> KeptFiles::read(Folder::Found found, const TemplateFile* last) {
  auto bytes = template_bytes(found);
  if (!bytes) return fail(std::move(bytes.error()));
  if (last != nullptr && last->bytes == *bytes && last->found.path == found.path && last->found.passed_over == found.passed_over) {
    return std::shared_ptr<const TemplateFile>();
  }
  auto file = std::make_shared<TemplateFile>();
  if (found.name.ends_with(".prompt")) {
    auto prompt = parse_prompt(*bytes, found.file);
    if (!prompt) return fail(std::move(prompt.error()));
    auto marked = marks_.mark(prompt->body, found.file, prompt->lines_before);
    if (!marked) return fail(std::move(marked.error()));
    auto schema = compiled_schema(*prompt, found.file);
    if (!schema) return fail(std::move(schema.error()));
    if (const auto* input = prompt->front_matter.if_contains("input")) {
      if (const auto* defaults = input->get_object().if_contains("defaults")) file->defaults = json::serialize(*defaults);
    }
    file->text = std::move(*marked);
    file->front_matter = std::move(prompt->front_matter);
    file->positions = std::move(prompt->positions);
    file->lines_before = prompt->lines_before;
    file->input_schema = std::move(*schema);
  } else {
    auto text = clean_text(*bytes, found.file);
    if (!text) return fail(std::move(text.error()));
    file->text = std::move(*text);
  }
  file->hash = fingerprint(*bytes);
  file->bytes = std::move(*bytes);
  file->found = std::move(found);
  file->version = ++versions_;
  return file;
}

}  // namespace sabir::completions
