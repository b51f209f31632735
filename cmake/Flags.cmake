# elbo_flags: what every source of the project is compiled with.
add_library(elbo_flags INTERFACE)
target_include_directories(elbo_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_features(elbo_flags INTERFACE cxx_std_20)
target_compile_options(elbo_flags INTERFACE
  # No errno and no traps, so that loops over exp and log may be vectorised; NaN and infinity stay.
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-missing-field-initializers -Wno-unknown-pragmas $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>  # GCC 12 sees it in strings of aggregates
    -fno-math-errno -fno-trapping-math -fno-semantic-interposition>)
if(CMAKE_BUILD_TYPE STREQUAL Release)
  target_compile_options(elbo_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-O3>)
endif()

set(ELBO_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")
if(ELBO_SANITIZE)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${ELBO_SANITIZE}>
    $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=undefined>
    $<$<COMPILE_LANGUAGE:CXX>:-fno-omit-frame-pointer>)
  add_link_options(-fsanitize=${ELBO_SANITIZE})
endif()

# The sources of kernels that the host executes.
set(elbo_simt_options -fno-strict-aliasing -fstack-clash-protection -Wno-psabi)
set(elbo_race_options -fsanitize=thread --param=tsan-instrument-func-entry-exit=0 -g)

function(elbo_compile_simt target)
  set(kernel_sources ${PROJECT_SOURCE_DIR}/kernels/ops_simt.cpp
                     ${PROJECT_SOURCE_DIR}/kernels/persistent_simt.cpp)
  set_property(SOURCE ${kernel_sources} TARGET_DIRECTORY ${target} APPEND PROPERTY COMPILE_OPTIONS
    ${elbo_simt_options} $<$<BOOL:${ELBO_RACE}>:${elbo_race_options}>)
  if(ELBO_SANITIZE STREQUAL thread)  # which knows nothing of fibers; they are all of one thread
    file(GLOB executor ${PROJECT_SOURCE_DIR}/kernels/simt/*.cpp)
    set_property(SOURCE ${kernel_sources} ${executor} TARGET_DIRECTORY ${target} APPEND PROPERTY
      COMPILE_OPTIONS -fno-sanitize=thread)
  endif()
  if(NOT ELBO_RACE)
    get_target_property(sources ${target} SOURCES)
    list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/kernels/simt/race.cpp)
    set_property(TARGET ${target} PROPERTY SOURCES ${sources})
  endif()
endfunction()
