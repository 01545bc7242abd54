#include "scripted_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <mutex>
#include <thread>

#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::models {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostPatternBytes = 1000;
constexpr std::size_t kMostGroups = 10;  // {match:0} to {match:9}
constexpr std::size_t kDimensions = 64;

// What the model says at one turn.
struct Step {
  json::value text;          // a string with placeholders, or any JSON value; null = nothing
  json::array tool_calls;    // [{"name", "arguments"}]
  std::string finish_reason;
  std::optional<Error> error;
  milliseconds delay{0};
};

using Pattern = std::unique_ptr<sb_pattern, void (*)(sb_pattern*)>;

struct Rule {
  std::string contains;  // in lower case; "" = no such condition
  std::string matches;   // the pattern's text
  Pattern pattern{nullptr, &sb_pattern_free};
  std::vector<Step> steps;
  bool conditional() const { return !contains.empty() || pattern; }
};

struct Script {
  std::string model = "scripted";
  std::size_t piece_bytes = 12;
  std::vector<Rule> rules;
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string text_of(const json::value* content) {
  if (content == nullptr) return {};
  if (content->is_string()) return std::string(content->get_string());
  std::string text;
  if (content->is_array()) {
    for (const auto& part : content->get_array()) {
      if (part.is_object()) text += string_or(part.get_object(), "text");
    }
  }
  return text;
}

// ---- Reading a script ----------------------------------------------------------------------------------------------

class Reader {
 public:
  explicit Reader(std::string shown) : shown_(std::move(shown)) {}

  Result<Script> read(const json::value& value) {
    Script script;
    const json::array* replies = value.if_array();
    if (const auto* object = value.if_object()) {
      if (auto known = only(*object, {"model", "piece_bytes", "replies"}, "the script"); !known) return fail(known.error());
      if (const auto name = string_or(*object, "model"); !name.empty()) script.model = name;
      if (const auto* bytes = object->if_contains("piece_bytes")) {
        if (!bytes->is_int64() || bytes->get_int64() < 1 || bytes->get_int64() > 65536) return wrong("piece_bytes is not a number from 1 to 65536");
        script.piece_bytes = static_cast<std::size_t>(bytes->get_int64());
      }
      const auto* list = object->if_contains("replies");
      replies = list != nullptr ? list->if_array() : nullptr;
    }
    if (replies == nullptr) return wrong("not a list of replies, nor an object with a list `replies`");
    for (std::size_t i = 0; i < replies->size(); ++i) {
      auto rule = read_rule((*replies)[i], "reply " + std::to_string(i + 1));
      if (!rule) return fail(rule.error());
      script.rules.push_back(std::move(*rule));
    }
    return script;
  }

 private:
  std::unexpected<Error> wrong(const std::string& what) const {
    return fail(Error(ErrorCode::kConfig, shown_ + ": " + what,
                      "A reply looks like {\"contains\": \"slug\", \"tool_calls\": [{\"name\": \"slugify\", \"arguments\": {}}], "
                      "\"text\": \"It is {tool:slugify}.\"}")
                    .at(shown_));
  }

  Result<void> only(const json::object& object, const std::vector<std::string>& known, const std::string& where) const {
    for (const auto& member : object) {
      if (std::find(known.begin(), known.end(), member.key()) == known.end()) {
        const std::string near = did_you_mean(member.key(), known);
        return wrong(where + ": unknown key '" + std::string(member.key()) + "'" + (near.empty() ? "" : ". " + near));
      }
    }
    return {};
  }

