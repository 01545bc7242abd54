#include "sabir/completions/renderer.h"

#include <algorithm>
#include <map>
#include <optional>
#include <random>

#include "folder.h"
#include "prompt_file.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"

namespace sabir::completions {
namespace {

// Steps of the template machine; a loop that never ends uses them up in some tens of milliseconds.
constexpr std::uint64_t kFuel = 1'000'000;
constexpr std::size_t kMostTemplateBytes = std::size_t{1} << 20U;
constexpr std::size_t kMostOutputBytes = std::size_t{4} << 20U;
constexpr std::size_t kMostTemplates = 256;  // loaded in one rendering

std::string new_secret() {
  std::random_device device;
  std::string digits;
  for (int i = 0; i < 3; ++i) digits += std::to_string(device());
  return digits;
}

sb_str view(std::string_view text) { return {text.data(), text.size()}; }

class OwnedBuffer {
 public:
  OwnedBuffer() = default;
  OwnedBuffer(const OwnedBuffer&) = delete;
  OwnedBuffer& operator=(const OwnedBuffer&) = delete;
  ~OwnedBuffer() { sb_free(buffer_); }
  sb_buf* out() { return &buffer_; }
  std::string_view text() const { return {buffer_.data == nullptr ? "" : buffer_.data, buffer_.size}; }

