// sabir complete.
#include <iostream>
#include <iterator>

#include "arguments.h"
#include "command.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/completions/renderer.h"
#include "shown_run.h"

namespace sabir::cli {
namespace {

constexpr std::size_t kMostSchemaBytes = std::size_t{1} << 20U;

struct CompleteOptions {
  std::string prompt;
  std::vector<std::string> words;
  std::string whole;
  std::string model;
  std::string system;
  std::string schema;
  int max_tokens = 0;
  std::optional<double> temperature;
  std::string cache;
};

Result<std::optional<json::object>> schema_of(const std::string& given) {
  if (given.empty()) return std::nullopt;
  const bool is_text = given.starts_with("{");
  auto text = is_text ? Result<std::string>(given) : read_file(given, kMostSchemaBytes);
  if (!text) return fail(ErrorCode::kUsage, "--schema: " + text.error().message, "Give a JSON Schema, or the path of a file that holds one.");
  auto value = parse_json(*text);
  if (value && value->is_object()) return std::move(value->get_object());
  Error error(ErrorCode::kUsage, "--schema: " + (value ? std::string("a JSON Schema is an object") : value.error().message));
  if (!is_text) error.file = given;
  return fail(std::move(error));
}

// The front matter of the prompt that is meant; none where `prompt` is a text of its own.
Result<std::optional<json::object>> prompt_meant(const CompleteOptions& options, const std::filesystem::path& root) {
  if (options.prompt == "-") return std::nullopt;
  auto front = completions::read_front_matter(root, options.prompt);
  if (front) return std::move(*front);
  const bool has_variables = !options.words.empty() || !options.whole.empty();
  // A text may be longer than any path, or have `..` in it: what has blanks and is no file's is no name.
  const bool has_blanks = options.prompt.find_first_of(" \n\t") != std::string::npos;
  const bool is_no_name = front.error().code == ErrorCode::kNotFound || (has_blanks && front.error().file.empty());
  if (has_variables || !is_no_name) return fail(std::move(front.error()));
  std::vector<std::string> names;
  if (auto all = completions::Renderer(root).list()) {
    for (const auto& one : *all) {
      if (!one.is_part) names.push_back(one.name);
    }
  }
  // One word that is nearly a prompt's name is a slip of the pen.
  const auto near = has_blanks ? std::string() : did_you_mean(options.prompt, names);
  if (near.empty()) return std::nullopt;
  return fail(ErrorCode::kNotFound, "there is no prompt '" + options.prompt + "'", near + " A text goes in by standard input: sabir complete -");
}

std::string summary_of(const json::object& answer) {
  const auto* usage = answer.if_contains("usage");
  const auto number = [&](const char* key) { return std::to_string(usage->at(key).to_number<std::int64_t>()); };
  std::string text = "— " + std::string(string_or(answer, "model")) + " (" + std::string(string_or(answer, "provider")) + ")";
  if (usage != nullptr) text += ", " + number("input_tokens") + " + " + number("output_tokens") + " tokens";
  const auto* cost = answer.if_contains("cost_usd");
  if (answer.contains("cached")) return text + ", from the cache";
  if (cost != nullptr && cost->is_double() && cost->get_double() > 0) text += ", " + dollars(cost->get_double()) + " USD";
  return text;
}

Result<std::optional<std::chrono::milliseconds>> cache_of(const std::string& given) {
  if (given.empty()) return std::nullopt;
  if (given == "off") return std::chrono::milliseconds(0);
  if (const auto ttl = models::parse_ttl(given)) return ttl;
  return fail(ErrorCode::kUsage, "--cache '" + given + "' is neither a time nor off", "Write it like 10m, 1h or 7d; a year is the most.");
}

// What had come of an answer that did not come to its end, and is not on standard output already.
void tell_partial(const Error& error, bool was_shown) {
  const auto data = error.data.empty() ? Result<json::value>(json::value()) : parse_json(error.data);
  if (!data || !data->is_object()) return;
  const auto partial = string_or(data->get_object(), "partial");
  if (partial.empty()) return;
  const std::string size = std::to_string(partial.size());
  note(was_shown ? "  What had come by then is above: " + size + " bytes." : "  What had come by then:\n" + std::string(partial));
}

void complete(Globals& globals, const CompleteOptions& options) {
  auto schema = schema_of(options.schema);
  if (!schema) return fail_with(globals, schema.error());
  auto cache = cache_of(options.cache);
  if (!cache) return fail_with(globals, cache.error());
  auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory);
  if (!root) return fail_with(globals, root.error());
  auto front = prompt_meant(options, *root);
  if (!front) return fail_with(globals, front.error());
  const bool is_prompt = front->has_value();
  if (is_prompt && !options.system.empty()) {
    return fail_with(globals, Error(ErrorCode::kUsage, "--system is for a text; '" + options.prompt + "' is a prompt",
                                    "Write `== system ==` in its file."));
  }
  const bool offers_functions = is_prompt && !completions::functions_of(**front).empty();
  if (offers_functions && *cache) {
    return fail_with(globals, Error(ErrorCode::kUsage, "--cache is for one question; '" + options.prompt + "' offers functions, which a model may call in between",
                                    "Set `cache` of the model in config/openai_config.yml, or take --record and --replay."));
  }
  json::object parameters;
  if (options.max_tokens > 0) parameters["max_tokens"] = options.max_tokens;
  if (options.temperature) parameters["temperature"] = *options.temperature;
  runtime::PromptRequest asked{options.prompt, "{}", options.model, parameters, *schema, *cache};
  if (is_prompt) {
    auto variables = read_variables(options.words, options.whole, **front);
    if (!variables) return fail_with(globals, variables.error());
    asked.variables = std::move(*variables);
  }

