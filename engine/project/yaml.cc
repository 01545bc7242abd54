#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <sstream>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/project/project.h"
#include "shape.h"

namespace sabir::project {

std::string escape_pointer(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') out += "~0";
    else if (c == '/') out += "~1";
    else out += c;
  }
  return out;
}

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
constexpr std::size_t kMostDepth = 64;
// What aliases and merges may grow a document to. Each counts again for every use.
constexpr std::size_t kMostNodes = 100'000;
constexpr std::size_t kMostGrownBytes = std::size_t{8} << 20U;

// Ends the parse from inside yaml-cpp's callbacks; caught in parse_yaml and nowhere else.
struct Refusal {
  YAML::Mark mark;
  std::string message;
  std::string hint;
};

bool is_name_start(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Fills in ${NAME} and ${NAME:-default}; `used` gets their names.
std::string fill_in(const std::string& text, const YAML::Mark& mark, SecretNames secrets, std::vector<std::string>& used) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t dollar = text.find('$', at);
    out.append(text, at, dollar == std::string::npos ? std::string::npos : dollar - at);
    if (dollar == std::string::npos) break;
    if (text.compare(dollar, 3, "$${") == 0) {
      // Where references to secrets stay, what only looks like one stays marked.
      if (secrets == SecretNames::kKept && text.compare(dollar, 10, "$${secret:") == 0) out += '$';
      out += "${";
      at = dollar + 3;
      continue;
    }
    if (text.compare(dollar, 2, "${") != 0) {
      out += '$';
      at = dollar + 1;
      continue;
    }
    const std::size_t end = text.find('}', dollar);
    if (end == std::string::npos) {
      throw Refusal{mark, "'${' without its '}'", "Write ${NAME} or ${NAME:-default}; $${ stands for a literal ${."};
    }
    const std::string inside = text.substr(dollar + 2, end - dollar - 2);
    if (secrets == kAsWritten || (secrets == SecretNames::kKept && inside.starts_with("secret:"))) {
      out.append(text, dollar, end + 1 - dollar);
      at = end + 1;
      continue;
    }
    const std::size_t colon = inside.find(":-");
    const std::string name = inside.substr(0, colon);
    bool good = !name.empty() && is_name_start(name.front());
    for (const char c : name) good = good && (is_name_start(c) || is_digit(c));
    if (!good) {
      throw Refusal{mark, "'${" + inside + "}' does not name an environment variable",
                    "Write ${NAME} or ${NAME:-default}; $${ stands for a literal ${."};
    }
    const char* value = std::getenv(name.c_str());
    if (value != nullptr && (*value != '\0' || colon == std::string::npos)) {
      out += value;
      used.push_back(name);
    } else if (colon != std::string::npos) {
      out.append(inside, colon + 2);
      used.push_back(name + ":-");
    } else {
      throw Refusal{mark, "the environment variable " + name + " is not set",
                    "Set it, or give a default: ${" + name + ":-…}."};
    }
    if (out.size() > kMostGrownBytes) throw Refusal{mark, "a value grows too large", ""};
    at = end + 1;
  }
  return out;
}

bool matches_float(std::string_view text) {
  std::size_t i = 0;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  std::size_t digits = 0;
  while (i < text.size() && is_digit(text[i])) ++i, ++digits;
  if (i < text.size() && text[i] == '.') {
    ++i;
    while (i < text.size() && is_digit(text[i])) ++i, ++digits;
  }
  if (digits == 0) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    const std::size_t first = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    if (i == first) return false;
  }
  return i == text.size();
}

