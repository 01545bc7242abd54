#include "command_line.h"

#include <CLI/CLI.hpp>

namespace sabir::cli {
namespace {

CLI::Option& as_option(void* option) { return *static_cast<CLI::Option*>(option); }
CLI::App& as_app(void* app) { return *static_cast<CLI::App*>(app); }

// The last subcommand that the line named, and the words before it: "sabir memory " for `sabir memory list`.
struct Named {
  const CLI::App* command;
  std::string before;
};
Named named_by_line(const CLI::App& app) {
  Named named{&app, ""};
  while (!named.command->get_subcommands().empty()) {
    named.before += named.command->get_name() + " ";
    named.command = named.command->get_subcommands().front();
  }
  return named;
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
  const auto shown = [](double bound) {
    std::string text = std::to_string(bound);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return text;
  };
  const std::string range = shown(low) + " to " + shown(high);
  as_option(option_).check(CLI::Validator([low, high, range](std::string& text) {
    double value = 0;
    if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) return std::string();
    return text + " is not a number from " + range;
  }, range));
  return *this;
}
Option& Option::positive() {
  as_option(option_).check(CLI::PositiveNumber);
  return *this;
}
Option& Option::one_each() {
  as_option(option_).allow_extra_args(false);
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
    const Named named = named_by_line(app);
    return named.command->help(named.before.substr(0, named.before.empty() ? 0 : named.before.size() - 1));
  } catch (const CLI::ParseError& error) {
    const Named named = named_by_line(app);
    if (named.command->get_require_subcommand_min() > 0 && dynamic_cast<const CLI::RequiredError*>(&error)) {
      std::string names;
      for (const auto* one : named.command->get_subcommands({})) names += (names.empty() ? "" : ", ") + one->get_name();
      return sabir::fail(ErrorCode::kUsage, named.before + named.command->get_name() + " needs one of: " + names,
                         "`" + named.before + named.command->get_name() + " --help` says what they do.");
    }
    return sabir::fail(ErrorCode::kUsage, error.what(),
                       "`" + named.before + named.command->get_name() + " --help` shows how it is used.");
  }
  return std::nullopt;
}

}  // namespace sabir::cli
