# The kernels of the CPU, compiled for several instruction sets: the program takes the widest that
# the machine has (kernels/cpu/instruction_sets.h).
set(sets base)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND sets avx2 avx512)
endif()
set(ELBO_INSTRUCTION_SETS "${sets}" CACHE STRING "base (all that the architecture has), avx2, avx512 (and amx with it)")

set(elbo_avx2_options -march=x86-64-v3)
set(elbo_avx512_options -march=x86-64-v4 -mprefer-vector-width=512)

function(elbo_compile_cpu target)
  set(sources kernels/ops_cpu.cpp kernels/cpu/aggregate.cpp kernels/cpu/multiply.cpp
              kernels/cpu/multiply_listed.cpp
              kernels/cpu/multiply_on_tiles.cpp kernels/cpu/skeletons.cpp)
  list(TRANSFORM sources PREPEND ${PROJECT_SOURCE_DIR}/)
  get_target_property(others ${target} SOURCES)
  list(REMOVE_ITEM others ${sources})
  set_property(TARGET ${target} PROPERTY SOURCES ${others})
  foreach(set ${ELBO_INSTRUCTION_SETS})
    string(TOUPPER ${set} SET)
    add_library(elbo_${set} OBJECT ${sources})
    target_compile_definitions(elbo_${set} PRIVATE ELBO_ISA=${set} ELBO_ISA_NAME="${set}"
      $<$<BOOL:${ELBO_DOUBLE}>:ELBO_DOUBLE>)
    # Loops over short pieces stay loops: as calls of memcpy and memset, or rep movs, they are slower.
    target_compile_options(elbo_${set} PRIVATE ${elbo_${set}_options}
      $<$<CXX_COMPILER_ID:GNU>:-fno-tree-loop-distribute-patterns>)
    target_link_libraries(elbo_${set} PRIVATE elbo_flags)
    set_target_properties(elbo_${set} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:elbo_${set}>)
    set_property(SOURCE ${PROJECT_SOURCE_DIR}/kernels/cpu/instruction_sets.cpp
      TARGET_DIRECTORY ${target} APPEND PROPERTY COMPILE_DEFINITIONS ELBO_${SET})
  endforeach()
endfunction()
