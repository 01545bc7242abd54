// For tests: what holds of every explanation.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "sabir/completions/explain.h"

namespace sabir::completions {

// The prompt explained is the prompt rendered, and where the one fails the other does.
inline void expect_explained(const Renderer& renderer, const std::string& name, const json::object& variables) {
  const auto rendered = renderer.render(name, variables);
  const auto explained = renderer.explain(name, json::serialize(variables));
  ASSERT_EQ(rendered.has_value(), explained.has_value()) << name;
  if (!rendered) {
    EXPECT_EQ(to_text(rendered.error()), to_text(explained.error()));
    return;
  }
  ASSERT_EQ(rendered->text, explained->rendered.text);
  EXPECT_EQ(rendered->messages, explained->rendered.messages);
  EXPECT_EQ(rendered->budget.has_value(), explained->rendered.budget.has_value());
  std::size_t at = 0;
  for (const auto& span : explained->spans) {
    EXPECT_EQ(span.from, at);
    EXPECT_GT(span.to, span.from);
    EXPECT_TRUE(span.file.starts_with("completions/") && span.line > 0 && span.column > 0) << span.file << ":" << span.line << ":" << span.column;
    at = span.to;
  }
  EXPECT_EQ(at, rendered->text.size());
  for (const char* model : {"gpt-4o", "gpt-4"}) {
    const Tokens tokens(model);
    std::size_t sum = 0;
    for (const std::size_t count : tokens_of_spans(*explained, tokens)) sum += count;
    EXPECT_EQ(sum, count_chat(tokens, rendered->messages).text);
  }
}

}  // namespace sabir::completions
