#include <gmock/gmock.h>

#include "sabir/aws/client.h"
#include "sabir/aws/xml.h"

namespace sabir::aws {
namespace {

// As botocore signs it: tests/aws compares more of them, byte for byte.
TEST(AwsSignature, IsWhatBotocoreMakes) {
  const Unsigned request{"POST", "secretsmanager.eu-central-1.amazonaws.com", "/", {},
                              {{"content-type", "application/x-amz-json-1.1"}, {"x-amz-target", "secretsmanager.GetSecretValue"}}, R"({"SecretId":"shop/staging/key"})"};
  const auto headers = sign(request, {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""}, "eu-central-1", "secretsmanager", 1795000000);
  EXPECT_EQ(headers.back().second, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261118/eu-central-1/secretsmanager/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=0d415a7bdfc5adbf2a1e1666dc15f865cd3473117e74f1f222677f7ef01c91fb");
}

TEST(AwsProfiles, AreSectionsOfKeys) {
  const auto profiles = parse_profiles("# comment\n[default]\nregion = eu-west-1\n[profile work]\naws_access_key_id=A\naws_secret_access_key = b = c\ns3 =\n  nested = x\n[broken\nk = v\n");
  EXPECT_EQ(profiles.at("default").at("region"), "eu-west-1");
  EXPECT_EQ(profiles.at("work").at("aws_secret_access_key"), "b = c");
  EXPECT_FALSE(profiles.at("work").contains("nested"));
}

TEST(AwsSignature, SortsAndEncodesTheQuery) {
  EXPECT_EQ(query_text({{"prefix", "a b/\xc3\xbc"}, {"list-type", "2"}, {"delimiter", ""}}), "delimiter=&list-type=2&prefix=a%20b%2F%C3%BC");
  EXPECT_EQ(percent_encoded("a b/c", Slash::kKept), "a%20b/c");
}

TEST(AwsXml, IsElementsAndTheirText) {
  const auto read = parse_xml("<?xml version=\"1.0\"?><x:R xmlns:x='u'>\n <L><member><K>a &amp; b&#10;c</K></member><member><K/></member></L><T><![CDATA[<t>]]></T></x:R>");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->name, "R");
  ASSERT_EQ(read->list("L").size(), 2U);
  EXPECT_EQ(read->list("L")[0].said("K"), "a & b\nc");
  EXPECT_EQ(read->said("T"), "<t>");
  EXPECT_EQ(read->find("K"), "a & b\nc");
  EXPECT_EQ(read->said("none"), "");
}

TEST(AwsXml, RefusesWhatIsNoWholeDocument) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  for (const std::string& text : {std::string(""), std::string("text"), std::string("<a>"), std::string("<a></b>"), std::string("</a>"), std::string("<a/><b/>"), deep}) {
    const auto read = parse_xml(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::kProtocol);
  }
  // An entity of the document's own is not expanded.
  const auto read = parse_xml("<!DOCTYPE a [<!ENTITY e \"boom\">]><a>&e;</a>");
  EXPECT_TRUE(!read || read->text.find("boom") == std::string::npos);
}

TEST(AwsRefusal, IsReadFromJsonAndFromXml) {
  const auto xml = refusal_of(400, "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>");
  EXPECT_EQ(xml.code, "Throttling");
  EXPECT_EQ(xml.message, "Rate exceeded");
  const auto of_json = refusal_of(400, R"({"__type": "com.amazonaws#ResourceNotFoundException", "Message": "no"})");
  EXPECT_EQ(of_json.code, "ResourceNotFoundException");
  EXPECT_EQ(of_json.message, "no");
  EXPECT_EQ(refusal_of(502, "<html>").code, "");
}

}  // namespace
}  // namespace sabir::aws
