#include "sabir/mcp/authorization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sabir::mcp {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kServer = R"({"issuer":"https://as.example","authorization_endpoint":"https://as.example/a","token_endpoint":"https://as.example/t"})";

TEST(Authorization, AChallengeIsReadHoweverItIsWritten) {
  const auto challenge = read_challenge(R"(Basic realm="x", Bearer realm="a \"b\"", resource_metadata="https://rs.example/.well-known/oauth-protected-resource" , scope="a b",error=insufficient_scope)");
  EXPECT_EQ(challenge.resource_metadata, "https://rs.example/.well-known/oauth-protected-resource");
  EXPECT_EQ(challenge.scope, "a b");
  EXPECT_EQ(challenge.error, "insufficient_scope");
  EXPECT_EQ(read_challenge("Basic x=y").scope, "");
  EXPECT_EQ(read_challenge(R"(Bearer resource_metadata="file:///etc/passwd")").resource_metadata, "");
  for (const char* text : {"Bearer", "Bearer =", "Bearer a=\"", "bearer ,,,=,\"\\", "Bearer a=b=c \"\""}) (void)read_challenge(text);
}

TEST(Authorization, MetadataIsLookedForWhereTheStandardsPutIt) {
  EXPECT_THAT(resource_metadata_urls({}, "https://rs.example/public/mcp?x=1"), ElementsAre("https://rs.example/.well-known/oauth-protected-resource/public/mcp", "https://rs.example/.well-known/oauth-protected-resource"));
  EXPECT_THAT(server_metadata_urls("https://as.example/t1/"), ElementsAre("https://as.example/.well-known/oauth-authorization-server/t1", "https://as.example/.well-known/openid-configuration/t1", "https://as.example/t1/.well-known/openid-configuration"));
  EXPECT_EQ(server_metadata_urls("https://as.example").size(), 2U);
}

TEST(Authorization, AnotherResourceIsRefused) {
  EXPECT_TRUE(read_resource_metadata(R"({"resource":"https://rs.example/","authorization_servers":["https://as.example"]})", "https://rs.example/mcp"));
  EXPECT_TRUE(read_resource_metadata(R"({"resource":"https://RS.example:443/mcp"})", "https://rs.example/mcp"));
  for (const char* other : {"https://evil.example/mcp", "https://rs.example/mcp/deeper", "https://rs.example/mc", "http://rs.example/mcp", ""}) {
    EXPECT_FALSE(read_resource_metadata("{\"resource\":\"" + std::string(other) + "\"}", "https://rs.example/mcp")) << other;
  }
}

TEST(Authorization, AServerMustBeTheOneThatWasNamed) {
  EXPECT_TRUE(read_server_metadata(kServer, "https://as.example"));
  EXPECT_THAT(read_server_metadata(kServer, "https://as.example/").error().message, HasSubstr("calls itself"));
  EXPECT_FALSE(read_server_metadata(R"({"issuer":"https://as.example","token_endpoint":"http://as.example/t"})", "https://as.example"));
  EXPECT_FALSE(read_server_metadata(R"({"issuer":"https://as.example"})", "https://as.example"));
  EXPECT_THAT(read_server_metadata(R"({"issuer":"i","token_endpoint":"https://as.example/t","code_challenge_methods_supported":["plain"]})", "i").error().message, HasSubstr("PKCE"));
  EXPECT_FALSE(read_server_metadata("[]", ""));
}

TEST(Authorization, SecretsGoOverTlsOrStayHere) {
  for (const char* good : {"https://a.example/x", "http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]:9/x"}) EXPECT_TRUE(is_private_enough(good)) << good;
  for (const char* bad : {"http://a.example/", "http://127.0.0.1.evil.example/", "ftp://localhost/", "http://localhost@evil.example/", "x"}) EXPECT_FALSE(is_private_enough(bad)) << bad;
}

TEST(Authorization, TheAddressHasAllThatProtectsALogin) {
  const auto server = *read_server_metadata(kServer, "https://as.example");
  const auto pkce = make_pkce();
  EXPECT_EQ(pkce.verifier.size(), 43U);
  EXPECT_EQ(pkce.challenge.size(), 43U);
  EXPECT_NE(pkce.verifier, make_pkce().verifier);
  const auto url = authorization_url(server, {"me", "http://127.0.0.1:1/callback", "a b", "https://rs.example/mcp", "st", pkce.challenge});
  for (const char* part : {"https://as.example/a?response_type=code", "code_challenge_method=S256", "resource=https%3A%2F%2Frs.example%2Fmcp", "scope=a%20b", "state=st", "redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcallback"}) {
    EXPECT_THAT(url, HasSubstr(part));
  }
  EXPECT_THAT(authorization_url(server, {"me", "r", "", "u", "s", "c"}), Not(HasSubstr("scope=")));
}

TEST(Authorization, OnlyTheRightAnswerGivesACode) {
  auto server = *read_server_metadata(kServer, "https://as.example");
  EXPECT_EQ(*code_of({{"state", "s"}, {"code", "c"}}, "s", server), "c");
  EXPECT_EQ(*code_of({{"state", "s"}, {"code", "c"}, {"iss", "https://as.example"}}, "s", server), "c");
  EXPECT_FALSE(code_of({{"state", "t"}, {"code", "c"}}, "s", server));
  EXPECT_FALSE(code_of({{"state", "s"}, {"code", "c"}, {"iss", "https://as.example/"}}, "s", server));
  EXPECT_EQ(code_of({{"state", "s"}, {"error", "access_denied"}}, "s", server).error().code, ErrorCode::kApprovalRefused);
  server.says_issuer = true;
  EXPECT_FALSE(code_of({{"state", "s"}, {"code", "c"}}, "s", server));
}

TEST(Authorization, ScopesAreThoseThatAreNeeded) {
  ServerMetadata server;
  ResourceMetadata resource;
  resource.scopes = std::vector<std::string>{"r", "w"};
  EXPECT_EQ(scopes_to_ask({"", "x", ""}, resource, server, {}, ""), "x");
  EXPECT_EQ(scopes_to_ask({}, resource, server, {}, ""), "r w");
  EXPECT_EQ(scopes_to_ask({}, std::nullopt, server, {}, ""), "");
  EXPECT_EQ(scopes_to_ask({"", "admin", "insufficient_scope"}, resource, server, {"extra"}, "r admin"), "r admin extra");
  server.scopes = {"offline_access"};
  EXPECT_EQ(scopes_to_ask({}, std::nullopt, server, {}, ""), "");
  EXPECT_EQ(scopes_to_ask({}, resource, server, {}, ""), "r w offline_access");
}

TEST(Authorization, ClientsShowWhoTheyAreAsTheServerWants) {
  Form form;
  EXPECT_EQ(identify({"a:b", "s/", "client_secret_basic"}, form), "Basic YSUzQWI6cyUyRg==");
  EXPECT_TRUE(form.empty());
  EXPECT_EQ(identify({"a", "s", "client_secret_post"}, form), "");
  EXPECT_EQ(form_text(form), "client_id=a&client_secret=s");
  EXPECT_EQ(*method_of({}, true), "client_secret_basic");
  EXPECT_EQ(*method_of({"client_secret_post"}, true), "client_secret_post");
  EXPECT_FALSE(method_of({"client_secret_basic"}, false));
  EXPECT_FALSE(read_registration(R"({"client_id":"x","token_endpoint_auth_method":"client_secret_basic"})", "none"));
  EXPECT_EQ(read_registration(R"({"client_id":"x"})", "none")->method, "none");
}

TEST(Authorization, TokensThatNoHeaderCanCarryAreRefused) {
  const auto tokens = read_tokens(200, R"({"access_token":"abc","token_type":"Bearer","expires_in":60})", 1000, "a");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->expires_ms, 61000);
  EXPECT_EQ(tokens->scope, "a");
  EXPECT_FALSE(read_tokens(200, "{\"access_token\":\"a\\r\\nX: y\"}", 0, ""));
  EXPECT_FALSE(read_tokens(200, R"({"access_token":"a","token_type":"DPoP"})", 0, ""));
  EXPECT_THAT(read_tokens(400, R"({"error":"invalid_grant","error_description":"old"})", 0, "").error().message, HasSubstr("invalid_grant old"));
}

}  // namespace
}  // namespace sabir::mcp
