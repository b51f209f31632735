# Decides ELBO_HAS_CUDA and defines elbo_compile_cuda(target).
set(ELBO_HAS_CUDA OFF)
if(ELBO_DOUBLE OR ELBO_RACE)
  message(STATUS "Elbo: this build is for the host alone, without CUDA")
elseif(NOT ELBO_CUDA STREQUAL OFF)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit 12.4 REQUIRED)
    if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25.1 does not know it for nvcc
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    set(ELBO_HAS_CUDA ON)
    message(STATUS "Elbo: with CUDA ${CUDAToolkit_VERSION}, architectures ${CMAKE_CUDA_ARCHITECTURES}")
  elseif(ELBO_CUDA STREQUAL ON)
    message(FATAL_ERROR "ELBO_CUDA=ON, but there is no CUDA compiler (nvcc)")
  else()
    message(STATUS "Elbo: no nvcc, building for the CPU; --device cuda will be refused")
  endif()
endif()

function(elbo_compile_cuda target)
  if(NOT ELBO_HAS_CUDA)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/runtime/backend_no_cuda.cpp)
  set_property(TARGET ${target} PROPERTY SOURCES ${sources})
  target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/kernels/ops_cuda.cu
                                   ${PROJECT_SOURCE_DIR}/kernels/persistent_cuda.cu
                                   ${PROJECT_SOURCE_DIR}/kernels/large_products_cuda.cu
                                   ${PROJECT_SOURCE_DIR}/runtime/backend_cuda.cu
                                   ${PROJECT_SOURCE_DIR}/runtime/order_cuda.cu)
  target_compile_definitions(${target} PUBLIC ELBO_HAS_CUDA)
  # The kernels of a graph and those of many steps must compute the same bits: no contraction but those
  # that the formulas name (fused() in kernels/math/numerics.h).
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false --expt-relaxed-constexpr -lineinfo>)
  # A static CUDA library in a C++ program must name its runtime itself.
  set_target_properties(${target} PROPERTIES CUDA_STANDARD 20 CUDA_RUNTIME_LIBRARY None)
  target_link_libraries(${target} PRIVATE CUDA::cudart_static)
endfunction()
