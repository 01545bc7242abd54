#include "sabir/completions/renderer.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <tuple>

#include "budget.h"
#include "checking.h"
#include "explaining.h"
#include "granted_calls.h"
#include "kept_files.h"
#include "sabir/base/text.h"
#include "sabir/bridge/bridge.h"
#include "sabir/bridge/uninstrumented.h"

namespace sabir::completions {
namespace {

// Steps of the template machine; a loop that never ends uses them up in some tens of milliseconds. Text, values and depth
// have bounds of their own (bridge/src/templates/limits.rs).
constexpr std::uint64_t kFuel = 1'000'000;
constexpr std::size_t kMostTemplates = 256;  // loaded in one rendering

// Digits alone, which no filter changes. The kernel is asked for many at a time.
std::string new_secret() {
  thread_local std::array<std::uint64_t, 64> numbers;
  thread_local std::size_t used = numbers.size();
  if (used == numbers.size()) {
    while (::getrandom(numbers.data(), sizeof(numbers), 0) != static_cast<ssize_t>(sizeof(numbers))) {
    }
    used = 0;
  }
  std::array<char, 2 * 20> text;  // two numbers of 64 bits
  char* end = text.data();
  for (int i = 0; i < 2; ++i) end = std::to_chars(end, text.data() + text.size(), numbers[used++]).ptr;
  return {text.data(), end};
}

sb_str view(std::string_view text) { return {text.data(), text.size()}; }

class OwnedBuffer {
 public:
  OwnedBuffer() = default;
  OwnedBuffer(const OwnedBuffer&) = delete;
  OwnedBuffer& operator=(const OwnedBuffer&) = delete;
  ~OwnedBuffer() { sb_free(buffer_); }
  void clear() {
    sb_free(buffer_);
    buffer_ = {nullptr, 0};
  }
  sb_buf* out() { return &buffer_; }
  std::string_view text() const { return {buffer_.data == nullptr ? "" : buffer_.data, buffer_.size}; }

 private:
  sb_buf buffer_{nullptr, 0};
};

json::object with_defaults(const TemplateFile& prompt, json::object variables) {
  if (const auto* input = prompt.front_matter.if_contains("input")) {
    if (const auto* defaults = input->get_object().if_contains("defaults")) {
      for (const auto& member : defaults->get_object()) variables.emplace(member.key(), member.value());
    }
  }
  return variables;
}

// As `sabir prompt list` has it.
std::string name_of(const Folder::Found& found) { return found.name.substr(0, found.name.rfind('.')); }

// One rendering: the templates it has read and what went wrong while reading.
class Session {
 public:
  Session(KeptFiles& files, sb_templates* templates, FunctionCaller* functions)
      : files_(files), marks_(new_secret()), templates_(templates), calls_(functions) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Result<std::shared_ptr<const TemplateFile>> top(const std::string& name) {
    auto file = files_.get(name, false);
    if (!file) return file;
    loaded_.emplace((*file)->found.name, *file);
    calls_.grant((*file)->front_matter, name_of((*file)->found), (*file)->found.file, (*file)->text.find("secret(") != std::string::npos);
    return file;
  }

  // `out` is the text with marks; with `explains` what sb_templates_explain_kept tells.
  Result<void> render(const TemplateFile& top, std::string_view variables, OwnedBuffer& out, Fitting* fitting = nullptr, bool explains = false) {
    const std::string heading = marks_.opening();
    fitting_ = fitting;
    const auto run = explains ? &sb_templates_explain_kept : &sb_templates_render_kept;
    const sb_part parts = fitting == nullptr ? nullptr : &Session::on_part;
    const sb_reading reading{&Session::on_load, parts, this, view(heading), &Session::on_call, view(calls_.names())};
    const int status = [&] {
      const Uninstrumented call;
      return run(templates_, &reading, view(top.found.name), view(variables), view(top.defaults), out.out());
    }();
    if (status == 0) return {};
    if (calls_.error()) return fail(explain_call(out.text(), top.found));
    auto given = parse_json(variables);
    return fail(explain(out.text(), top.found, with_defaults(top, given && given->is_object() ? std::move(given->get_object()) : json::object())));
  }

