// config/secrets.json.age: the file encrypted for a list of recipients, by the program age (https://age-encryption.org).
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "place.h"
#include "sabir/base/file.h"
#include "sabir/base/text.h"
#include "sabir/process/spawn.h"
#include "sabir/secrets/recipients.h"

namespace sabir::secrets {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
constexpr const char* kShown = "config/secrets.json.age";

std::string stamp_of(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "-";
  return std::to_string(info.st_ino) + ":" + std::to_string(info.st_size) + ":" + std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
}

std::filesystem::path home() {
  const char* value = std::getenv("HOME");
  return value ? value : "/";
}

Error no_age() {
  return Error(ErrorCode::kUnavailable, std::string(kShown) + " needs the program age, which is not on PATH", "Install it: apt-get install age").at(kShown);
}

std::string last_line(std::string_view text) {
  text = trim(text);
  const auto end = text.rfind('\n');
  return std::string(end == std::string_view::npos ? text : text.substr(end + 1));
}

class AgePlace final : public Place {
 public:
  AgePlace(std::filesystem::path root, AgeSettings settings) : root_(std::move(root)), settings_(std::move(settings)) {}

  std::string name() const override { return kShown; }
  std::string stamp() override { return stamp_of(file()) + "|" + stamp_of(identity()); }

  Result<std::optional<std::string>> get(const std::string& secret) override {
    auto values = load();
    if (!values) return fail(std::move(values.error()));
    const auto found = values->find(secret);
    if (found == values->end()) return std::nullopt;
    return std::optional(found->second);
  }

  Result<std::vector<std::string>> names() override {
    auto values = load();
    if (!values) return fail(std::move(values.error()));
    std::vector<std::string> out;
    for (const auto& [name, value] : *values) out.push_back(name);
    return out;
  }

  Result<void> set(const std::string& secret, const std::string& value) override {
    auto values = load();
    if (!values) return fail(std::move(values.error()));
    (*values)[secret] = value;
    return store(*values);
  }

  Result<bool> remove(const std::string& secret) override {
    auto values = load();
    if (!values) return fail(std::move(values.error()));
    if (values->erase(secret) == 0) return false;
    if (auto done = store(*values); !done) return fail(std::move(done.error()));
    return true;
  }

  Result<Values> load() const {
    std::error_code ec;
    if (!std::filesystem::exists(file(), ec)) return Values{};
    const auto key = identity();
    if (!std::filesystem::exists(key, ec)) {
      return fail(Error(ErrorCode::kConfig, std::string(kShown) + " cannot be read: there is no private key at " + shown(key),
                        "`sabir secrets recipients init` makes one; somebody who can read the file adds its public half: sabir secrets recipients add KEY")
                      .at(kShown));
    }
    process::SpawnSpec spec;
    spec.argv = {"age", "--decrypt", "--identity", key.string(), file().string()};
    auto ran = run(std::move(spec));
    if (!ran) return fail(std::move(ran.error()));
    if (ran->status.code != 0) {
      return fail(Error(ErrorCode::kConfig, std::string(kShown) + " cannot be decrypted with " + shown(key) + ": " + last_line(ran->errors),
                        "It may be encrypted for others: `sabir secrets recipients list` says for whom; one of them adds you.")
                      .at(kShown));
    }
    return parse_values(ran->output, kShown);
  }

  Result<void> store(const Values& values) const {
    auto keys = read_recipients(root_, settings_);
    if (!keys) return fail(std::move(keys.error()));
    if (keys->empty()) {
      return fail(Error(ErrorCode::kConfig, settings_.recipients + " names nobody that " + kShown + " could be encrypted for",
                        "`sabir secrets recipients init` makes a key of your own and adds it.")
                      .at(settings_.recipients));
    }
    process::SpawnSpec spec;
    spec.argv = {"age", "--encrypt"};
    for (const auto& key : *keys) {
      spec.argv.emplace_back("--recipient");
      spec.argv.push_back(key);
    }
    spec.input = values_text(values);
    auto ran = run(std::move(spec));
    if (!ran) return fail(std::move(ran.error()));
    if (ran->status.code != 0) {
      return fail(Error(ErrorCode::kConfig, std::string(kShown) + " cannot be encrypted: " + last_line(ran->errors), "Look at the keys in " + settings_.recipients + ".").at(settings_.recipients));
    }
    return write_file(file(), ran->output, 0644);
  }

 private:
  std::filesystem::path file() const { return root_ / kShown; }
  std::filesystem::path identity() const { return identity_file(root_, settings_); }
  static std::string shown(const std::filesystem::path& path) {
    const auto relative = path.lexically_relative(home());
    return !relative.empty() && *relative.begin() != ".." ? "~/" + relative.string() : path.string();
  }

  static Result<process::RunResult> run(process::SpawnSpec spec) {
    if (process::find_program("age").empty()) return fail(no_age());
    spec.environment = process::environment_with({});
    spec.separate_errors = true;
    auto ran = process::run(std::move(spec), kPatience, kMostBytes);
    if (ran && ran->timed_out) return fail(Error(ErrorCode::kTimeout, "age has not finished within 10 s", "An identity that asks for a passphrase cannot be used here.").at(kShown));
    return ran;
  }

