// MeteredModel: a leaf whose tries are promised by the project's budgets before they go out and booked after.
//
// Threads: as its leaf.
#pragma once

#include <memory>
#include <string>

#include "money/prices.h"
#include "sabir/models/ledger.h"
#include "sabir/models/model.h"

namespace sabir::models {

struct Meter {
  std::string alias;
  std::string provider;
  std::string model;                           // as configured; what answers may call itself otherwise
  json::object parameters;                     // of the leaf: its max_tokens
  bool free = false;                           // runs on this machine
  std::shared_ptr<const PriceTable> prices;
  Budgets budgets;
  std::shared_ptr<Ledger> ledger;              // null: nothing is kept; REQUIRES: no budgets then
};

std::shared_ptr<Model> make_metered_model(std::shared_ptr<Model> leaf, Meter meter);

}  // namespace sabir::models
