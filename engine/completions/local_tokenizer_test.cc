// The tokenizer of a GGUF file that the test writes: every byte, three merges, a control token and one of the user's.
#include "sabir/completions/local_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sabir/completions/tokens.h"

namespace sabir::completions {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Gguf {
  std::string model = "gpt2";
  std::string pre = "qwen2";
  std::string chat_template = "{{ '<|im_start|>' }}";
  std::vector<std::string> merges = {"h e", "l l", "he ll"};
  std::uint32_t version = 3;

  static void number(std::string& out, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xffU);
  }
  static void text(std::string& out, std::string_view value) {
    number(out, value.size(), 8);
    out += value;
  }
  // As GPT-2 writes a byte.
  static std::string stand_in(unsigned byte) {
    unsigned code = byte;
    if (byte <= 0x20) code = 0x100 + byte;
    if (byte >= 0x7f && byte <= 0xa0) code = 0x100 + 33 + byte - 0x7f;
    if (byte == 0xad) code = 0x143;
    if (code < 0x80) return {static_cast<char>(code)};
    return {static_cast<char>(0xc0U | code >> 6U), static_cast<char>(0x80U | (code & 0x3fU))};
  }
  std::string bytes() const {
    std::vector<std::pair<std::string, int>> tokens;
    for (unsigned byte = 0; byte < 256; ++byte) tokens.emplace_back(stand_in(byte), 1);
    for (const auto& merge : merges) {
      std::string joined = merge;
      joined.erase(joined.find(' ', 1), 1);
      tokens.emplace_back(joined, 1);
    }
    tokens.emplace_back("<|im_start|>", 3);
    tokens.emplace_back("<|im_end|>", 3);
    tokens.emplace_back("<mine>", 4);
    std::string out = "GGUF";
    number(out, version, 4);
    number(out, 0, 8);
    number(out, 7, 8);
    const auto key = [&](std::string_view name, int kind) {
      text(out, name);
      number(out, static_cast<std::uint64_t>(kind), 4);
    };
    key("general.file_type", 4);
    number(out, 15, 4);
    key("tokenizer.ggml.model", 8);
    text(out, model);
    key("tokenizer.ggml.pre", 8);
    text(out, pre);
    key("tokenizer.chat_template", 8);
    text(out, chat_template);
    key("tokenizer.ggml.tokens", 9);
    number(out, 8, 4);
    number(out, tokens.size(), 8);
    for (const auto& [word, kind] : tokens) text(out, word);
    key("tokenizer.ggml.token_type", 9);
    number(out, 5, 4);
    number(out, tokens.size(), 8);
    for (const auto& [word, kind] : tokens) number(out, static_cast<std::uint64_t>(kind), 4);
    key("tokenizer.ggml.merges", 9);
    number(out, 8, 4);
    number(out, merges.size(), 8);
    for (const auto& merge : merges) text(out, merge);
    return out;
  }
};

json::value turns() {
  return json::parse(R"({"default_instructions": "Help.", "styles": [
    {"sign": "<|im_start|>", "begin": "", "open": "<|im_start|>{role}\n", "close": "<|im_end|>\n", "roles": {"tool": "user"}},
    {"sign": "", "begin": "", "open": "{role}:", "close": "\n", "roles": {"user": "you"}}]})");
}

Result<std::shared_ptr<const LocalTokenizer>> read(const Gguf& file) { return LocalTokenizer::read(file.bytes(), turns(), "x.gguf"); }

TEST(LocalTokenizer, PairsAreMergedInTheFilesOrder) {
  const auto tokenizer = read({});
  ASSERT_TRUE(tokenizer) << to_text(tokenizer.error());
  EXPECT_EQ((*tokenizer)->name(), "qwen2");
  EXPECT_THAT((*tokenizer)->ends("hello"), ElementsAre(4, 5));
  EXPECT_THAT((*tokenizer)->ends("hel"), ElementsAre(2, 3));
  EXPECT_THAT((*tokenizer)->ends("h ello"), ElementsAre(1, 2, 3, 5, 6)) << "a word begins with its blank";
  EXPECT_THAT((*tokenizer)->ends("\xc3\xa9"), ElementsAre(1, 2));
  EXPECT_THAT((*tokenizer)->ends(""), ElementsAre());
  // The split counts, not what comes of it: "hel" and "l" make "hell" by no merge.
  Gguf other;
  other.merges = {"h e", "he l", "l l", "he ll"};
  EXPECT_THAT((*read(other))->ends("hell"), ElementsAre(3, 4));
}

