// Settings: where an environment keeps its secrets, as config/secrets_config.yml says (project/secret_settings.cc reads it).
//
// Threads: plain values.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace sabir::secrets {

struct AgeSettings {
  std::string identity;                                  // file with the private key; "" = SABIR_AGE_IDENTITY, else ~/.config/sabir/age.txt
  std::string recipients = "config/age_recipients.txt";  // whom the file is encrypted for, one a line
};

struct AwsSettings {
  std::string region;    // "" = AWS_REGION, AWS_DEFAULT_REGION, the profile's
  std::string endpoint;  // "" = AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL, the region's own
  std::string profile;   // of ~/.aws; "" = AWS_PROFILE, else default
  std::string prefix;    // of every name; "" = APP/ENVIRONMENT
};

struct VaultSettings {
  std::string address;        // "" = VAULT_ADDR
  std::string mount = "secret";
  std::string prefix;         // "" = APP/ENVIRONMENT
  std::string name_space;     // of Vault Enterprise; "" = VAULT_NAMESPACE
  std::string auth = "token"; // token, approle, kubernetes
  std::string role;           // approle's role id, or kubernetes' role
};

struct Settings {
  std::string app;          // the project's name
  std::string environment = "development";
  // Asked one after the other: environment, file, age, aws, vault.
  std::vector<std::string> order = {"environment", "file", "age"};
  // How long a value from another machine is good before it is asked for again.
  std::chrono::seconds refresh{300};
  AgeSettings age;
  AwsSettings aws;
  VaultSettings vault;
};

}  // namespace sabir::secrets
