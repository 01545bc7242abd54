#include "command_line.h"

#include <CLI/CLI.hpp>

namespace sabir::cli {
namespace {

CLI::Option& as_option(void* option) { return *static_cast<CLI::Option*>(option); }
CLI::App& as_app(void* app) { return *static_cast<CLI::App*>(app); }

// The last subcommand that the line named.
const CLI::App* deepest(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return at;
}

}  // namespace

struct Command::Root {
  Root(const std::string& description, const std::string& name) : app(description, name) {}
  CLI::App app;
};

Option& Option::required() {
  as_option(option_).required();
  return *this;
}
Option& Option::between(double low, double high) {
  // Whole bounds read as whole numbers in messages.
  if (low == static_cast<double>(static_cast<int>(low)) && high > 2) {
    as_option(option_).check(CLI::Range(static_cast<int>(low), static_cast<int>(high)));
  } else {
    as_option(option_).check(CLI::Range(low, high));
  }
  return *this;
}
Option& Option::positive() {
  as_option(option_).check(CLI::PositiveNumber);
  return *this;
}
Option& Option::show_default() {
  as_option(option_).capture_default_str();
  return *this;
}

Command::Command(const std::string& description, const std::string& name)
    : root_(std::make_unique<Root>(description, name)), app_(&root_->app) {
  root_->app.set_help_flag("-h,--help", "this page");
}
Command::Command(void* app) : app_(app) {}
Command::~Command() = default;

Command* Command::add_subcommand(const std::string& name, const std::string& description) {
  subcommands_.push_back(std::unique_ptr<Command>(new Command(as_app(app_).add_subcommand(name, description))));
  subcommand_names_.push_back(name);
  return subcommands_.back().get();
}
Option Command::add_option(const std::string& names, std::string& value, const std::string& help) {
  return Option(as_app(app_).add_option(names, value, help));
}
Option Command::add_option(const std::string& names, std::filesystem::path& value, const std::string& help) {
  return Option(as_app(app_).add_option(names, value, help));
}
Option Command::add_option(const std::string& names, std::vector<std::string>& values, const std::string& help) {
  return Option(as_app(app_).add_option(names, values, help));
}
Option Command::add_option(const std::string& names, int& value, const std::string& help) {
  return Option(as_app(app_).add_option(names, value, help));
}
Option Command::add_option(const std::string& names, std::optional<int>& value, const std::string& help) {
  return Option(as_app(app_).add_option(names, value, help));
}
Option Command::add_option(const std::string& names, std::optional<std::int64_t>& value, const std::string& help) {
  return Option(as_app(app_).add_option(names, value, help));
}
Option Command::add_option(const std::string& names, std::optional<double>& value, const std::string& help) {
  return Option(as_app(app_).add_option(names, value, help));
}
Option Command::add_flag(const std::string& names, bool& value, const std::string& help) {
  return Option(as_app(app_).add_flag(names, value, help));
}
void Command::footer(const std::string& text) { as_app(app_).footer(text); }
void Command::require_subcommand() { as_app(app_).require_subcommand(1); }
void Command::callback(std::function<void()> action) { as_app(app_).callback(std::move(action)); }
const std::vector<std::string>& Command::subcommand_names() const { return subcommand_names_; }

Result<std::optional<std::string>> Command::parse(int argc, char** argv) {
  CLI::App& app = as_app(app_);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success&) {
    return deepest(app)->help();
  } catch (const CLI::ParseError& error) {
    const CLI::App* named = deepest(app);
    return sabir::fail(ErrorCode::kUsage, error.what(),
                "`sabir " + (named == &app ? std::string() : named->get_name() + " ") + "--help` shows how it is used.");
  }
  return std::nullopt;
}

}  // namespace sabir::cli