// A plain scalar by YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema).
json::value resolve_plain(const std::string& text, const YAML::Mark& mark) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const char* const end = text.data() + text.size();
  const auto whole = [&](std::size_t skip, int base) -> std::optional<json::value> {
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data() + skip, end, number, base);
    if (error != std::errc() || stop != end) return std::nullopt;
    if (number <= static_cast<std::uint64_t>(INT64_MAX)) return json::value(static_cast<std::int64_t>(number));
    return json::value(number);
  };
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'o' || text[1] == 'x')) {
    if (auto number = whole(2, text[1] == 'o' ? 8 : 16)) return *number;
  }
  if (text[0] == '-') {
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stop == end) return number;
  } else if (auto number = whole(text[0] == '+' ? 1 : 0, 10)) {
    return *number;
  }
  if (matches_float(text)) {
    double number = 0;
    const char* const begin = text.data() + (text[0] == '+' ? 1 : 0);
    const auto [stop, error] = std::from_chars(begin, end, number);
    if (error == std::errc() && stop == end) return number;
    throw Refusal{mark, "the number " + text + " is out of range", "Quote it if it is meant as text."};
  }
  const std::string_view unsigned_text = std::string_view(text).substr(text[0] == '-' || text[0] == '+' ? 1 : 0);
  for (const std::string_view name : {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"}) {
    if (unsigned_text == name) throw Refusal{mark, text + " is not a number that JSON knows", "Quote it if it is meant as text."};
  }
  return json::value(text);
}

// Turns yaml-cpp's events into one json::value.
class Builder final : public YAML::EventHandler {
 public:
  Builder(Positions* positions, SecretNames secrets) : positions_(positions), secrets_(secrets) {}

