// sabir.yml.
#include "files.h"
#include "sabir/project/serving.h"

namespace sabir::project::config {
namespace {

ConfigType scopes() { return either({list(choice({std::begin(kScopes), std::end(kScopes)})), choice({std::begin(kScopes), std::end(kScopes)})}); }

std::vector<ConfigKey> tracing_keys() {
  return {
      {"capture", choice({"none", "errors", "sample", "all"}), "(all in development and test, else errors)", "Of which runs the texts are kept beside their structure.", "errors"},
      {"sample", number(0, 1), "0.1", "The part of runs whose texts `capture: sample` keeps.", "0.25"},
      {"keep_days", integer(1, 3650), "14", "How many days traces are kept.", "30"},
      {"keep_mb", integer(1, 1 << 20), "256", "How many megabytes of traces are kept.", "1024"},
      {"otlp",
       map({
           {"endpoint", text(), "", "Address of an OTLP/HTTP server; `/v1/traces` is added.", "http://127.0.0.1:4318"},
           {"headers", table("HEADER", secret_text()), "", "Headers that are sent there: each value is the name of a secret, or a text with `${secret:NAME}`.", "{Authorization: \"Bearer ${secret:otlp_token}\"}"},
       }),
       "", "Where traces are exported to.", "{endpoint: \"http://127.0.0.1:4318\"}"},
  };
}

std::vector<ConfigKey> serve_keys() {
  return {
      {"host", text(), "127.0.0.1", "The address that `sabir serve` listens at.", "0.0.0.0"},
      {"port", integer(0, 65535), "8080", "The port; 0 takes any free one.", "8443"},
      {"socket", text(), "", "A Unix socket to listen at instead, from the project's root.", "run/sabir.sock"},
      {"hosts", texts(), "(names of this machine, and the host that is listened at)", "The `Host` headers that are answered.", "[api.example.com]"},
      {"cors", texts(), "[]", "Origins whose pages may ask; `*` is any.", "[\"https://app.example.com\"]"},
      {"tls",
       map({
           {"certificate", text(), "", "A PEM file with the chain of certificates, from the project's root.", "config/cert.pem", true},
           {"key", text(), "", "A PEM file with its private key.", "config/key.pem", true},
       }),
       "", "Serves HTTPS.", "{certificate: config/cert.pem, key: config/key.pem}"},
      {"jwt",
       map({
           {"jwks", text(), "", "The issuer's public keys: an https address, or a file from the project's root.", "https://login.example/jwks.json", true},
           {"issuer", text(), "", "The `iss` that a token must have.", "https://login.example/", true},
           {"audience", texts(), "", "The `aud` of which a token must have one.", "my-service", true},
           {"user", text(), "sub", "The claim that names the user.", "email"},
           {"tenant", text(), "", "The claim that names the user's organisation.", "org"},
           {"scopes", text(), "scope", "The claim that lists what the token allows.", "permissions"},
           {"granted", scopes(), "(what the token's claim lists)", "What every good token allows, whatever it says itself.", "[functions, prompts]"},
       }),
       "", "Takes JSON Web Tokens of this issuer as callers' names.", "{jwks: \"https://login.example/jwks.json\", issuer: \"https://login.example/\", audience: my-service}"},
      {"proxy",
       map({
           {"from", texts(), "", "The addresses and networks that the proxy connects from; `unix` is the Unix socket.", "127.0.0.1", true},
           {"user", text(), "X-Forwarded-User", "The header that names the user.", "X-User"},
           {"tenant", text(), "", "The header that names the user's organisation.", "X-Tenant"},
           {"conversation", text(), "", "The header that names the conversation.", "X-Conversation"},
           {"scopes", scopes(), "", "What its callers may do.", "[functions]", true},
       }),
       "", "Believes the headers of a proxy in front as to who calls.", "{from: 127.0.0.1, user: X-Forwarded-User, scopes: [functions]}"},
      {"limits",
       map({
           {"body", size(), "16MB", "The largest body of a request; 1GB at most.", "64MB"},
           {"head", integer(4096, 1 << 20), "32768", "Bytes that the headers of a request may have.", "65536"},
           {"connections", integer(1, 1'000'000), "16384", "Connections that may be open at once.", "1000"},
           {"running", integer(1, 100'000), "4096", "Requests that may be worked on at once.", "500"},
           {"per_minute", integer(1, 10'000'000), "", "Requests that one caller may make in a minute; `rate` says the same in other units.", "600"},
           {"rate", rate(), "", "How many requests one caller may make in a second, minute or hour.", "10/s"},
           {"at_once", integer(1, 100'000), "", "Requests of one caller that may be worked on at once.", "16"},
           {"timeout", duration(), "10m", "How long a request may take, whatever its function is allowed.", "30s"},
           {"drain", duration(), "30s", "How long requests have to end when the server stops.", "10s"},
           {"start", duration(), "5m", "After this long it is ready, even where a language is still being built.", "1m"},
           {"keep_answers", duration(), "24h", "How long an answer is kept under its Idempotency-Key.", "1h"},
       }),
       "", "Bounds on what callers may ask.", "{body: 64MB, timeout: 30s}"},
  };
}

ConfigType isolation() {
  const ConfigType level = choice({"process", "sandbox", "in_process"});
  const ConfigType rule = map({
      {"level", level, "", "How far it is kept from the engine, the project and the machine.", "sandbox", true},
      {"paths",
       map({
           {"read", list(text()), "[]", "What it may read beside the project: absolute, or from the project's root.", "[/srv/prices]"},
           {"write", list(text()), "[]", "What it may write.", "[data/out]"},
       }),
       "", "Folders and files beside the project that it sees.", "{read: [/srv/prices], write: [data/out]}"},
      {"network", boolean(), "false", "Whether it may reach the network.", "true"},
      {"environment", list(text()), "[]", "Names of variables that it sees.", "[SHOP_REGION]"},
      {"memory", size(), "512MB", "Memory of one worker with all that it starts.", "512MB"},
      {"tmp", size(), "64MB", "What its `/tmp` may hold.", "64MB"},
      {"cores", integer(1, 4096), "(all)", "Processors that one worker may keep busy.", "1"},
      {"processes", integer(1, 4096), "128", "Processes and threads of one worker, at once.", "32"},
  });
  return either({level, table("WHERE", either({level, rule}))});
}

}  // namespace

ConfigFile sabir_file() {
  return {
      "sabir.yml", "Makes a folder a project, and says what its functions may do and how they are served.", "",
      map({
          {"engine", version(), "", "The oldest engine that the project works with.", SABIR_VERSION},
          {"name", text(), "(the folder's name)", "The project's name: in secrets' names elsewhere, traces and OpenAPI.", "shop"},
          {"languages", list(text()), "(those of the folders)", "Languages in order of preference: the first that has a function of some name answers for it.", "[python, ruby]"},
          {"timeout", duration(), "30s", "How long a call may take where the function says nothing.", "45s"},
          {"environment", list(text()), "[]", "Environment variables that functions see beside the usual ones; keys are for config/grants.yml.", "[SHOP_REGION]"},
          {"pools",
           table("LANGUAGE", map({
                                 {"min", integer(0, 256), "1", "Workers that are kept when nothing runs.", "1"},
                                 {"max", integer(1, 256), "(one for each processor)", "Workers at most.", "4"},
                                 {"queue", integer(1, 1'000'000), "10000", "Calls that may wait for a worker.", "200"},
                                 {"idle", duration(), "1m", "After this long without a call a worker beyond `min` leaves.", "5m"},
                                 {"max_calls", integer(1, 1'000'000'000), "", "A worker is renewed after so many calls.", "10000"},
                                 {"max_age", duration(), "", "A worker is renewed when it is that old.", "12h"},
                                 {"max_memory", size(), "", "A worker that is larger is renewed.", "1GB"},
                             })),
           "", "Bounds of each language's workers.", "{python: {min: 1, max: 4}}"},
          {"isolation", isolation(), "process", "How far functions are kept from the engine, the project and the machine: for all, or by language, folder or file.", "{functions/python/uploads: sandbox}"},
          {"sources",
           list(map({
               {"path", text(), "", "A file or folder with code, from the project's root or absolute.", "app/services"},
               {"package", text(), "", "An installed package instead of a path.", "billing"},
               {"language", text(), "", "Its language.", "ruby", true},
               {"boot", text(), "", "A file that is loaded once before the others.", "config/environment.rb"},
               {"include", list(text()), "(every file of the language)", "Globs of the files below it that count.", "[\"**/*_service.rb\"]"},
               {"expose", list(text()), "(every public function)", "Names of functions that may be called; `*` is any text.", "[\"Refunds.*\"]"},
               {"env", map({{"pass", list(text()), "[]", "Names of variables that its workers see too.", "[DATABASE_URL]"}}), "", "Environment of its workers.", "{pass: [DATABASE_URL]}"},
               {"prefix", text(), "", "What its addresses begin with.", "billing"},
               {"library", text(), "", "The target of the project's own build that its functions are linked with.", "pricing"},
           })),
           "[]", "Existing code that is served where it stands.", "[{path: app/services, language: ruby}]"},
          {"tests", map({{"timeout", duration(), "10m", "How long one suite may take.", "5m"}}), "", "How `sabir test` runs.", "{timeout: 5m}"},
          {"tracing", map(plus(tracing_keys(), {{"environments", table("ENVIRONMENT", map(tracing_keys())), "", "The same keys for one environment.", "{production: {capture: none}}"}})), "",
           "What is kept of what runs, and where it is exported to.", "{capture: errors, keep_days: 30}"},
          {"serve", map(plus(serve_keys(), {{"environments", table("ENVIRONMENT", map(serve_keys())), "", "The same keys for one environment.", "{production: {host: 0.0.0.0}}"}})), "",
           "How `sabir serve` serves the project.", "{port: 8443}"},
          {"expose",
           map({
               {"rest", texts(), "[]", "What REST reaches.", "[\"reports.*\", prompts/summary]"},
               {"mcp", texts(), "[]", "What clients of the Model Context Protocol reach.", "[\"reports.*\"]"},
               {"model", texts(), "[]", "What clients of OpenAI's API reach.", "[assistants/helper, models/openai]"},
           }),
           "(everything in development, else nothing)", "What callers may reach: addresses of functions, `assistants/NAME`, `prompts/NAME`, `models/ALIAS`, `memory`; `*` is any text.", "{rest: [\"reports.*\"]}"},
          {"mcp",
           map({
               {"title", text(), "(the project's name)", "What clients call the project.", "Shop"},
               {"instructions", text(), "", "What a client may tell its model about the project.", "Ask for an order before you change it."},
               {"irreversible", choice({"ask", "client"}), "ask", "Who asks a person before an irreversible call: the engine, or the client by itself.", "client"},
               {"memory", list(text()), "[default]", "Namespaces of the memory that are listed as resources.", "[notes]"},
               {"prompts", table("NAME", text()), "", "Prompts that a function makes: name and address.", "{review: prompts.review}"},
               {"resources",
                table("URI", either({text(), map({
                                                 {"function", text(), "", "The address of the function that gives the contents.", "orders.as_text", true},
                                                 {"title", text(), "", "What it is called.", "An order"},
                                                 {"description", text(), "", "What it is.", "One order as text"},
                                                 {"type", text(), "(as its contents look)", "Its media type.", "text/plain"},
                                             })})),
                "", "Resources that a function gives: its arguments are the variables of the URI.", "{\"orders://{id}\": orders.as_text}"},
               {"headers", table("ADDRESS", table("PARAMETER", text())), "", "Parameters of functions that a client repeats as HTTP headers, `Mcp-Param-NAME`.", "{orders.find: {region: Region}}"},
           }),
           "", "How the project looks to clients of the Model Context Protocol.", "{title: Shop}"},
          {"approvals", map({{"expire", span(), "24h", "How long a call waits for a person's word.", "7d"}}), "", "Calls that wait for a person.", "{expire: 7d}"},
      })};
}

}  // namespace sabir::project::config
