#include "request_reader.h"

#include <gmock/gmock.h>

namespace sabir::net {
namespace {

struct Outcome {
  int status = 0;  // 0: taken
  ServerRequest request;
  std::size_t used = 0;
};

Outcome read(std::string_view text, std::size_t step = std::string_view::npos, std::size_t most_head = 4096, std::size_t most_body = 4096) {
  RequestReader reader(most_head, most_body);
  Outcome out;
  std::size_t end = 0;
  while (!reader.done() && !reader.refused() && end < text.size()) {
    end = step == std::string_view::npos ? text.size() : std::min(text.size(), end + step);
    out.used += reader.put(text.substr(out.used, end - out.used));
  }
  if (reader.refused()) out.status = reader.refused()->status;
  else if (!reader.done()) out.status = -1;
  else out.request = reader.take();
  return out;
}

TEST(RequestReader, ReadsARequestInAnyPieces) {
  const std::string text = "POST /a/b?c=d&e HTTP/1.1\r\nHost: Example.com:80\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhelloGET ";
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::string_view::npos}) {
    const auto got = read(text, step);
    ASSERT_EQ(got.status, 0) << step;
    EXPECT_EQ(got.request.method, "POST");
    EXPECT_EQ(got.request.path, "/a/b");
    EXPECT_EQ(got.request.query, "c=d&e");
    EXPECT_EQ(got.request.host, "example.com:80");
    EXPECT_EQ(got.request.header("x-one"), "1");
    EXPECT_EQ(got.request.body, "hello");
    EXPECT_EQ(got.used, text.size() - 4);
  }
}

TEST(RequestReader, ReadsChunks) {
  const auto got = read("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n", 1);
  ASSERT_EQ(got.status, 0);
  EXPECT_EQ(got.request.body, "abcde");
  EXPECT_EQ(got.request.header("x-trailer"), "");
}

TEST(RequestReader, AbsoluteTargetsNameTheirHost) {
  const auto got = read("GET http://Example.com/a?b HTTP/1.1\r\nHost: example.com\r\n\r\n");
  ASSERT_EQ(got.status, 0);
  EXPECT_EQ(got.request.path, "/a");
  EXPECT_EQ(read("GET http://example.com HTTP/1.1\r\nHost: example.com\r\n\r\n").request.path, "/");
  EXPECT_EQ(read("GET http://other.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n").status, 400);
}

// Patterns by which a request has been hidden in another, where a proxy and a server read them differently.
TEST(RequestReader, RefusesWhatServersReadDifferently) {
  const std::string begin = "POST / HTTP/1.1\r\nHost: a\r\n";
  const std::vector<std::pair<std::string, int>> cases = {
      {begin + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {begin + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
      {begin + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
      {begin + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
      {begin + "Content-Length: 5, 5\r\n\r\nhello", 400},
      {begin + "Content-Length: +5\r\n\r\nhello", 400},
      {begin + "Content-Length: -5\r\n\r\nhello", 400},
      {begin + "Content-Length: 0x5\r\n\r\nhello", 400},
      {begin + "Content-Length: 99999999999999999999999\r\n\r\nhello", 400},
      {begin + "Content-Length : 5\r\n\r\nhello", 400},
      {begin + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
      {begin + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {begin + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501},
      {begin + "Transfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n", 400},
      {begin + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400},
      {begin + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
      {begin + "X: a\r\n b\r\n\r\n", 400},
      {begin + "X: a\nContent-Length: 5\r\n\r\nhello", 400},
      {begin + "X\r\n\r\n", 400},
      {begin + ": x\r\n\r\n", 400},
      {begin + "X Y: z\r\n\r\n", 400},
      {std::string("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
      {std::string("GET / HTTP/1.1\r\n\r\n"), 400},
      {std::string("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400},
      {std::string("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), 400},
      {std::string("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400},
      {std::string("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505},
      {std::string("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
      {std::string("GET /\r\n\r\n"), 400},
      {std::string("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
      {begin + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
      {begin + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
      {begin + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n", 400},
      {begin + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400},
      {begin + "Expect: tea\r\n\r\n", 417},
  };
  for (const auto& [text, status] : cases) {
    EXPECT_EQ(read(text).status, status) << text;
    EXPECT_EQ(read(text, 1).status, status) << text;
  }
}

TEST(RequestReader, AnEmptyChunkedBodyComesInAnyPieces) {
  const std::string text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n";
  for (std::size_t step = 1; step < 12; ++step) {
    const auto got = read(text, step);
    EXPECT_EQ(got.status, 0) << step;
    EXPECT_EQ(got.used, text.size()) << step;
    EXPECT_EQ(got.request.body, "") << step;
  }
}

TEST(RequestReader, BoundsHeadAndBody) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(read(head + "X: " + std::string(5000, 'a') + "\r\n\r\n").status, 431);
  EXPECT_EQ(read("GET /" + std::string(5000, 'a') + " HTTP/1.1\r\n").status, 431);
  std::string many = head;
  for (int i = 0; i < 500; ++i) many += "X-" + std::to_string(i) + ": abcdef\r\n";
  EXPECT_EQ(read(many, 100).status, 431);
  EXPECT_EQ(read("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n").status, 413);
  const std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(read(chunked + "fff\r\n" + std::string(4095, 'a') + "\r\n2\r\n").status, 413);
  EXPECT_EQ(read(chunked + "1;" + std::string(6000, 'a')).status, 400);
  EXPECT_EQ(read(chunked + "0\r\nX: " + std::string(6000, 'a')).status, 400);
}

}  // namespace
}  // namespace sabir::net
