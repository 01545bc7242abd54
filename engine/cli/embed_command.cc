// sabir embed.
#include <cstdio>
#include <iostream>
#include <iterator>

#include "command.h"
#include "sabir/base/text.h"
#include "shown_run.h"

namespace sabir::cli {
namespace {

struct EmbedOptions {
  std::vector<std::string> texts;
  std::string model;
  int dimensions = 0;
};

// "-" stands for the lines of standard input that are not empty.
std::vector<std::string> texts_of(const std::vector<std::string>& words) {
  std::vector<std::string> texts;
  for (const auto& word : words) {
    if (word != "-") {
      texts.push_back(word);
      continue;
    }
    std::string line;
    while (texts.size() <= models::kMostTexts && std::getline(std::cin, line)) {
      if (!trim(line).empty()) texts.push_back(line);
    }
  }
  return texts;
}

void embed(Globals& globals, const EmbedOptions& options) {
  models::EmbedRequest request;
  request.texts = texts_of(options.texts);
  if (auto fit = models::check_texts(request); !fit) {
    Error error = fit.error();
    error.code = ErrorCode::kUsage;
    if (error.hint.empty()) error.hint = "Give texts as arguments, or lines of standard input with -";
    return fail_with(globals, error);
  }
  if (options.dimensions > 0) request.parameters["dimensions"] = options.dimensions;
  request.caller.context = globals.session.context;
  globals.session.recording.name = "embed";
  auto engine = open_engine(globals.session);
  if (!engine) return fail_with(globals, engine.error());
  ShownRun shown(globals, **engine, false);
  request.cancelled = shown.cancelled();
  auto out = (*engine)->embed(options.model, request);
  shown.end();
  if (!out) return fail_with(globals, out.error());
  auto answer = runtime::to_json(*out);
  if (!out->trace.empty()) answer["trace"] = out->trace;
  if (globals.json) return print_json(answer);
  for (const auto& vector : answer.at("vectors").as_array()) print(compact_json(vector));
  std::string summary = "— " + out->model + " (" + out->provider + "), " + std::to_string(out->vectors.front().size()) + " dimensions, " +
                        std::to_string(out->usage.input_tokens) + " tokens";
  if (out->cost_usd.value_or(0) > 0) summary += ", " + dollars(*out->cost_usd) + " USD";
  note(styled(summary, "2"));
}

}  // namespace

void add_embed_command(Command& app, Globals& globals) {
  auto* const embedding = app.add_subcommand("embed", "Ask a model for texts' embeddings: one JSON list of numbers a line.");
  auto how = std::make_shared<EmbedOptions>();
  add_common(*embedding, globals);
  add_recording(*embedding, globals);
  embedding->add_option("TEXTS", how->texts, "texts; - reads one from each line of standard input").required();
  embedding->add_option("-m,--model", how->model, "an alias of config/openai_config.yml (default: $SABIR_MODEL, or the default one)");
  embedding->add_option("--dimensions", how->dimensions, "of the vectors, where the model can shorten them").between(1, 65'536);
  embedding->footer("Examples:\n  sabir embed \"a red apple\" \"a green pear\" --model embedder\n  sabir embed - --json < texts.txt");
  embedding->callback([&globals, how] { embed(globals, *how); });
}

}  // namespace sabir::cli
