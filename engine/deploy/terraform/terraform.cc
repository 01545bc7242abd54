#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "blanks.h"
#include "address.h"
#include "digest.h"
#include "place.h"
#include "plan_json.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/deploy/streamed.h"
#include "sabir/deploy/target.h"
#include "sabir/process/spawn.h"

namespace sabir::deploy {
namespace {
namespace fs = std::filesystem;

constexpr std::chrono::minutes kInitTime{10};
constexpr std::chrono::minutes kPlanTime{20};
constexpr std::chrono::minutes kApplyTime{60};
constexpr std::size_t kMostModule = std::size_t{1} << 20U;

// The names of `variable "NAME"` blocks.
std::set<std::string> declared_in(std::string_view text) {
  std::set<std::string> out;
  for (const auto line : split_lines(text)) {
    auto rest = trim(line);
    if (!rest.starts_with("variable")) continue;
    rest.remove_prefix(8);
    rest = trim(rest);
    if (!rest.starts_with('"')) continue;
    const auto end = rest.find('"', 1);
    if (end != std::string_view::npos) out.emplace(rest.substr(1, end - 1));
  }
  return out;
}

class TerraformTarget : public Target {
 public:
  TerraformTarget(TargetContext context, TerraformPlace place, fs::path module, std::string program, std::string variables_file, json::object variables)
      : context_(std::move(context)), place_(std::move(place)), module_(std::move(module)), program_(std::move(program)), variables_file_(std::move(variables_file)), own_(std::move(variables)) {}

  Backend& backend() override { return *place_.backend; }

  Result<void> check() override {
    if (process::find_program(program_).empty()) return fail(ErrorCode::kUnavailable, "neither terraform nor tofu is installed", "OpenTofu: https://opentofu.org/docs/intro/install. Either does.");
    std::error_code ec;
    bool any = false;
    for (fs::directory_iterator it(module_, ec), end; !ec && it != end; it.increment(ec)) any = any || it->path().extension() == ".tf";
    if (!any) return fail(context_.settings.wrong("/module", module_.lexically_relative(context_.root).string() + " has no Terraform files", "A new project has deploy/terraform/preview and deploy/terraform/aws."));
    return {};
  }

  Result<TargetPlan> plan(const Release& release, const Say& say) override {
    if (auto ok = write_variables(release, true); !ok) return fail(std::move(ok.error()));
    return planned({}, say);
  }

  Result<void> stage(const Release&, const Say&) override { return {}; }

  Result<std::string> activate(const Release& release, const Say& say) override {
    if (place_.before_apply) {
      if (auto ok = place_.before_apply(say); !ok) return fail(std::move(ok.error()));
    }
    if (auto ok = write_variables(release, true); !ok) return fail(std::move(ok.error()));
    if (auto ok = planned({}, say); !ok) return fail(std::move(ok.error()));
    auto done = run({"apply", "-input=false", "-no-color", "-auto-approve", "-lock-timeout=30s", plan_file().string()}, kApplyTime, say);
    if (!done) return fail(std::move(done.error()));
    if (done->code != 0) return fail(ErrorCode::kFunctionError, "`" + name() + " apply` " + done->text(), "What it said stands above.");
    auto told = outputs(say);
    if (!told) return fail(std::move(told.error()));
    std::string url(string_or(*told, "url"));
    while (url.ends_with('/')) url.pop_back();
    if (url.empty()) return fail(ErrorCode::kConfig, "the module " + module_.lexically_relative(context_.root).string() + " has no output `url`", "Say where the project answers: output \"url\" { value = … }");
    return url;
  }

  Result<void> settle(const std::vector<Release>& kept, const Say&) override {
    std::set<std::string> needed;
    for (const auto& one : kept) needed.insert({one.bundle_object(), one.engine_object()});
    for (const char* prefix : {"bundles/", "engines/"}) {
      auto names = backend().list(prefix);
      if (!names) return fail(std::move(names.error()));
      for (const auto& one : *names) {
        if (needed.contains(one)) continue;
        if (auto ok = backend().remove(one, std::nullopt); !ok) return ok;
      }
    }
    return {};
  }

