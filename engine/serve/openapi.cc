// /openapi.json and /docs.
#include <algorithm>

#include "docs_page.h"
#include "examples.h"
#include "sabir/base/text.h"
#include "server_state.h"

namespace sabir::serve {
namespace {

std::string component_name(std::string_view text) {
  std::string out;
  for (const char c : text) out += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_' ? c : '_';
  return out;
}

// A function's schema as part of another document: its own definitions move to the document's, and what points at them follows.
class Moved {
 public:
  Moved(json::object& schemas, std::string prefix) : schemas_(schemas), prefix_(std::move(prefix)) {}

  json::value schema(json::object object) {
    auto defs = object.if_contains("$defs") ? json::value(object.at("$defs")) : json::value();
    object.erase("$defs");
    object.erase("$schema");
    json::value out(std::move(object));
    // The whole points at itself.
    const bool recursive = points_home(out) || points_home(defs);
    if (defs.is_object()) {
      for (auto& member : defs.get_object()) {
        json::value own = member.value();
        follow(own);
        schemas_[prefix_ + "." + component_name(member.key())] = std::move(own);
      }
    }
    follow(out);
    if (!recursive) return out;
    schemas_[prefix_] = std::move(out);
    return json::object{{"$ref", "#/components/schemas/" + prefix_}};
  }

