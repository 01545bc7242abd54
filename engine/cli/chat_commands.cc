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

// A turn of an assistant of an engine elsewhere. Nobody is asked here for what needs approval: it waits for a word where the engine is.
Result<json::object> run_elsewhere(Session& session, ShownRun& shown, const std::string& assistant, const std::string& message, const std::string& conversation) {
  const auto& events = shown.events();
  const auto told = [&](std::string_view type, std::string_view data) {
    auto value = parse_json(data);
    if (!value || !value->is_object()) return;
    const auto& object = value->get_object();
    const auto text = [&](const char* name) { return std::string(string_or(object, name)); };
    if (type == "text" && events.text) events.text(text("text"));
    else if (type == "loading" && events.loading) events.loading(object.contains("progress") ? object.at("progress").to_number<double>() : 0);
    else if (type == "calling" && events.calling) events.calling(text("address"), text("arguments"));
    else if (type == "called" && events.called) events.called(text("address"), text("outcome"), object.contains("ok") && object.at("ok") == true);
  };
  session.cancel_by(shown.cancelled());
  const json::object params{{"name", assistant}, {"message", message}, {"conversation", conversation}};
  auto answer = session.request("assistants.run", {compact_json(params), {}}, std::chrono::hours(1), told);
  if (!answer) return fail(std::move(answer.error()));
  auto value = parse_json(answer->json);
  if (!value || !value->is_object()) return fail(ErrorCode::kProtocol, "the engine's answer is no object");
  return std::move(value->get_object());
}

// Who answers: this process's engine, or one elsewhere.
struct Answering {
  std::unique_ptr<runtime::Engine> engine;
  std::unique_ptr<Session> elsewhere;
};

// One turn. Text streams to the terminal; calls are told on standard error.
std::optional<std::string> turn(Globals& globals, const Answering& by, const ChatOptions& options, const std::string& message,
                                const std::string& conversation) {
  ShownRun shown(globals, [redactor = by.engine ? by.engine->redactor() : nullptr](std::string_view text) { return redactor ? redactor->redact(text) : std::string(text); });
  auto answer = by.elsewhere ? run_elsewhere(*by.elsewhere, shown, options.assistant, message, conversation)
                             : by.engine->run_assistant(options.assistant, message, conversation, globals.session.context, shown.events(), shown.cancelled());
  shown.end();
  if (!answer) {
    fail_with(globals, answer.error());
    return std::nullopt;
  }
  if (globals.json) {
    print_json(*answer);
  } else {
    if (const auto* waiting = answer->if_contains("waiting"); waiting && waiting->is_array() && !waiting->get_array().empty()) {
      for (const auto& one : waiting->get_array()) {
        note("It waits for approval of " + std::string(string_or(one.as_object(), "address")) + " " + compact_json(one.as_object().at("arguments")) + ": sabir approvals approve " +
             std::string(string_or(one.as_object(), "id")));
      }
    } else if (!shown.wrote()) {
      print(string_or(*answer, "content"));
    }
    const auto model = string_or(*answer, "model");
    if (!model.empty()) note(styled("— " + std::string(model) + " (" + std::string(string_or(*answer, "provider")) + ")" + trace_words(*answer), "2"));
  }
  return std::string(string_or(*answer, "conversation"));
}

void chat(Globals& globals, const ChatOptions& options) {
  globals.session.recording.name = "chat " + options.assistant;
  Answering by;
  if (!globals.session.engine.url.empty()) {
    auto session = Session::open(globals.session);
    if (!session) return fail_with(globals, session.error());
    by.elsewhere = std::move(*session);
  } else {
    auto engine = open_engine(globals.session);
    if (!engine) return fail_with(globals, engine.error());
    if (auto found = (*engine)->registry()->find_assistant(options.assistant); !found) return fail_with(globals, found.error());
    by.engine = std::move(*engine);
  }
  if (!options.message.empty()) {
    turn(globals, by, options, options.message, options.conversation);
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
    if (auto next = turn(globals, by, options, line, conversation)) {
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