  Result<std::vector<std::string>> variables(const Folder::Found& top) {
    OwnedBuffer out;
    const sb_reading reading{&Session::on_load, nullptr, this, view(""), nullptr, view("")};
    const int status = [&] {
      const Uninstrumented call;
      return sb_templates_variables_kept(templates_, &reading, view(top.name), out.out());
    }();
    if (status != 0) return fail(explain(out.text(), top, {}));
    std::vector<std::string> names;
    if (auto list = parse_json(out.text()); list && list->is_array()) {
      for (const auto& name : list->get_array()) {
        if (!calls_.begins_name(name.as_string())) names.emplace_back(name.as_string());
      }
    }
    return names;
  }

  // What is known of it without rendering.
  Result<PromptFacts> facts(const std::shared_ptr<const TemplateFile>& top) {
    OwnedBuffer out;
    const sb_reading reading{&Session::on_load, nullptr, this, view(""), &Session::on_call, view(calls_.names())};
    const std::string choices = json::serialize(Checking::choices_of(*top));
    const int status = [&] {
      const Uninstrumented call;
      return sb_templates_facts_kept(templates_, &reading, view(top->found.name), view(choices), out.out());
    }();
    if (status != 0) return fail(explain(out.text(), top->found, {}));
    auto told = parse_json(out.text());
    if (!told || !told->is_object()) return fail(ErrorCode::kInternal, "the prompt cannot be checked");
    PromptFacts facts{top, std::move(told->get_object()), {}};
    for (const auto& [name, file] : loaded_) facts.places.emplace(name, place(name));
    for (auto& problem : facts.facts.at("problems").as_array()) {
      if (problem.at("code") == "missing") why_missing(problem.as_object());
    }
    return facts;
  }

  const RoleMarks& marks() const { return marks_; }
  const GrantedCalls& calls() const { return calls_; }

  std::vector<PromptSource> sources(const TemplateFile& top) const {
    std::vector<PromptSource> out{{top.found.file, top.hash}};
    for (const auto& [name, file] : loaded_) {
      const bool known = std::any_of(out.begin(), out.end(), [&, &own = file->found.file](const auto& one) { return one.file == own; });
      if (!known) out.push_back({file->found.file, file->hash});
    }
    return out;
  }

  TemplatePlace place(std::string_view name) const {
    const auto known = loaded_.find(name);
    return known == loaded_.end() ? TemplatePlace() : TemplatePlace{known->second->found.file, known->second->lines_before};
  }

 private:
  static int on_call(void* self, sb_str name, sb_str positional, sb_str named, sb_str* value) {
    auto& calls = static_cast<Session*>(self)->calls_;
    const auto* text = calls.call({name.data, name.size}, {positional.data, positional.size}, {named.data, named.size});
    if (text == nullptr) return 0;
    *value = view(*text);
    return 1;
  }

  static int on_load(void* self, sb_str name, sb_str* text, std::uint64_t* version) {
    auto* session = static_cast<Session*>(self);
    try {
      const auto* file = session->part({name.data, name.size});
      if (file == nullptr) return 0;
      *text = view(file->text);
      *version = file->version;
      return 1;
    } catch (const std::exception& exception) {
      session->load_error_ = Error(ErrorCode::kInternal, exception.what());
      return 0;
    }
  }

  static void on_part(void* self, sb_str name, sb_str text, std::size_t* from, std::size_t* to) {
    std::tie(*from, *to) = static_cast<Session*>(self)->fitting_->part({name.data, name.size}, {text.data, text.size});
  }

  // A file is the same for the whole rendering.
  const TemplateFile* part(std::string_view name) {
    if (const auto known = loaded_.find(name); known != loaded_.end()) return known->second.get();
    auto file = loaded_.size() < kMostTemplates
                    ? files_.get(name, true)
                    : Result<std::shared_ptr<const TemplateFile>>(fail(ErrorCode::kLimit, "one prompt uses more than " + std::to_string(kMostTemplates) + " files"));
    if (!file) {
      load_error_ = std::move(file.error());
      return nullptr;
    }
    return loaded_.emplace(std::string(name), std::move(*file)).first->second.get();
  }

  // Of a template that is not there, or cannot be read.
  void why_missing(json::object& problem) {
    const std::string name(problem.at("known").at(0).as_string());
    auto file = files_.get(name, true);
    if (file) return;
    problem["message"] = file.error().message;
    problem["hint"] = file.error().hint;
    if (file.error().file.empty()) return;
    problem["code"] = "invalid";
    problem["file"] = file.error().file;
    problem["file_line"] = std::max(file.error().line, 1);
    problem["file_column"] = file.error().column;
  }

