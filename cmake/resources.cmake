# Packs languages/, templates/, models/ and the C++ worker's JSON library into one file, which the binary carries inside
# (engine/cli/resources.cc unpacks it to the user's cache).
find_path(SABIR_NLOHMANN_INCLUDE nlohmann/json.hpp REQUIRED)
add_executable(sabir_pack ${CMAKE_SOURCE_DIR}/packaging/pack/pack.cc)
set_target_properties(sabir_pack PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
set(SABIR_RESOURCES ${CMAKE_BINARY_DIR}/resources.pack)
set(sabir_resource_files)
foreach(folder languages templates models)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*)
  list(APPEND sabir_resource_files ${files})
endforeach()
list(FILTER sabir_resource_files EXCLUDE REGEX "/(node_modules|__pycache__|\\.pytest_cache)/")
add_custom_command(OUTPUT ${SABIR_RESOURCES}
  COMMAND sabir_pack ${SABIR_RESOURCES} languages=${CMAKE_SOURCE_DIR}/languages templates=${CMAKE_SOURCE_DIR}/templates
    models=${CMAKE_SOURCE_DIR}/models languages/cpp/sdk/nlohmann=${SABIR_NLOHMANN_INCLUDE}/nlohmann
  DEPENDS sabir_pack ${sabir_resource_files} VERBATIM)
add_custom_target(sabir_resources DEPENDS ${SABIR_RESOURCES})
