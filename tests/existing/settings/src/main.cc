#include <iostream>

#include "settings/settings.h"

int main() {
  for (const auto& entry : settings::entries("a: 1")) std::cout << entry.key << "=" << entry.value << "\n";
}
