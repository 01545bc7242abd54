// sabir chat.
#include <unistd.h>

#include <iostream>

#include "command.h"
#include "shown_run.h"

namespace sabir::cli {
namespace {

struct ChatOptions {
  std::string assistant;
  std::string message;
  std::string conversation;
};

// One turn. Text streams to the terminal; calls are told on standard error.
std::optional<std::string> turn(Globals& globals, runtime::Engine& engine, const ChatOptions& options, const std::string& message,
                                const std::string& conversation) {
  ShownRun shown(globals, engine);
  auto answer = engine.run_assistant(options.assistant, message, conversation, globals.session.context, shown.events(), shown.cancelled());
  shown.end();
  if (!answer) {
    fail_with(globals, answer.error());
    return std::nullopt;
  }
  if (globals.json) {
    print_json(*answer);
  } else {
    if (!shown.wrote()) print(string_or(*answer, "content"));
    const auto model = string_or(*answer, "model");
    if (!model.empty()) note(styled("— " + std::string(model) + " (" + std::string(string_or(*answer, "provider")) + ")" + trace_words(*answer), "2"));
  }
  return std::string(string_or(*answer, "conversation"));
}

void chat(Globals& globals, const ChatOptions& options) {
  globals.session.recording.name = "chat " + options.assistant;
  auto engine = open_engine(globals.session);
  if (!engine) return fail_with(globals, engine.error());
  if (auto found = (*engine)->registry()->find_assistant(options.assistant); !found) return fail_with(globals, found.error());
  if (!options.message.empty()) {
    turn(globals, **engine, options, options.message, options.conversation);
    return;
  }
  const bool person = ::isatty(STDIN_FILENO) == 1 && !globals.json;
  if (person) note(styled(options.assistant, "1") + ": type a message; an empty line or Ctrl-D ends.");
  std::string conversation = options.conversation;
  while (true) {
    if (person) std::cerr << "\n" << styled("you", "36") << " " << std::flush;
    std::string line;
    if (!std::getline(std::cin, line) || (person && line.empty())) break;
    if (line.empty()) continue;
    if (auto next = turn(globals, **engine, options, line, conversation)) {
      conversation = *next;
    } else if (!person) {
      break;
    }
  }
  if (person && !conversation.empty()) note(styled("Go on later with --conversation " + conversation, "2"));
}

}  // namespace

void add_chat_command(Command& app, Globals& globals) {
  auto* const chatting = app.add_subcommand("chat", "Talk to an assistant; with a message, one answer.");
  auto options = std::make_shared<ChatOptions>();
  add_common(*chatting, globals);
  add_recording(*chatting, globals);
  chatting->add_option("ASSISTANT", options->assistant, "the file's name in assistants/<language>/").required();
  chatting->add_option("MESSAGE", options->message, "one message; without it, a conversation until Ctrl-D");
  chatting->add_option("-c,--conversation", options->conversation, "go on with this one");
  chatting->callback([&globals, options] { chat(globals, *options); });
}

}  // namespace sabir::cli
