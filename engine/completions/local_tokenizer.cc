#include "sabir/completions/local_tokenizer.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"

namespace sabir::completions {
namespace {

constexpr std::size_t kMostHeadBytes = std::size_t{32} << 20U;  // 150,000 tokens and their merges take 6 MB
constexpr std::string_view kRole = "{role}";

std::string taken(sb_buf buffer) {
  std::string text(buffer.data, buffer.size);
  sb_free(buffer);
  return text;
}

}  // namespace

Result<std::shared_ptr<const LocalTokenizer>> LocalTokenizer::open(const std::filesystem::path& gguf, const std::filesystem::path& turns) {
  auto text = read_file(turns, std::size_t{1} << 20U);
  if (!text) return fail(std::move(text.error()));
  auto value = parse_json(*text);
  if (!value) return fail(std::move(value.error()));
  std::error_code ec;
  const auto size = std::filesystem::file_size(gguf, ec);
  std::ifstream in(gguf, std::ios::binary);
  if (ec || !in) return fail(ErrorCode::kIo, gguf.string() + ": cannot be read");
  std::string head(std::min<std::uintmax_t>(size, kMostHeadBytes), '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(in.gcount()));
  return read(head, *value, gguf.filename().string());
}

Result<std::shared_ptr<const LocalTokenizer>> LocalTokenizer::read(std::string_view head, const json::value& turns, const std::string& shown) {
  std::shared_ptr<LocalTokenizer> out(new LocalTokenizer);
  sb_buf told{nullptr, 0};
  out->tokenizer_ = sb_tokenizer_new({head.data(), head.size()}, &told);
  const std::string about = taken(told);
  if (out->tokenizer_ == nullptr) return fail(ErrorCode::kUnavailable, "the tokens of " + shown + " cannot be counted: " + about);
  const auto value = parse_json(about);
  if (!value || !value->is_object()) return fail(ErrorCode::kInternal, "the bridge told no tokenizer");
  out->name_ = string_or(value->get_object(), "tokenizer");
  const auto chat_template = string_or(value->get_object(), "chat_template");
  const auto* styles = turns.is_object() ? turns.get_object().if_contains("styles") : nullptr;
  if (styles != nullptr && styles->is_array()) {
    for (const auto& style : styles->get_array()) {
      if (!style.is_object() || chat_template.find(string_or(style.get_object(), "sign")) == std::string_view::npos) continue;
      const auto& object = style.get_object();
      out->default_instructions_ = string_or(turns.get_object(), "default_instructions");
      out->begin_ = string_or(object, "begin");
      out->open_ = string_or(object, "open");
      out->close_ = string_or(object, "close");
      if (const auto* roles = object.if_contains("roles"); roles != nullptr && roles->is_object()) out->roles_ = roles->get_object();
      break;
    }
  }
  if (out->open_.find(kRole) == std::string::npos) return fail(ErrorCode::kConfig, "turns.json has no form of a conversation for " + shown);
  return out;
}

LocalTokenizer::~LocalTokenizer() { sb_tokenizer_free(tokenizer_); }

std::vector<std::uint32_t> LocalTokenizer::ends(std::string_view text, bool control) const {
  std::vector<std::uint32_t> ends;
  sb_buf out{nullptr, 0};
  if (sb_tokenizer_ends(tokenizer_, {text.data(), text.size()}, control ? 1 : 0, &out) == 0 && out.size > 0) {
    ends.resize(out.size / sizeof(std::uint32_t));
    std::memcpy(ends.data(), out.data, ends.size() * sizeof(std::uint32_t));
  }
  sb_free(out);
  return ends;
}

std::string LocalTokenizer::opening(std::string_view role) const {
  std::string text = open_;
  return text.replace(text.find(kRole), kRole.size(), string_or(roles_, role, role));
}

// As render() of models/local/prompt.mjs: the instructions together at the beginning, then turn by turn.
std::size_t LocalTokenizer::chat(const json::array& messages) const {
  std::vector<std::string> given;
  for (const auto& message : messages) {
    const auto role = string_or(message.get_object(), "role");
    if (role != "system" && role != "developer") continue;
    given.emplace_back(string_or(message.get_object(), "content"));
  }
  const std::string instructions = join(given, "\n\n");
  std::size_t total = marks(begin_ + opening("system")) + ends(instructions.empty() ? default_instructions_ : instructions).size() + marks(close_);
  for (const auto& message : messages) {
    const auto role = string_or(message.get_object(), "role");
    if (role == "system" || role == "developer") continue;
    total += marks(opening(role)) + ends(string_or(message.get_object(), "content")).size() + marks(close_);
  }
  return total + marks(opening("assistant"));
}

}  // namespace sabir::completions
