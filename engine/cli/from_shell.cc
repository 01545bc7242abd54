// The requests of bash functions: each verb is one of languages/shell/sdk/sabir.sh.
#include <algorithm>
#include <iostream>
#include <iterator>

#include "arguments.h"
#include "command.h"
#include "inner_commands.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::cli {
namespace {

constexpr std::chrono::hours kLongest{24};  // the engine's own deadlines hold

struct Words {
  std::vector<std::string> rest;               // without options
  std::map<std::string, std::string> options;  // "--json" -> "", "--model" -> its value
  bool has(const char* name) const { return options.contains(name); }
  std::string option(const char* name) const { return has(name) ? options.at(name) : ""; }
};

// Options stand before everything else; `--` ends them.
Result<Words> read_words(std::vector<std::string> words, const std::vector<std::string>& flags, const std::vector<std::string>& valued) {
  Words out;
  std::size_t at = 0;
  for (; at < words.size() && words[at].starts_with("-") && words[at] != "-"; ++at) {
    if (words[at] == "--") {
      ++at;
      break;
    }
    const std::string name = words[at] == "-n" ? "--namespace" : words[at];
    if (std::find(flags.begin(), flags.end(), name) != flags.end()) {
      out.options[name] = "";
    } else if (std::find(valued.begin(), valued.end(), name) != valued.end()) {
      if (at + 1 >= words.size()) return fail(ErrorCode::kUsage, name + " needs a value");
      out.options[name] = words[++at];
    } else {
      auto known = flags;
      known.insert(known.end(), valued.begin(), valued.end());
      return fail(ErrorCode::kUsage, "there is no option " + words[at], did_you_mean(name, known) + " A text that begins with '-' stands after `--`.");
    }
  }
  out.rest.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return out;
}

Result<std::string> json_text(const std::string& text, const std::string& what) {
  if (auto good = protocol::check_json(text); !good) return fail(ErrorCode::kUsage, what + " is no JSON: " + good.error().message);
  return text;
}

std::string all_of_standard_input() { return std::string((std::istreambuf_iterator<char>(std::cin)), {}); }

// `text` where the schema expects something: a number keeps all of its digits.
std::string json_by_schema(const std::string& text, const json::object& schema) {
  const auto value = read_by_schema(text, schema);
  if (value.is_number()) return std::string(trim(text));
  if (value.is_string()) return protocol::quote(text);
  return compact_json(value);
}

// name=value and name:=JSON as the members of an object; numbers as they are written.
Result<std::string> members_of(const std::vector<std::string>& words, std::size_t from, const std::string& whole, const json::object* properties) {
  std::string out = "{";
  if (!whole.empty()) {
    std::string text = whole == "-" ? all_of_standard_input() : whole;
    if (whole.starts_with('@')) {
      auto read = read_file(whole.substr(1));
      if (!read) return fail(std::move(read.error()));
      text = std::move(*read);
    }
    const auto object = trim(text);
    if (auto good = protocol::raw_members(object); !good) return fail(ErrorCode::kUsage, "--args is no JSON object: " + good.error().message);
    out = std::string(trim(object.substr(0, object.size() - 1)));
  }
  for (std::size_t i = from; i < words.size(); ++i) {
    auto word = split_word(words[i]);
    if (!word) return fail(std::move(word.error()));
    if (out.size() > 1) out += ",";
    out += protocol::quote(word->name) + ":";
    if (word->raw) {
      auto text = json_text(word->value, word->name);
      if (!text) return text;
      out += *text;
    } else {
      const auto* schema = properties ? properties->if_contains(word->name) : nullptr;
      out += schema && schema->is_object() ? json_by_schema(word->value, schema->get_object()) : protocol::quote(word->value);
    }
  }
  return out + "}";
}

std::string line_of(std::string_view raw, bool as_json) { return raw.starts_with('"') && !as_json ? protocol::unquote(raw) : std::string(raw); }

class Asker {
 public:
  explicit Asker(Globals& globals) : globals_(globals) {}

