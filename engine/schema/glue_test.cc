#include "sabir/schema/glue.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sabir/base/file.h"
#include "sabir/bridge/bridge.h"

namespace sabir::schema {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSource = R"cpp(#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "sabir/sabir.hpp"
#include "sabir/yield.hpp"

/// Mean.
double mean(std::vector<double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

namespace shop {
enum class Color { kRed, kGreen };
constexpr int kDefault = 7;
struct Item {
  std::string name;
  double price = 1.5;
  std::optional<Color> color;
};
struct Order {
  Item item;
  std::vector<Item> more;
};

Order twice(const Order& order, int times = kDefault, std::vector<int> extra = {}) {
  Order out = order;
  out.item.price *= times + static_cast<int>(extra.size());
  out.item.color = Color::kGreen;
  return out;
}
}  // namespace shop

std::string who(std::string_view greeting, const sabir::Context& context) { return std::string(greeting) + " " + context.user; }
void quiet(std::string&& text) { (void)text; }
std::map<std::string, std::optional<int>> table(std::optional<int> x = std::nullopt) { return {{"x", x}}; }
void count(int n, const sabir::Yield<int>& yield) {
  for (int i = 0; i < n; ++i) yield(i);
}
)cpp";

// Calls each function through what the glue registered.
constexpr const char* kCaller = R"cpp(#include <iostream>
#include <map>

#include "sabir/arguments_inline.hpp"

namespace {
std::map<std::string, sabir::worker::Handler>& table() {
  static std::map<std::string, sabir::worker::Handler> all;
  return all;
}
}  // namespace

namespace sabir::worker {
bool add(const char*, const char* function, Handler handler, bool) {
  table()[function] = handler;
  return true;
}
void Arguments::send(const Json& value) const { std::cout << "sends " << value << "\n"; }
}  // namespace sabir::worker

int main() {
  const auto call = [](const char* name, const char* text) {
    try {
      const nlohmann::json arguments = nlohmann::json::parse(text);
      const nlohmann::json context = {{"user", "ada"}};
      nlohmann::json value;
      table().at(name)(sabir::worker::Arguments(arguments, context), value);
      std::cout << name << " " << value.dump() << "\n";
    } catch (const std::exception& error) {
      std::cout << name << " throws\n";
    }
  };
  call("mean", R"({"values": [1, 2.5, 4]})");
  call("twice", R"({"order": {"item": {"name": "a"}, "more": []}})");
  call("twice", R"({"order": {"item": {"name": "a", "color": "kRed"}, "more": [{"name": "b"}]}, "times": 2, "extra": [1]})");
  call("twice", R"({"order": {"item": {"name": "a", "color": "blue"}, "more": []}})");
  call("who", R"({"greeting": "hi"})");
  call("quiet", R"({"text": "x"})");
  call("table", R"({})");
  call("table", R"({"x": 3})");
  call("count", R"({"n": 2})");
}
)cpp";

std::string render(const std::string& input) {
  const auto text = read_file(fs::path(SABIR_REPOSITORY) / "languages/cpp/glue.cc.j2");
  EXPECT_TRUE(text);
  sb_templates* const templates = sb_templates_new(nullptr, nullptr, 10'000'000);
  sb_buf out{};
  const std::string name = "glue";
  const int status = sb_templates_render_text(templates, {name.data(), name.size()}, {text->data(), text->size()},
                                              {input.data(), input.size()}, &out);
  std::string rendered(out.data ? out.data : "", out.size);
  sb_free(out);
  sb_templates_free(templates);
  EXPECT_EQ(status, 0) << rendered;
  return rendered;
}

std::string output_of(const std::string& command, int& status) {
  std::string out;
  FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  status = ::pclose(pipe);
  return out;
}

class Glue : public testing::Test {
 protected:
  Glue() {
    char name[] = "/tmp/sabir-glue-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~Glue() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  std::string compile(const std::string& file, int& status, const std::string& flags = {}) const {
    return output_of(std::string("c++ -std=c++20 -O0 ") + flags + " -Wall -Wextra -Werror -pthread -DSABIR_WORKER -I " SABIR_REPOSITORY "/languages/cpp/sdk -c " +
                         (folder_ / file).string() + " -o " + (folder_ / (file + ".o")).string(),
                     status);
  }
  fs::path folder_;
};

TEST_F(Glue, FunctionsOfAFileAreCalledThroughIt) {
  const fs::path source = folder_ / "sample x.cpp";
  ASSERT_TRUE(write_file(source, kSource));
  ASSERT_TRUE(write_file(folder_ / "caller.cc", kCaller));
  const auto description = describe("cpp", kSource, "sample.cpp");
  ASSERT_TRUE(description) << to_text(description.error());
  ASSERT_EQ(description->functions.size(), 6U) << pretty_json(to_json(*description));
  ASSERT_TRUE(write_file(folder_ / "glue.cc", render(glue_input(*description, source.string(), "sample"))));
  int status = 0;
  std::string out = compile("glue.cc", status);
  ASSERT_EQ(status, 0) << out << "\n" << *read_file(folder_ / "glue.cc");
  out = compile("caller.cc", status);
  ASSERT_EQ(status, 0) << out;
  out = output_of("c++ -pthread " + (folder_ / "glue.cc.o").string() + " " + (folder_ / "caller.cc.o").string() + " -o " +
                      (folder_ / "run").string() + " && " + (folder_ / "run").string(),
                  status);
  ASSERT_EQ(status, 0) << out;
  EXPECT_EQ(out, R"(mean 2.5
twice {"item":{"color":"kGreen","name":"a","price":10.5},"more":[]}
twice {"item":{"color":"kGreen","name":"a","price":4.5},"more":[{"color":null,"name":"b","price":1.5}]}
twice throws
who "hi ada"
quiet null
table {"x":null}
table {"x":3}
sends 0
sends 1
count [0,1]
)");
}

TEST_F(Glue, CompilersComplaintNamesTheUsersFileAndLine) {
  const fs::path source = folder_ / "wrong.cpp";
  const std::string text = "int one() { return 1; }\nint two() { return undefined_name; }\n";
  ASSERT_TRUE(write_file(source, text));
  const auto description = describe("cpp", text, "wrong.cpp");
  ASSERT_TRUE(description);
  ASSERT_TRUE(write_file(folder_ / "glue.cc", render(glue_input(*description, source.string(), "wrong"))));
  int status = 0;
  const std::string out = compile("glue.cc", status, "-fsyntax-only");
  EXPECT_NE(status, 0);
  EXPECT_NE(out.find(source.string() + ":2:20: error:"), std::string::npos) << out;
}

}  // namespace
}  // namespace sabir::schema