  Result<Status> status() override {
    Status out;
    out.running = Running::kNothing;
    // Where nobody has applied yet there is nothing to ask.
    std::error_code ec;
    if (!fs::exists(place_.work, ec) && place_.state.contains("path")) return out;
    auto told = outputs([](std::string_view) {});
    if (!told) return fail(std::move(told.error()));
    out.data = *told;
    out.url = string_or(*told, "url");
    if (out.url.empty()) return out;
    const int code = ask_ready(out.url);
    out.running = code == 200 ? Running::kYes : code != 0 ? Running::kBroken : Running::kNothing;
    if (code != 0) {
      out.release = string_or(*told, "release");
      out.bundle_hash = string_or(*told, "bundle_hash");
    } else {
      out.notes.push_back("nobody answers at " + out.url);
    }
    return out;
  }

  Result<void> logs(const LogOptions& options, const Say& say) override {
    auto told = outputs(say);
    if (!told) return fail(std::move(told.error()));
    return place_.logs(*told, options, say);
  }

  Result<TargetPlan> plan_destroy(const Say& say) override {
    if (auto ok = write_variables(std::nullopt, false); !ok) return fail(std::move(ok.error()));
    return planned(keeps_state() ? std::vector<std::string>{} : std::vector<std::string>{"-destroy"}, say);
  }

  Result<void> destroy(const Say& say) override {
    if (auto ok = plan_destroy(say); !ok) return fail(std::move(ok.error()));
    auto done = run({"apply", "-input=false", "-no-color", "-auto-approve", "-lock-timeout=30s", plan_file().string()}, kApplyTime, say);
    if (!done) return fail(std::move(done.error()));
    if (done->code != 0) return fail(ErrorCode::kFunctionError, "`" + name() + " apply` of what goes away " + done->text(), "What it said stands above.");
    return settle({}, say);
  }

 private:
  std::string name() const { return fs::path(program_).filename().string(); }
  fs::path plan_file() const { return place_.work / "plan"; }
  fs::path release_file() const { return place_.work / "release.tfvars.json"; }

  std::string module_text() const {
    std::vector<fs::path> files;
    std::error_code ec;
    for (fs::directory_iterator it(module_, ec), end; !ec && it != end; it.increment(ec)) {
      if (it->path().extension() == ".tf") files.push_back(it->path());
    }
    std::sort(files.begin(), files.end());
    std::string out;
    for (const auto& file : files) {
      if (auto text = read_file(file, kMostModule)) out += *text + "\n";
    }
    return out;
  }

  // A module with the variable `running` takes everything away but what lasts, where that is false.
  bool keeps_state() const { return declared_in(module_text()).contains("running"); }

  // What is deployed, for the variables that the module declares: never a secret's value, only names.
  Result<void> write_variables(const std::optional<Release>& release, bool running) {
    std::error_code ec;
    fs::create_directories(place_.work, ec);
    ::chmod(place_.work.c_str(), 0700);
    const auto declared = declared_in(module_text());
    json::object all;
    if (!release) {
      // What goes away still has the variables that it came with.
      if (auto text = read_file(release_file(), kMostModule)) {
        if (auto before = parse_json(*text); before && before->is_object()) all = before->get_object();
      }
    }
    json::array names;
    for (const auto& one : context_.secret_names) names.push_back(json::value(one));
    const Release none{"r0", std::string(64, '0'), "", std::string(64, '0'), {}, {}};
    const Release& about = release ? *release : none;
    auto more = place_.variables(about);
    if (!more) return fail(std::move(more.error()));
    json::object fresh{{"app", context_.app}, {"environment", context_.environment}, {"release", about.id}, {"bundle_hash", about.bundle_hash}, {"engine_hash", about.engine_hash}, {"engine_version", about.engine_version}, {"secret_names", names}};
    for (const auto& [key, value] : *more) fresh[key] = value;
    for (const auto& [key, value] : own_) fresh[key] = value;
    for (const auto& [key, value] : fresh) {
      if (release || !all.contains(key)) all[key] = value;
    }
    if (declared.contains("running")) all["running"] = running;
    json::object kept;
    for (const auto& [key, value] : all) {
      if (declared.contains(std::string(key))) kept[key] = value;
      else if (own_.contains(key)) return fail(context_.settings.wrong("/variables/" + std::string(key), "the module has no variable '" + std::string(key) + "'", did_you_mean(std::string(key), {declared.begin(), declared.end()})));
    }
    return write_file(release_file(), compact_json(kept) + "\n", 0600);
  }