  globals.session.recording.name = is_prompt ? "complete " + options.prompt : "complete";
  auto engine = open_engine(globals.session);
  if (!engine) return fail_with(globals, engine.error());
  ShownRun shown(globals, **engine, offers_functions);
  Result<json::object> answer;
  if (is_prompt) {
    answer = (*engine)->complete_prompt(asked, globals.session.context, shown.events(), shown.cancelled());
  } else {
    models::Request request;
    request.caller.context = globals.session.context;
    if (!options.system.empty()) request.messages.push_back({{"role", "system"}, {"content", options.system}});
    std::string text = options.prompt;
    if (text == "-") text.assign(std::istreambuf_iterator<char>(std::cin), {});
    request.messages.push_back({{"role", "user"}, {"content", text}});
    request.parameters = std::move(parameters);
    request.output_schema = std::move(*schema);
    request.cache = *cache;
    request.cancelled = shown.cancelled();
    models::OnEvent on_event;
    if (shown.events().text) {
      on_event = [&shown](const models::Event& event) {
        if (!event.content.empty()) shown.events().text(event.content);
        if (event.progress >= 0) shown.events().loading(event.progress);
      };
    }
    auto reply = (*engine)->complete(options.model, request, on_event);
    answer = reply ? Result<json::object>(runtime::to_json(*reply)) : fail(std::move(reply.error()));
    if (reply && !reply->trace.empty()) (*answer)["trace"] = reply->trace;
  }
  shown.end();
  if (!answer) {
    fail_with(globals, answer.error());
    if (!globals.json) tell_partial(answer.error(), shown.wrote());
    return;
  }
  if (globals.json) return print_json(*answer);
  if (!shown.wrote()) print(string_or(*answer, "content"));
  if (const auto* budget = answer->if_contains("budget")) note_cuts(budget->get_object());
  note(styled(summary_of(*answer) + trace_words(*answer), "2"));
}

}  // namespace

void add_complete_command(Command& app, Globals& globals) {
  auto* const completing = app.add_subcommand("complete", "Ask a model once: with a prompt of completions/, or with a text.");
  auto how = std::make_shared<CompleteOptions>();
  add_common(*completing, globals);
  add_recording(*completing, globals);
  completing->add_option("PROMPT", how->prompt, "a prompt's name, else a text; - reads a text from standard input").required();
  completing->add_option("VARIABLES", how->words, "of a prompt: name=value (read by its input.schema) or name:=JSON");
  completing->add_option("--args", how->whole, "all variables as one JSON object: the text, @file, or - for standard input");
  completing->add_option("-m,--model", how->model, "an alias of config/openai_config.yml (default: the prompt's, $SABIR_MODEL, or the default one)");
  completing->add_option("--schema", how->schema, "a JSON Schema that the answer must fit: the text or a file (default: the prompt's)");
  completing->add_option("--system", how->system, "a system message before a text");
  completing->add_option("--max-tokens", how->max_tokens, "end the answer after so many").between(1, 1'000'000);
  completing->add_option("--temperature", how->temperature, "0 = the likeliest words").between(0.0, 2.0);
  completing->add_option("--cache", how->cache, "take an answer to the same question that is not older than this (10m, 1h, 7d), or off");
  completing->footer("Examples:\n  sabir complete support/refund customer=Ana question=\"Where is it?\"\n"
                     "  git diff | sabir complete - --system \"Write a commit message.\"\n"
                     "  sabir complete \"Three ports\" --schema ports.schema.json --json");
  completing->callback([&globals, how] { complete(globals, *how); });
}

}  // namespace sabir::cli
