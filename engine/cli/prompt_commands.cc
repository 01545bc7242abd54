// sabir prompt list, render, tokens; prompt_explain.cc, prompt_check.cc and prompt_diff.cc have the others.
#include <iostream>

#include "arguments.h"
#include "command.h"
#include "sabir/completions/renderer.h"
#include "sabir/project/secret_settings.h"
#include "sabir/protocol/raw_json.h"
#include "sabir/secrets/secrets.h"

namespace sabir::cli {

void note_cuts(const json::object& budget) {
  const auto number = [](const json::value& value) { return std::to_string(value.to_number<std::int64_t>()); };
  for (const auto& cut : budget.at("parts").as_array()) {
    const std::string part(cut.at("part").as_string());
    note(cut.at("action") == "dropped" ? part + " was left out (" + number(cut.at("tokens_before")) + " tokens)"
                                       : part + " was shortened from " + number(cut.at("tokens_before")) + " to " + number(cut.at("tokens")) + " tokens");
  }
  if (!budget.at("parts").as_array().empty()) {
    note((budget.at("exact") == true ? "" : "about ") + number(budget.at("used")) + " of " + number(budget.at("tokens")) + " tokens are used");
  }
}

namespace {

struct RenderOptions {
  std::string name;
  std::vector<std::string> words;
  std::string whole;
  std::string model;
  bool messages = false;
  bool reveal = false;
};

// A request about a prompt, whose variables go out as they were written.
Result<json::object> ask(const Globals& globals, const std::string& method, const RenderOptions& options) {
  // What is wrong with the file is the engine's to say.
  Result<json::object> front;
  if (globals.session.engine.url.empty()) {
    auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory);
    if (!root) return fail(std::move(root.error()));
    if (!options.words.empty()) front = completions::read_front_matter(*root, options.name);
  }
  auto variables = read_variables(options.words, options.whole, front ? *front : json::object());
  if (!variables) return fail(std::move(variables.error()));
  auto session = Session::open(globals.session);
  if (!session) return fail(std::move(session.error()));
  std::string params = "{\"name\":" + protocol::quote(options.name) + ",\"variables\":" + *variables;
  if (!options.model.empty()) params += ",\"model\":" + protocol::quote(options.model);
  return (*session)->ask_text(method, params + "}");
}

// Puts the values of the prompt's secrets where their names stand. Only here, where the person who asks may read them anyway.
Result<void> reveal(Globals& globals, json::object& answer) {
  const auto* names = answer.if_contains("secrets");
  if (names == nullptr) return {};
  if (!globals.session.engine.url.empty()) return fail(ErrorCode::kUsage, "--reveal is for this machine's project, not for an engine elsewhere");
  auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : std::filesystem::path(globals.session.directory));
  if (!root) return fail(std::move(root.error()));
  auto settings = project::read_secret_settings(*root, globals.session.environment);
  if (!settings) return fail(std::move(settings.error()));
  const secrets::Secrets secrets(*root, std::move(*settings));
  for (const auto& name : names->as_array()) {
    const std::string mark = "[secret:" + std::string(name.as_string()) + "]";
    auto value = secrets.resolve(std::string(name.as_string()));
    if (!value) return fail(std::move(value.error()));
    const auto fill = [&](json::value& where) {
      std::string text(where.as_string());
      for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value->size())) text.replace(at, mark.size(), *value);
      where = json::value(text);
    };
    fill(answer["text"]);
    for (auto& message : answer["messages"].as_array()) {
      if (auto* content = message.as_object().if_contains("content"); content != nullptr && content->is_string()) fill(*content);
    }
  }
  return {};
}

void render(Globals& globals, const RenderOptions& options) {
  auto answer = ask(globals, "completions.render", options);
  if (!answer) return fail_with(globals, answer.error());
  if (options.reveal) {
    if (auto filled = reveal(globals, *answer); !filled) return fail_with(globals, filled.error());
  }
  if (globals.json) return print_json(*answer);
  if (const auto* budget = answer->if_contains("budget")) note_cuts(budget->get_object());
  if (options.messages) return print(pretty_json((*answer)["messages"]));
  // The bytes as they are: what is piped on must not gain a newline.
  std::cout << string_or(*answer, "text");
  if (on_terminal()) std::cout << "\n";
  std::cout.flush();
}