  Result<process::ExitStatus> run(std::vector<std::string> words, std::chrono::milliseconds timeout, const Say& say, std::string* output = nullptr) {
    process::SpawnSpec spec;
    spec.argv = {program_, "-chdir=" + module_.string()};
    for (auto& word : words) spec.argv.push_back(std::move(word));
    spec.directory = context_.root;
    std::map<std::string, std::string> changes{{"TF_DATA_DIR", (place_.work / "data").string()}, {"TF_IN_AUTOMATION", "1"}, {"TF_INPUT", "0"}, {"TF_CLI_ARGS", ""}, {"TF_WORKSPACE", ""}, {"CHECKPOINT_DISABLE", "1"}};
    for (const auto& [key, value] : place_.environment) changes[key] = value;
    spec.environment = process::environment_with(changes);
    return run_streamed(std::move(spec), timeout, [&](std::string_view line) { say(context_.redact ? context_.redact(std::string(line)) : std::string(line)); }, output);
  }

  // Runs quietly: what it says is shown where it fails.
  Result<void> quietly(std::vector<std::string> words, std::chrono::milliseconds timeout, const Say& say, int also_good, std::string* output) {
    std::vector<std::string> said;
    const std::string what = words.front();
    auto done = run(std::move(words), timeout, [&](std::string_view line) {
      if (said.size() < 500) said.emplace_back(line);
    }, output);
    if (done && (done->code == 0 || done->code == also_good)) return {};
    for (const auto& line : said) say(line);
    if (!done) return fail(std::move(done.error()));
    return fail(ErrorCode::kConfig, "`" + name() + " " + what + "` " + done->text() + ": " + problem_in(said), "All that it said stands above.");
  }

  static std::string problem_in(const std::vector<std::string>& said) {
    for (const auto& line : said) {
      if (const auto at = line.find("Error: "); at != std::string::npos) return line.substr(at + 7);
    }
    return said.empty() ? "it said nothing" : said.back();
  }

  // Once for each state of the module.
  Result<void> init(const Say& say) {
    if (ready_) return {};
    std::error_code ec;
    fs::create_directories(place_.work, ec);
    ::chmod(place_.work.c_str(), 0700);
    std::string wanted = module_text() + program_;
    std::vector<std::string> words = {"init", "-input=false", "-no-color", "-reconfigure"};
    for (const auto& [key, value] : place_.state) {
      words.push_back("-backend-config=" + key + "=" + value);
      wanted += "\n" + key + "=" + value;
    }
    const auto mark = sha256(wanted);
    if (const auto before = read_file(place_.work / "initialized", 256); before && trim(*before) == mark && fs::exists(place_.work / "data", ec)) {
      ready_ = true;
      return {};
    }
    if (auto ok = quietly(std::move(words), kInitTime, say, 0, nullptr); !ok) return ok;
    if (auto ok = write_file(place_.work / "initialized", mark + "\n", 0600); !ok) return ok;
    ready_ = true;
    return {};
  }