  Result<Session*> session() {
    if (!session_) {
      auto opened = Session::open(globals_.session);
      if (!opened) return fail(std::move(opened.error()));
      session_ = std::move(*opened);
    }
    return session_.get();
  }

  // The result object as raw JSON, blobs in their places.
  Result<std::string> ask(const std::string& method, std::string params, runtime::Engine::OnNotice on_notice = {}) {
    auto where = session();
    if (!where) return fail(std::move(where.error()));
    auto payload = protocol::deflate(std::move(params));
    if (!payload.blobs.empty()) {
      payload.json.pop_back();
      payload.json += protocol::blob_list(payload.blobs, "") + "}";
    }
    auto answer = (*where)->request(method, std::move(payload), kLongest, std::move(on_notice));
    if (!answer) return fail(std::move(answer.error()));
    return protocol::inflate(*answer);
  }

 private:
  Globals& globals_;
  std::unique_ptr<Session> session_;
};

using Answer = Result<std::string>;  // what goes to standard output, a newline included

std::string member(const std::string& object, const char* pointer) { return std::string(protocol::raw_at(object, pointer)); }

Answer call(Asker& asker, const Words& words) {
  if (words.rest.empty()) return fail(ErrorCode::kUsage, "sabir_call needs an address");
  const std::string address = protocol::quote(words.rest[0]);
  json::object properties;
  const bool plain = std::any_of(words.rest.begin() + 1, words.rest.end(), [](const auto& word) { return word.find(":=") == std::string::npos || word.find('=') < word.find(":="); });
  if (plain) {
    // The schema says how to read name=value.
    auto function = asker.ask("functions.get", "{\"address\":" + address + "}");
    if (!function) return function;
    auto schema = parse_json(protocol::raw_at(*function, "/input_schema/properties"));
    if (schema && schema->is_object()) properties = std::move(schema->get_object());
  }
  auto arguments = members_of(words.rest, 1, words.option("--args"), &properties);
  if (!arguments) return arguments;
  std::string params = "{\"address\":" + address + ",\"arguments\":" + *arguments;
  if (words.has("--timeout")) {
    const auto seconds = std::atof(words.option("--timeout").c_str());
    if (!(seconds > 0)) return fail(ErrorCode::kUsage, "--timeout needs a number of seconds");
    params += ",\"timeout_ms\":" + std::to_string(static_cast<long long>(seconds * 1000));
  }
  if (words.has("--key")) params += ",\"idempotency_key\":" + protocol::quote(words.option("--key"));
  runtime::Engine::OnNotice on_notice;
  if (words.has("--stream")) {
    params += ",\"stream\":true";
    on_notice = [as_json = words.has("--json")](std::string_view method, std::string_view told) {
      if (method == "chunk") std::cout << line_of(protocol::raw_at(told, "/value"), as_json) << std::endl;
    };
  }
  auto answer = asker.ask("functions.call", params + "}", std::move(on_notice));
  if (!answer) return answer;
  if (!member(*answer, "/streamed").empty()) return std::string();
  const auto value = protocol::raw_at(*answer, "/value");
  if (words.has("--stream") && value.starts_with('[')) {
    std::string lines;
    for (const auto& one : protocol::raw_elements(value)) lines += line_of(one, words.has("--json")) + "\n";
    return lines;
  }
  return line_of(value, words.has("--json")) + "\n";
}

Answer memory(Asker& asker, std::vector<std::string> given) {
  if (given.empty()) return fail(ErrorCode::kUsage, "sabir_memory needs put, get, list, delete, append or messages");
  const std::string verb = given.front();
  given.erase(given.begin());
  auto read = read_words(std::move(given), {"--json", "--keys"}, {"--namespace", "--if-version", "--ttl", "--limit"});
  if (!read) return fail(std::move(read.error()));
  const auto& words = *read;
  const auto need = [&](std::size_t count) { return words.rest.size() == count; };
  std::string where = "\"namespace\":" + protocol::quote(words.has("--namespace") ? words.option("--namespace") : "default");
  std::string limit;
  if (words.has("--limit")) {
    if (std::atoi(words.option("--limit").c_str()) < 1) return fail(ErrorCode::kUsage, "--limit needs a number from 1");
    limit = ",\"limit\":" + std::to_string(std::atoi(words.option("--limit").c_str()));
  }
  if (verb == "put") {
    if (!need(2)) return fail(ErrorCode::kUsage, "sabir_memory put KEY VALUE (--json: the value is JSON; - : it is on standard input)");
    const std::string text = words.rest[1] == "-" ? all_of_standard_input() : words.rest[1];
    auto value = words.has("--json") ? json_text(text, "the value") : Answer(protocol::quote(text));
    if (!value) return value;
    std::string params = "{" + where + ",\"key\":" + protocol::quote(words.rest[0]) + ",\"value\":" + *value;
    for (const auto& [option, key] : {std::pair("--if-version", "if_version"), std::pair("--ttl", "ttl_ms")}) {
      if (!words.has(option)) continue;
      const std::string number = words.option(option);
      if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos || number.size() > 12) return fail(ErrorCode::kUsage, std::string(option) + " needs a whole number");
      params += ",\"" + std::string(key) + "\":" + (std::string_view(key) == "ttl_ms" ? std::to_string(std::stoll(number) * 1000) : std::to_string(std::stoll(number)));
    }
    auto answer = asker.ask("memory.put", params + "}");
    return answer ? Answer(member(*answer, "/version") + "\n") : answer;
  }
  if (verb == "get") {
    if (!need(1)) return fail(ErrorCode::kUsage, "sabir_memory get KEY");
    auto answer = asker.ask("memory.get", "{" + where + ",\"key\":" + protocol::quote(words.rest[0]) + "}");
    if (!answer) return answer;
    if (member(*answer, "/found") != "true" && !words.has("--json")) return fail(Error(ErrorCode::kNotFound, "").with_data("{\"quiet\":true}"));
    return line_of(protocol::raw_at(*answer, "/value"), words.has("--json")) + "\n";
  }
  if (verb == "list") {
    if (words.rest.size() > 1) return fail(ErrorCode::kUsage, "sabir_memory list [PREFIX]");
    auto answer = asker.ask("memory.list", "{" + where + ",\"prefix\":" + protocol::quote(words.rest.empty() ? "" : words.rest[0]) + limit + "}");
    if (!answer) return answer;
    std::string lines;
    for (const auto& one : protocol::raw_elements(protocol::raw_at(*answer, "/items"))) {
      const auto key = protocol::raw_at(one, "/key");
      if (words.has("--keys")) lines += protocol::unquote(key) + "\n";
      else lines += "{\"key\":" + std::string(key) + ",\"value\":" + std::string(protocol::raw_at(one, "/value")) + "}\n";
    }
    return lines;
  }
  if (verb == "delete") {
    if (!need(1)) return fail(ErrorCode::kUsage, "sabir_memory delete KEY");
    auto answer = asker.ask("memory.delete", "{" + where + ",\"key\":" + protocol::quote(words.rest[0]) + "}");
    return answer ? Answer(member(*answer, "/deleted") + "\n") : answer;
  }
  if (verb == "append") {
    if (!need(3)) return fail(ErrorCode::kUsage, "sabir_memory append CONVERSATION ROLE CONTENT");
    auto answer = asker.ask("memory.append", "{\"conversation\":" + protocol::quote(words.rest[0]) + ",\"message\":{\"role\":" + protocol::quote(words.rest[1]) +
                                                 ",\"content\":" + protocol::quote(words.rest[2]) + "}}");
    return answer ? Answer(member(*answer, "/seq") + "\n") : answer;
  }
  if (verb == "messages") {
    if (!need(1)) return fail(ErrorCode::kUsage, "sabir_memory messages CONVERSATION");
    auto answer = asker.ask("memory.messages", "{\"conversation\":" + protocol::quote(words.rest[0]) + limit + "}");
    if (!answer) return answer;
    std::string lines;
    for (const auto& one : protocol::raw_elements(protocol::raw_at(*answer, "/messages"))) lines += std::string(protocol::raw_at(one, "/message")) + "\n";
    return lines;
  }
  return fail(ErrorCode::kUsage, "sabir_memory has no '" + verb + "'", did_you_mean(verb, {"put", "get", "list", "delete", "append", "messages"}));
}