void tokens(Globals& globals, const RenderOptions& options) {
  auto answer = ask(globals, "completions.tokens", options);
  if (!answer) return fail_with(globals, answer.error());
  if (globals.json) return print_json(*answer);
  if (const auto* budget = answer->if_contains("budget")) note_cuts(budget->get_object());
  const auto number = [](const json::value& value) { return std::to_string(value.to_number<std::int64_t>()); };
  const std::string encoding(string_or(*answer, "encoding"));
  const bool is_exact = (*answer)["exact"] == true;
  std::string why(string_or(*answer, "why"));
  if (why.empty()) why = "the tokenizer of " + std::string(string_or(*answer, "model")) + " is not known";
  print(styled((is_exact ? "" : "about ") + number((*answer)["tokens"]), "1") + " tokens  " +
        styled(is_exact ? encoding : "estimated by " + encoding + ": " + why, "2"));
  for (const auto& message : (*answer)["messages"].as_array()) {
    print("  " + number(message.at("tokens")) + "  " + std::string(string_or(message.as_object(), "role")));
  }
  print("  " + number((*answer)["overhead"]) + "  " +
        styled(std::string("roles, message ends and the reply's beginning") + ((*answer)["provider"] == "local" ? "" : ", as OpenAI documents them for its chat models"), "2"));
}

void list(Globals& globals) {
  auto root = project::find_root(globals.session.directory.empty() ? std::filesystem::current_path() : globals.session.directory);
  if (!root) return fail_with(globals, root.error());
  auto prompts = completions::Renderer(*root).list();
  if (!prompts) return fail_with(globals, prompts.error());
  json::array out;
  for (const auto& prompt : *prompts) {
    out.push_back({{"name", prompt.name}, {"file", prompt.file}, {"part", prompt.is_part}});
    if (!globals.json) print(styled(prompt.name, "1") + (prompt.is_part ? styled("  part", "2") : std::string()));
  }
  if (globals.json) print_json({{"prompts", out}});
}

}  // namespace

void add_prompt_commands(Command& app, Globals& globals) {
  auto* const prompt = app.add_subcommand("prompt", "Prompts of the completions/ folder.");
  prompt->require_subcommand();
  auto* const rendering = prompt->add_subcommand("render", "Combine a prompt's parts with variables.");
  auto options = std::make_shared<RenderOptions>();
  add_common(*rendering, globals);
  rendering->add_option("NAME", options->name, "the prompt, as `sabir prompt list` names it").required();
  rendering->add_option("VARIABLES", options->words, "name=value (read by the prompt's input.schema, else JSON where it parses, else text) or name:=JSON");
  rendering->add_option("--args", options->whole, "all variables as one JSON object: the text, @file, or - for standard input");
  rendering->add_flag("--reveal", options->reveal, "with the values of its secrets, in place of [secret:NAME]");
  rendering->add_flag("--messages", options->messages, "print the messages of a prompt with roles");
  rendering->callback([&globals, options] { render(globals, *options); });

  auto* const counting = prompt->add_subcommand("tokens", "Count a rendered prompt's tokens.");
  auto counted = std::make_shared<RenderOptions>();
  add_common(*counting, globals);
  counting->add_option("NAME", counted->name, "the prompt, as `sabir prompt list` names it").required();
  counting->add_option("VARIABLES", counted->words, "as `sabir prompt render` takes them");
  counting->add_option("--args", counted->whole, "all variables as one JSON object: the text, @file, or - for standard input");
  counting->add_option("--model", counted->model, "an alias of config/openai_config.yml, or a model's name (the prompt's, else the default)");
  counting->callback([&globals, counted] { tokens(globals, *counted); });

  add_prompt_explain(*prompt, globals);
  add_prompt_check(*prompt, globals);
  add_prompt_diff(*prompt, globals);

  auto* const listing = prompt->add_subcommand("list", "List prompts and their parts.");
  add_common(*listing, globals);
  listing->callback([&globals] { list(globals); });
}

}  // namespace sabir::cli