  // `error` where the report says that it happened.
  Error placed(Error error, const json::object& report, const Folder::Found& top) const {
    const auto number = [&](const char* key) {
      const auto* value = report.if_contains(key);
      return value != nullptr && value->is_int64() ? static_cast<int>(value->get_int64()) : 0;
    };
    const auto loaded = loaded_.find(std::string(string_or(report, "template", top.name)));
    std::string file = top.file;
    int line = number("line");
    if (loaded != loaded_.end()) {
      file = loaded->second->found.file;
      if (line > 0) line += loaded->second->lines_before;
    }
    return std::move(error).at(std::move(file), line, number("column"));
  }

  Error explain_call(std::string_view report, const Folder::Found& top) const {
    const auto parsed = parse_json(report);
    return placed(*calls_.error(), parsed && parsed->is_object() ? parsed->get_object() : json::object(), top);
  }

  Error explain(std::string_view report, const Folder::Found& top, const json::object& variables) {
    auto parsed = parse_json(report);
    const json::object empty;
    const json::object& object = parsed && parsed->is_object() ? parsed->get_object() : empty;
    const std::string kind(string_or(object, "kind", "other"));
    Error error(ErrorCode::kTemplate, std::string(string_or(object, "message", "the template failed")));
    if (kind == "not_found" && load_error_) {
      error = std::move(*load_error_);
      if (error.code == ErrorCode::kNotFound) error.code = ErrorCode::kTemplate;
      if (!error.file.empty()) return error;
    } else if (kind == "undefined") {
      error.hint = hint_for_undefined(error.message, top, variables);
    } else if (kind == "fuel") {
      error.hint = "A prompt may take a million steps and make 16 MB of text on the way; make its loops and repetitions shorter.";
    } else if (kind == "bad_json") {
      error.code = ErrorCode::kInvalidArguments;
    } else if (kind == "output") {
      error.code = ErrorCode::kLimit;
    } else if (kind == "syntax") {
      error.message = "template syntax: " + error.message;
    }
    return placed(std::move(error), object, top);
  }

  // `message` is "'customer.nam' is undefined".
  std::string hint_for_undefined(std::string_view message, const Folder::Found& top,
                                 const json::object& variables) const {
    const std::size_t open = message.find('\'');
    const std::size_t close = open == std::string_view::npos ? open : message.find('\'', open + 1);
    if (close == std::string_view::npos) return "Give it a value, or a default with the filter `default`.";
    std::string_view path = message.substr(open + 1, close - open - 1);
    path = path.substr(0, path.find_first_of("|[( "));
    std::string function = calls_.hint_for(std::string(path), top.name.ends_with(".prompt"));
    if (!function.empty()) {
      // A name alone may be a variable as well.
      if (path.find('.') != std::string_view::npos) return function;
      function.insert(0, " ");
    }
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
        return hint + "Pass it (`sabir prompt render " + name_of(top) + " " + name +
               "=…`), or give it a default" +
               (top.name.ends_with(".prompt") ? " under input.defaults." : ": {{ " + name + " | default('…') }}.") +
               (names.empty() ? " No variables were given." : " Given: " + join(names, ", ") + ".") + function;
      }
      owner += (owner.empty() ? "" : ".") + name;
      scope = &value->get_object();
      path.remove_prefix(dot + 1);
    }
  }

  KeptFiles& files_;
  RoleMarks marks_;
  std::map<std::string, std::shared_ptr<const TemplateFile>, std::less<>> loaded_;  // by the name that asked for it
  std::optional<Error> load_error_;
  sb_templates* templates_;
  Fitting* fitting_ = nullptr;
  GrantedCalls calls_;
};

Result<void> check_input(const TemplateFile& prompt, std::string_view variables) {
  if (!prompt.input_schema) return {};
  auto given = parse_json(variables);
  if (!given || !given->is_object()) return fail(ErrorCode::kInvalidArguments, "the variables are not a JSON object");
  OwnedBuffer problems;
  const std::string whole = json::serialize(with_defaults(prompt, std::move(given->get_object())));
  if (sb_schema_validate(prompt.input_schema.get(), view(whole), problems.out()) == 0) return {};
  Error error(ErrorCode::kInvalidArguments, "the variables do not fit input.schema");
  if (const auto list = parse_json(problems.text()); list && list->is_array() && !list->get_array().empty()) {
    const auto& first = list->get_array().front().as_object();
    const std::string path(string_or(first, "path"));
    error.message = "the variables do not fit input.schema" + (path.empty() ? "" : " at " + path) + ": " +
                    std::string(string_or(first, "message"));
    error.data = json::serialize(json::object{{"violations", *list}});
  }
  return fail(std::move(error).at(prompt.found.file));
}

