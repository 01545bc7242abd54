// Commands, options and flags of the command line, as the command files declare them. CLI11 is behind it, in
// command_line.cc alone: its headers take longer to compile than all the commands together.
//
// Threads: the main thread. Lifetime: a Command lives as long as the root that made it; variables that options write into
// outlive parse().
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sabir/base/error.h"

namespace sabir::cli {

// One option or flag; what its methods say is shown by --help and checked before the command's action.
class Option {
 public:
  explicit Option(void* option) : option_(option) {}
  Option& required();
  Option& between(double low, double high);
  Option& positive();
  Option& show_default();
  Option& one_each();  // each time it stands there it takes one value, and not all that follow

 private:
  void* option_;
};

class Command {
 public:
  // The root, with the program's name.
  Command(const std::string& description, const std::string& name);
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  Command* add_subcommand(const std::string& name, const std::string& description);
  // names: "-p,--project" for an option, "PATH" for what stands by its position.
  Option add_option(const std::string& names, std::string& value, const std::string& help);
  Option add_option(const std::string& names, std::filesystem::path& value, const std::string& help);
  Option add_option(const std::string& names, std::vector<std::string>& values, const std::string& help);
  Option add_option(const std::string& names, int& value, const std::string& help);
  Option add_option(const std::string& names, std::optional<int>& value, const std::string& help);
  Option add_option(const std::string& names, std::optional<std::int64_t>& value, const std::string& help);
  Option add_option(const std::string& names, std::optional<double>& value, const std::string& help);
  Option add_flag(const std::string& names, bool& value, const std::string& help);
  void footer(const std::string& text);
  // Naming none of its subcommands is wrong usage.
  void require_subcommand();
  // What the command does, once all of the line is read.
  void callback(std::function<void()> action);

  const std::vector<std::string>& subcommand_names() const;

  // Reads the line and runs the action of the command it names. The text of --help where that was asked for; wrong usage is
  // kUsage with the command's own --help as hint. REQUIRES: the root.
  Result<std::optional<std::string>> parse(int argc, char** argv);

 private:
  explicit Command(void* app);

  struct Root;
  std::unique_ptr<Root> root_;  // of the root alone
  void* app_;
  std::vector<std::unique_ptr<Command>> subcommands_;
  std::vector<std::string> subcommand_names_;
};

}  // namespace sabir::cli
