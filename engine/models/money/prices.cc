#include "money/prices.h"

#include <algorithm>
#include <cmath>

namespace sabir::models {

std::int64_t Price::of(const Usage& usage) const {
  const auto fresh = static_cast<double>(std::max<std::int64_t>(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens));
  const double sum = fresh * input + static_cast<double>(usage.cached_tokens) * cached_input.value_or(input) +
                     static_cast<double>(usage.cache_write_tokens) * cache_write.value_or(input) + static_cast<double>(usage.output_tokens) * output;
  // USD for a million tokens is a thousand nano-dollars for each.
  return std::llround(sum * 1000);
}

Result<Price> PriceTable::price(const json::value& value) {
  if (!value.is_object()) return fail(ErrorCode::kConfig, "a price is not a map like {input: 0.25, output: 2}");
  Price price;
  bool has_input = false;
  bool has_output = false;
  for (const auto& member : value.get_object()) {
    const auto key = member.key();
    if (!member.value().is_number() || !(member.value().to_number<double>() >= 0) || member.value().to_number<double>() > 1e6) {
      return fail(ErrorCode::kConfig, std::string(key) + " is not an amount of USD for a million tokens, from 0 to 1000000");
    }
    const double amount = member.value().to_number<double>();
    if (key == "input") {
      price.input = amount;
      has_input = true;
    } else if (key == "output") {
      price.output = amount;
      has_output = true;
    } else if (key == "cached_input") {
      price.cached_input = amount;
    } else if (key == "cache_write") {
      price.cache_write = amount;
    } else {
      return fail(ErrorCode::kConfig, "a price has no '" + std::string(key) + "'", "It has input, output, cached_input and cache_write.");
    }
  }
  if (!has_input || !has_output) return fail(ErrorCode::kConfig, "a price needs input and output");
  return price;
}

Result<PriceTable> PriceTable::from_json(const json::value& value, const std::string& shown) {
  const auto wrong = [&](const std::string& what) { return fail(Error(ErrorCode::kConfig, shown + ": " + what).at(shown)); };
  if (!value.is_object()) return wrong("not an object");
  const auto& object = value.get_object();
  const auto* format = object.if_contains("format");
  if (format == nullptr || !format->is_int64() || format->get_int64() != 1) return wrong("its format is not 1");
  if (string_or(object, "currency") != "USD") return wrong("its currency is not USD");
  PriceTable table;
  table.date_ = string_or(object, "date");
  if (table.date_.size() != 10) return wrong("it has no date");
  const auto* models = object.if_contains("models");
  if (models == nullptr || !models->is_object()) return wrong("it has no models");
  for (const auto& member : models->get_object()) {
    auto one = price(member.value());
    if (!one) return wrong(std::string(member.key()) + ": " + one.error().message);
    table.prices_[std::string(member.key())] = *one;
  }
  return table;
}

std::optional<Price> PriceTable::find(const std::string& model) const {
  // The longest name that fits; a suffix is a date or "latest", so that gpt-5-mini is no gpt-5.
  for (std::string name = model;;) {
    if (const auto found = prices_.find(name); found != prices_.end()) return found->second;
    const auto dash = name.rfind('-');
    if (dash == std::string::npos || dash == 0) return std::nullopt;
    const std::string suffix = name.substr(dash + 1);
    const bool dated = !suffix.empty() && suffix.size() != 1 && suffix.find_first_not_of("0123456789") == std::string::npos;
    if (!dated && suffix != "latest") return std::nullopt;
    name.resize(dash);
  }
}

}  // namespace sabir::models