// Leaves in `split` what it does not take.
Result<Rendered> rendered_of(RoleMarks::Split& split, const TemplateFile& file) {
  Rendered rendered;
  rendered.name = name_of(file.found);
  if (!split.messages.empty() && split.text_before) {
    return fail(Error(ErrorCode::kTemplate, "there is text before the first role", "Begin the prompt with `== system ==` or `== user ==`.")
                    .at(file.found.file, file.lines_before + 1));
  }
  rendered.text = std::move(split.text);
  rendered.messages = std::move(split.messages);
  if (rendered.messages.empty()) rendered.messages.push_back({{"role", "user"}, {"content", rendered.text}});
  rendered.front_matter = file.front_matter;
  return rendered;
}

Error over_budget(const Budget& budget, std::size_t used, const Fitting& fitting) {
  std::vector<std::string> gone;
  for (const auto& cut : fitting.cuts()) gone.push_back(cut.part);
  const std::string without = gone.empty() ? "" : ", even without " + join(gone, ", ");
  return Error(ErrorCode::kLimit, "the prompt has " + std::to_string(used) + " tokens, and its budget " + std::to_string(budget.tokens) + without,
               "Raise budget.tokens, or declare under `parts` what else may be shortened or left out.");
}

}  // namespace

json::object to_json(const BudgetUse& use) {
  json::array parts;
  for (const auto& cut : use.cuts) {
    parts.push_back({{"part", cut.part}, {"action", cut.is_dropped ? "dropped" : "shortened"}, {"tokens_before", cut.before}, {"tokens", cut.after}});
  }
  return {{"tokens", use.limit}, {"used", use.used}, {"exact", use.is_exact}, {"parts", std::move(parts)}};
}

struct Renderer::State {
  State(const std::filesystem::path& root, TokensOf counting)
      : marks(new_secret()), files(Folder(root), marks), tokens_of(std::move(counting)) {}

  RoleMarks marks;  // of templates' texts; those of a rendering have a secret of their own
  KeptFiles files;
  TokensOf tokens_of;
  std::unique_ptr<sb_templates, decltype(&sb_templates_free)> templates{sb_templates_keeping(kFuel, view(marks.opening())), sb_templates_free};
  Observer observer;

  // `explanation`, if any, is made of the rendering that fits.
  Result<Rendered> fitted(const TemplateFile& file, Session& session, std::string_view variables, Explanation* explanation = nullptr) const;
};

Renderer::Renderer(std::filesystem::path root, TokensOf tokens_of) : state_(std::make_unique<State>(root, std::move(tokens_of))) {}
Renderer::~Renderer() = default;

Result<Rendered> Renderer::render(const std::string& name, const json::object& variables, FunctionCaller* functions) const {
  return render_json(name, json::serialize(variables), functions);
}

Result<Explanation> Renderer::explain(const std::string& name, std::string_view variables, FunctionCaller* functions) const {
  Session session(state_->files, state_->templates.get(), functions);
  auto prompt = session.top(name);
  if (!prompt) return fail(std::move(prompt.error()));
  if (auto fits = check_input(**prompt, variables); !fits) return fail(std::move(fits.error()));
  Explanation explanation;
  auto rendered = state_->fitted(**prompt, session, variables, &explanation);
  if (!rendered) return fail(std::move(rendered.error()));
  explanation.rendered.secrets = session.calls().secrets();
  return explanation;
}

Result<CheckReport> Renderer::check(const CheckOptions& options) const {
  auto listed = list();
  if (!listed) return fail(std::move(listed.error()));
  std::vector<PromptInfo> parts;
  std::vector<PromptInfo> prompts;
  for (auto& info : *listed) (info.is_part ? parts : prompts).push_back(std::move(info));
  if (!options.names.empty()) {
    parts.clear();
    prompts.clear();
    for (const auto& name : options.names) {
      auto found = state_->files.folder().find(name, false);
      if (!found) return fail(std::move(found.error()));
      prompts.push_back({found->name.substr(0, found->name.rfind('.')), found->file, false});
    }
  }
  Checking checking(options, state_->tokens_of, state_->marks.opening(), state_->marks.mark_size());
  for (const auto* infos : {&prompts, &parts}) {
    for (const auto& info : *infos) {
      Session session(state_->files, state_->templates.get(), nullptr);
      auto file = session.top(info.file.substr(12));
      auto facts = file ? session.facts(*file) : Result<PromptFacts>(fail(file.error()));
      if (!facts) {
        checking.add(info, facts.error());
      } else {
        checking.add(info, *facts);
      }
    }
  }
  checking.add_unused_parts(parts);
  return checking.report(prompts.size(), parts.size());
}