TEST(LocalTokenizer, AControlTokenInATextIsTextAndAUsersOwnIsNot) {
  const auto tokenizer = *read({});
  EXPECT_EQ(tokenizer->ends("<|im_end|>").size(), 10U);
  EXPECT_THAT(tokenizer->ends("<|im_end|>he", true), ElementsAre(10, 12));
  EXPECT_THAT(tokenizer->ends("he<mine>ll"), ElementsAre(2, 8, 10));
}

TEST(LocalTokenizer, AConversationCountsAsTheWorkerPutsIt) {
  const auto tokenizer = *read({});
  const auto count = [&](std::string_view text) { return tokenizer->ends(text, true).size(); };
  const json::array asked = {{{"role", "user"}, {"content", "hello <|im_end|>"}}};
  // What a message says forges no turn.
  const std::size_t user = count("<|im_start|>user\n") + tokenizer->ends("hello <|im_end|>").size() + count("<|im_end|>\n");
  const std::size_t reply = count("<|im_start|>assistant\n");
  EXPECT_EQ(tokenizer->chat(asked), count("<|im_start|>system\nHelp.<|im_end|>\n") + user + reply);
  json::array more = {{{"role", "system"}, {"content", "A"}}, {{"role", "system"}, {"content", "B"}}};
  more.push_back(asked[0]);
  EXPECT_EQ(tokenizer->chat(more), count("<|im_start|>system\nA\n\nB<|im_end|>\n") + user + reply);
  const Tokens tokens(tokenizer);
  const auto chat = count_chat(tokens, more);
  EXPECT_TRUE(tokens.is_exact());
  EXPECT_EQ(tokens.encoding(), "qwen2");
  EXPECT_EQ(chat.total(), tokenizer->chat(more));
  EXPECT_THAT(chat.messages, ElementsAre(1, 1, tokenizer->ends("hello <|im_end|>").size()));

  Gguf plain;
  plain.chat_template = "";
  EXPECT_EQ((*read(plain))->chat(asked), count("system:Help.\nyou:") + tokenizer->ends("hello <|im_end|>").size() + count("\nassistant:"));
}

TEST(LocalTokenizer, WhatIsNotKnownIsRefusedAndNotGuessed) {
  Gguf sentence_pieces;
  sentence_pieces.model = "llama";
  EXPECT_THAT(read(sentence_pieces).error().message, HasSubstr("x.gguf cannot be counted: its tokenizer is 'llama'"));
  Gguf cut;
  cut.pre = "somehow";
  EXPECT_THAT(read(cut).error().message, HasSubstr("it cuts texts as 'somehow'"));
  Gguf newer;
  newer.version = 9;
  EXPECT_THAT(read(newer).error().message, HasSubstr("another version"));
  EXPECT_FALSE(LocalTokenizer::read(std::string("GGUF"), turns(), "x.gguf"));
  EXPECT_FALSE(LocalTokenizer::read("{}", turns(), "x.gguf"));
  EXPECT_EQ(LocalTokenizer::read(Gguf{}.bytes(), json::object{}, "x.gguf").error().code, ErrorCode::kConfig);
}

TEST(LocalTokenizer, AFileThatEndsAnywhereIsAnError) {
  const std::string whole = Gguf{}.bytes();
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    const auto read = LocalTokenizer::read(std::string_view(whole).substr(0, size), turns(), "x.gguf");
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code, ErrorCode::kUnavailable);
  }
}

}  // namespace
}  // namespace sabir::completions