 private:
  static bool points_home(const json::value& value) {
    if (value.is_array()) return std::any_of(value.get_array().begin(), value.get_array().end(), points_home);
    if (!value.is_object()) return false;
    if (string_or(value.get_object(), "$ref") == "#") return true;
    return std::any_of(value.get_object().begin(), value.get_object().end(), [](const auto& member) { return points_home(member.value()); });
  }
  void follow(json::value& value) const {
    if (value.is_array()) {
      for (auto& one : value.get_array()) follow(one);
    }
    if (!value.is_object()) return;
    for (auto& member : value.get_object()) {
      if (member.key() == "$ref" && member.value().is_string()) {
        const std::string_view ref = member.value().get_string();
        std::string to;
        if (ref == "#") to = "#/components/schemas/" + prefix_;
        else if (ref.starts_with("#/$defs/")) to = "#/components/schemas/" + prefix_ + "." + component_name(ref.substr(8));
        if (!to.empty()) member.value() = to;
      } else {
        follow(member.value());
      }
    }
  }
  json::object& schemas_;
  std::string prefix_;
};

json::object problem_response(const char* description) {
  return {{"description", description}, {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}};
}

const json::object& problems() {
  static const json::object all{
      {"400", problem_response("The request cannot be read: no JSON, or a parameter that is none.")},
      {"401", problem_response("It is not known who asks.")},
      {"403", problem_response("Who asks may not do this.")},
      {"404", problem_response("There is no such thing here.")},
      {"405", problem_response("The path knows other methods alone.")},
      {"409", problem_response("A request with the same Idempotency-Key is being carried out, or nobody knows how it ended.")},
      {"413", problem_response("The body is too large.")},
      {"415", problem_response("The body is not JSON.")},
      {"422", problem_response("The arguments do not fit; `data.violations` says where.")},
      {"429", problem_response("Too many requests, or a budget is used up; Retry-After says when to come again.")},
      {"500", problem_response("The function failed.")},
      {"502", problem_response("A model could not be reached, or failed.")},
      {"503", problem_response("The server has too much to do, or the function cannot run.")},
      {"504", problem_response("It took too long.")},
      {"507", problem_response("The server's disk is full.")},
  };
  return all;
}

json::object responses(json::object ok, std::initializer_list<const char*> codes, bool asks_who) {
  json::object out{{"200", std::move(ok)}};
  const auto add = [&](const char* code) { out[code] = json::object{{"$ref", std::string("#/components/responses/") + code}}; };
  for (const char* code : codes) {
    const std::string_view name(code);
    if (!asks_who && (name == "401" || name == "403")) continue;
    add(code);
  }
  return out;
}

json::object json_content(json::value schema) { return {{"application/json", {{"schema", std::move(schema)}}}}; }

json::object parameter(const char* name, const char* where, const char* description, json::value schema, bool required = false) {
  return {{"name", name}, {"in", where}, {"required", required}, {"description", description}, {"schema", std::move(schema)}};
}

json::object simple(const char* id, const char* summary, const char* tag, json::object ok, std::initializer_list<const char*> codes, bool asks_who, json::array parameters = {}) {
  json::object out{{"operationId", id}, {"summary", summary}, {"tags", json::array{tag}}};
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  out["responses"] = responses(std::move(ok), codes, asks_who);
  return out;
}

// What one event of a stream is.
json::object event_schema() {
  return {{"type", "object"},
          {"required", {"event", "data"}},
          {"properties",
           {{"event", {{"enum", {"chunk", "progress", "result", "end", "error"}}}},
            {"data", {{"type", "string"}, {"contentMediaType", "application/json"}, {"description", "JSON: a value that was yielded, the result, how many values there were, or a problem."}}},
            {"id", {{"type", "string"}}}}}};
}

json::object function_operation(const functions::Function& function, json::object& schemas, bool asks_who) {
  const auto& schema = function.schema;
  const bool writes = schema.effect != schema::Effect::kRead;
  json::object operation{{"operationId", "call_" + function.tool_name}};
  if (!schema.summary.empty()) operation["summary"] = schema.summary;
  std::string description = schema.doc;
  if (!schema.return_doc.empty()) description += (description.empty() ? "" : "\n\n") + ("Gives " + schema.return_doc);
  if (!description.empty()) operation["description"] = description;
  operation["tags"] = json::array{json::value(function.language)};
  operation["x-sabir-effect"] = schema::effect_name(schema.effect);
  json::array parameters{parameter("stream", "query", "1: the answer comes as server-sent events: `chunk` and `progress`, then `result`, `end` or `error`.",
                                   json::object{{"type", "string"}, {"enum", json::array{"0", "1"}}})};
  if (writes) {
    parameters.push_back(parameter("Idempotency-Key", "header", "A repeated request with the same key gets the same answer, and is not carried out again. Not with `stream`.",
                                   json::object{{"type", "string"}, {"minLength", 1}, {"maxLength", 255}}));
  }
  operation["parameters"] = std::move(parameters);
  const std::string name = component_name(function.tool_name);
  json::object content{{"schema", Moved(schemas, name + ".arguments").schema(schema.input_schema)}};
  if (auto example = example_of(schema.input_schema)) content["example"] = std::move(*example);
  const auto* required = schema.input_schema.if_contains("required");
  operation["requestBody"] = {{"required", required && required->is_array() && !required->get_array().empty()}, {"content", {{"application/json", std::move(content)}}}};
  json::object result{{"schema", Moved(schemas, name + ".result").schema(schema.output_schema)}};
  if (!schema.output_schema.empty()) {
    if (auto example = example_of(schema.output_schema)) result["example"] = std::move(*example);
  }
  json::object ok{{"description", schema.return_doc.empty() ? "The function's result." : schema.return_doc},
                  {"headers", {{"X-Sabir-Run-Id", {{"$ref", "#/components/headers/X-Sabir-Run-Id"}}}}},
                  {"content", {{"application/json", std::move(result)}, {"text/event-stream", {{"schema", event_schema()}}}}}};
  operation["responses"] = writes ? responses(std::move(ok), {"400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "502", "503", "504"}, asks_who)
                                  : responses(std::move(ok), {"400", "401", "403", "404", "413", "415", "422", "429", "500", "502", "503", "504"}, asks_who);
  return operation;
}

}  // namespace

json::object openapi(const project::Project& project, const functions::Registry& registry, const std::string& address, bool asks_who) {
  json::object paths;
  json::object schemas;
  schemas["Problem"] = {{"type", "object"},
                        {"description", "RFC 9457."},
                        {"required", {"type", "title", "status", "detail"}},
                        {"properties",
                         {{"type", {{"type", "string"}, {"format", "uri-reference"}}},
                          {"title", {{"type", "string"}}},
                          {"status", {{"type", "integer"}, {"minimum", 400}, {"maximum", 599}}},
                          {"detail", {{"type", "string"}, {"description", "What went wrong, on which input."}}},
                          {"hint", {{"type", "string"}, {"description", "What to do next."}}},
                          {"instance", {{"type", "string"}, {"format", "uri-reference"}}},
                          {"run", {{"type", "string"}, {"description", "The trace that tells more: `sabir trace`."}}},
                          {"data", {{"type", "object"}, {"description", "Particulars."}}}}}};
  schemas["Function"] = {{"type", "object"},
                         {"required", {"address", "language", "effect", "input_schema", "output_schema", "url"}},
                         {"properties",
                          {{"address", {{"type", "string"}}},
                           {"language", {{"type", "string"}}},
                           {"summary", {{"type", "string"}}},
                           {"effect", {{"enum", {"read", "write", "irreversible"}}}},
                           {"input_schema", {{"type", "object"}}},
                           {"output_schema", {{"type", "object"}}},
                           {"url", {{"type", "string"}}}}}};
  const auto& exposure = project.exposure;
  const auto door = project::Door::kRest;
  const auto list_of = [](const char* name, json::value item) {
    return json::object{{"description", "All of them."},
                        {"content", json_content({{"type", "object"}, {"required", json::array{name}}, {"properties", json::object{{name, {{"type", "array"}, {"items", std::move(item)}}}}}})}};
  };
  paths["/functions"] = {{"get", simple("list_functions", "The functions that can be called.", "functions", list_of("functions", {{"$ref", "#/components/schemas/Function"}}), {"401", "403", "429", "503"}, asks_who)}};
  paths["/functions/{address}"] = {{"get", simple("get_function", "One function.", "functions", {{"description", "The function."}, {"content", json_content({{"$ref", "#/components/schemas/Function"}})}},
                                                  {"400", "401", "403", "404", "429", "503"}, asks_who,
                                                  json::array{parameter("address", "path", "`module.function`, or `language/module.function`.", json::object{{"type", "string"}}, true)})}};
  auto any = simple("call_function", "Calls a function by its address; each has a path of its own below.", "functions",
                    {{"description", "The function's result."}, {"content", {{"application/json", {{"schema", json::object()}}}, {"text/event-stream", {{"schema", event_schema()}}}}}},
                    {"400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "502", "503", "504"}, asks_who,
                    json::array{parameter("address", "path", "`module.function`, or `language/module.function`.", json::object{{"type", "string"}}, true)});
  any["requestBody"] = {{"description", "The arguments by name."}, {"content", json_content({{"type", "object"}})}};
  paths["/functions/{address}"].get_object()["post"] = std::move(any);
  bool any_prompt = exposure.everything;
  for (const auto& entry : exposure.rest) any_prompt = any_prompt || entry.starts_with("prompts/");
  bool any_assistant = exposure.everything;
  for (const auto& entry : exposure.rest) any_assistant = any_assistant || entry.starts_with("assistants/");
  for (const auto& function : registry.functions()) {
    if (!exposure.reaches_function(door, function.language, function.address)) continue;
    const std::string path = "/functions/" + (function.preferred ? "" : function.language + "/") + function.address;
    paths[path] = {{"post", function_operation(function, schemas, asks_who)}};
  }
  const json::value any_object = {{"type", "object"}};
  if (any_prompt) {
    const auto name = [] { return parameter("name", "path", "The prompt's path below completions/.", json::object{{"type", "string"}}, true); };
    paths["/prompts"] = {{"get", simple("list_prompts", "The prompts that can be rendered.", "prompts", list_of("prompts", {{"type", "object"}, {"required", {"name"}}}), {"401", "403", "429", "503"}, asks_who)}};
    paths["/prompts/{name}"] = {{"get", simple("get_prompt", "A prompt's variables.", "prompts", {{"description", "The prompt."}, {"content", json_content(any_object)}}, {"400", "401", "403", "404", "422", "429", "503"}, asks_who, json::array{name()})}};
    auto render = simple("render_prompt", "A prompt's text and messages.", "prompts",
                         {{"description", "What the model would get."},
                          {"content", json_content({{"type", "object"}, {"required", {"text", "messages"}}, {"properties", {{"text", {{"type", "string"}}}, {"messages", {{"type", "array"}, {"items", any_object}}}}}})}},
                         {"400", "401", "403", "404", "413", "415", "422", "429", "500", "502", "503", "504"}, asks_who, json::array{name()});
    render["requestBody"] = {{"description", "The variables."}, {"content", json_content(any_object)}};
    paths["/prompts/{name}/render"] = {{"post", std::move(render)}};
  }
  if (any_assistant) {
    auto ask_assistant = simple("ask_assistant", "One turn of an assistant.", "assistants",
                                {{"description", "Its answer."}, {"content", json_content({{"type", "object"}, {"required", {"content", "conversation"}}, {"properties", {{"content", {{"type", "string"}}}, {"conversation", {{"type", "string"}}}}}})}},
                                {"400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "502", "503", "504", "507"}, asks_who,
                                json::array{parameter("name", "path", "The assistant's name.", json::object{{"type", "string"}}, true)});
    ask_assistant["requestBody"] = {{"required", true},
                                    {"content", json_content({{"type", "object"}, {"required", {"message"}},
                                                              {"properties", {{"message", {{"type", "string"}, {"minLength", 1}}}, {"conversation", {{"type", "string"}, {"description", "Goes on with an earlier one."}}}}}})}};
    ask_assistant["responses"].get_object()["202"] = {{"description", "It waits for somebody's approval; Location says where its answer will be."}, {"content", json_content(any_object)}};
    paths["/assistants/{name}"] = {{"post", std::move(ask_assistant)}};
    paths["/runs/{id}"] = {{"get", simple("get_run", "A run of the caller's own, and its answer.", "assistants", {{"description", "The run."}, {"content", json_content({{"type", "object"}, {"required", {"run", "status"}}})}},
                                          {"400", "401", "403", "404", "429", "500", "503", "507"}, asks_who, json::array{parameter("id", "path", "`run` of an answer.", json::object{{"type", "string"}}, true)})}};
    paths["/approvals"] = {{"get", simple("list_approvals", "Calls that wait for a person's word; with `all` those that did, too.", "assistants", list_of("approvals", {{"type", "object"}, {"required", {"id", "address", "arguments", "state"}}}),
                                          {"400", "401", "403", "429", "500", "503", "507"}, asks_who, json::array{parameter("all", "query", "", json::object{{"type", "string"}, {"enum", json::array{"1"}}})})}};
    auto decide = simple("decide_approval", "Allows or refuses a call that waits; the run goes on when all of its are decided.", "assistants",
                         {{"description", "The approval."}, {"content", json_content({{"type", "object"}, {"required", {"approval"}}})}}, {"400", "401", "403", "404", "409", "413", "422", "429", "500", "503", "507"}, asks_who,
                         json::array{parameter("id", "path", "The approval's id.", json::object{{"type", "string"}}, true)});
    decide["requestBody"] = {{"required", true}, {"content", json_content({{"type", "object"}, {"required", {"approve"}}, {"properties", {{"approve", {{"type", "boolean"}}}, {"reason", {{"type", "string"}}}}}})}};
    paths["/approvals/{id}"] = {{"post", std::move(decide)}};
    paths["/assistants"] = {{"get", simple("list_assistants", "The project's assistants.", "assistants", list_of("assistants", {{"type", "object"}, {"required", {"name"}}}), {"401", "403", "429", "503"}, asks_who)}};
  }
  if (exposure.reaches(door, "memory")) {
    const json::value item = {{"type", "object"}, {"required", {"value", "version"}}, {"properties", {{"key", {{"type", "string"}}}, {"version", {{"type", "integer"}}}, {"updated_ms", {{"type", "integer"}}}}}};
    paths["/memory"] = {{"get", simple("list_memory", "Items of the caller's own memory.", "memory", list_of("items", item), {"400", "401", "403", "422", "429", "500", "503", "504", "507"}, asks_who,
                                       json::array{parameter("namespace", "query", "", json::object{{"type", "string"}, {"default", "default"}}), parameter("prefix", "query", "", json::object{{"type", "string"}}),
                                                   parameter("after", "query", "The last key of the page before.", json::object{{"type", "string"}}),
                                                   parameter("limit", "query", "", json::object{{"type", "integer"}, {"minimum", 1}, {"maximum", 1000}, {"default", 100}})})}};
    paths["/memory/{namespace}/{key}"] = {{"get", simple("get_memory", "One item.", "memory", {{"description", "The item."}, {"content", json_content(item)}}, {"400", "401", "403", "404", "422", "429", "500", "503", "504", "507"}, asks_who,
                                                         json::array{parameter("namespace", "path", "", json::object{{"type", "string"}}, true), parameter("key", "path", "", json::object{{"type", "string"}}, true)})}};
  }
  const json::value state = {{"type", "object"}, {"required", {"status"}}, {"properties", {{"status", {{"type", "string"}}}}}};
  paths["/healthz"] = {{"get", {{"operationId", "healthz"}, {"summary", "Whether the process answers."}, {"tags", json::array{"operations"}}, {"security", json::array{}},
                                {"responses", {{"200", {{"description", "It does."}, {"content", json_content(state)}}}}}}}};
  paths["/readyz"] = {{"get", {{"operationId", "readyz"}, {"summary", "Whether it takes requests."}, {"tags", json::array{"operations"}}, {"security", json::array{}},
                               {"responses", {{"200", {{"description", "It does."}, {"content", json_content(state)}}}, {"503", {{"description", "Not yet, or no longer."}, {"content", json_content(state)}}}}}}}};
  paths["/metrics"] = {{"get", simple("metrics", "What has been served, for Prometheus.", "operations", {{"description", "Metrics."}, {"content", {{"text/plain", {{"schema", {{"type", "string"}}}}}}}}, {"401", "403", "429", "503"}, asks_who)}};
  json::object components{{"schemas", std::move(schemas)}, {"responses", problems()},
                          {"headers", {{"X-Sabir-Run-Id", {{"description", "The request's trace: `sabir trace ID` shows it."}, {"schema", {{"type", "string"}}}}}}}};
  json::object out{{"openapi", "3.1.0"},
                   {"info", {{"title", project.name}, {"version", SABIR_VERSION}, {"description", "The functions of the project, each with its own path."}}},
                   {"jsonSchemaDialect", "https://json-schema.org/draft/2020-12/schema"},
                   {"servers", json::array{json::object{{"url", address.starts_with("http") ? "/" : "http://localhost/"}}}},
                   {"paths", std::move(paths)}};
  if (asks_who) {
    components["securitySchemes"] = {{"bearer", {{"type", "http"}, {"scheme", "bearer"}, {"description", "A token of `sabir tokens add`, or of the issuer that the project names."}}}};
    out["security"] = json::array{json::object{{"bearer", json::array{}}}};
  }
  out["components"] = std::move(components);
  return out;
}

void Server::State::add_documents() {
  // Made anew when the project has been read again, and not on the loop: a large project takes a while.
  const auto with_document = [this](const std::shared_ptr<net::Exchange>& exchange, std::function<void(const std::string&)> use) {
    const bool taken = elsewhere([self = shared_from_this(), use = std::move(use)] {
      std::shared_ptr<const std::string> text;
      {
        const std::lock_guard lock(self->document_mutex);
        const auto now = self->project();
        const auto all = self->registry();
        const std::tuple made_of(all, now, self->asks_who());
        if (!self->document || self->documented != made_of) {
          self->document = std::make_shared<const std::string>(compact_json(openapi(*now, *all, self->http->address(), std::get<2>(made_of))));
          self->documented = made_of;
        }
        text = self->document;
      }
      use(*text);
    });
    if (!taken) exchange->respond(net::problem(503, "the server has too much to do"));
  };
  add("GET", "/openapi.json", "", [with_document](const std::shared_ptr<net::Exchange>& exchange, const Identity&) {
    with_document(exchange, [exchange](const std::string& text) { exchange->respond({200, {{"Content-Type", "application/json"}, {"Cache-Control", "no-cache"}}, text}); });
  });
  add("GET", "/docs", "", [with_document](const std::shared_ptr<net::Exchange>& exchange, const Identity&) {
    with_document(exchange, [exchange](const std::string& text) {
      const auto value = parse_json(text);
      exchange->respond({200,
                         {{"Content-Type", "text/html; charset=utf-8"},
                          {"Cache-Control", "no-cache"},
                          {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"},
                          {"Referrer-Policy", "no-referrer"}},
                         value ? docs_page(value->get_object()) : std::string()});
    });
  });
}

}  // namespace sabir::serve
