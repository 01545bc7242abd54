// ModelStore: the models that this machine has or could have. models/catalog.json names each with the packages that carry
// it, its SHA-256 and its licence; the files lie in one folder for all projects of a user.
//
// Threads: any. Processes: pulls of one model exclude each other through a lock file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sabir/base/error.h"
#include "sabir/base/json.h"
#include "sabir/models/local_runtime.h"

namespace sabir::models {

// One package of a registry and the file inside it. Several are joined in order.
struct CatalogPart {
  std::string package;
  std::string version;
  std::string member;  // pattern of the path inside the wheel, "*/data/part*.bin"; several matches join by name
};

struct CatalogModel {
  std::string name;
  std::string summary;
  std::string file;     // its name in the store: "….gguf"
  std::uint64_t bytes = 0;
  std::string sha256;   // 64 lower-case hexadecimal digits
  std::string licence;  // "Apache-2.0"
  std::string licence_note;
  int context = 0;      // tokens; 0 = the worker's default
  std::vector<CatalogPart> parts;
};

struct Catalog {
  std::string default_name;
  std::vector<CatalogModel> models;

  // Errors: kConfig naming the entry. `shown` is what errors call the file.
  static Result<Catalog> from_json(const json::value& value, const std::string& shown = "models/catalog.json");
  // "default" is the default's name. Errors: kNotFound with the nearest names.
  Result<const CatalogModel*> find(const std::string& name) const;
};

struct ModelStoreOptions {
  std::filesystem::path resources;  // the unpacked models/ folder: catalog.json and local/
  std::filesystem::path models;     // "" = $SABIR_MODELS, else the user's data folder
  std::filesystem::path cache;      // "" = the user's cache folder; what runs the models is installed here
};

struct StoredModel {
  CatalogModel model;
  bool installed = false;           // its file is there at its full size
  bool is_default = false;
  std::uint64_t partial_bytes = 0;  // of a pull that was interrupted
};

// One line for a terminal, as work goes on.
using OnProgress = std::function<void(const std::string& line)>;

class ModelStore {
 public:
  static std::shared_ptr<const ModelStore> open(ModelStoreOptions options);

  Result<Catalog> catalog() const;
  Result<std::vector<StoredModel>> list() const;

  // Brings weights and what runs them, as far as they are missing; goes on where an interrupted pull stopped. Returns
  // the weights' path. Errors: kNotFound (name), kUnavailable (no python3 or pip, no network, no node), kStorageFull,
  // kIo, kModel (wrong SHA-256).
  Result<std::filesystem::path> pull(const std::string& name, const OnProgress& progress) const;
  // What runs local models: node and the packages of models/local.
  Result<void> pull_runtime(const OnProgress& progress) const;
  // False when there was nothing. Removes a half-pulled one too.
  Result<bool> remove(const std::string& name) const;

  // The GGUF file of a name of the catalog, or of a path to one. Errors: kNotFound; kModelUnreachable when the weights are not
  // here, with the `sabir model pull` to run.
  Result<std::filesystem::path> weights(const std::string& name) const;
  // Errors: as weights(); kUnavailable when node or its packages are missing.
  Result<LocalFiles> find(const LocalSpec& spec) const;

  const std::filesystem::path& folder() const { return options_.models; }

 private:
  explicit ModelStore(ModelStoreOptions options) : options_(std::move(options)) {}
  Result<std::vector<std::string>> node(bool may_fetch, const OnProgress& progress) const;
  std::filesystem::path runtime_folder() const;

  ModelStoreOptions options_;
};

// For LocalRuntimeOptions::find.
FindLocalFiles find_in_store(std::shared_ptr<const ModelStore> store);

}  // namespace sabir::models
