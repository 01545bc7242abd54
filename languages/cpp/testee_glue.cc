// The testee's glue by hand, as the engine writes it from glue.cc.j2, so that the worker can be checked without an engine.
#include "sabir/worker.hpp"

#include "testee.cpp"

namespace sabir::worker {

template <>
struct Convert<::Point> {
  template <class J>
  static ::Point from(const J& value, const Path& path) {
    const Members members(value, path, {"x", "y"});
    ::Point out{};
    members.read("x", out.x);
    members.read("y", out.y);
    return out;
  }
  template <class J>
  static void to(const ::Point& value, J& out) {
    write_object(out);
    write(add_member(out, "x"), value.x);
    write(add_member(out, "y"), value.y);
    end_object(out);
  }
};

template <>
struct Convert<::Colour> {
  template <class J>
  static void to(const ::Colour& value, J& out) { write_text(out, value == ::Colour::red ? "red" : "blue"); }
};

template <>
struct Convert<::Structured> {
  template <class J>
  static void to(const ::Structured& value, J& out) {
    write_object(out);
    write(add_member(out, "point"), value.point);
    write(add_member(out, "colour"), value.colour);
    end_object(out);
  }
};

}  // namespace sabir::worker

namespace {

using sabir::worker::Arguments;
using sabir::worker::write;
using Json = nlohmann::json;

const bool registered = [] {
  const auto add = [](const char* name, sabir::worker::Handler handler, bool watched = false) { sabir::worker::add("testee", name, handler, watched); };
  add("echo", [](const Arguments& a, Json& out) { write(out, ::echo(a.take<Json>("value"))); });
  add("subtract", [](const Arguments& a, Json& out) {
    const auto from = a.take<double>("a");
    const auto what = a.take<double>("b");
    a.all_taken();
    write(out, ::subtract(from, what));
  });
  add("context_user", [](const Arguments& a, Json& out) { write(out, ::context_user(a.take<std::string>("greeting"), a.context())); });
  add("context_fields", [](const Arguments& a, Json& out) { write(out, ::context_fields(a.context())); });
  add("fail", [](const Arguments& a, Json&) { ::fail(a.take<std::string>("message")); });
  add("not_a_number", [](const Arguments&, Json& out) { write(out, ::not_a_number()); });
  add("count", [](const Arguments& a, Json& out) {
    sabir::worker::write_array(out);
    ::count(a.take<int>("n"), sabir::Yield<int>([&](const int& value) { a.yield(value, out); }));
  }, true);
  add("text_of", [](const Arguments& a, Json& out) { write(out, ::text_of(a.take<int>("size"))); });
  add("bytes_of", [](const Arguments& a, Json& out) { write(out, ::bytes_of(a.take<int>("size"))); });
  add("length", [](const Arguments& a, Json& out) { write(out, ::length(a.take<Json>("value"))); });
  add("kind", [](const Arguments& a, Json& out) { write(out, ::kind(a.take<Json>("value"))); });
  add("print_line", [](const Arguments& a, Json& out) { write(out, ::print_line(a.take<std::string>("text"))); });
  add("sleep", [](const Arguments& a, Json& out) { write(out, ::sleep(a.take<int>("milliseconds"))); });
  add("call_engine", [](const Arguments& a, Json& out) { write(out, ::call_engine(a.take<std::string>("address"), a.take<Json>("arguments"))); });
  add("call_engine_caught", [](const Arguments& a, Json& out) { write(out, ::call_engine_caught(a.take<std::string>("address"))); });
  add("report", [](const Arguments& a, Json& out) { write(out, ::report(a.take<std::string>("message"))); });
  add("count_run", [](const Arguments&, Json& out) { write(out, ::count_run()); });
  add("runs", [](const Arguments&, Json& out) { write(out, ::runs()); });
  add("an_hour_later", [](const Arguments& a, Json& out) { write(out, ::an_hour_later(a.take<std::chrono::sys_seconds>("moment"))); });
  add("structured", [](const Arguments&, Json& out) { write(out, ::structured()); });
  return true;
}();

}  // namespace
