// Tables of cases: CSV and JSONL.
#include <set>

#include "sabir/base/text.h"
#include "sabir/evals/eval_file.h"

namespace sabir::evals {
namespace {

constexpr std::size_t kMostRows = 100'000;
constexpr std::size_t kMostColumns = 500;

// RFC 4180: fields between commas, in quotes where they hold commas, quotes or line ends; a quote in quotes stands twice.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  bool more() const { return at_ < text_.size(); }
  int line() const { return line_; }

  // The fields of one record; empty for a blank line.
  Result<std::vector<std::string>> record() {
    std::vector<std::string> out;
    if (end_of_line()) return out;
    while (true) {
      auto field = text_.substr(at_).starts_with('"') ? quoted() : plain();
      if (!field) return fail(std::move(field.error()));
      out.push_back(std::move(*field));
      if (out.size() > kMostColumns) return wrong("more than " + std::to_string(kMostColumns) + " columns");
      if (!more() || end_of_line()) return out;
      if (text_[at_] != ',') return wrong("a comma has to follow a field in quotes");
      ++at_;
    }
  }

 private:
  std::unexpected<Error> wrong(std::string message) const { return fail(Error(ErrorCode::kConfig, std::move(message)).at(file_, line_)); }

  bool end_of_line() {
    if (text_.substr(at_).starts_with("\r\n")) at_ += 2;
    else if (more() && text_[at_] == '\n') ++at_;
    else return false;
    ++line_;
    return true;
  }

  Result<std::string> plain() {
    std::size_t end = at_;
    while (end < text_.size() && text_[end] != ',' && text_[end] != '\n' && text_[end] != '"') ++end;
    if (end < text_.size() && text_[end] == '"') return wrong("a quote in a field that is not in quotes");
    std::string out(text_.substr(at_, end - at_));
    if (out.ends_with('\r') && end < text_.size() && text_[end] == '\n') {
      out.pop_back();
      --end;
    }
    at_ = end;
    return out;
  }

  Result<std::string> quoted() {
    std::string out;
    const int begun = line_;
    ++at_;
    while (more()) {
      const char c = text_[at_++];
      if (c == '"') {
        if (more() && text_[at_] == '"') {
          out += '"';
          ++at_;
          continue;
        }
        return out;
      }
      if (c == '\n') ++line_;
      out += c;
    }
    return fail(Error(ErrorCode::kConfig, "a quote that is not closed").at(file_, begun));
  }

  const std::string_view text_;
  const std::string& file_;
  std::size_t at_ = 0;
  int line_ = 1;
};

Result<void> check_text(std::string_view text, const std::string& file) {
  if (const auto bad = find_invalid_utf8(text); bad != std::string_view::npos) {
    return fail(Error(ErrorCode::kConfig, "not UTF-8").at(file, 1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n'))));
  }
  return {};
}

}  // namespace

Result<std::vector<Row>> parse_csv(std::string_view text, const std::string& file) {
  if (auto ok = check_text(text, file); !ok) return fail(std::move(ok.error()));
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  CsvReader reader(text, file);
  std::vector<std::string> names;
  std::vector<Row> out;
  while (reader.more()) {
    const int line = reader.line();
    auto fields = reader.record();
    if (!fields) return fail(std::move(fields.error()));
    if (fields->empty()) continue;
    if (names.empty()) {
      names = std::move(*fields);
      std::set<std::string> seen;
      for (auto& name : names) {
        name = trim(name);
        if (name.empty() || !seen.insert(name).second) return fail(Error(ErrorCode::kConfig, name.empty() ? "a column has no name" : "two columns are called '" + name + "'", "The first line names the columns.").at(file, line));
      }
      continue;
    }
    if (fields->size() != names.size()) {
      return fail(Error(ErrorCode::kConfig, std::to_string(fields->size()) + " fields, and there are " + std::to_string(names.size()) + " columns", "A field with a comma stands in quotes.").at(file, line));
    }
    if (out.size() >= kMostRows) return fail(Error(ErrorCode::kConfig, "more than " + std::to_string(kMostRows) + " rows").at(file, line));
    Row row;
    row.line = line;
    for (std::size_t i = 0; i < names.size(); ++i) row.members[names[i]] = (*fields)[i];
    out.push_back(std::move(row));
  }
  return out;
}

Result<std::vector<Row>> parse_jsonl(std::string_view text, const std::string& file) {
  if (auto ok = check_text(text, file); !ok) return fail(std::move(ok.error()));
  std::vector<Row> out;
  int line = 0;
  for (const auto one : split_lines(text)) {
    ++line;
    if (trim(one).empty()) continue;
    auto value = parse_json(trim(one));
    if (!value) return fail(Error(ErrorCode::kConfig, "no JSON: " + value.error().message).at(file, line));
    if (!value->is_object()) return fail(Error(ErrorCode::kConfig, "a line has to be a JSON object").at(file, line));
    if (out.size() >= kMostRows) return fail(Error(ErrorCode::kConfig, "more than " + std::to_string(kMostRows) + " rows").at(file, line));
    out.push_back({std::move(value->get_object()), line});
  }
  return out;
}

}  // namespace sabir::evals
