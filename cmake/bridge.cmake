# The Rust static library of bridge/, built by cargo into one folder that all presets share: $CARGO_TARGET_DIR, or
# build/bridge. Gives the imported target sabir_bridge_rust, whose include folder has the sqlite3.h of the SQLite inside.
find_program(SABIR_CARGO cargo HINTS $ENV{HOME}/.cargo/bin)
if(NOT SABIR_CARGO)
  message(FATAL_ERROR "cargo is missing: bridge/ is a Rust library. script/setup installs it; by hand: any Rust from 1.85.")
endif()
if(DEFINED ENV{CARGO_TARGET_DIR})
  set(SABIR_BRIDGE_DIR $ENV{CARGO_TARGET_DIR})
else()
  cmake_path(SET SABIR_BRIDGE_DIR NORMALIZE ${CMAKE_BINARY_DIR}/../bridge)
endif()
set(SABIR_BRIDGE_INCLUDE ${SABIR_BRIDGE_DIR}/bridge-include)
set(SABIR_BRIDGE_LIBRARY ${SABIR_BRIDGE_DIR}/release/libsabir_bridge.a)
file(MAKE_DIRECTORY ${SABIR_BRIDGE_INCLUDE})
file(GLOB_RECURSE sabir_bridge_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bridge/src/*.rs)

# Sanitizers and compiler launchers are of the C++ build; the Rust library is the same for every preset. cargo takes its
# own lock, so that two builds at once wait for each other.
add_custom_command(
  OUTPUT ${SABIR_BRIDGE_LIBRARY} ${SABIR_BRIDGE_INCLUDE}/sqlite3.h
  COMMAND ${CMAKE_COMMAND} -E env --unset=CFLAGS --unset=CXXFLAGS --unset=RUSTFLAGS
    CARGO_TARGET_DIR=${SABIR_BRIDGE_DIR} SABIR_BRIDGE_INCLUDE=${SABIR_BRIDGE_INCLUDE}
    ${SABIR_CARGO} build --release --locked --quiet
  COMMAND ${CMAKE_COMMAND} -E touch_nocreate ${SABIR_BRIDGE_LIBRARY} ${SABIR_BRIDGE_INCLUDE}/sqlite3.h
  DEPENDS ${sabir_bridge_sources} ${CMAKE_SOURCE_DIR}/bridge/Cargo.toml ${CMAKE_SOURCE_DIR}/bridge/Cargo.lock
    ${CMAKE_SOURCE_DIR}/bridge/build.rs ${CMAKE_SOURCE_DIR}/bridge/.cargo/config.toml
  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}/bridge
  COMMENT "Building the Rust bridge with cargo (two minutes the first time)"
  USES_TERMINAL VERBATIM)
add_custom_target(sabir_bridge_build DEPENDS ${SABIR_BRIDGE_LIBRARY} ${SABIR_BRIDGE_INCLUDE}/sqlite3.h)
add_library(sabir_bridge_rust STATIC IMPORTED GLOBAL)
set_target_properties(sabir_bridge_rust PROPERTIES IMPORTED_LOCATION ${SABIR_BRIDGE_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${SABIR_BRIDGE_INCLUDE})
add_dependencies(sabir_bridge_rust sabir_bridge_build)
