// The configuration files, each in a source of its own beside this header. Private to the room.
//
// Threads: plain functions.
#pragma once

#include "sabir/project/config_schema.h"

namespace sabir::project::config {

ConfigFile sabir_file();
ConfigFile models_file();
ConfigFile deployment_file();
ConfigFile secrets_file();
ConfigFile grants_file();
ConfigFile mcp_file();

}  // namespace sabir::project::config