Answer render(Asker& asker, const Words& words) {
  if (words.rest.empty()) return fail(ErrorCode::kUsage, "sabir_render NAME [name=value …]");
  auto variables = members_of(words.rest, 1, words.option("--args"), nullptr);
  if (!variables) return variables;
  auto answer = asker.ask("completions.render", "{\"name\":" + protocol::quote(words.rest[0]) + ",\"variables\":" + *variables + "}");
  if (!answer) return answer;
  return words.has("--messages") ? member(*answer, "/messages") + "\n" : line_of(protocol::raw_at(*answer, "/text"), false) + "\n";
}

Answer complete(Asker& asker, const Words& words) {
  if (words.rest.size() != 1) return fail(ErrorCode::kUsage, "sabir_complete PROMPT");
  std::string messages;
  if (words.has("--system")) messages = "{\"role\":\"system\",\"content\":" + protocol::quote(words.option("--system")) + "},";
  messages += "{\"role\":\"user\",\"content\":" + protocol::quote(words.rest[0] == "-" ? all_of_standard_input() : words.rest[0]) + "}";
  std::string params = "{\"messages\":[" + messages + "]";
  if (words.has("--model")) params += ",\"model\":" + protocol::quote(words.option("--model"));
  auto answer = asker.ask("models.complete", params + "}");
  if (!answer) return answer;
  return words.has("--json") ? *answer + "\n" : line_of(protocol::raw_at(*answer, "/content"), false) + "\n";
}

