#include "command.h"

namespace sabir::cli {

std::string help_page() {
  const auto head = [](const char* text) { return styled(text, "1"); };
  std::string page;
  page += "sabir " SABIR_VERSION " — one engine for AI projects written in many languages\n\n";
  page += head("Start") + "\n";
  page += "  new PATH               make a project: functions, prompts, an assistant, memory, tests\n";
  page += "  init                   serve the code of an existing repository where it stands\n";
  page += "  setup                  make each language's environment and build what is compiled\n";
  page += "  doctor                 say what is missing on this machine, and the command that fixes it\n\n";
  page += head("Use") + "\n";
  page += "  functions              list the project's functions and what they take (also: disable, enable)\n";
  page += "  call ADDRESS a=1 …     call one, in whatever language it is written\n";
  page += "  prompt render NAME …   combine prompt parts into a prompt (also: list, explain, check, …)\n";
  page += "  chat ASSISTANT         talk to an assistant; with a message, one answer\n";
  page += "  complete PROMPT a=1 …  ask a model once, with a prompt of completions/ or a text\n";
  page += "  embed TEXT …           a model's embeddings of texts\n";
  page += "  approvals list         calls of assistants that wait for your word (also: approve, deny)\n";
  page += "  memory get KEY         read and write what every language shares (put, list, delete)\n\n";
  page += head("Keep in order") + "\n";
  page += "  check                  say what is wrong, and what is untested or unused, without running anything\n";
  page += "  test [PATH]            run every language's own tests, with one summary\n";
  page += "  graph [NODE]           what depends on what, and which tests a change reaches\n";
  page += "  parity [NAME]          functions of one name in several languages: do they agree?\n";
  page += "  eval [NAME]            assistants and prompts over tables of cases (also: diff, runs)\n";
  page += "  recordings list        recorded answers for tests (also: show, prune, refresh)\n";
  page += "  model list             models here and the project's aliases (also: pull, rm, find, use)\n";
  page += "  usage                  what calls of models took: tokens and money, by day, user, model, …\n";
  page += "  trace [ID]             what happened: recent runs, or one as a waterfall\n";
  page += "  config show            which configuration holds, and where each value comes from (also: schema)\n";
  page += "  secrets list           which keys there are and where from (also: set, scan, doctor, …)\n";
  page += "  dev                    serve it to this machine while you write it, with a live view\n";
  page += "  serve                  serve the project over HTTP: functions as REST, with OpenAPI\n";
  page += "  tokens list            who may call what is served (also: add, revoke)\n";
  page += "  ci init                continuous integration: GitHub's workflow, its steps here (run), a hook\n";
  page += "  deploy ENVIRONMENT     bring the project to an environment: plan, apply, status, rollback, …\n\n";
  page += head("Around the engine") + "\n";
  page += "  engine run             keep an engine warm for this project (also: status, stop)\n";
  page += "  logs                   what the running engine and its workers said lately; -f follows\n";
  page += "  top                    what the running engine does: queues, latency, memory of its workers\n";
  page += "  mcp                    serve the project to an MCP client over standard input and output\n";
  page += "  mcp servers            servers of MCP whose tools are functions here (also: trust, login, logout, add)\n";
  page += "  attach                 serve one SDK over an inherited socket; SDKs start it themselves\n";
  page += "  conformance            check a language worker against the protocol\n";
  page += "  sdk path LANGUAGE      where the SDK of a language lies\n\n";
  page += head("An engine elsewhere") + "\n";
  page += "  --engine URL COMMAND   ask a served engine: call, functions, chat, prompt render, memory, approvals, …\n\n";
  page += "Most commands take --json, --project DIR and --env NAME; `sabir COMMAND --help` tells the rest.\n";
  page += "Exit codes: 0 done, 1 the thing asked for failed, 2 wrong usage.";
  return page;
}

}  // namespace sabir::cli