  Result<Rule> read_rule(const json::value& value, const std::string& where) {
    if (!value.is_object()) return wrong(where + " is not an object");
    const auto& object = value.get_object();
    if (auto known = only(object, {"contains", "matches", "text", "json", "tool_calls", "finish_reason", "error", "delay_ms", "steps"}, where); !known) {
      return fail(known.error());
    }
    Rule rule;
    for (const char* key : {"contains", "matches"}) {
      if (const auto* condition = object.if_contains(key); condition != nullptr && !condition->is_string()) {
        return wrong(where + ": " + key + " is not a text");
      }
    }
    rule.contains = lower(string_or(object, "contains"));
    rule.matches = string_or(object, "matches");
    if (!rule.matches.empty()) {
      if (rule.matches.size() > kMostPatternBytes) return wrong(where + ": matches is longer than 1000 bytes");
      sb_buf problem{nullptr, 0};
      rule.pattern.reset(sb_pattern_new({rule.matches.data(), rule.matches.size()}, 1, &problem));
      if (!rule.pattern) {
        const std::string why(problem.data, problem.size);
        sb_free(problem);
        return wrong(where + ": matches is not a regular expression: " + why);
      }
    }
    if (const auto* steps = object.if_contains("steps")) {
      if (!steps->is_array()) return wrong(where + ": steps is not a list");
      for (const auto& step : steps->get_array()) {
        if (!step.is_object()) return wrong(where + ": a step is not an object");
        auto read = read_steps(step.get_object(), where);
        if (!read) return fail(read.error());
        std::move(read->begin(), read->end(), std::back_inserter(rule.steps));
      }
    } else {
      auto read = read_steps(object, where);
      if (!read) return fail(read.error());
      rule.steps = std::move(*read);
    }
    return rule;
  }

  // `tool_calls` and `text` together are two steps: the calls, then the text once their results are there.
  Result<std::vector<Step>> read_steps(const json::object& object, const std::string& where) {
    Step step;
    if (const auto* delay = object.if_contains("delay_ms")) {
      if (!delay->is_int64() || delay->get_int64() < 0 || delay->get_int64() > 600'000) return wrong(where + ": delay_ms is not a number from 0 to 600000");
      step.delay = milliseconds(delay->get_int64());
    }
    if (const auto* error = object.if_contains("error")) {
      if (!error->is_object()) return wrong(where + ": error is not {\"type\", \"message\"}");
      step.error = error_from_json(error->get_object());
      if (!error->get_object().contains("type")) step.error->code = ErrorCode::kModel;
      if (step.error->message.empty()) step.error->message = "an error that the script asks for";
      return std::vector<Step>{std::move(step)};
    }
    std::vector<Step> steps;
    if (const auto* calls = object.if_contains("tool_calls")) {
      if (!calls->is_array()) return wrong(where + ": tool_calls is not a list");
      for (const auto& call : calls->get_array()) {
        if (!call.is_object() || string_or(call.get_object(), "name").empty()) return wrong(where + ": a tool call has no name");
        if (auto known = only(call.get_object(), {"name", "arguments", "id"}, where + ": a tool call"); !known) return fail(known.error());
      }
      Step calling = step;
      calling.tool_calls = calls->get_array();
      steps.push_back(std::move(calling));
    }
    const auto* text = object.if_contains("text");
    const auto* value = object.if_contains("json");
    if (text != nullptr && !text->is_string()) return wrong(where + ": text is not a string; for another value use json");
    if (text != nullptr || value != nullptr) {
      step.text = text != nullptr ? *text : *value;
      if (value != nullptr && value->is_string()) step.text = json::serialize(*value);
      step.finish_reason = string_or(object, "finish_reason");
      steps.push_back(std::move(step));
    }
    if (steps.empty()) return wrong(where + " says nothing: it has no text, json, tool_calls or error");
    return steps;
  }

  std::string shown_;
};

// ---- Answering -----------------------------------------------------------------------------------------------------

// What the conversation offers to a reply's placeholders.
struct Scene {
  std::string user;                                         // the last user's message
  std::size_t turns = 0;                                    // assistant messages since then
  std::vector<std::pair<std::string, std::string>> results; // tool name -> result's text, since then
  std::vector<std::string> groups;                          // of `matches`
  std::vector<std::string> tools;                           // offered names

