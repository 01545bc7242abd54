# A room is one static library under engine/<name>/. Its public headers are engine/<name>/include/sabir/<name>/*.h;
# everything else of it is private. DEPS lists the rooms below it. A room sees the headers of its DEPS and no others,
# so an include that points upward or sideways does not compile (tests/house/ proves it).
#
#   sabir_room(NAME memory DEPS base store)
#
# HOT marks a room that every call passes through: it is optimised fully (-O2). The others are compiled with -O1, which takes
# half the time and is not felt where SQLite, a model or a person is waited for.
#
# *.cc are the room's sources, *_test.cc go into the test program <name>_test, found by the folder's listing.
include(GoogleTest)

# The floor of every room, ground floor first. A room may depend on lower floors only.
function(sabir_floor_of room out)
  set(floors "base bridge" "store net process protocol trace terminal" "aws" "secrets schema journal" "project" "languages memory workers mcp telemetry"
      "functions completions models adapter peers" "assistants recordings" "runtime" "serve deploy testing evals conformance" "cli")
  set(index 0)
  foreach(floor IN LISTS floors)
    separate_arguments(floor)
    if(room IN_LIST floor)
      set(${out} ${index} PARENT_SCOPE)
      return()
    endif()
    math(EXPR index "${index} + 1")
  endforeach()
  message(FATAL_ERROR "room '${room}' has no floor in cmake/room.cmake")
endfunction()

function(sabir_room)
  cmake_parse_arguments(ROOM "HOT" "NAME" "DEPS;LIBS;TEST_LIBS" ${ARGN})
  set(dir ${CMAKE_CURRENT_SOURCE_DIR})
  sabir_floor_of(${ROOM_NAME} own_floor)
  foreach(dep IN LISTS ROOM_DEPS)
    sabir_floor_of(${dep} dep_floor)
    if(NOT dep_floor LESS own_floor AND NOT ROOM_NAME STREQUAL "bridge")
      message(FATAL_ERROR "room '${ROOM_NAME}' may not depend on '${dep}': arrows point down only")
    endif()
  endforeach()
  foreach(dep IN LISTS ROOM_DEPS)
    if(NOT TARGET sabir::${dep})
      message(STATUS "room '${ROOM_NAME}' waits for room '${dep}'")
      return()
    endif()
  endforeach()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz)\\.cc$|/main/main\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${dir}/include/*.h)
  add_library(sabir_${ROOM_NAME} STATIC ${sources})
  add_library(sabir::${ROOM_NAME} ALIAS sabir_${ROOM_NAME})
  target_sources(sabir_${ROOM_NAME} INTERFACE FILE_SET HEADERS BASE_DIRS ${dir}/include FILES ${headers})
  target_include_directories(sabir_${ROOM_NAME} PUBLIC ${dir}/include PRIVATE ${dir})
  set_target_properties(sabir_${ROOM_NAME} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON SABIR_DEPS "${ROOM_DEPS}")
  set(links)
  foreach(dep IN LISTS ROOM_DEPS)
    list(APPEND links sabir::${dep})
  endforeach()
  target_link_libraries(sabir_${ROOM_NAME} PUBLIC ${links} sabir_options ${ROOM_LIBS})
  if(ROOM_HOT AND CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(sabir_${ROOM_NAME} PRIVATE -O2)
  endif()
  # The headers that nearly every file reads are parsed once for each way of compiling, by base and by process; the other
  # rooms reuse what those made.
  set(common_headers <boost/json.hpp> <algorithm> <chrono> <filesystem> <functional> <map> <memory> <optional> <string>
    <string_view> <unordered_map> <vector>)
  if(ROOM_NAME STREQUAL "base" OR (ROOM_NAME STREQUAL "process" AND CMAKE_BUILD_TYPE STREQUAL "Release"))
    target_precompile_headers(sabir_${ROOM_NAME} PRIVATE ${common_headers})
  elseif(ROOM_HOT OR NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    target_precompile_headers(sabir_${ROOM_NAME} REUSE_FROM sabir_base)
  else()
    target_precompile_headers(sabir_${ROOM_NAME} REUSE_FROM sabir_process)
  endif()
  set_property(GLOBAL APPEND PROPERTY SABIR_ROOMS ${ROOM_NAME})
  if(tests AND SABIR_TESTS)
    add_executable(${ROOM_NAME}_test ${tests})
    target_link_libraries(${ROOM_NAME}_test PRIVATE sabir::${ROOM_NAME} ${ROOM_TEST_LIBS} GTest::gmock GTest::gtest_main)
    target_include_directories(${ROOM_NAME}_test PRIVATE ${dir})
    target_compile_options(${ROOM_NAME}_test PRIVATE -fPIC)  # as the precompiled headers are, not a program's -fPIE
    if(CMAKE_BUILD_TYPE STREQUAL "Release" AND TARGET sabir_process)
      target_precompile_headers(${ROOM_NAME}_test REUSE_FROM sabir_process)
    elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
      target_precompile_headers(${ROOM_NAME}_test REUSE_FROM sabir_base)
    endif()
    gtest_discover_tests(${ROOM_NAME}_test TEST_PREFIX "${ROOM_NAME}." DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120)
  endif()
endfunction()