Answer ask_assistant(Asker& asker, const Words& words) {
  if (words.rest.size() != 2) return fail(ErrorCode::kUsage, "sabir_ask ASSISTANT MESSAGE");
  std::string params = "{\"name\":" + protocol::quote(words.rest[0]) + ",\"message\":" + protocol::quote(words.rest[1]);
  if (words.has("--conversation")) params += ",\"conversation\":" + protocol::quote(words.option("--conversation"));
  auto answer = asker.ask("assistants.run", params + "}");
  if (!answer) return answer;
  return words.has("--json") ? *answer + "\n" : line_of(protocol::raw_at(*answer, "/content"), false) + "\n";
}

Answer functions(Asker& asker, const Words& words) {
  auto answer = asker.ask("functions.list", "{}");
  if (!answer) return answer;
  if (words.has("--json")) return member(*answer, "/functions") + "\n";
  std::string lines;
  for (const auto& one : protocol::raw_elements(protocol::raw_at(*answer, "/functions"))) lines += protocol::unquote(protocol::raw_at(one, "/address")) + "\n";
  return lines;
}

// What needs no engine: JSON without another program.
Answer make_array(const Words& words) {
  std::string out = "[";
  for (const auto& word : words.rest) {
    if (out.size() > 1) out += ",";
    if (!word.starts_with(":=")) {
      out += protocol::quote(word);
      continue;
    }
    auto text = json_text(word.substr(2), "'" + word + "'");
    if (!text) return text;
    out += *text;
  }
  return out + "]\n";
}

Answer get(const Words& words) {
  if (words.rest.size() != 1) return fail(ErrorCode::kUsage, "sabir_get POINTER reads JSON from standard input", "For instance: sabir_get /items/0/name <<<\"$json\"");
  auto text = json_text(all_of_standard_input(), "standard input");
  if (!text) return text;
  const auto value = protocol::raw_at(trim(*text), words.rest[0]);
  if (value.empty()) return fail(Error(ErrorCode::kNotFound, "").with_data("{\"quiet\":true}"));
  if (words.has("--each") && value.starts_with('[')) {
    std::string lines;
    for (const auto& one : protocol::raw_elements(value)) lines += line_of(one, words.has("--json")) + "\n";
    return lines;
  }
  return line_of(value, words.has("--json")) + "\n";
}