  json::value take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { scalar(mark, anchor, nullptr, "", false); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& text) override {
    if (expects_key()) {
      scalar(mark, anchor, json::value(text), text, tag == "?");
      return;
    }
    used_.clear();
    const std::string filled = fill_in(text, mark, secrets_, used_);
    if (tag == "?" || tag.empty()) {
      scalar(mark, anchor, resolve_plain(filled, mark), filled, true);
    } else if (tag == "!" || tag == "tag:yaml.org,2002:str") {
      scalar(mark, anchor, json::value(filled), filled, false);
    } else if (tag == "tag:yaml.org,2002:int" || tag == "tag:yaml.org,2002:float" ||
               tag == "tag:yaml.org,2002:bool" || tag == "tag:yaml.org,2002:null") {
      scalar(mark, anchor, resolve_plain(filled, mark), filled, false);
    } else {
      throw Refusal{mark, "the tag " + tag + " is not understood", "Leave it out: plain YAML values are enough here."};
    }
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refusal{mark, "an alias that contains itself", ""};
    grow(found->second.nodes, found->second.bytes, mark);
    if (expects_key()) {
      if (!found->second.value.is_string()) throw Refusal{mark, "a key must be text", ""};
      take_key(mark, std::string(found->second.value.get_string()), false);
      return;
    }
    place(mark, found->second.value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, json::array());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, json::object());
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    json::value container;
    YAML::Mark mark;
    YAML::anchor_t anchor = YAML::NullAnchor;
    std::string pointer;
    std::optional<std::string> key;     // of the value to come
    bool key_is_merge = false;
    std::vector<json::value> merges;    // values of `<<`, applied when the map ends
    std::size_t nodes_before = 0;
    std::size_t bytes_before = 0;
  };
  struct Anchored {
    json::value value;
    std::size_t nodes = 0;
    std::size_t bytes = 0;
  };

  bool expects_key() const { return !frames_.empty() && frames_.back().container.is_object() && !frames_.back().key; }

  void grow(std::size_t nodes, std::size_t bytes, const YAML::Mark& mark) {
    nodes_ += nodes;
    bytes_ += bytes;
    if (nodes_ > kMostNodes || bytes_ > kMostGrownBytes) {
      throw Refusal{mark, "the document grows too large here", "Configuration may hold 100,000 values, aliases counted at each use."};
    }
  }

  void take_key(const YAML::Mark& mark, std::string key, bool plain) {
    Frame& frame = frames_.back();
    frame.key_is_merge = plain && key == "<<";
    if (!frame.key_is_merge) {
      if (frame.container.get_object().contains(key)) {
        throw Refusal{mark, "the key '" + key + "' appears twice", "Keep one of them."};
      }
      note(frame.pointer + "/" + escape_pointer(key), mark);
    }
    frame.key = std::move(key);
  }

  void note(const std::string& pointer, const YAML::Mark& mark) {
    if (positions_ != nullptr) positions_->emplace(pointer, Position{mark.line + 1, mark.column + 1});
  }

  // Pointer of the node that comes next, noted for items of a sequence and for the document.
  std::string next_pointer(const YAML::Mark& mark) {
    if (frames_.empty()) {
      note("", mark);
      return "";
    }
    const Frame& frame = frames_.back();
    if (frame.container.is_object()) return frame.pointer + "/" + escape_pointer(frame.key.value_or(""));
    std::string pointer = frame.pointer + "/" + std::to_string(frame.container.get_array().size());
    note(pointer, mark);
    return pointer;
  }

  void scalar(const YAML::Mark& mark, YAML::anchor_t anchor, json::value value, const std::string& text, bool plain) {
    grow(1, text.size(), mark);
    if (anchor != YAML::NullAnchor) anchors_[anchor] = Anchored{value, 1, text.size()};
    if (expects_key()) {
      if (!value.is_string()) throw Refusal{mark, "a key must be text", "Quote the key, or remove the stray '?' or ':'."};
      take_key(mark, text, plain);
      return;
    }
    const std::string pointer = next_pointer(mark);
    if (positions_ != nullptr && !used_.empty()) (*positions_)[pointer].variables = std::move(used_);
    used_.clear();
    place(mark, std::move(value));
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, json::value empty) {
    if (!tag.empty() && tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:map" && tag != "tag:yaml.org,2002:seq") {
      throw Refusal{mark, "the tag " + tag + " is not understood", "Leave it out: plain YAML values are enough here."};
    }
    if (expects_key()) throw Refusal{mark, "a key must be text, not a list or a mapping", ""};
    if (frames_.size() >= kMostDepth) throw Refusal{mark, "nested deeper than 64 levels", ""};
    grow(1, 0, mark);
    Frame frame;
    frame.pointer = next_pointer(mark);
    frame.container = std::move(empty);
    frame.mark = mark;
    frame.anchor = anchor;
    frame.nodes_before = nodes_ - 1;
    frame.bytes_before = bytes_;
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    for (const auto& merge : frame.merges) {
      if (merge.is_object()) {
        merge_into(frame.container.get_object(), merge.get_object());
        continue;
      }
      for (const auto& part : merge.get_array()) merge_into(frame.container.get_object(), part.get_object());
    }
    if (frame.anchor != YAML::NullAnchor) {
      anchors_[frame.anchor] = Anchored{frame.container, nodes_ - frame.nodes_before, bytes_ - frame.bytes_before};
      // The anchored copy is memory of its own.
      grow(nodes_ - frame.nodes_before, bytes_ - frame.bytes_before, frame.mark);
    }
    place(frame.mark, std::move(frame.container));
  }

  // The map's own keys and earlier merges win.
  static void merge_into(json::object& object, const json::object& from) {
    for (const auto& member : from) object.emplace(member.key(), member.value());
  }

  void place(const YAML::Mark& mark, json::value value) {
    if (frames_.empty()) {
      root_ = std::move(value);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.container.is_array()) {
      frame.container.get_array().push_back(std::move(value));
      return;
    }
    if (!frame.key) throw Refusal{mark, "a value without a key", ""};
    if (frame.key_is_merge) {
      bool good = value.is_object();
      if (value.is_array()) {
        good = true;
        for (const auto& part : value.get_array()) good = good && part.is_object();
      }
      if (!good) throw Refusal{mark, "'<<' takes a mapping or a list of mappings", "Quote the key if it is meant as text."};
      frame.merges.push_back(std::move(value));
    } else {
      frame.container.get_object().emplace(*frame.key, std::move(value));
    }
    frame.key.reset();
    frame.key_is_merge = false;
  }

  Positions* positions_;
  SecretNames secrets_;
  std::vector<std::string> used_;  // variables of the scalar at hand
  json::value root_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
  std::size_t bytes_ = 0;
};

