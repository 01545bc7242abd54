// config/secrets_config.yml, config/grants.yml and config/mcp.yml.
#include "files.h"

namespace sabir::project::config {
namespace {

ConfigType granted(const char* name) { return table(name, list(secret_name())); }

ConfigType server() {
  const ConfigType names = list(text());
  return map({
      {"command", either({text(), list(text())}), "", "The program of a server on this machine.", "npx"},
      {"args", list(either({text(), number(-1e15, 1e15)})), "[]", "Its arguments.", "[-y, some-server]"},
      {"env", either({list(text()), nullable_table("NAME", secret_text())}), "[]", "Variables that it gets: names that are passed on, or names with their values.", "{GITHUB_TOKEN: \"${secret:github_token}\"}"},
      {"cwd", text(), "(the project's root)", "The folder that it starts in.", "data"},
      {"url", text(), "", "The address of a server that is reached over HTTP.", "https://tickets.example.com/mcp"},
      {"headers", table("HEADER", secret_text()), "{}", "Headers of each request.", "{X-Api-Key: \"${secret:api_key}\"}"},
      {"auth",
       map({
           {"bearer", secret_text(), "", "A token that is sent with each request.", "\"${secret:tickets_token}\""},
           {"grant", choice({"authorization_code", "client_credentials"}), "authorization_code", "Who logs in: a person, by `sabir mcp login`, or the client itself.", "client_credentials"},
           {"client_id", secret_text(), "", "A client that was registered before.", "shop"},
           {"client_secret", secret_text(), "", "Its secret.", "\"${secret:tickets_secret}\""},
           {"client_metadata", secret_text(), "", "The https address of a client ID metadata document.", "https://shop.example/client.json"},
           {"scopes", names, "[]", "Scopes beside those that the server asks for.", "[tickets.read]"},
           {"redirect_port", integer(1, 65535), "(any free one)", "The port of this machine that the login comes back to.", "8765"},
       }),
       "", "How the project shows who it is.", "{bearer: \"${secret:tickets_token}\"}"},
      {"prefix", text(), "(the server's name)", "What the addresses of its functions begin with.", "tickets"},
      {"enabled", boolean(), "true", "Whether it is used.", "false"},
      {"timeout", duration(), "1m", "How long a call may take.", "10s"},
      {"start_timeout", duration(), "30s", "How long it may take to tell its tools.", "1m"},
      {"revision", choice({"2025-06-18", "2025-11-25", "2026-07-28"}), "(the newest that both know)", "The only revision of the protocol that is spoken.", "\"2025-11-25\""},
      {"tools",
       either({names, map({
                          {"allow", names, "(all)", "Names of tools that may be called; `*` is any text.", "[\"search_*\"]"},
                          {"deny", names, "[]", "Names of tools that may not, whatever `allow` says.", "[search_private]"},
                      })}),
       "(all)", "Which of its tools may be called.", "{allow: [\"search_*\"]}"},
      {"effects", table("TOOL", choice({"read", "write", "irreversible"})), "(what the server says)", "What a tool does to the world; `*` in its name is any text.", "{delete_*: irreversible}"},
  });
}

}  // namespace

ConfigFile secrets_file() {
  return {
      "config/secrets_config.yml", "Where the project's secrets are kept.", "secrets.md",
      map({
          {"order", list(choice({"environment", "file", "age", "aws", "vault"})), "[environment, file, age]", "Places that are asked for a secret, one after the other.", "[environment, aws]"},
          {"app", text(), "(the project's name)", "The project's name in names of secrets elsewhere.", "shop"},
          {"refresh", duration(), "5m", "After this long AWS and Vault are asked again.", "1m"},
          {"age",
           map({
               {"identity", text(), "($SABIR_AGE_IDENTITY, else ~/.config/sabir/age.txt)", "The file with the private key.", "keys/age.txt"},
               {"recipients", text(), "config/age_recipients.txt", "Whom config/secrets.json.age is encrypted for, a key a line.", "config/age_recipients.txt"},
           }),
           "", "The encrypted file.", "{recipients: config/age_recipients.txt}"},
          {"aws",
           map({
               {"region", text(), "(as AWS's own programs find it)", "AWS's region.", "eu-central-1"},
               {"endpoint", text(), "(the region's)", "Another address of Secrets Manager.", "http://127.0.0.1:5000"},
               {"profile", text(), "(as AWS's own programs find it)", "A profile of ~/.aws.", "shop"},
               {"prefix", text(), "(APP/ENVIRONMENT)", "What the names of its secrets begin with.", "shop/staging"},
           }),
           "", "AWS Secrets Manager.", "{region: eu-central-1}"},
          {"vault",
           map({
               {"address", text(), "($VAULT_ADDR)", "The server.", "https://vault.example:8200"},
               {"mount", text(), "secret", "Where its key-value store, version 2, is mounted.", "kv"},
               {"prefix", text(), "(APP/ENVIRONMENT)", "What the paths of its secrets begin with.", "shop/staging"},
               {"namespace", text(), "($VAULT_NAMESPACE)", "A namespace of Vault Enterprise.", "team"},
               {"auth", choice({"token", "approle", "kubernetes"}), "token", "How the engine logs in.", "approle"},
               {"role", text(), "", "The id of an AppRole, or Kubernetes' role.", "shop"},
           }),
           "", "HashiCorp Vault.", "{address: \"https://vault.example:8200\"}"},
      })};
}

ConfigFile grants_file() {
  return {
      "config/grants.yml", "Who may read which secret; nobody else does.", "secrets.md",
      map({
          {"functions", granted("ADDRESS"), "", "Secrets that a function may read, by its address, with or without its language; `FILE.*` is every function of a file.", "{weather.current: [weather_api_key]}"},
          {"assistants", granted("NAME"), "", "Secrets that an assistant's own code may read, by its name.", "{archivist: [archive_key]}"},
          {"prompts", granted("NAME"), "", "Secrets that a prompt may have in what is sent to its model, by its name; `FOLDER/*` is every prompt of a folder.", "{support/refund: [account_id]}"},
      })};
}

ConfigFile mcp_file() {
  return {
      "config/mcp.yml", "Servers of the Model Context Protocol whose tools are functions of the project.", "mcp.md",
      map({
          {"servers", table("NAME", server()), "", "A server by its name.", "{files: {command: npx, args: [-y, some-server]}}"},
      })};
}

}  // namespace sabir::project::config
