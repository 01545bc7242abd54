// sabir prompt list, sabir prompt render.
#include <iostream>

#include "arguments.h"
#include "command.h"
#include "sabir/completions/renderer.h"

namespace sabir::cli {
namespace {

struct RenderOptions {
  std::string name;
  std::vector<std::string> words;
  std::string whole;
  bool messages = false;
};

void render(Globals& globals, const RenderOptions& options) {
  auto variables = read_arguments(options.words, options.whole, {});
  if (!variables) return fail_with(globals, variables.error());
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  auto answer = (*session)->ask("completions.render", {{"name", options.name}, {"variables", *variables}});
  if (!answer) return fail_with(globals, answer.error());
  if (globals.json) return print_json(*answer);
  if (options.messages) return print(pretty_json((*answer)["messages"]));
  // The bytes as they are: what is piped on must not gain a newline.
  std::cout << string_or(*answer, "text");
  if (on_terminal()) std::cout << "\n";
  std::cout.flush();
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
  rendering->add_option("VARIABLES", options->words, "name=value (JSON where it parses, else text) or name:=JSON");
  rendering->add_option("--args", options->whole, "all variables as one JSON object: the text, @file, or - for standard input");
  rendering->add_flag("--messages", options->messages, "print the messages of a prompt with roles");
  rendering->callback([&globals, options] { render(globals, *options); });

  auto* const listing = prompt->add_subcommand("list", "List prompts and their parts.");
  add_common(*listing, globals);
  listing->callback([&globals] { list(globals); });
}

}  // namespace sabir::cli