  static Scene of(const Request& request) {
    Scene scene;
    std::vector<std::pair<std::string, std::string>> names;  // call id -> name
    for (const auto& message : request.messages) {
      if (!message.is_object()) continue;
      const auto& object = message.get_object();
      const auto role = string_or(object, "role");
      if (role == "user") {
        scene.user = text_of(object.if_contains("content"));
        scene.turns = 0;
        scene.results.clear();
      } else if (role == "assistant") {
        ++scene.turns;
        const auto* calls = object.if_contains("tool_calls");
        if (calls == nullptr || !calls->is_array()) continue;
        for (const auto& call : calls->get_array()) {
          const auto* function = call.is_object() ? call.get_object().if_contains("function") : nullptr;
          if (function == nullptr || !function->is_object()) continue;
          names.emplace_back(string_or(call.get_object(), "id"), string_or(function->get_object(), "name"));
        }
      } else if (role == "tool") {
        const auto id = string_or(object, "tool_call_id");
        const auto found = std::find_if(names.rbegin(), names.rend(), [&](const auto& n) { return n.first == id; });
        scene.results.emplace_back(found != names.rend() ? found->second : std::string{}, text_of(object.if_contains("content")));
      }
    }
    for (const auto& tool : request.tools) {
      const auto* function = tool.is_object() ? tool.get_object().if_contains("function") : nullptr;
      if (function != nullptr && function->is_object()) scene.tools.emplace_back(string_or(function->get_object(), "name"));
    }
    return scene;
  }
};

// "text.slugify" as a tool's name would have it: only letters, digits, _ and -.
std::string tool_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!kept) c = '_';
  }
  return out;
}

// The offered tool that a script means: the same name, the same once made fit for a tool, or the only one that ends so.
std::string offered_name(const std::string& name, const std::vector<std::string>& offered) {
  if (std::find(offered.begin(), offered.end(), name) != offered.end()) return name;
  const std::string fit = tool_name(name);
  if (std::find(offered.begin(), offered.end(), fit) != offered.end()) return fit;
  std::string only;
  for (const auto& candidate : offered) {
    if (!candidate.ends_with("_" + fit)) continue;
    if (!only.empty()) return name;
    only = candidate;
  }
  return only.empty() ? name : only;
}

// A tool result as a person would say it: a JSON string without its quotes, {"value": x} as x, numbers as they came.
std::string spoken(const std::string& result) {
  const auto text = trim(result);
  if (!protocol::check_json(text)) return result;
  std::string_view inner = text;
  if (inner.starts_with('{')) {
    const auto members = protocol::raw_members(inner);
    if (members && members->size() == 1 && members->front().key == "value") inner = members->front().value;
  }
  return inner.starts_with('"') ? protocol::unquote(inner) : std::string(inner);
}

class Filler {
 public:
  explicit Filler(const Scene& scene) : scene_(scene) {}

  // Fills {tool:NAME}, {user} and {match:N}; other braces stay.
  Result<std::string> fill(std::string_view text) const {
    std::string out;
    while (true) {
      const std::size_t open = text.find('{');
      out.append(text.substr(0, open));
      if (open == std::string_view::npos) return out;
      text.remove_prefix(open);
      const std::size_t close = text.find('}');
      if (close == std::string_view::npos) return out.append(text);
      const std::string_view name = text.substr(1, close - 1);
      auto value = look_up(name);
      if (!value) return fail(value.error());
      if (*value) {
        out += **value;
        text.remove_prefix(close + 1);
      } else {
        out += '{';
        text.remove_prefix(1);
      }
    }
  }

