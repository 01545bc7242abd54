#include "sabir/mcp/content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sabir/mcp/headers.h"
#include "sabir/mcp/request_state.h"

namespace sabir::mcp {
namespace {

using protocol::Payload;

Tool tool_with(json::object output) {
  Catalogue catalogue;
  Tool tool;
  tool.name = tool.address = "t";
  tool.output_schema = std::move(output);
  catalogue.tools.push_back(std::move(tool));
  catalogue.finish();
  return catalogue.tools.front();
}

std::string result(const Tool& tool, const Payload& value, Revision revision = Revision::k2025_11_25) {
  auto members = tool_result(revision, tool, value);
  EXPECT_TRUE(members);
  const auto parsed = parse_json("{" + *members + "}");
  EXPECT_TRUE(parsed) << *members;
  return *members;
}

const std::string kPng = std::string("\x89PNG\r\n\x1a\n", 8) + "rest";

TEST(Content, ATextIsATextAndAnObjectIsStructuredToo) {
  EXPECT_EQ(result(tool_with({}), {"\"hi\"", {}}), R"("content":[{"type":"text","text":"hi"}])");
  EXPECT_EQ(result(tool_with({}), {R"({"a":1})", {}}), R"("content":[{"type":"text","text":"{\"a\":1}"}],"structuredContent":{"a":1})");
  EXPECT_EQ(result(tool_with({}), {"null", {}}), R"("content":[])");
}

TEST(Content, APromisedResultThatIsNoObjectIsWrappedForSessionsAlone) {
  const auto tool = tool_with({{"type", "integer"}});
  EXPECT_EQ(result(tool, {"3", {}}), R"("content":[{"type":"text","text":"3"}],"structuredContent":{"result":3})");
  EXPECT_EQ(result(tool, {"3", {}}, Revision::k2026_07_28), R"("content":[{"type":"text","text":"3"}],"structuredContent":3)");
}

TEST(Content, BytesBecomeImagesAudioOrEmbeddedResources) {
  const auto bytes = tool_with({{"type", "string"}, {"contentEncoding", "base64"}});
  EXPECT_EQ(result(bytes, {R"("iVBORw0KGgpyZXN0")", {}}), R"("content":[{"type":"image","data":"iVBORw0KGgpyZXN0","mimeType":"image/png"}])");
  EXPECT_EQ(result(bytes, {"null", {{"", true, kPng}}}), R"("content":[{"type":"image","data":"iVBORw0KGgpyZXN0","mimeType":"image/png"}])");
  EXPECT_EQ(result(bytes, {R"("UklGRjEyMzRXQVZFZm10")", {}}), R"("content":[{"type":"audio","data":"UklGRjEyMzRXQVZFZm10","mimeType":"audio/wav"}])");
  EXPECT_EQ(result(bytes, {R"("YWJj")", {}}), R"("content":[{"type":"resource","resource":{"uri":"sabir://results/t/0","mimeType":"application/octet-stream","blob":"YWJj"}}])");
  const auto several = tool_with({{"type", "array"}, {"items", json::object{{"type", "string"}, {"contentEncoding", "base64"}}}});
  EXPECT_EQ(result(several, {R"(["iVBORw0KGgpyZXN0","iVBORw0KGgpyZXN0"])", {}}).size(), 2 * result(bytes, {R"("iVBORw0KGgpyZXN0")", {}}).size() - 11);
  // Without that promise it is a text, however it looks.
  EXPECT_EQ(result(tool_with({}), {R"("iVBORw0KGgpyZXN0")", {}}), R"("content":[{"type":"text","text":"iVBORw0KGgpyZXN0"}])");
}

TEST(Content, ResourcesAreTextBytesOrJson) {
  EXPECT_EQ(resource_content("x://y", "", true, {R"("iVBORw0KGgpyZXN0")", {}}).value(), (json::object{{"uri", "x://y"}, {"mimeType", "image/png"}, {"blob", "iVBORw0KGgpyZXN0"}}));
  EXPECT_EQ(resource_content("x://y", "", false, {R"("hi")", {}}).value(), (json::object{{"uri", "x://y"}, {"mimeType", "text/plain"}, {"text", "hi"}}));
  EXPECT_EQ(resource_content("x://y", "", false, {R"({"a":1})", {}}).value(), (json::object{{"uri", "x://y"}, {"mimeType", "application/json"}, {"text", R"({"a":1})"}}));
}

TEST(Content, AFunctionMayGiveTheContentItself) {
  const std::string own = R"({"content":[{"type":"image","data":null,"mimeType":"image/png"},{"type":"text","text":"x"}],"isError":true})";
  EXPECT_EQ(result(tool_with({}), {own, {{"/content/0/data", true, kPng}}}), R"("content":[{"type":"image","data":"iVBORw0KGgpyZXN0","mimeType":"image/png"},{"type":"text","text":"x"}],"isError":true)");
  // What merely looks like it is data.
  for (const char* data : {R"({"content":[{"type":"text"}]})", R"({"content":[{"type":"text","text":"x"}],"id":1})", R"({"content":"x"})"}) {
    EXPECT_THAT(result(tool_with({}), {data, {}}), testing::HasSubstr("structuredContent")) << data;
  }
  const auto typed = tool_with({{"type", "object"}, {"properties", json::object{{"content", json::object()}}}});
  EXPECT_THAT(result(typed, {R"({"content":[{"type":"text","text":"x"}]})", {}}), testing::HasSubstr("\"structuredContent\":{\"content\""));
}

TEST(Content, PromptsGiveTextsBlocksOrMessages) {
  EXPECT_EQ(json::serialize(prompt_messages(Payload{"\"hi\"", {}}).value()), R"([{"role":"user","content":{"type":"text","text":"hi"}}])");
  const auto several = prompt_messages(Payload{R"([{"role":"assistant","content":"a"},{"type":"text","text":"b"},{"content":[{"type":"image","data":null,"mimeType":"image/png"}]}])", {{"/2/content/0/data", true, kPng}}});
  ASSERT_TRUE(several);
  EXPECT_EQ(several->size(), 3U);
  EXPECT_EQ(several->at(0).at("role"), "assistant");
  EXPECT_EQ(several->at(2).at("content").at("data"), "iVBORw0KGgpyZXN0");
  EXPECT_FALSE(prompt_messages(Payload{"3", {}}));
  EXPECT_FALSE(prompt_messages(Payload{"[]", {}}));
}

TEST(Uris, TemplatesMatchWhatTheyCouldHaveMade) {
  EXPECT_EQ(match_uri("test://template/{id}/data", "test://template/123/data"), (Variables{{"id", "123"}}));
  EXPECT_EQ(match_uri("sabir://memory/{namespace}/{+key}", "sabir://memory/default/a/b%20c"), (Variables{{"namespace", "default"}, {"key", "a/b c"}}));
  EXPECT_FALSE(match_uri("test://template/{id}/data", "test://template/1/2/data"));
  EXPECT_FALSE(match_uri("test://template/{id}/data", "test://template//data"));
  EXPECT_FALSE(match_uri("test://{id}", "test://%zz"));
  EXPECT_FALSE(match_uri("test://x", "test://xy"));
  EXPECT_FALSE(variables_of("a{b"));
  EXPECT_FALSE(variables_of("a{b}{c}"));
  EXPECT_EQ(percent_encoded("a b/ü"), "a%20b%2F%C3%BC");
}

TEST(RequestStates, ASealIsItsOwnersAlone) {
  const Seal seal;
  const auto token = seal.close({"ana", "digest", "nonce", 5, {{"k", json::object{{"action", "accept"}}}}});
  const auto state = seal.open(token);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->principal, "ana");
  EXPECT_EQ(state->answers.at("k").at("action"), "accept");
  EXPECT_FALSE(Seal().open(token));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string other = token;
    other[i] = other[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(seal.open(other)) << i;
  }
  EXPECT_FALSE(seal.open(""));
  EXPECT_FALSE(seal.open("."));
}

TEST(RequestStates, TheOrderOfArgumentsDoesNotMatter) {
  EXPECT_EQ(digest_of("m", "n", R"({"a":1,"b":{"c":[1,{"e":1,"d":2}]}})"), digest_of("m", "n", R"({ "b":{"c":[1,{"d":2,"e":1}]},"a":1})"));
  EXPECT_NE(digest_of("m", "n", R"({"a":[1,2]})"), digest_of("m", "n", R"({"a":[2,1]})"));
}

class HeadersTest : public testing::Test {
 protected:
  HeadersTest() {
    Tool tool;
    tool.name = "sql";
    tool.input_schema = parse_json(R"({"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"}}})")->get_object();
    catalogue_.tools.push_back(std::move(tool));
    catalogue_.finish();
  }
  std::optional<Refusal> check(const RequestHeaders& headers, const std::string& arguments = "{}", const std::string& revision = "2026-07-28") {
    const auto message = read_message(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sql","arguments":)" + arguments + R"(,"_meta":{"io.modelcontextprotocol/protocolVersion":")" + revision + R"("}}})");
    EXPECT_TRUE(message);
    return check_headers(headers, *message, catalogue_);
  }
  static RequestHeaders good() { return {"2026-07-28", "tools/call", "sql", {}}; }
  Catalogue catalogue_;
};

TEST_F(HeadersTest, HeadersAreThereAndMatch) {
  EXPECT_FALSE(check(good()));
  auto headers = good();
  headers.method = "TOOLS/CALL";
  EXPECT_TRUE(check(headers));
  headers = good();
  headers.method.reset();
  EXPECT_TRUE(check(headers));
  headers = good();
  headers.name = "other";
  EXPECT_TRUE(check(headers));
  headers.name = "=?base64?c3Fs?=";
  EXPECT_FALSE(check(headers));
  headers = good();
  headers.revision = "2025-11-25";
  EXPECT_EQ(check(headers)->code, kHeaderMismatch);
}

TEST_F(HeadersTest, MirroredParametersMatchDecodedAndByNumber) {
  auto headers = good();
  EXPECT_TRUE(check(headers, R"({"region":"eu"})"));
  headers.parameters = {{"region", "eu"}};
  EXPECT_FALSE(check(headers, R"({"region":"eu"})"));
  EXPECT_TRUE(check(headers, R"({"region":null})"));
  headers.parameters = {{"region", "=?base64?SGVsbG8=?="}};
  EXPECT_FALSE(check(headers, R"({"region":"Hello"})"));
  for (const char* broken : {"=?base64?SGVsbG8?=", "=?base64?SGVs!!!bG8=?="}) {
    headers.parameters = {{"region", broken}};
    EXPECT_TRUE(check(headers, R"({"region":"Hello"})")) << broken;
  }
  headers.parameters = {{"region", "SGVsbG8="}};
  EXPECT_FALSE(check(headers, R"({"region":"SGVsbG8="})"));
  headers.parameters = {{"region", "=?base64?SGVsbG8="}};
  EXPECT_FALSE(check(headers, R"({"region":"=?base64?SGVsbG8="})"));
  headers.parameters = {{"n", "42.0"}};
  EXPECT_FALSE(check(headers, R"({"n":42})"));
  EXPECT_TRUE(check(headers, R"({"n":43})"));
}

}  // namespace
}  // namespace sabir::mcp