Result<Rendered> Renderer::render_json(const std::string& name, std::string_view variables, FunctionCaller* functions) const {
  Session session(state_->files, state_->templates.get(), functions);
  auto prompt = session.top(name);
  if (!prompt) return fail(std::move(prompt.error()));
  const TemplateFile& file = **prompt;
  if (auto fits = check_input(file, variables); !fits) return fail(std::move(fits.error()));
  auto rendered = state_->fitted(file, session, variables);
  if (rendered) rendered->secrets = session.calls().secrets();
  if (rendered && state_->observer) {
    rendered->sources = session.sources(file);
    const auto whole = [&] {
      auto given = parse_json(variables);
      auto out = with_defaults(file, given && given->is_object() ? std::move(given->get_object()) : json::object());
      // What functions gave is an input as well.
      for (auto& call : session.calls().made()) out.insert_or_assign(call.key(), std::move(call.value()));
      return out;
    };
    state_->observer(file.found.name, whole, *rendered);
  }
  return rendered;
}

// Within the prompt's budget, where it has one.
Result<Rendered> Renderer::State::fitted(const TemplateFile& file, Session& session, std::string_view variables, Explanation* explanation) const {
  OwnedBuffer out;
  const auto budget = budget_of(file.front_matter);
  // Rendered again, with marks; by now nothing is wrong with it, but what chance may bring.
  const auto explain = [&](Rendered rendered, Fitting* fitting) -> Result<Rendered> {
    if (explanation == nullptr) return rendered;
    out.clear();
    if (fitting != nullptr) fitting->begin_pass();
    if (auto done = session.render(file, variables, out, fitting, true); !done) return fail(std::move(done.error()));
    auto told = parse_json(out.text());
    if (!told || !told->is_object()) return fail(ErrorCode::kInternal, "the rendering cannot be explained");
    auto split = session.marks().split(string_or(told->get_object(), "text"));
    const RoleMarks::Split places{{}, {}, split.starts, split.headings};
    auto again = rendered_of(split, file);
    if (!again) return again;
    again->budget = std::move(rendered.budget);
    *explanation = explanation_of(*again, places, session.marks().mark_size(), told->get_object(), [&](std::string_view name) { return session.place(name); });
    return again;
  };
  if (!budget) {
    if (auto done = session.render(file, variables, out); !done) return fail(std::move(done.error()));
    auto split = session.marks().split(out.text());
    auto rendered = rendered_of(split, file);
    return rendered ? explain(std::move(*rendered), nullptr) : std::move(rendered);
  }
  const std::string alias(string_or(file.front_matter, "model"));
  const Tokens tokens = tokens_of ? tokens_of(alias) : Tokens(alias);
  Fitting fitting(*budget, tokens, session.marks().opening(), session.marks().mark_size());
  while (true) {
    out.clear();
    fitting.begin_pass();
    if (auto done = session.render(file, variables, out, &fitting); !done) return fail(std::move(done.error()));
    auto split = session.marks().split(out.text());
    auto rendered = rendered_of(split, file);
    if (!rendered) return rendered;
    const std::size_t used = count_chat(tokens, rendered->messages).total();
    if (used <= budget->tokens) {
      rendered->budget = BudgetUse{budget->tokens, used, tokens.is_exact(), fitting.cuts()};
      return explain(std::move(*rendered), &fitting);
    }
    if (!fitting.reduce(used - budget->tokens)) return fail(over_budget(*budget, used, fitting).at(file.found.file));
  }
}

bool Renderer::calls_functions(const std::string& name) const {
  const auto file = state_->files.get(name, false);
  return file && (*file)->front_matter.contains("calls");
}

void Renderer::observe(Observer observer) { state_->observer = std::move(observer); }

Result<std::vector<PromptInfo>> Renderer::list() const { return state_->files.folder().list(); }

Result<std::vector<std::string>> Renderer::variables(const std::string& name) const {
  Session session(state_->files, state_->templates.get(), nullptr);
  auto file = session.top(name);
  if (!file) return fail(std::move(file.error()));
  return session.variables((*file)->found);
}

}  // namespace sabir::completions