  // The same for every string of a value. A string that is one placeholder alone takes the result's own JSON type.
  Result<json::value> fill(const json::value& value) const {
    if (const auto* text = value.if_string()) {
      const std::string_view whole(*text);
      auto filled = fill(whole);
      if (!filled) return fail(filled.error());
      if (whole.starts_with("{tool:") && whole.find('}') == whole.size() - 1) {
        if (auto parsed = parse_json(*filled); parsed && !parsed->is_string()) return *parsed;
      }
      return json::value(*filled);
    }
    if (const auto* list = value.if_array()) {
      json::array out;
      for (const auto& item : *list) {
        auto filled = fill(item);
        if (!filled) return fail(filled.error());
        out.push_back(std::move(*filled));
      }
      return json::value(std::move(out));
    }
    if (const auto* object = value.if_object()) {
      json::object out;
      for (const auto& member : *object) {
        auto filled = fill(member.value());
        if (!filled) return fail(filled.error());
        out[member.key()] = std::move(*filled);
      }
      return json::value(std::move(out));
    }
    return value;
  }

 private:
  // nullopt when `name` is no placeholder.
  Result<std::optional<std::string>> look_up(std::string_view name) const {
    if (name == "user") return scene_.user;
    if (name.starts_with("match:") && name.size() == 7 && name[6] >= '0' && name[6] <= '9') {
      const auto index = static_cast<std::size_t>(name[6] - '0');
      return index < scene_.groups.size() ? scene_.groups[index] : std::string{};
    }
    if (!name.starts_with("tool:")) return std::nullopt;
    const std::string wanted(name.substr(5));
    std::vector<std::string> had;
    for (auto result = scene_.results.rbegin(); result != scene_.results.rend(); ++result) {
      if (offered_name(wanted, {result->first}) == result->first) return spoken(result->second);
      had.push_back(result->first);
    }
    return fail(ErrorCode::kModel, "the script wants {tool:" + wanted + "}, and no tool of that name has answered" +
                                       (had.empty() ? "" : "; these have: " + join(had, ", ")));
  }

  const Scene& scene_;
};

// Feature hashing: each word adds 1 or -1 at a place of its own. Texts that share words are near one another, and that is all it knows.
std::vector<float> hashed_words(std::string_view text, std::size_t dimensions) {
  std::vector<float> out(dimensions, 0.0F);
  const std::string small = lower(text);
  std::uint64_t hash = 0;
  bool in_word = false;
  for (std::size_t i = 0; i <= small.size(); ++i) {
    const auto c = i < small.size() ? static_cast<unsigned char>(small[i]) : static_cast<unsigned char>(' ');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80U) {
      if (!in_word) hash = 14695981039346656037ULL;  // FNV-1a
      in_word = true;
      hash = (hash ^ c) * 1099511628211ULL;
    } else if (in_word) {
      in_word = false;
      out[(hash >> 8U) % dimensions] += (hash & 1U) != 0 ? 1.0F : -1.0F;
    }
  }
  float length = 0;
  for (const float x : out) length += x * x;
  if (length == 0) {
    out[0] = 1;
    return out;
  }
  for (float& x : out) x /= std::sqrt(length);
  return out;
}

class ScriptedModel final : public Model {
 public:
  ScriptedModel(std::filesystem::path file, std::string shown, std::string alias)
      : file_(std::move(file)), shown_(std::move(shown)), alias_(std::move(alias)) {}
  ScriptedModel(Script script, std::string shown, std::string alias)
      : shown_(std::move(shown)), alias_(std::move(alias)), script_(std::make_shared<Script>(std::move(script))) {}

  std::string description() const override { return alias_ + " (scripted, " + shown_ + ")"; }

