// sabir deploy init TARGET: the files of a target, for the languages that the project uses. They are the project's own from then on.
#include "deploy_init.h"

#include <algorithm>

#include "filled_template.h"
#include "resources.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/deploy/packages.h"
#include "sabir/project/project.h"
#include "sabir/project/secret_names.h"
#include "sabir/secrets/secrets.h"

namespace sabir::cli {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
constexpr const char* kScript = "deploy/terraform/aws/service/instance.sh";

struct TargetFile {
  const char* from;  // below templates/project
  const char* to;    // in the project
};

const std::vector<TargetFile>& files_of(const std::string& target) {
  static const std::vector<TargetFile> docker{{"deploy/docker/Dockerfile.j2", "Dockerfile"},
                                              {"deploy/docker/dockerignore.j2", ".dockerignore"},
                                              {"deploy/docker/compose.yml.j2", "compose.yml"},
                                              {"dot-devcontainer/devcontainer.json.j2", ".devcontainer/devcontainer.json"}};
  static const std::vector<TargetFile> terraform{{"deploy/terraform/aws/versions.tf", "deploy/terraform/aws/versions.tf"},
                                                 {"deploy/terraform/aws/variables.tf", "deploy/terraform/aws/variables.tf"},
                                                 {"deploy/terraform/aws/main.tf", "deploy/terraform/aws/main.tf"},
                                                 {"deploy/terraform/aws/outputs.tf", "deploy/terraform/aws/outputs.tf"},
                                                 {"deploy/terraform/aws/service/versions.tf", "deploy/terraform/aws/service/versions.tf"},
                                                 {"deploy/terraform/aws/service/variables.tf", "deploy/terraform/aws/service/variables.tf"},
                                                 {"deploy/terraform/aws/service/instance.tf", "deploy/terraform/aws/service/instance.tf"},
                                                 {"deploy/terraform/aws/service/load_balancer.tf", "deploy/terraform/aws/service/load_balancer.tf"},
                                                 {"deploy/terraform/aws/service/iam.tf", "deploy/terraform/aws/service/iam.tf"},
                                                 {"deploy/terraform/aws/service/outputs.tf", "deploy/terraform/aws/service/outputs.tf"},
                                                 {kScript, kScript},
                                                 {"deploy/terraform/staging.tfvars", "deploy/terraform/staging.tfvars"},
                                                 {"deploy/terraform/production.tfvars", "deploy/terraform/production.tfvars"}};
  static const std::vector<TargetFile> cloudformation{{"deploy/cloudformation/service.yml.j2", "deploy/cloudformation/service.yml"},
                                                      {"deploy/cloudformation/staging.yml", "deploy/cloudformation/staging.yml"},
                                                      {"deploy/cloudformation/production.yml", "deploy/cloudformation/production.yml"}};
  static const std::vector<TargetFile> none;
  return target == "docker" ? docker : target == "terraform" ? terraform : target == "cloudformation" ? cloudformation : none;
}

std::string indented(std::string_view text, std::size_t by) {
  std::string out;
  for (const auto line : split_lines(text)) out += (out.empty() ? "" : "\n") + (line.empty() ? std::string() : std::string(by, ' ') + std::string(line));
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

Result<json::object> context_of(const fs::path& root, const fs::path& resources, const std::string& environment) {
  json::object context{{"version", SABIR_VERSION}};
  std::string name = root.filename().string();
  auto own = project::read_yaml(root / "sabir.yml");
  if (!own) return fail(std::move(own.error()));
  if (own->is_object()) name = string_or(own->get_object(), "name", name);
  context["name"] = name;
  const auto languages = deploy::languages_of(root);
  for (const char* language : {"python", "ruby", "cpp", "node", "go", "php", "java", "rust", "shell"}) {
    context[language] = std::find(languages.begin(), languages.end(), language) != languages.end();
  }
  auto packages = deploy::debian_packages(languages);
  for (const char* always : {"ca-certificates", "curl", "tini"}) packages.emplace_back(always);
  std::sort(packages.begin(), packages.end());
  context["packages"] = join(packages, " ");
  // To work in: what the languages' tests need, too.
  json::object more;
  fill_for_ci(more, languages);
  auto development = deploy::debian_packages(languages);
  development.emplace_back("git");
  std::string all = join(development, " ");
  if (const auto extra = string_or(more, "packages"); !extra.empty()) all += " " + std::string(extra);
  context["development_packages"] = all;
  auto secrets = project::secret_names(root, environment);
  if (!secrets) return fail(std::move(secrets.error()));
  json::array variables;
  for (const auto& [secret, places] : *secrets) variables.push_back(json::value(secrets::variable_name(secret)));
  context["variables"] = std::move(variables);
  const auto script = read_file(resources / "templates/project" / kScript, kMostBytes);
  if (!script) return fail(script.error());
  context["instance_script"] = indented(*script, 16);
  return context;
}

void init(Globals& globals, const std::string& target, bool force) {
  const auto& files = files_of(target);
  if (files.empty()) {
    const std::vector<std::string> known{"docker", "terraform", "cloudformation"};
    const auto near = did_you_mean(target, known);
    return fail_with(globals, Error(ErrorCode::kUsage, "there are no files for the target '" + target + "'", target == "local" ? "The target local needs none." : near.empty() ? "It is docker, terraform or cloudformation." : near));
  }
  auto root = project::find_root(globals.session.directory.empty() ? fs::current_path() : globals.session.directory);
  if (!root) return fail_with(globals, root.error());
  auto unpacked = resources();
  if (!unpacked) return fail_with(globals, unpacked.error());
  auto context = context_of(*root, *unpacked, globals.session.environment);
  if (!context) return fail_with(globals, context.error());
  FilledTemplates templates(std::move(*context));
  json::array out;
  bool any_kept = false;
  for (const auto& file : files) {
    auto text = read_file(*unpacked / "templates/project" / file.from, kMostBytes);
    if (text && std::string_view(file.from).ends_with(".j2")) text = templates.render(file.to, *text);
    if (!text) return fail_with(globals, text.error());
    const fs::path to = *root / file.to;
    const auto before = read_file(to, kMostBytes);
    std::string state = "written";
    if (before && *before == *text) {
      state = "unchanged";
    } else if (before && !force) {
      state = "kept";
      any_kept = true;
    } else {
      std::error_code ec;
      fs::create_directories(to.parent_path(), ec);
      if (auto written = write_file(to, *text); !written) return fail_with(globals, written.error());
    }
    out.push_back({{"file", file.to}, {"state", state}});
    if (!globals.json) print(state + std::string(10 - state.size(), ' ') + file.to);
  }
  if (globals.json) return print_json({{"target", target}, {"files", std::move(out)}});
  if (any_kept) note("What was changed is kept; --force writes over it.");
  if (target != "docker") note("Fill in the blanks of staging." + std::string(target == "terraform" ? "tfvars" : "yml") + " and production's beside it; `sabir deploy plan --env staging` says which are open.");
}

}  // namespace

void add_deploy_init(Command& deploy, Globals& globals, const std::shared_ptr<bool>& done) {
  auto target = std::make_shared<std::string>();
  auto force = std::make_shared<bool>(false);
  auto* const command = deploy.add_subcommand("init", "Write a target's files: docker, terraform (the AWS module) or cloudformation.");
  add_common(*command, globals);
  command->add_option("TARGET", *target, "docker, terraform or cloudformation").required();
  command->add_flag("--force", *force, "write over files that were changed");
  command->callback([&globals, target, force, done] {
    *done = true;
    init(globals, *target, *force);
  });
}

}  // namespace sabir::cli
