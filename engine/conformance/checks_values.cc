// The value table of spec/worker-protocol.md §10, one check for each row. Texts go out as raw JSON, since the point is
// often how a number or string is written.
#include <charconv>
#include <cmath>

#include "checks.h"
#include "sabir/base/text.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::conformance {
namespace {

// The raw JSON of echo's value for raw JSON `text`; nothing when the worker refused it with a typed error.
std::optional<std::string> echoed(Session& session, const std::string& text, std::string& refusal) {
  static constexpr std::string_view kPlace = "\"the value\"";
  const json::object request{{"jsonrpc", "2.0"}, {"id", "v"}, {"method", "call"}, {"params", session.call_params("echo", {{"value", "the value"}})}};
  auto message = json::serialize(request);
  message.replace(message.find(kPlace), kPlace.size(), text);
  session.send_bytes(frame(message));
  const auto answer = session.receive_raw();
  const auto members = protocol::raw_members(answer);
  expect(members.has_value(), "the answer is no object: " + answer.substr(0, 300));
  if (const auto result = protocol::find_member(*members, "result")) {
    const auto inner = protocol::raw_members(*result);
    const auto value = inner ? protocol::find_member(*inner, "value") : std::nullopt;
    expect(value.has_value(), "the answer has no value: " + answer.substr(0, 300));
    return std::string(*value);
  }
  refusal = answer.substr(0, 300);
  const bool typed = refusal.find("\"invalid_arguments\"") != std::string::npos || refusal.find("\"invalid_result\"") != std::string::npos ||
                     refusal.find("-32700") != std::string::npos;
  expect(typed, "the value " + text.substr(0, 60) + " was refused without saying why: " + refusal);
  return std::nullopt;
}

std::string carried(Session& session, const std::string& text) {
  std::string refusal;
  auto value = echoed(session, text, refusal);
  expect(value.has_value(), "the value " + text.substr(0, 60) + " was refused: " + refusal);
  return std::move(*value);
}

// An integer's text without a sign of zero and without a fraction of zero: "-0" and "12.0" as "0" and "12".
std::string integer_text(std::string text) {
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

void expect_integers(Session& session, const std::vector<std::string>& numbers) {
  for (const auto& number : numbers) {
    const auto back = carried(session, number);
    expect(integer_text(back) == number, "the integer " + number + " came back as " + back.substr(0, 60));
  }
}

double number_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  expect(error == std::errc() && end == text.data() + text.size(), "no number came back, but " + text.substr(0, 60));
  return value;
}

void expect_same(Session& session, const std::vector<std::string>& texts) {
  for (const auto& text : texts) {
    const auto back = carried(session, text);
    const auto value = parse_json(back);
    expect(value.has_value() && *value == *parse_json(text), "the value " + text.substr(0, 80) + " came back as " + back.substr(0, 80));
  }
}

Session& greeted(Session& session) {
  session.greet();
  return session;
}

void null_stays_null(const Options& options) {
  Session session(options);
  expect_same(greeted(session), {"null", "[null]", R"({"a":null})", "{}"});
}

void booleans_stay_booleans(const Options& options) {
  Session session(options);
  expect_same(greeted(session), {"true", "false", "[true,1,false,0]"});
}

void integers_are_exact(const Options& options) {
  Session session(options);
  expect_integers(greeted(session), {"0", "1", "-1", "2147483648", "-2147483649", "9007199254740991", "-9007199254740991"});
}

void long_integers_are_exact(const Options& options) {
  Session session(options);
  expect_integers(greeted(session), {"9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808"});
}

void big_integers_are_exact_or_refused(const Options& options) {
  Session session(options);
  session.greet();
  for (const std::string number : {"9223372036854775808", "18446744073709551615", "-9223372036854775809",
                                   "1234567890123456789012345678901234567890"}) {
    std::string refusal;
    const auto back = echoed(session, number, refusal);
    expect(!back || *back == number, "the integer " + number + " came back as " + back.value_or("").substr(0, 60));
  }
  expect_usable(session, "big integers");
}

void floats_are_the_same(const Options& options) {
  Session session(options);
  session.greet();
  for (const std::string number : {"0.1", "-2.25", "1e-7", "123456.789", "0.30000000000000004", "1.7976931348623157e308", "5e-324", "2.2250738585072014e-308"}) {
    const auto back = carried(session, number);
    expect(number_of(back) == number_of(number), "the number " + number + " came back as " + back.substr(0, 60));
  }
}

void other_forms_are_the_same_number(const Options& options) {
  Session session(options);
  session.greet();
  for (const std::string number : {"1.0", "-0.0", "1E5", "1.5e+3", "12e-1", "100000000000000000000.0", "1e22"}) {
    const auto back = carried(session, number);
    expect(number_of(back) == number_of(number), "the number " + number + " came back as " + back.substr(0, 60));
  }
}

void not_a_number_is_refused(const Options& options) {
  Session session(options);
  session.greet();
  const auto answer = session.response(session.call("not_a_number", json::object()));
  expect(answer.error_code() == -32000 && answer.error_type() == "invalid_result",
         "not_a_number was not answered with invalid_result, but with " + answer.text());
  expect(!answer.error_message().empty(), "invalid_result does not say which value");
  expect_usable(session, "NaN");
}

void text_is_the_same(const Options& options) {
  Session session(options);
  // Nothing is normalised: é is one code point or two, as it came.
  expect_same(greeted(session), {R"("")", R"("a\u0000b")", R"("\u0001\u001f\"\\\/\b\f\n\r\t")", R"("e\u0301 \u00e9")", R"("𝄞 👩‍🚀")",
                                 R"("\u2028\u2029\ufeff\ufffe\uffff")", R"(" leading and trailing ")", R"("12")", R"("null")"});
}