  const std::filesystem::path root_;
  const AgeSettings settings_;
};

bool is_recipient(std::string_view text) {
  return text.size() < 2000 && (text.starts_with("age1") || text.starts_with("ssh-ed25519 ") || text.starts_with("ssh-rsa ")) &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

}  // namespace

std::filesystem::path identity_file(const std::filesystem::path& root, const AgeSettings& settings) {
  if (!settings.identity.empty()) {
    if (settings.identity.starts_with("~/")) return home() / settings.identity.substr(2);
    return root / settings.identity;
  }
  if (const char* named = std::getenv("SABIR_AGE_IDENTITY"); named && *named) return named;
  return home() / ".config/sabir/age.txt";
}

Result<std::vector<std::string>> read_recipients(const std::filesystem::path& root, const AgeSettings& settings) {
  auto text = read_file(root / settings.recipients, kMostBytes);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::vector<std::string>{};
  if (!text) return fail(std::move(text.error()));
  std::vector<std::string> out;
  int number = 0;
  for (const auto line : split_lines(*text)) {
    ++number;
    const auto key = trim(line);
    if (key.empty() || key.starts_with('#')) continue;
    if (!is_recipient(key)) {
      return fail(Error(ErrorCode::kConfig, settings.recipients + ":" + std::to_string(number) + ": this is no public key of age", "One looks like age1…, or ssh-ed25519 …; lines with # are comments.")
                      .at(settings.recipients, number));
    }
    out.emplace_back(key);
  }
  return out;
}

Result<bool> add_recipient(const std::filesystem::path& root, const AgeSettings& settings, const std::string& key, const std::string& comment) {
  if (!is_recipient(key)) return fail(ErrorCode::kInvalidArguments, "'" + key.substr(0, 40) + "' is no public key of age", "One looks like age1…, or ssh-ed25519 ….");
  auto known = read_recipients(root, settings);
  if (!known) return fail(std::move(known.error()));
  if (std::find(known->begin(), known->end(), key) != known->end()) return false;
  const auto path = root / settings.recipients;
  auto text = read_file(path, kMostBytes);
  std::string whole = text ? *text : std::string("# Whom config/secrets.json.age is encrypted for: public keys of age, one a line.\n");
  if (!whole.empty() && whole.back() != '\n') whole += '\n';
  if (!comment.empty()) whole += "# " + comment + "\n";
  whole += key + "\n";
  // Whoever is added can read what is there already.
  return changed_recipients(root, settings, whole);
}

Result<bool> remove_recipient(const std::filesystem::path& root, const AgeSettings& settings, const std::string& key) {
  auto text = read_file(root / settings.recipients, kMostBytes);
  if (!text) return fail(ErrorCode::kNotFound, settings.recipients + " is not there");
  std::string whole;
  bool found = false;
  for (const auto line : split_lines(*text)) {
    if (trim(line) == key) found = true;
    else whole += std::string(line) + "\n";
  }
  if (!found) return false;
  return changed_recipients(root, settings, whole);
}

Result<bool> changed_recipients(const std::filesystem::path& root, const AgeSettings& settings, const std::string& text) {
  const AgePlace place(root, settings);
  std::error_code ec;
  const bool encrypted = std::filesystem::exists(root / kShown, ec);
  // Read before anything is written: who cannot read it can add nobody.
  auto values = encrypted ? place.load() : Result<Values>(Values{});
  if (!values) return fail(std::move(values.error()));
  const auto path = root / settings.recipients;
  const auto before = read_file(path, kMostBytes);
  std::filesystem::create_directories(path.parent_path(), ec);
  if (auto written = write_file(path, text); !written) return fail(std::move(written.error()));
  if (!encrypted) return true;
  auto stored = place.store(*values);
  if (stored) return true;
  if (before) (void)write_file(path, *before);
  return fail(std::move(stored.error()));
}

Result<std::string> make_identity(const std::filesystem::path& root, const AgeSettings& settings) {
  const auto path = identity_file(root, settings);
  std::error_code ec;
  if (process::find_program("age-keygen").empty()) return fail(no_age());
  if (!std::filesystem::exists(path, ec)) {
    process::SpawnSpec spec;
    spec.argv = {"age-keygen"};
    spec.environment = process::environment_with({});
    spec.separate_errors = true;
    auto ran = process::run(std::move(spec), kPatience, kMostBytes);
    if (!ran) return fail(std::move(ran.error()));
    if (ran->status.code != 0) return fail(ErrorCode::kUnavailable, "age-keygen failed: " + last_line(ran->errors));
    std::filesystem::create_directories(path.parent_path(), ec);
    if (auto written = write_file(path, ran->output, 0600); !written) return fail(std::move(written.error()));
  }
  process::SpawnSpec spec;
  spec.argv = {"age-keygen", "-y", path.string()};
  spec.environment = process::environment_with({});
  spec.separate_errors = true;
  auto ran = process::run(std::move(spec), kPatience, kMostBytes);
  if (!ran) return fail(std::move(ran.error()));
  if (ran->status.code != 0) return fail(ErrorCode::kConfig, path.string() + " is no private key of age: " + last_line(ran->errors));
  return last_line(ran->output);
}

std::unique_ptr<Place> make_age_place(const std::filesystem::path& root, const AgeSettings& settings) { return std::make_unique<AgePlace>(root, settings); }

}  // namespace sabir::secrets
