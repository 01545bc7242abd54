// DevView: what `sabir dev` shows, as lines for a terminal of any size, and what its keys do. It does no I/O.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "sabir/base/json.h"
#include "sabir/terminal/screen.h"

namespace sabir::cli {

class DevView {
 public:
  enum class Action { kNone, kQuit, kReload };

  // What dev_events.h makes.
  void add(json::object event);
  // What engine.stats answers.
  void health(json::object stats);
  Action press(const terminal::Key& key);

  // At most `size.rows` lines. `cursor_line` is where text is typed, else -1.
  std::vector<terminal::Line> lines(terminal::Size size, int& cursor_line);

  static constexpr std::size_t kMostRows = 2000;  // kept; older ones go

 private:
  // One line of the list, and what enter shows of it.
  struct Row {
    std::uint64_t number = 0;
    json::object event;
    std::string text;       // in lower case, for the filter
    std::string shown;      // where an event has several lines
    bool bad = false;
    bool is_log = false;
  };

  void add_row(const json::object& event, std::string shown, bool bad);
  bool fits(const Row& row) const;
  std::vector<const Row*> fitting() const;
  void move(int by);
  Action press_text(const std::string& text);
  std::vector<terminal::Line> head(terminal::Size size) const;
  std::vector<terminal::Line> languages(terminal::Size size) const;
  terminal::Line line_of(const Row& row, int columns, bool chosen) const;
  terminal::Line request_line(const Row& row, int columns) const;
  std::vector<terminal::Line> details(int columns) const;
  terminal::Line foot(int columns, std::size_t fit, std::size_t below) const;
  static std::vector<terminal::Line> help(int columns);

  json::object ready_;
  json::object stats_;
  std::deque<Row> rows_;
  std::uint64_t next_ = 1;
  std::uint64_t chosen_ = 0;   // 0 = none: the newest is followed
  std::uint64_t frozen_ = 0;   // paused: rows after this one are not shown yet; 0 = not paused
  std::string filter_;
  std::string typed_;
  bool typing_ = false;
  bool errors_only_ = false;
  bool logs_ = true;
  bool details_ = false;
  bool help_ = false;
  bool draining_ = false;
  int page_ = 10;              // rows of the list, as last shown
  int scrolled_ = 0;           // of the details
};

}  // namespace sabir::cli