void escaped_pairs_are_one_character(const Options& options) {
  Session session(options);
  const auto back = parse_json(carried(greeted(session), R"("\ud834\udd1e \u00e9")"));
  expect(back && *back == json::value("𝄞 é"), "an escaped surrogate pair came back changed");
}

void lone_surrogates_are_the_same_or_refused(const Options& options) {
  Session session(options);
  session.greet();
  for (const std::string text : {R"("\ud800")", R"("a\udfffb")"}) {
    std::string refusal;
    const auto back = echoed(session, text, refusal);
    if (!back) continue;
    std::string lower = *back;
    for (auto& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    expect(lower == text, "the lone surrogate " + text + " came back as " + back->substr(0, 60));
  }
  expect_usable(session, "a lone surrogate");
}

void small_bytes_are_base64(const Options& options) {
  Session session(options);
  session.greet();
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes += static_cast<char>(i % 256);
  for (const std::size_t size : {0, 1, 2, 3, 300}) {
    expect_value(called(session, "bytes_of", {{"size", size}}), json::value(base64_encode(bytes.substr(0, size))), std::to_string(size) + " bytes");
  }
}

void empty_containers_stay_apart(const Options& options) {
  Session session(options);
  expect_same(greeted(session), {"[]", "{}", R"([[],{},[[]],[{}]])", R"({"a":[],"b":{}})"});
}

void any_key_is_kept(const Options& options) {
  Session session(options);
  expect_same(greeted(session), {R"({"":1})", R"({"0":"a","1":"b"})", R"({"1":"b","0":"a"})", R"({"10":1,"01":2,"-1":3,"1.5":4})",
                                 R"({"__proto__":1,"constructor":2,"toString":3,"hasOwnProperty":4})", R"({"a.b":1,"a/b~c":2,"été":3,"a b":4})",
                                 R"({"true":1,"null":2,"length":3,"class":4,"self":5})"});
}

void long_arrays_keep_their_order(const Options& options) {
  Session session(options);
  std::string text = "[";
  for (int i = 0; i < 20000; ++i) text += (i == 0 ? "" : ",") + std::to_string((i * 7919) % 20011);
  expect_same(greeted(session), {text + "]", R"([1,"a",null,[2],{"b":3}])"});
}

void nesting_is_kept(const Options& options) {
  Session session(options);
  std::string deep = "1";
  for (int i = 0; i < 50; ++i) deep = "[{\"a\":" + deep + "}]";
  expect_same(greeted(session), {deep});
}

void deep_nesting_is_kept_or_refused(const Options& options) {
  Session session(options);
  session.greet();
  const std::string deep = std::string(20000, '[') + std::string(20000, ']');
  std::string refusal;
  const auto back = echoed(session, deep, refusal);
  expect(!back || *back == deep, "20,000 levels came back as others");
  expect_usable(session, "20,000 levels");
}

void repeated_keys_are_one(const Options& options) {
  Session session(options);
  session.greet();
  std::string refusal;
  const auto back = echoed(session, R"({"a":1,"a":2})", refusal);
  expect(!back || *back == R"({"a":2})", "an object with a member twice came back as " + back.value_or("") + ": the last one counts");
}

// "2024-02-28T23:30:00.000+00:00" as "2024-02-28T23:30:00Z": UTC without a fraction of zero.
std::string plain_moment(std::string text) {
  if (text.ends_with("+00:00")) text.replace(text.size() - 6, 6, "Z");
  if (const auto dot = text.find('.'); dot != std::string::npos && text.find_first_not_of('0', dot + 1) == text.size() - 1) text.erase(dot, text.size() - 1 - dot);
  return text;
}

void moments_are_rfc_3339(const Options& options) {
  Session session(options);
  session.greet();
  const auto answer = session.response(session.call("an_hour_later", {{"moment", "2024-02-28T23:30:00Z"}}));
  needs_function(answer, "an_hour_later");
  const auto value = answer.value();
  expect(value.is_string() && plain_moment(std::string(value.get_string())) == "2024-02-29T00:30:00Z",
         "an hour after 2024-02-28T23:30:00Z is " + json::serialize(value));
  const auto wrong = session.response(session.call("an_hour_later", {{"moment", "yesterday"}}));
  expect(wrong.error_code() == -32602, "an_hour_later(\"yesterday\") was not answered with -32602, but with " + wrong.text());
}

}  // namespace

