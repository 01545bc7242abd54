// sabir prompt explain: what each piece of a rendered prompt came from. The prompt stands on standard output as `render` writes it,
// the table beside it on standard error.
#include <array>
#include <iostream>
#include <map>

#include "arguments.h"
#include "command.h"

namespace sabir::cli {
namespace {

struct ExplainOptions {
  std::string name;
  std::vector<std::string> words;
  std::string whole;
  std::string model;
};

constexpr std::array<const char*, 6> kColours = {"36", "33", "35", "32", "34", "31"};

std::int64_t number(const json::value& value) { return value.to_number<std::int64_t>(); }

std::string padded(const std::string& text, std::size_t width) { return text.size() < width ? std::string(width - text.size(), ' ') + text : text; }

// Declared parts by name, the rest by file: as "parts" has them.
std::string key_of(bool is_declared, std::string_view name) { return (is_declared ? "part " : "file ") + std::string(name); }

std::map<std::string, const char*> colours_of(const json::array& parts) {
  std::map<std::string, const char*> colours;
  for (const auto& part : parts) {
    const bool is_declared = part.at("declared") == true;
    colours.emplace(key_of(is_declared, part.at(is_declared ? "part" : "file").as_string()), kColours[colours.size() % kColours.size()]);
  }
  return colours;
}

// Each line by itself, so that a pager that cuts lines keeps its colours.
std::string painted(std::string_view text, const std::string& style) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) out += styled(text.substr(0, end), style.c_str());
    if (end < text.size()) out += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

void show_text(const json::object& answer, const std::map<std::string, const char*>& colours) {
  const std::string_view text = string_or(answer, "text");
  for (const auto& value : answer.at("spans").as_array()) {
    const auto& span = value.as_object();
    const auto from = static_cast<std::size_t>(number(span.at("from")));
    const std::string_view piece = text.substr(from, static_cast<std::size_t>(number(span.at("to"))) - from);
    const std::string_view part = string_or(span, "part");
    const std::string_view kind = string_or(span, "kind");
    std::string style = colours.at(part.empty() ? key_of(false, string_or(span, "file")) : key_of(true, part));
    if (kind == "value") style += ";1";
    if (kind == "derived") style += ";4";
    if (kind == "heading") style = "2";
    std::cout << painted(piece, style);
  }
  if (on_terminal()) std::cout << "\n\n";
  std::cout.flush();
}

void show_parts(const json::object& answer, const std::map<std::string, const char*>& colours) {
  const bool is_exact = answer.at("exact") == true;
  std::size_t width = 4;
  for (const auto& part : answer.at("parts").as_array()) width = std::max(width, part.at("part").as_string().size());
  const auto left = [&](std::string text) { return text.append(width - std::min(width, text.size()), ' '); };
  note(styled("tokens  share  " + left("part") + "  where", "2"));
  for (const auto& value : answer.at("parts").as_array()) {
    const auto& part = value.as_object();
    const bool is_declared = part.at("declared") == true;
    const std::string name(string_or(part, "part"));
    const auto percent = static_cast<int>(part.at("share").to_number<double>() * 100 + 0.5);
    std::string cut;
    if (const auto action = string_or(part, "action"); action == "dropped") cut = "left out, it had " + std::to_string(number(part.at("tokens_before"))) + " tokens";
    else if (!action.empty()) cut = "shortened, it had " + std::to_string(number(part.at("tokens_before"))) + " tokens";
    note(padded(std::to_string(number(part.at("tokens"))), 6) + padded(std::to_string(percent) + " %", 7) + "  " +
         styled(left(name), colours.at(key_of(is_declared, is_declared ? name : string_or(part, "file")))) + "  " + std::string(string_or(part, "file")) + ":" +
         std::to_string(number(part.at("line"))) + (cut.empty() ? "" : "  " + cut));
  }
  note(padded(std::to_string(number(answer.at("overhead"))), 6) + "         " + styled("roles, message ends and the reply's beginning", "2"));
  std::string total = (is_exact ? "" : "about ") + std::to_string(number(answer.at("tokens"))) + " tokens";
  if (const auto* budget = answer.if_contains("budget")) total += " of " + std::to_string(number(budget->at("tokens")));
  note(total + styled(is_exact ? "  " + std::string(string_or(answer, "encoding")) : "  estimated by " + std::string(string_or(answer, "encoding")), "2"));
  if (styled("x", "1") != "x") note(styled("values are ", "2") + styled("bold", "1") + styled(", what filters, macros and the like made is ", "2") + styled("underlined", "4"));
}

void explain(Globals& globals, const ExplainOptions& options) {
  auto variables = read_arguments(options.words, options.whole, {});
  if (!variables) return fail_with(globals, variables.error());
  auto session = Session::open(globals.session);
  if (!session) return fail_with(globals, session.error());
  json::object params{{"name", options.name}, {"variables", *variables}};
  if (!options.model.empty()) params["model"] = options.model;
  auto answer = (*session)->ask("completions.explain", params);
  if (!answer) return fail_with(globals, answer.error());
  if (globals.json) return print_json(*answer);
  const auto colours = colours_of(answer->at("parts").as_array());
  show_text(*answer, colours);
  show_parts(*answer, colours);
}

}  // namespace

void add_prompt_explain(Command& prompt, Globals& globals) {
  auto* const explaining = prompt.add_subcommand("explain", "Show which file, line and part each piece of a rendered prompt came from.");
  auto options = std::make_shared<ExplainOptions>();
  add_common(*explaining, globals);
  explaining->add_option("NAME", options->name, "the prompt, as `sabir prompt list` names it").required();
  explaining->add_option("VARIABLES", options->words, "as `sabir prompt render` takes them");
  explaining->add_option("--args", options->whole, "all variables as one JSON object: the text, @file, or - for standard input");
  explaining->add_option("--model", options->model, "an alias of config/openai_config.yml, or a model's name (the prompt's, else the default)");
  explaining->callback([&globals, options] { explain(globals, *options); });
}

}  // namespace sabir::cli
