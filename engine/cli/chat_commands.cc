// sabir chat, sabir complete.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iostream>

#include "command.h"

namespace sabir::cli {
namespace {

std::shared_ptr<std::atomic<bool>>& turn_cancelled() {
  static auto* const flag = new std::shared_ptr<std::atomic<bool>>(std::make_shared<std::atomic<bool>>(false));
  return *flag;
}
std::atomic<bool>* g_cancel = nullptr;  // what Ctrl-C sets during a turn

void on_interrupt(int) {
  if (g_cancel) g_cancel->store(true);
}

struct ChatOptions {
  std::string assistant;
  std::string message;
  std::string conversation;
};

// Asks the person at the terminal; nobody there means no.
bool ask_person(const std::string& address, const std::string& arguments) {
  std::ifstream in("/dev/tty");
  std::ofstream out("/dev/tty");
  if (!in || !out || ::isatty(STDERR_FILENO) != 1) return false;
  out << "\nThe assistant wants to call " << address << " with " << arguments << ".\nThis cannot be undone. Allow it? [y/N] " << std::flush;
  std::string line;
  std::getline(in, line);
  return line == "y" || line == "Y" || line == "yes";
}

// One turn. Text streams to the terminal; calls are told on standard error.
std::optional<std::string> turn(Globals& globals, runtime::Engine& engine, const ChatOptions& options, const std::string& message,
                                const std::string& conversation) {
  auto cancel = std::make_shared<std::atomic<bool>>(false);
  turn_cancelled() = cancel;
  g_cancel = cancel.get();
  runtime::RunEvents events;
  bool wrote = false;
  bool loading = false;
  if (!globals.json) {
    events.text = [&](std::string_view text) {
      if (loading) std::cerr << "\r\x1b[K" << std::flush;
      loading = false;
      std::cout << text << std::flush;
      wrote = true;
    };
    events.loading = [&](double progress) {
      if (::isatty(STDERR_FILENO) != 1) return;
      loading = true;
      std::cerr << "\rloading the model … " << static_cast<int>(progress * 100) << " %" << std::flush;
    };
    events.calling = [&](const std::string& address, const std::string& arguments) {
      if (loading) std::cerr << "\r\x1b[K";
      loading = false;
      if (wrote) std::cout << "\n" << std::flush;
      wrote = false;
      note(styled("→ " + address + " " + arguments, "2"));
    };
    events.called = [&](const std::string&, const std::string& outcome, bool ok) {
      std::string text = outcome.size() > 300 ? outcome.substr(0, 297) + "…" : outcome;
      note(styled((ok ? "← " : "✗ ") + text, ok ? "2" : "31"));
    };
  }
  events.approve = ask_person;
  auto answer = engine.run_assistant(options.assistant, message, conversation, globals.session.context, events, cancel);
  g_cancel = nullptr;
  if (!globals.json && wrote) std::cout << "\n" << std::flush;
  if (!answer) {
    fail_with(globals, answer.error());
    return std::nullopt;
  }
  if (globals.json) {
    print_json(*answer);
  } else {
    if (!wrote) print(string_or(*answer, "content"));
    const auto model = string_or(*answer, "model");
    if (!model.empty()) note(styled("— " + std::string(model) + " (" + std::string(string_or(*answer, "provider")) + ")", "2"));
  }
  return std::string(string_or(*answer, "conversation"));
}

void chat(Globals& globals, const ChatOptions& options) {
  auto engine = open_engine(globals.session);
  if (!engine) return fail_with(globals, engine.error());
  if (auto found = (*engine)->registry()->find_assistant(options.assistant); !found) return fail_with(globals, found.error());
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
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

struct CompleteOptions {
  std::string prompt;
  std::string model;
  std::string system;
  int max_tokens = 0;
  std::optional<double> temperature;
};

void complete(Globals& globals, const CompleteOptions& options) {
  auto engine = open_engine(globals.session);
  if (!engine) return fail_with(globals, engine.error());
  models::Request request;
  if (!options.system.empty()) request.messages.push_back({{"role", "system"}, {"content", options.system}});
  std::string prompt = options.prompt;
  if (prompt == "-") prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  request.messages.push_back({{"role", "user"}, {"content", prompt}});
  if (options.max_tokens > 0) request.parameters["max_tokens"] = options.max_tokens;
  if (options.temperature) request.parameters["temperature"] = *options.temperature;
  bool wrote = false;
  models::OnEvent on_event;
  if (!globals.json) {
    on_event = [&](const models::Event& event) {
      if (event.content.empty()) return;
      std::cout << event.content << std::flush;
      wrote = true;
    };
  }
  auto reply = (*engine)->complete(options.model, request, on_event);
  if (wrote) print("");
  if (!reply) return fail_with(globals, reply.error());
  if (globals.json) return print_json(runtime::to_json(*reply));
  if (!wrote) print(reply->content);
  note(styled("— " + reply->model + " (" + reply->provider + "), " + std::to_string(reply->usage.input_tokens) + " + " +
                  std::to_string(reply->usage.output_tokens) + " tokens", "2"));
}

}  // namespace

void add_chat_commands(Command& app, Globals& globals) {
  auto* const chatting = app.add_subcommand("chat", "Talk to an assistant; with a message, one answer.");
  auto options = std::make_shared<ChatOptions>();
  add_common(*chatting, globals);
  chatting->add_option("ASSISTANT", options->assistant, "the file's name in assistants/<language>/").required();
  chatting->add_option("MESSAGE", options->message, "one message; without it, a conversation until Ctrl-D");
  chatting->add_option("-c,--conversation", options->conversation, "go on with this one");
  chatting->callback([&globals, options] { chat(globals, *options); });

  auto* const completing = app.add_subcommand("complete", "One plain model call.");
  auto how = std::make_shared<CompleteOptions>();
  add_common(*completing, globals);
  completing->add_option("PROMPT", how->prompt, "the prompt; - reads standard input").required();
  completing->add_option("-m,--model", how->model, "an alias of config/openai_config.yml (default: its default, or $SABIR_MODEL)");
  completing->add_option("--system", how->system, "a system message before it");
  completing->add_option("--max-tokens", how->max_tokens, "end the answer after so many").between(1, 1'000'000);
  completing->add_option("--temperature", how->temperature, "0 = the likeliest words").between(0.0, 2.0);
  completing->callback([&globals, how] { complete(globals, *how); });
}

}  // namespace sabir::cli