std::vector<CheckEntry> value_checks() {
  return {
      {"VALUE-1", "null stays null, and apart from an absent member", null_stays_null},
      {"VALUE-2", "true and false stay booleans", booleans_stay_booleans},
      {"VALUE-3", "integers to 53 bits are exact", integers_are_exact},
      {"VALUE-4", "integers to 64 bits are exact", long_integers_are_exact},
      {"VALUE-5", "bigger integers are exact or refused", big_integers_are_exact_or_refused},
      {"VALUE-6", "floats are the same doubles", floats_are_the_same},
      {"VALUE-7", "other forms of a number are the same number", other_forms_are_the_same_number},
      {"VALUE-8", "NaN and the infinities are refused", not_a_number_is_refused},
      {"VALUE-9", "text is the same code points", text_is_the_same},
      {"VALUE-10", "an escaped surrogate pair is one character", escaped_pairs_are_one_character},
      {"VALUE-11", "lone surrogates are the same or refused", lone_surrogates_are_the_same_or_refused},
      {"VALUE-12", "small byte sequences are base64 text", small_bytes_are_base64},
      {"VALUE-13", "[] and {} stay apart", empty_containers_stay_apart},
      {"VALUE-14", "any text may be a key", any_key_is_kept},
      {"VALUE-15", "arrays keep their order", long_arrays_keep_their_order},
      {"VALUE-16", "100 levels of nesting are kept", nesting_is_kept},
      {"VALUE-17", "deeper nesting is kept or refused", deep_nesting_is_kept_or_refused},
      {"VALUE-18", "of a repeated key the last counts, or it is refused", repeated_keys_are_one},
      {"VALUE-19", "moments are RFC 3339 text", moments_are_rfc_3339},
  };
}

}  // namespace sabir::conformance