  Result<Reply> complete(const Request& request, const OnEvent& on_event) override {
    auto loaded = load();
    if (!loaded) return fail(loaded.error());
    const auto script = *loaded;
    Scene scene = Scene::of(request);
    const Step* step = choose(*script, scene);
    if (step == nullptr) return fail(unmatched(*script, scene));
    if (auto waited = wait(request, step->delay); !waited) return fail(waited.error());
    if (step->error) return fail(*step->error);

    const Filler filler(scene);
    Reply reply;
    reply.model = script->model;
    reply.provider = "scripted";
    for (const auto& item : step->tool_calls) {
      const auto& call = item.get_object();
      ToolCall out;
      out.name = offered_name(std::string(string_or(call, "name")), scene.tools);
      out.id = string_or(call, "id");
      if (out.id.empty()) out.id = "call_" + std::to_string(scene.turns + 1) + "_" + std::to_string(reply.tool_calls.size() + 1);
      const auto* arguments = call.if_contains("arguments");
      if (arguments != nullptr && arguments->is_string()) {
        out.arguments_json = std::string(arguments->get_string());  // as it stands, so that a test can send bad JSON
      } else {
        auto filled = filler.fill(arguments != nullptr ? *arguments : json::value(json::object{}));
        if (!filled) return fail(filled.error());
        out.arguments_json = json::serialize(*filled);
      }
      reply.tool_calls.push_back(std::move(out));
    }
    if (!step->text.is_null()) {
      auto filled = filler.fill(step->text);
      if (!filled) return fail(filled.error());
      reply.content = step->text.is_string() ? text_of(&*filled) : json::serialize(*filled);
      if (step->text.is_string() && !filled->is_string()) reply.content = json::serialize(*filled);
    }
    reply.finish_reason = !step->finish_reason.empty() ? step->finish_reason : reply.tool_calls.empty() ? "stop" : "tool_calls";
    // No tokens exist here; four bytes for one keeps budgets and reports exercised.
    reply.usage.input_tokens = static_cast<std::int64_t>(json::serialize(request.messages).size() / 4 + 1);
    reply.usage.output_tokens = static_cast<std::int64_t>(reply.content.size() / 4 + 1);
    if (on_event) {
      if (auto sent = stream(request, reply.content, script->piece_bytes, on_event); !sent) return fail(sent.error());
    }
    return reply;
  }

  // No script is needed for what only depends on the words.
  Result<Embeddings> embed(const EmbedRequest& request) override {
    if (auto fit = check_texts(request); !fit) return fail(std::move(fit.error()));
    std::size_t dimensions = kDimensions;
    if (const auto* asked = request.parameters.if_contains("dimensions")) {
      if (!asked->is_int64() || asked->get_int64() < 1 || asked->get_int64() > 4096) {
        return fail(ErrorCode::kInvalidArguments, "dimensions is not a number from 1 to 4096");
      }
      dimensions = static_cast<std::size_t>(asked->get_int64());
    }
    Embeddings out;
    for (const auto& text : request.texts) {
      out.vectors.push_back(hashed_words(text, dimensions));
      out.usage.input_tokens += static_cast<std::int64_t>(text.size() / 4 + 1);
    }
    out.model = "scripted";
    out.provider = "scripted";
    return out;
  }

 private:
  Result<std::shared_ptr<const Script>> load() {
    const std::lock_guard lock(mutex_);
    if (file_.empty()) return script_;
    std::error_code ec;
    const auto changed = std::filesystem::last_write_time(file_, ec);
    if (script_ && !ec && changed == read_at_) return script_;
    auto text = read_file(file_, std::size_t{16} << 20U);
    if (!text) {
      if (text.error().code == ErrorCode::kNotFound) {
        return fail(Error(ErrorCode::kConfig, "model '" + alias_ + "': its script " + shown_ + " is not there",
                          "Write it, or set `script:` of the model in config/openai_config.yml; docs/models.md has the format.")
                        .at(shown_));
      }
      return fail(text.error());
    }
    auto value = parse_json(*text);
    if (!value) {
      Error error = value.error();
      error.code = ErrorCode::kConfig;
      error.message = shown_ + ": " + error.message;
      error.file = shown_;
      return fail(std::move(error));
    }
    auto script = Reader(shown_).read(*value);
    if (!script) return fail(script.error());
    script_ = std::make_shared<Script>(std::move(*script));
    read_at_ = changed;
    next_ = 0;
    return script_;
  }

