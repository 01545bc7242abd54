#include <algorithm>
#include <stdexcept>
#include <vector>

/// The arithmetic mean of some numbers.
/// @param values at least one number
/// @effect read
double mean(std::vector<double> values) {
  if (values.empty()) throw std::invalid_argument("there are no values to take the mean of");
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// The middle number, or the mean of the two middle ones.
/// @param values at least one number, in any order
/// @effect read
double median(std::vector<double> values) {
  if (values.empty()) throw std::invalid_argument("there are no values to take the median of");
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}