  Result<TargetPlan> planned(std::vector<std::string> more, const Say& say) {
    if (auto ok = init(say); !ok) return fail(std::move(ok.error()));
    std::vector<std::string> words = {"plan", "-input=false", "-no-color", "-lock-timeout=30s", "-detailed-exitcode", "-out=" + plan_file().string()};
    if (!variables_file_.empty()) words.push_back("-var-file=" + variables_file_);
    words.push_back("-var-file=" + release_file().string());
    words.insert(words.end(), more.begin(), more.end());
    if (auto ok = quietly(std::move(words), kPlanTime, say, 2, nullptr); !ok) return fail(std::move(ok.error()));
    std::string text;
    if (auto ok = quietly({"show", "-json", "-no-color", plan_file().string()}, kPlanTime, say, 0, &text); !ok) return fail(std::move(ok.error()));
    auto plan = parse_json(text);
    if (!plan || !plan->is_object()) return fail(ErrorCode::kProtocol, name() + " shows a plan that is no JSON");
    auto out = read_plan(plan->get_object());
    for (auto& one : out.changes) one.detail = context_.redact ? context_.redact(one.detail) : one.detail;
    return out;
  }

  Result<json::object> outputs(const Say& say) {
    if (auto ok = init(say); !ok) return fail(std::move(ok.error()));
    std::string text;
    if (auto ok = quietly({"output", "-json", "-no-color"}, kPlanTime, say, 0, &text); !ok) return fail(std::move(ok.error()));
    auto value = parse_json(text);
    if (!value || !value->is_object()) return fail(ErrorCode::kProtocol, name() + " gives outputs that are no JSON");
    json::object out;
    for (const auto& [key, one] : value->get_object()) {
      const auto* object = one.if_object();
      const auto* sensitive = object ? object->if_contains("sensitive") : nullptr;
      if (!object || !object->contains("value") || (sensitive && sensitive->is_bool() && sensitive->get_bool())) continue;
      out[key] = object->at("value");
    }
    return out;
  }

  TargetContext context_;
  TerraformPlace place_;
  fs::path module_;
  std::string program_;
  std::string variables_file_;  // of the user's; "" = none
  json::object own_;            // the settings' `variables`
  bool ready_ = false;
};

// Whether the module's state belongs into a bucket: backend "s3" {}.
bool is_in_s3(const fs::path& module) {
  std::error_code ec;
  for (fs::directory_iterator it(module, ec), end; !ec && it != end; it.increment(ec)) {
    if (it->path().extension() != ".tf") continue;
    if (auto text = read_file(it->path(), kMostModule); text && text->find("backend \"s3\"") != std::string::npos) return true;
  }
  return false;
}

Result<std::unique_ptr<Target>> make(TargetContext context) {
  const auto& settings = context.settings;
  auto module = settings.text("module", "deploy/terraform/preview");
  if (!module) return fail(std::move(module.error()));
  auto program = settings.text("program");
  if (!program) return fail(std::move(program.error()));
  if (program->empty()) *program = process::find_program("terraform").empty() && !process::find_program("tofu").empty() ? "tofu" : "terraform";
  std::string file;
  json::object variables;
  // A file of the project, or the variables themselves.
  if (const auto* said = settings.own.if_contains("variables"); said && said->is_string()) {
    file = (context.root / std::string(said->get_string())).string();
    std::error_code ec;
    if (!fs::is_regular_file(file, ec)) return fail(settings.wrong("/variables", std::string(said->get_string()) + " is not there"));
  } else {
    auto mapping = settings.mapping("variables");
    if (!mapping) return fail(std::move(mapping.error()));
    variables = std::move(*mapping);
  }
  const fs::path folder = (context.root / *module).lexically_normal();
  std::string text;
  if (!file.empty()) {
    auto read = read_file(file, kMostModule);
    if (!read) return fail(std::move(read.error()));
    text = std::move(*read);
    if (auto whole = refuse_blanks(text, fs::path(file).lexically_relative(context.root).string()); !whole) return fail(std::move(whole.error()));
  }
  auto place = is_in_s3(folder) || settings.own.contains("bucket") ? s3_place(context, text) : folder_place(context);
  if (!place) return fail(std::move(place.error()));
  return std::unique_ptr<Target>(std::make_unique<TerraformTarget>(std::move(context), std::move(*place), folder, std::move(*program), std::move(file), std::move(variables)));
}

}  // namespace

Driver terraform_driver() { return {"terraform", "a module below deploy/terraform, applied by terraform or tofu", make}; }

}  // namespace sabir::deploy