 private:
  sb_buf buffer_{nullptr, 0};
};

// One rendering: the templates it has read and what went wrong while reading.
class Session {
 public:
  explicit Session(const Folder& folder) : folder_(folder), marks_(new_secret()) {
    templates_ = sb_templates_new(&Session::on_load, this, kFuel);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { sb_templates_free(templates_); }

  struct Loaded {
    std::string text;
    std::string file;
    json::object front_matter;
    int lines_before = 0;
  };

  Result<const Loaded*> load(const Folder::Found& found, const std::string& name) {
    if (auto known = loaded_.find(name); known != loaded_.end()) return &known->second;
    if (loaded_.size() >= kMostTemplates) {
      return fail(ErrorCode::kLimit, "one prompt uses more than " + std::to_string(kMostTemplates) + " files");
    }
    auto bytes = read_file(found.path, kMostTemplateBytes);
    if (!bytes) {
      Error error(bytes.error().code == ErrorCode::kLimit ? ErrorCode::kLimit : ErrorCode::kTemplate,
                  bytes.error().code == ErrorCode::kLimit ? "larger than 1 MiB" : "cannot be read");
      return fail(std::move(error).at(found.file).with_detail(bytes.error().message));
    }
    Loaded loaded;
    loaded.file = found.file;
    if (found.name.ends_with(".prompt")) {
      auto prompt = parse_prompt(*bytes, found.file);
      if (!prompt) return fail(std::move(prompt.error()));
      auto marked = marks_.mark(prompt->body, found.file, prompt->lines_before);
      if (!marked) return fail(std::move(marked.error()));
      loaded.text = std::move(*marked);
      loaded.front_matter = std::move(prompt->front_matter);
      loaded.lines_before = prompt->lines_before;
    } else {
      auto text = clean_text(*bytes, found.file);
      if (!text) return fail(std::move(text.error()));
      loaded.text = std::move(*text);
    }
    return &loaded_.emplace(name, std::move(loaded)).first->second;
  }

  Result<std::string> render(const Folder::Found& top, const json::object& variables) {
    OwnedBuffer out;
    const std::string context = json::serialize(variables);
    if (sb_templates_render(templates_, view(top.name), view(context), out.out()) != 0) {
      return fail(explain(out.text(), top, variables));
    }
    if (out.text().size() > kMostOutputBytes) {
      return fail(Error(ErrorCode::kLimit, "the rendered text is larger than 4 MiB").at(top.file));
    }
    return std::string(out.text());
  }

  Result<std::vector<std::string>> variables(const Folder::Found& top) {
    OwnedBuffer out;
    if (sb_templates_variables(templates_, view(top.name), out.out()) != 0) return fail(explain(out.text(), top, {}));
    std::vector<std::string> names;
    if (auto list = parse_json(out.text()); list && list->is_array()) {
      for (const auto& name : list->get_array()) names.emplace_back(name.as_string());
    }
    return names;
  }

  const RoleMarks& marks() const { return marks_; }

 private:
  static int on_load(void* self, sb_str name, sb_str* text) {
    auto* session = static_cast<Session*>(self);
    const std::string asked(name.data, name.size);
    try {
      auto known = session->loaded_.find(asked);
      if (known == session->loaded_.end()) {
        auto found = session->folder_.find(asked, true);
        auto loaded = found ? session->load(*found, asked) : Result<const Loaded*>(fail(std::move(found.error())));
        if (!loaded) {
          session->load_error_ = std::move(loaded.error());
          return 0;
        }
        known = session->loaded_.find(asked);
      }
      *text = view(known->second.text);
      return 1;
    } catch (const std::exception& exception) {
      session->load_error_ = Error(ErrorCode::kInternal, exception.what());
      return 0;
    }
  }

  Error explain(std::string_view report, const Folder::Found& top, const json::object& variables) {
    auto parsed = parse_json(report);
    const json::object empty;
    const json::object& object = parsed && parsed->is_object() ? parsed->get_object() : empty;
    const std::string kind(string_or(object, "kind", "other"));
    const auto number = [&](const char* key) {
      const auto* value = object.if_contains(key);
      return value != nullptr && value->is_int64() ? static_cast<int>(value->get_int64()) : 0;
    };
    const auto loaded = loaded_.find(std::string(string_or(object, "template", top.name)));
    std::string file = top.file;
    int line = number("line");
    if (loaded != loaded_.end()) {
      file = loaded->second.file;
      if (line > 0) line += loaded->second.lines_before;
    }
    Error error(ErrorCode::kTemplate, std::string(string_or(object, "message", "the template failed")));
    if (kind == "not_found" && load_error_) {
      error = std::move(*load_error_);
      if (error.code == ErrorCode::kNotFound) error.code = ErrorCode::kTemplate;
      if (!error.file.empty()) return error;
    } else if (kind == "undefined") {
      error.hint = hint_for_undefined(error.message, top, variables);
    } else if (kind == "fuel") {
      error.hint = "A prompt may take a million steps; make its loops shorter.";
    } else if (kind == "syntax") {
      error.message = "template syntax: " + error.message;
    }
    return std::move(error).at(std::move(file), line, number("column"));
  }

  // `message` is "'customer.nam' is undefined".
  static std::string hint_for_undefined(std::string_view message, const Folder::Found& top,
                                        const json::object& variables) {
    const std::size_t open = message.find('\'');
    const std::size_t close = open == std::string_view::npos ? open : message.find('\'', open + 1);
    if (close == std::string_view::npos) return "Give it a value, or a default with the filter `default`.";
    std::string_view path = message.substr(open + 1, close - open - 1);
    path = path.substr(0, path.find_first_of("|[( "));
    const json::object* scope = &variables;
    std::string owner;
    while (true) {
      const std::size_t dot = path.find('.');
      const std::string name(path.substr(0, dot));
      const auto* value = scope->if_contains(name);
      if (value == nullptr || dot == std::string_view::npos || !value->is_object()) {
        std::vector<std::string> names;
        for (const auto& member : *scope) names.emplace_back(member.key());
        std::sort(names.begin(), names.end());
        std::string hint = did_you_mean(name, names);
        if (!hint.empty()) hint += " ";
        if (!owner.empty()) {
          return hint + owner + (names.empty() ? " is empty." : " has " + join(names, ", ") + ".");
        }
        return hint + "Pass it (`sabir prompt render " + top.name.substr(0, top.name.rfind('.')) + " " + name +
               "=…`), or give it a default" +
               (top.name.ends_with(".prompt") ? " under input.defaults." : ": {{ " + name + " | default('…') }}.") +
               (names.empty() ? " No variables were given." : " Given: " + join(names, ", ") + ".");
      }
      owner += (owner.empty() ? "" : ".") + name;
      scope = &value->get_object();
      path.remove_prefix(dot + 1);
    }
  }

  const Folder& folder_;
  RoleMarks marks_;
  std::map<std::string, Loaded> loaded_;  // by the name that asked for it; nodes keep their address
  std::optional<Error> load_error_;
  sb_templates* templates_ = nullptr;
};

Result<void> check_input(const json::object& front_matter, const json::object& variables, const std::string& file) {
  const auto* input = front_matter.if_contains("input");
  const auto* schema = input == nullptr ? nullptr : input->get_object().if_contains("schema");
  if (schema == nullptr) return {};
  OwnedBuffer out;
  sb_schema* compiled = sb_schema_compile(view(json::serialize(*schema)), out.out());
  if (compiled == nullptr) {
    const auto report = parse_json(out.text());
    return fail(Error(ErrorCode::kTemplate, "input.schema is not a JSON Schema: " +
                                                std::string(report && report->is_object()
                                                                ? string_or(report->get_object(), "message")
                                                                : out.text()))
                    .at(file));
  }
  OwnedBuffer problems;
  const int status = sb_schema_validate(compiled, view(json::serialize(variables)), problems.out());
  sb_schema_free(compiled);
  if (status == 0) return {};
  Error error(ErrorCode::kInvalidArguments, "the variables do not fit input.schema");
  if (const auto list = parse_json(problems.text()); list && list->is_array() && !list->get_array().empty()) {
    const auto& first = list->get_array().front().as_object();
    const std::string path(string_or(first, "path"));
    error.message = "the variables do not fit input.schema" + (path.empty() ? "" : " at " + path) + ": " +
                    std::string(string_or(first, "message"));
    error.data = json::serialize(json::object{{"violations", *list}});
  }
  return fail(std::move(error).at(file));
}

}  // namespace

struct Renderer::State {
  Folder folder;
};

Renderer::Renderer(std::filesystem::path root) : state_(std::make_unique<State>(State{Folder(root)})) {}
Renderer::~Renderer() = default;

Result<Rendered> Renderer::render(const std::string& name, const json::object& variables) const {
  auto found = state_->folder.find(name, false);
  if (!found) return fail(std::move(found.error()));
  Session session(state_->folder);
  auto loaded = session.load(*found, found->name);
  if (!loaded) return fail(std::move(loaded.error()));
  const json::object& front_matter = (*loaded)->front_matter;
  json::object context = variables;
  if (const auto* input = front_matter.if_contains("input")) {
    if (const auto* defaults = input->get_object().if_contains("defaults")) {
      for (const auto& member : defaults->get_object()) context.emplace(member.key(), member.value());
    }
  }
  if (auto fits = check_input(front_matter, context, found->file); !fits) return fail(std::move(fits.error()));
  auto text = session.render(*found, context);
  if (!text) return fail(std::move(text.error()));

  Rendered rendered;
  auto split = session.marks().split(*text);
  if (!split.messages.empty() && split.text_before) {
    return fail(Error(ErrorCode::kTemplate, "there is text before the first role",
                      "Begin the prompt with `== system ==` or `== user ==`.")
                    .at(found->file, (*loaded)->lines_before + 1));
  }
  rendered.text = std::move(split.text);
  rendered.messages = std::move(split.messages);
  if (rendered.messages.empty()) rendered.messages.push_back({{"role", "user"}, {"content", rendered.text}});
  rendered.front_matter = front_matter;
  return rendered;
}

Result<std::vector<PromptInfo>> Renderer::list() const { return state_->folder.list(); }

Result<std::vector<std::string>> Renderer::variables(const std::string& name) const {
  auto found = state_->folder.find(name, false);
  if (!found) return fail(std::move(found.error()));
  Session session(state_->folder);
  if (auto loaded = session.load(*found, found->name); !loaded) return fail(std::move(loaded.error()));
  return session.variables(*found);
}

}  // namespace sabir::completions
