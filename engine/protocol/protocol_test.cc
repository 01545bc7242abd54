#include <gtest/gtest.h>

#include "sabir/protocol/frame.h"
#include "sabir/protocol/message.h"
#include "sabir/protocol/payload.h"
#include "sabir/protocol/raw_json.h"

namespace sabir::protocol {
namespace {

TEST(Frame, ArrivesWholeInAnyFragmentation) {
  std::string bytes;
  append_frame(bytes, R"({"a":1})", {"blob one", std::string("\0\n2", 3)});
  append_frame(bytes, "{}");
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    FrameReader reader;
    std::vector<Frame> frames;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      reader.append(std::string_view(bytes).substr(at, step));
      while (true) {
        auto frame = reader.next();
        ASSERT_TRUE(frame.has_value());
        if (!*frame) break;
        frames.push_back(std::move(**frame));
      }
    }
    ASSERT_EQ(frames.size(), 2U);
    EXPECT_EQ(frames[0].json, R"({"a":1})");
    EXPECT_EQ(frames[0].blobs, (std::vector<std::string>{"blob one", std::string("\0\n2", 3)}));
    EXPECT_EQ(frames[1].json, "{}");
    EXPECT_EQ(reader.buffered(), 0U);
  }
}

TEST(Frame, ALargeFrameIsReadToItsPlace) {
  const std::string blob(100'000, 'b');
  std::string bytes;
  append_frame(bytes, "{}", {blob, "", "c"});
  append_frame(bytes, R"({"next":1})");
  FrameReader reader;
  reader.append(std::string_view(bytes).substr(0, 1000));
  ASSERT_TRUE(reader.next().has_value());
  std::size_t at = 1000;
  while (at < bytes.size()) {
    const auto room = reader.room();
    const std::size_t direct = std::min<std::size_t>(room.size(), 30'000);
    std::copy_n(bytes.data() + at, direct, room.data());
    if (direct > 0) reader.filled(direct);
    at += direct;
    if (direct > 0) continue;
    reader.append(std::string_view(bytes).substr(at));
    break;
  }
  const auto large = reader.next();
  ASSERT_TRUE(large && *large);
  EXPECT_EQ((*large)->json, "{}");
  EXPECT_EQ((*large)->blobs, (std::vector<std::string>{blob, "", "c"}));
  EXPECT_TRUE(reader.room().empty());
  const auto next = reader.next();
  ASSERT_TRUE(next && *next);
  EXPECT_EQ((*next)->json, R"({"next":1})");
}

TEST(Frame, AMalformedHeadIsRefusedAndStaysRefused) {
  for (const char* head : {"-1\n", "01\n", "1  2\n", "1 \n", " 1\n", "\n", "x", "67108865\n", "67108864 1\n",
                           "99999999999999999999999\n", "1,2\n"}) {
    FrameReader reader;
    reader.append(head);
    EXPECT_FALSE(reader.next().has_value()) << head;
    reader.append("2\n{}");
    EXPECT_FALSE(reader.next().has_value()) << head;
  }
}

TEST(Frame, OversizedFrameIsRefusedBeforeItsBytesArrive) {
  FrameReader reader({.frame = 100, .blobs = 2, .head = 64});
  reader.append("101\n");
  EXPECT_FALSE(reader.next().has_value());
  FrameReader many({.frame = 100, .blobs = 2, .head = 64});
  many.append("1 1 1 1\n");
  EXPECT_FALSE(many.next().has_value());
  FrameReader endless({.frame = 100, .blobs = 2, .head = 64});
  endless.append(std::string(65, '1'));
  EXPECT_FALSE(endless.next().has_value());
}

TEST(Payload, AnOutlineHasAnEmptyStringForEachBlob) {
  const auto outlined = [](std::string json, std::vector<Blob> blobs) { return outline({std::move(json), std::move(blobs)}); };
  EXPECT_EQ(outlined(R"({"a":[1,null],"b":null})", {{"/a/1", false, "x"}}), R"({"a":[1,""],"b":null})");
  EXPECT_EQ(outlined(R"({"a/b":null})", {{"/a~1b", true, "x"}}), R"({"a/b":""})");
  EXPECT_EQ(outlined("null", {{"", false, "x"}}), "\"\"");
  EXPECT_EQ(outlined(R"({"a":null,"b":null})", {{"/a", false, "x"}, {"/b", false, "y"}}), R"({"a":"","b":""})");
  EXPECT_FALSE(outlined(R"({"a":1})", {{"/a", false, "x"}}).has_value());
  EXPECT_FALSE(outlined(R"({"a":null})", {{"/b", false, "x"}}).has_value());
}

TEST(RawJson, MembersAreTheSendersOwnBytes) {
  const auto members = raw_members(R"( {"a" : [1, {"b":"\u00e9"}] ,"c":-1.5e3, "d" :"x\"y"} )");
  ASSERT_TRUE(members.has_value());
  ASSERT_EQ(members->size(), 3U);
  EXPECT_EQ((*members)[0].value, R"([1, {"b":"\u00e9"}])");
  EXPECT_EQ((*members)[1].value, "-1.5e3");
  EXPECT_EQ(unquote((*members)[2].value), "x\"y");
}

TEST(RawJson, WhatIsNoJsonIsRefused) {
  for (const char* text : {"", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "[]", "{} {}", "{\"a\":01}", "{\"a\":1.}",
                           "{\"a\":\"\\x\"}", "{\"a\":\"\n\"}", "{\"a\":NaN}", "{\"a\":\"\xff\"}", "{\"a\":+1}"}) {
    EXPECT_FALSE(raw_members(text).has_value()) << text;
  }
  EXPECT_FALSE(check_json(std::string(300, '[') + std::string(300, ']')).has_value());
  EXPECT_TRUE(check_json(std::string(200, '[') + std::string(200, ']')).has_value());
}

TEST(RawJson, QuotingRoundTripsAndRepairsInvalidUtf8) {
  const std::string text = std::string("a\"\\\n\t\x01é🚢\0z", 15);
  EXPECT_EQ(unquote(quote(text)), text);
  EXPECT_EQ(unquote(quote("a\xffz")), "a\xef\xbf\xbdz");
  // Wherever in a string a byte stands that does not stand for itself.
  for (std::size_t at = 0; at < 20; ++at) {
    for (const std::string odd : {"\"", "\\", "\n", "\x01", "é", "🚢"}) {
      const std::string whole = std::string(at, 'a') + odd + std::string(20 - at, 'b');
      EXPECT_EQ(unquote(quote(whole)), whole);
      EXPECT_TRUE(check_json(quote(whole)).has_value()) << quote(whole);
      EXPECT_EQ(raw_members("{\"k\":" + quote(whole) + "}")->front().value, quote(whole));
    }
    EXPECT_EQ(unquote(quote(std::string(at, 'a') + "\xff" + std::string(20 - at, 'b'))), std::string(at, 'a') + "\xef\xbf\xbd" + std::string(20 - at, 'b'));
    EXPECT_FALSE(check_json("\"" + std::string(at, 'a') + "\xc3\"").has_value());
    EXPECT_FALSE(check_json("\"" + std::string(at, 'a') + "\n\"").has_value());
    EXPECT_FALSE(check_json("\"" + std::string(at, 'a')).has_value());
  }
  EXPECT_EQ(unquote(R"("\ud83d\udea2 \ud800")"), "🚢 \xef\xbf\xbd");
}

TEST(Message, KindsAreToldApart) {
  const auto request = parse_message(R"({"jsonrpc":"2.0","id":7,"method":"call","params":{"a":1}})");
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->kind, MessageKind::kRequest);
  EXPECT_EQ(request->number(), 7);
  EXPECT_EQ(request->params, R"({"a":1})");
  EXPECT_EQ(parse_message(R"({"jsonrpc":"2.0","method":"log"})")->kind, MessageKind::kNotification);
  EXPECT_EQ(parse_message(R"({"jsonrpc":"2.0","id":"x","result":null})")->kind, MessageKind::kResponse);
  for (const char* text : {"[]", "1", "{}", R"({"id":1,"method":"x"})", R"({"jsonrpc":"2.0","id":1})",
                           R"({"jsonrpc":"2.0","id":1,"result":1,"error":{}})", R"({"jsonrpc":"2.0","id":[1],"method":"x"})",
                           R"({"jsonrpc":"2.0","method":"x","params":[1]})"}) {
    EXPECT_FALSE(parse_message(text).has_value()) << text;
  }
}

