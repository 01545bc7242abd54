#include <gmock/gmock.h>

#include <thread>

#include "sabir/trace/otlp.h"
#include "sabir/trace/tracer.h"

namespace sabir::trace {
namespace {

using namespace std::chrono_literals;

TEST(Traceparent, IsReadAsTheRecommendationSays) {
  const auto read = parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  ASSERT_TRUE(read);
  EXPECT_EQ(hex(read->trace), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(hex(read->span), "00f067aa0ba902b7");
  EXPECT_TRUE(read->sampled);
  EXPECT_TRUE(read->remote);
  EXPECT_EQ(traceparent(*read), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  const auto unsampled = parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
  ASSERT_TRUE(unsampled);
  EXPECT_FALSE(unsampled->sampled);
  // A later version may say more.
  EXPECT_TRUE(parse_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes"));
}

TEST(Traceparent, WhatIsNoneBeginsATraceOfItsOwn) {
  for (const char* text : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                           "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                           "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    EXPECT_FALSE(parse_traceparent(text)) << text;
  }
}

TEST(Tracer, ChildrenStayInTheTraceOfTheirParent) {
  Tracer tracer({1});
  const auto root = tracer.begin({});
  const auto child = tracer.begin(root->context);
  EXPECT_TRUE(root->root);
  EXPECT_FALSE(child->root);
  EXPECT_EQ(child->context.trace, root->context.trace);
  EXPECT_EQ(child->parent, root->context.span);
  EXPECT_NE(child->context.span, root->context.span);
  // Another program's span is a parent, but what this engine does for it is a run of its own.
  const auto joined = tracer.begin(*parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
  EXPECT_TRUE(joined->root);
  EXPECT_FALSE(joined->context.sampled);
  EXPECT_FALSE(joined->context.remote);
  EXPECT_EQ(hex(joined->parent), "00f067aa0ba902b7");
}

TEST(Tracer, AFullRingDropsCallsFirstAndCounts) {
  Tracer tracer({1});
  for (std::size_t i = 0; i < Tracer::kMostCalls + 7; ++i) tracer.end(tracer.begin({}));
  auto model = tracer.begin({});
  model->operation = "chat";
  tracer.end(model);
  tracer.close();
  const auto batch = tracer.drain(0ms);
  EXPECT_EQ(batch.spans.size(), Tracer::kMostCalls + 1);
  EXPECT_EQ(batch.spans.back()->operation, "chat");
  EXPECT_EQ(batch.dropped, 7U);
  EXPECT_TRUE(batch.closed);
  EXPECT_EQ(tracer.drain(0ms).spans.size(), 0U);
}

TEST(Tracer, ManyThreadsLoseNothing) {
  Tracer tracer({1});
  constexpr int kThreads = 4;
  constexpr int kEach = 900;
  std::size_t seen = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < kEach; ++n) {
          auto span = tracer.begin({});
          const Scope scope(*span);
          current_span()->event("seen", {{"n", std::int64_t{n}}});
          tracer.end(std::move(span));
        }
      });
    }
    while (seen < 1000) seen += tracer.drain(1ms).spans.size();
  }
  tracer.close();
  seen += tracer.drain(0ms).spans.size();
  EXPECT_EQ(seen, static_cast<std::size_t>(kThreads * kEach));
}

TEST(Tracer, SamplingIsByTheTrace) {
  Tracer tenth({0.1});
  int kept = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto root = tenth.begin({});
    kept += root->keeps_text ? 1 : 0;
    EXPECT_EQ(tenth.begin(root->context)->keeps_text, root->keeps_text);
  }
  EXPECT_GT(kept, 100);
  EXPECT_LT(kept, 320);
  EXPECT_FALSE(Tracer({0}).begin({})->keeps_text);
  EXPECT_TRUE(Tracer({1}).begin({})->keeps_text);
}