std::string sentence_start(std::string text) {
  if (!text.empty() && text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

Result<json::value> parse_yaml(std::string_view text, const std::string& file, Positions* positions, SecretNames secrets) {
  if (text.size() > kMostBytes) {
    return fail(Error(ErrorCode::kConfig, "a configuration file may have 1 MiB; this one has " +
                                              std::to_string(text.size()) + " bytes")
                    .at(file));
  }
  const auto place_of = [&](std::size_t offset) {
    int line = 1;
    int column = 1;
    for (const char c : text.substr(0, offset)) {
      column = c == '\n' ? 1 : column + 1;
      if (c == '\n') ++line;
    }
    return std::pair(line, column);
  };
  if (const std::size_t bad = std::min(find_invalid_utf8(text), text.find('\0')); bad != std::string_view::npos) {
    const auto [line, column] = place_of(bad);
    return fail(Error(ErrorCode::kConfig, "not UTF-8 text", "Save the file as UTF-8.").at(file, line, column));
  }
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    Builder builder(positions, secrets);
    if (!parser.HandleNextDocument(builder)) return json::value(nullptr);
    Builder second(nullptr, secrets);
    if (parser.HandleNextDocument(second)) {
      return fail(Error(ErrorCode::kConfig, "more than one YAML document in one file", "Remove the '---' that starts the second.").at(file));
    }
    return builder.take();
  } catch (const Refusal& refusal) {
    return fail(Error(ErrorCode::kConfig, refusal.message, refusal.hint)
                    .at(file, refusal.mark.line + 1, refusal.mark.column + 1));
  } catch (const YAML::Exception& error) {
    const int line = error.mark.is_null() ? 0 : error.mark.line + 1;
    const int column = error.mark.is_null() ? 0 : error.mark.column + 1;
    return fail(Error(ErrorCode::kConfig, "not valid YAML: " + sentence_start(error.msg),
                      "Check indentation (spaces, no tabs), colons and quotes on this line and the one above.")
                    .at(file, line, column));
  }
}

Result<json::value> read_yaml(const std::filesystem::path& path, Positions* positions, SecretNames secrets) {
  // Shown as the user would type it from the project's root.
  const auto shown = [&] {
    std::error_code ignored;
    const auto absolute = std::filesystem::absolute(path, ignored);
    const auto root = find_root(absolute.parent_path());
    return root ? absolute.lexically_relative(*root).string() : path.string();
  };
  auto text = read_file(path, kMostBytes);
  if (!text) {
    Error error = std::move(text.error());
    error.file = shown();
    if (const std::string prefix = path.string() + ": "; error.message.starts_with(prefix)) error.message.erase(0, prefix.size());
    if (error.code == ErrorCode::kLimit) error.code = ErrorCode::kConfig;
    return fail(std::move(error));
  }
  auto value = parse_yaml(*text, "", positions, secrets);
  if (!value) value.error().file = shown();
  return value;
}

std::pair<int, int> position_of(const Positions& positions, std::string pointer) {
  while (true) {
    if (const auto found = positions.find(pointer); found != positions.end()) return {found->second.line, found->second.column};
    const std::size_t slash = pointer.rfind('/');
    if (slash == std::string::npos) return {0, 0};
    pointer.resize(slash);
  }
}

Error at_position(Error error, const Positions& positions, const std::string& pointer, const std::string& file) {
  std::string at = pointer;
  while (true) {
    if (const auto found = positions.find(at); found != positions.end()) {
      const auto& where = found->second;
      return std::move(error).at(where.file ? *where.file : file, where.line, where.column);
    }
    const std::size_t slash = at.rfind('/');
    if (slash == std::string::npos) return std::move(error).at(file);
    at.resize(slash);
  }
}

Result<void> refuse_unknown_keys(const json::object& object, const std::vector<std::string>& known,
                                 const std::string& file, const Positions& positions, const std::string& pointer) {
  for (const auto& member : object) {
    const std::string key(member.key());
    bool good = false;
    for (const auto& name : known) good = good || name == key;
    if (good) continue;
    std::string hint = did_you_mean(key, known);
    if (hint.empty()) hint = known.empty() ? "No keys are expected here." : "Known keys: " + join(known, ", ") + ".";
    return fail(at_position(Error(ErrorCode::kConfig, "unknown key '" + key + "'", hint), positions, pointer + "/" + escape_pointer(key), file));
  }
  return {};
}

}  // namespace sabir::project
