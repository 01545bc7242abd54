// Prices of models in USD for a million tokens: those that come with Sabir, each day a little older, and the project's own on
// top of them.
//
// Threads: immutable once read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/model.h"

namespace sabir::models {

struct Price {
  double input = 0;
  double output = 0;
  std::optional<double> cached_input;  // as input where it is not told
  std::optional<double> cache_write;   // likewise

  // In nano-dollars.
  std::int64_t of(const Usage& usage) const;
};

class PriceTable {
 public:
  // {"format": 1, "date", "currency": "USD", "models": {NAME: {"input", "output", …}}}. Errors: kConfig naming `shown`.
  static Result<PriceTable> from_json(const json::value& value, const std::string& shown);
  // {"input", "output", "cached_input"?, "cache_write"?}; the error's text says what is wrong.
  static Result<Price> price(const json::value& value);

  void set(const std::string& model, const Price& price) { prices_[model] = price; }
  // Of the model of that name, or of which it is a dated version: "gpt-5-mini-2025-08-07" is "gpt-5-mini".
  std::optional<Price> find(const std::string& model) const;
  const std::string& date() const { return date_; }

 private:
  std::map<std::string, Price> prices_;
  std::string date_;
};

}  // namespace sabir::models
