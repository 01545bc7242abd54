// The testee's glue by hand, as the engine writes it from glue.cc.j2, so that the worker can be checked without an engine.
#include "sabir/worker.hpp"

#include "testee.cpp"

namespace sabir::worker {

template <>
struct Convert<::Point> {
  static ::Point from(const Json& value, const std::string& path) {
    Members members(value, path, {"x", "y"});
    ::Point out{};
    members.read("x", out.x);
    members.read("y", out.y);
    return out;
  }
  static Json to(const ::Point& value) { return {{"x", to_json(value.x)}, {"y", to_json(value.y)}}; }
};

template <>
struct Convert<::Colour> {
  static Json to(const ::Colour& value) { return value == ::Colour::red ? "red" : "blue"; }
};

template <>
struct Convert<::Structured> {
  static Json to(const ::Structured& value) { return {{"point", to_json(value.point)}, {"colour", to_json(value.colour)}}; }
};

}  // namespace sabir::worker

namespace {

using sabir::worker::Arguments;
using sabir::worker::to_json;
using Json = nlohmann::json;

const bool registered = [] {
  const auto add = [](const char* name, sabir::worker::Handler handler) { sabir::worker::add("testee", name, std::move(handler)); };
  add("echo", [](const Arguments& a) { return to_json(::echo(a.take<Json>("value"))); });
  add("subtract", [](const Arguments& a) { return to_json(::subtract(a.take<double>("a"), a.take<double>("b"))); });
  add("context_user", [](const Arguments& a) { return to_json(::context_user(a.take<std::string>("greeting"), a.context())); });
  add("context_fields", [](const Arguments& a) { return to_json(::context_fields(a.context())); });
  add("fail", [](const Arguments& a) { ::fail(a.take<std::string>("message")); return Json(nullptr); });
  add("not_a_number", [](const Arguments&) { return to_json(::not_a_number()); });
  add("text_of", [](const Arguments& a) { return to_json(::text_of(a.take<int>("size"))); });
  add("bytes_of", [](const Arguments& a) { return to_json(::bytes_of(a.take<int>("size"))); });
  add("length", [](const Arguments& a) { return to_json(::length(a.take<Json>("value"))); });
  add("kind", [](const Arguments& a) { return to_json(::kind(a.take<Json>("value"))); });
  add("print_line", [](const Arguments& a) { return to_json(::print_line(a.take<std::string>("text"))); });
  add("sleep", [](const Arguments& a) { return to_json(::sleep(a.take<int>("milliseconds"))); });
  add("call_engine", [](const Arguments& a) { return to_json(::call_engine(a.take<std::string>("address"), a.take<Json>("arguments"))); });
  add("call_engine_caught", [](const Arguments& a) { return to_json(::call_engine_caught(a.take<std::string>("address"))); });
  add("report", [](const Arguments& a) { return to_json(::report(a.take<std::string>("message"))); });
  add("count_run", [](const Arguments&) { return to_json(::count_run()); });
  add("runs", [](const Arguments&) { return to_json(::runs()); });
  add("structured", [](const Arguments&) { return to_json(::structured()); });
  return true;
}();

}  // namespace