TEST(Message, AnErrorKeepsItsTypePlaceAndParticulars) {
  Error error = Error(ErrorCode::kInvalidArguments, "wrong type", "write 1").at("f.rb", 4).with_data(R"({"path":"/n"})");
  const std::string text = make_error("3", error);
  const auto message = parse_message(text);
  ASSERT_TRUE(message.has_value());
  const Error back = error_of(message->error);
  EXPECT_EQ(back.code, ErrorCode::kInvalidArguments);
  EXPECT_EQ(back.message, "wrong type");
  EXPECT_EQ(back.hint, "write 1");
  EXPECT_EQ(back.line, 4);
  EXPECT_NE(back.data.find("/n"), std::string::npos);
}

TEST(Payload, LargeStringsTravelBesideTheJsonAndComeBack) {
  const std::string large(70000, 'x');
  const std::string text = "{\"a/b\":[1,\"" + large + "\"],\"c\":\"small\"}";
  const Payload payload = deflate(text);
  ASSERT_EQ(payload.blobs.size(), 1U);
  EXPECT_EQ(payload.blobs[0].at, "/a~1b/1");
  EXPECT_LT(payload.json.size(), 100U);
  EXPECT_EQ(inflate(payload).value(), text);
}

TEST(Payload, APointerToAnythingButNullIsRefused) {
  EXPECT_FALSE(inflate({"{\"a\":1}", {{"/a", false, "x"}}}).has_value());
  EXPECT_FALSE(inflate({"{}", {{"/a", false, "x"}}}).has_value());
  EXPECT_FALSE(inflate({"null", {{"", false, "\xff"}}}).has_value());
  EXPECT_EQ(inflate({"null", {{"", true, "\xff"}}}).value(), "\"/w==\"");
  EXPECT_FALSE(read_blob_list("[]", {"x"}, "/arguments").has_value());
  EXPECT_FALSE(read_blob_list(R"([{"at":"/other","type":"string"}])", {"x"}, "/arguments").has_value());
}

TEST(RawJson, LongIntegersAreSeen) {
  for (const char* text : {"1234567890123456789", "-99999999999999999999", R"({"a":[1,18446744073709551616]})"}) EXPECT_TRUE(has_long_integer(text)) << text;
  for (const char* text : {"123456789012345678", "1.2345678901234567890123", "12345678901234567890e5", R"("12345678901234567890\"12345678901234567890")", "{}"}) {
    EXPECT_FALSE(has_long_integer(text)) << text;
  }
}

TEST(RawJson, IndentingKeepsEveryTokenAsItIs) {
  EXPECT_EQ(indented(R"({"a":[1,{"b":"x,{\"y"}],"c":[ ],"d":{}})"), "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x,{\\\"y\"\n    }\n  ],\n  \"c\": [],\n  \"d\": {}\n}");
  EXPECT_EQ(indented("12345678901234567890123"), "12345678901234567890123");
}

}  // namespace
}  // namespace sabir::protocol
