// Packs folders into the resource file that the engine carries inside:
//
//   SABIR-PACK 1 <fingerprint>\n
//   <path> <mode in octal> <bytes>\n<content>     for each file, sorted by path
//
// Usage: sabir_pack OUT name=folder…   Files of tests and caches are left out.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <sys/stat.h>

namespace fs = std::filesystem;

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: sabir_pack OUT name=folder...\n";
    return 2;
  }
  std::map<std::string, fs::path> files;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const fs::path folder = word.substr(equals + 1);
    if (!fs::is_directory(folder)) continue;
    for (fs::recursive_directory_iterator it(folder), end; it != end; ++it) {
      const std::string leaf = it->path().filename().string();
      const bool language_tests = name == "languages" && leaf == "tests";
      if (it->is_directory() && (leaf == "node_modules" || leaf == "__pycache__" || leaf == ".pytest_cache" || language_tests)) {
        it.disable_recursion_pending();
        continue;
      }
      if (it->is_regular_file()) files[name + "/" + fs::relative(it->path(), folder).generic_string()] = it->path();
    }
  }
  std::string body;
  for (const auto& [path, file] : files) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream content;
    content << in.rdbuf();
    struct stat info {};
    ::stat(file.c_str(), &info);
    char mode[8];
    std::snprintf(mode, sizeof mode, "%o", (info.st_mode & 0100) ? 0755U : 0644U);
    body += path + " " + mode + " " + std::to_string(content.str().size()) + "\n" + content.str();
  }
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : body) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
  std::ofstream out(argv[1], std::ios::binary);
  out << "SABIR-PACK 1 " << hex << "\n" << body;
  return out.good() ? 0 : 1;
}