Answer run(Asker& asker, std::vector<std::string> given, bool& tried) {
  if (given.empty()) return fail(ErrorCode::kUsage, "from-shell needs a verb", "It serves the functions of `sabir sdk path shell`.");
  const std::string verb = given.front();
  given.erase(given.begin());
  if (!given.empty() && given.front() == "--try") {
    tried = true;
    given.erase(given.begin());
    if (verb == "call") given.insert(given.begin(), "--json");
  }
  if (verb == "memory") {
    if (given.size() > 1 && given[1] == "--try") {
      tried = true;
      given.erase(given.begin() + 1);
    }
    return memory(asker, std::move(given));
  }
  static const std::map<std::string, std::pair<std::vector<std::string>, std::vector<std::string>>> kOptions = {
      {"call", {{"--json", "--stream"}, {"--args", "--timeout", "--key"}}}, {"render", {{"--messages"}, {"--args"}}},
      {"complete", {{"--json"}, {"--model", "--system"}}}, {"ask", {{"--json"}, {"--conversation"}}}, {"secret", {{}, {}}},
      {"functions", {{"--json"}, {}}}, {"json", {{}, {"--args"}}}, {"array", {{}, {}}}, {"get", {{"--json", "--each"}, {}}}};
  const auto known = kOptions.find(verb);
  if (known == kOptions.end()) return fail(ErrorCode::kUsage, "from-shell has no verb '" + verb + "'");
  auto words = read_words(std::move(given), known->second.first, known->second.second);
  if (!words) return fail(std::move(words.error()));
  if (verb == "call") return call(asker, *words);
  if (verb == "render") return render(asker, *words);
  if (verb == "complete") return complete(asker, *words);
  if (verb == "ask") return ask_assistant(asker, *words);
  if (verb == "functions") return functions(asker, *words);
  if (verb == "array") return make_array(*words);
  if (verb == "get") return get(*words);
  if (verb == "json") {
    auto object = members_of(words->rest, 0, words->option("--args"), nullptr);
    return object ? Answer(*object + "\n") : object;
  }
  if (words->rest.size() != 1) return fail(ErrorCode::kUsage, "sabir_secret NAME");
  auto answer = asker.ask("secrets.get", "{\"name\":" + protocol::quote(words->rest[0]) + "}");
  return answer ? Answer(line_of(protocol::raw_at(*answer, "/value"), false) + "\n") : answer;
}

}  // namespace

int from_shell(std::vector<std::string> words) {
  Globals globals;
  if (const char* environment = std::getenv("SABIR_ENV"); environment && *environment) globals.session.environment = environment;
  if (const char* directory = std::getenv("SABIR_PROJECT"); directory && *directory) globals.session.directory = directory;
  Asker asker(globals);
  bool tried = false;
  auto answer = run(asker, std::move(words), tried);
  if (answer && tried) {
    auto value = trim(*answer);
    while (value.ends_with('\n')) value = trim(value.substr(0, value.size() - 1));
    const bool valid = protocol::check_json(value).has_value();
    answer = "{\"value\":" + (valid ? std::string(value) : protocol::quote(value)) + "}\n";
  }
  if (!answer) {
    const auto& error = answer.error();
    if (tried) {
      std::cout << "{\"error\":" << compact_json(to_json(error)) << "}\n" << std::flush;
      return 0;
    }
    if (error.data.find("\"quiet\"") == std::string::npos) std::cerr << "sabir: " << to_text(error) << "\n";
    return error.code == ErrorCode::kUsage ? 2 : 1;
  }
  std::cout << *answer << std::flush;
  return std::cout.good() ? 0 : 1;
}

}  // namespace sabir::cli