TEST(Span, TextIsKeptByPolicyAloneAndCut) {
  Span without;
  without.text("key", "text");
  without.fail(Error(ErrorCode::kTimeout, "of what the user asked"));
  EXPECT_TRUE(without.texts.empty());
  EXPECT_EQ(without.error, "timeout");
  EXPECT_EQ(without.message, "");
  Span with;
  with.keeps_text = true;
  with.text("key", "0123456789", 4);
  ASSERT_EQ(with.texts.size(), 1U);
  EXPECT_EQ(with.texts[0].text, "0123");
  EXPECT_EQ(with.texts[0].whole, 10U);
}

TEST(Scope, NestsAndEnds) {
  EXPECT_FALSE(current());
  Span outer;
  outer.context = {new_trace_id(), new_span_id()};
  {
    const Scope one(outer);
    EXPECT_EQ(current_span(), &outer);
    {
      const Scope two(SpanContext{outer.context.trace, 7});
      EXPECT_EQ(current().span, 7U);
      EXPECT_EQ(current_span(), nullptr);
    }
    EXPECT_EQ(current_span(), &outer);
  }
  EXPECT_FALSE(current());
}

TEST(Otlp, EncodesWhatTheSpecificationAsksFor) {
  auto span = std::make_shared<Span>();
  span->context = {{0x4bf92f3577b34da6, 0xa3ce929d0e0e4736}, 0x00f067aa0ba902b7};
  span->parent = 1;
  span->name = "chat \"m\"";
  span->kind = Kind::kClient;
  span->begun_ns = 1'700'000'000'000'000'001;
  span->ended_ns = 1'700'000'000'000'000'009;
  span->error = "timeout";
  span->message = "too slow";
  span->subject = std::make_shared<Subject>(Subject{"unused", {{"code.line.number", std::int64_t{9'007'199'254'740'993}}}});
  span->add("list", std::vector<std::string>{"a", "b"});
  span->add("part", 0.25);
  span->add("yes", true);
  span->events.push_back({"try", 1'700'000'000'000'000'005, {{"sabir.try", std::int64_t{2}}}});
  const auto value = parse_json(export_request({{"service.name", "demo"}}, {span}));
  ASSERT_TRUE(value);
  json::error_code ec;
  const auto* const out = value->find_pointer("/resourceSpans/0/scopeSpans/0/spans/0", ec);
  ASSERT_TRUE(out);
  EXPECT_EQ(compact_json(*out),
            R"({"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","name":"chat \"m\"","kind":3,)"
            R"("startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000000009","attributes":[)"
            R"({"key":"code.line.number","value":{"intValue":"9007199254740993"}},{"key":"list","value":{"arrayValue":{"values":[{"stringValue":"a"},{"stringValue":"b"}]}}},)"
            R"({"key":"part","value":{"doubleValue":0.25}},{"key":"yes","value":{"boolValue":true}}],"parentSpanId":"0000000000000001",)"
            R"("events":[{"timeUnixNano":"1700000000000000005","name":"try","attributes":[{"key":"sabir.try","value":{"intValue":"2"}}]}],)"
            R"("status":{"code":2,"message":"too slow"}})");
  EXPECT_EQ(compact_json(*value->find_pointer("/resourceSpans/0/resource", ec)), R"({"attributes":[{"key":"service.name","value":{"stringValue":"demo"}}]})");
}

TEST(Otlp, ReadsWhatAServerAnswers) {
  EXPECT_EQ(parse_export_response("")->rejected, 0);
  EXPECT_EQ(parse_export_response("{}")->rejected, 0);
  const auto partial = parse_export_response(R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}})");
  EXPECT_EQ(partial->rejected, 3);
  EXPECT_EQ(partial->message, "too old");
  EXPECT_EQ(parse_export_response(R"({"partialSuccess":{"rejectedSpans":4}})")->rejected, 4);
  EXPECT_FALSE(parse_export_response("<html>"));
  EXPECT_FALSE(parse_export_response("[]"));
}

}  // namespace
}  // namespace sabir::trace