  // The first conditional rule that fits and has a step for this turn; else the next reply given in order.
  const Step* choose(const Script& script, Scene& scene) {
    const std::string user = lower(scene.user);
    for (const auto& rule : script.rules) {
      if (!rule.conditional() || scene.turns >= rule.steps.size()) continue;
      if (!rule.contains.empty() && user.find(rule.contains) == std::string::npos) continue;
      if (rule.pattern) {
        std::array<std::size_t, 2 * kMostGroups> bounds{};
        const std::size_t groups = sb_pattern_search(rule.pattern.get(), {scene.user.data(), scene.user.size()}, bounds.data(), kMostGroups);
        if (groups == 0) continue;
        for (std::size_t i = 0; i < groups; ++i) scene.groups.push_back(scene.user.substr(bounds[2 * i], bounds[2 * i + 1] - bounds[2 * i]));
      }
      return &rule.steps[scene.turns];
    }
    const std::lock_guard lock(mutex_);
    std::size_t position = 0;
    for (const auto& rule : script.rules) {
      if (rule.conditional()) continue;
      for (const auto& step : rule.steps) {
        if (position++ == next_) {
          ++next_;
          return &step;
        }
      }
    }
    return nullptr;
  }

  Error unmatched(const Script& script, const Scene& scene) const {
    std::vector<std::string> conditions;
    std::size_t in_order = 0;
    for (const auto& rule : script.rules) {
      if (!rule.contains.empty()) conditions.push_back("contains \"" + rule.contains + "\"");
      if (rule.pattern) conditions.push_back("matches /" + rule.matches + "/");
      if (!rule.conditional()) in_order += rule.steps.size();
    }
    std::string shown = scene.user.substr(0, 200);
    if (find_invalid_utf8(shown) != std::string_view::npos) shown.resize(find_invalid_utf8(shown));
    Error error(ErrorCode::kModel, shown_ + ": no reply for turn " + std::to_string(scene.turns + 1) + " after the message \"" + shown + "\"",
                "Add a reply for it. The script has: " +
                    (conditions.empty() ? std::string() : join(conditions, ", ") + (in_order > 0 ? "; " : "")) +
                    (in_order > 0 ? std::to_string(in_order) + " in order, all used" : conditions.empty() ? "nothing" : "") + ".");
    error.file = shown_;
    return error;
  }

  static Result<void> wait(const Request& request, milliseconds delay) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    while (true) {
      if (request.cancelled && request.cancelled->load(std::memory_order_relaxed)) {
        return fail(ErrorCode::kCancelled, "the scripted model was cancelled");
      }
      const auto now = Clock::now();
      if (now - start >= delay) return {};
      if (now - start >= request.timeout) {
        return fail(ErrorCode::kTimeout, "the scripted model has not answered within " + std::to_string(request.timeout.count()) + " ms");
      }
      std::this_thread::sleep_for(std::min<Clock::duration>(start + delay - now, milliseconds(20)));
    }
  }

  static Result<void> stream(const Request& request, std::string_view text, std::size_t piece, const OnEvent& on_event) {
    while (!text.empty()) {
      if (auto go_on = wait(request, milliseconds(0)); !go_on) return go_on;
      std::size_t size = std::min(piece, text.size());
      // Not within a character.
      while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U) ++size;
      on_event(Event{.content = std::string(text.substr(0, size))});
      text.remove_prefix(size);
    }
    return {};
  }

  const std::filesystem::path file_;
  const std::string shown_;
  const std::string alias_;
  std::mutex mutex_;
  std::shared_ptr<const Script> script_;
  std::filesystem::file_time_type read_at_{};
  std::size_t next_ = 0;  // of the replies in order
};

}  // namespace

std::shared_ptr<Model> make_scripted_model(std::filesystem::path file, std::string shown, std::string alias) {
  return std::make_shared<ScriptedModel>(std::move(file), std::move(shown), std::move(alias));
}

Result<std::shared_ptr<Model>> make_scripted_model(const json::value& script, std::string shown, std::string alias) {
  auto read = Reader(shown).read(script);
  if (!read) return fail(read.error());
  return std::make_shared<ScriptedModel>(std::move(*read), std::move(shown), std::move(alias));
}

}  // namespace sabir::models
