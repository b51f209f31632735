# The libraries that Elbo stands on; scripts/setup installs them on Debian 12.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)  # to keep oneDNN's own threads at one
find_package(nlohmann_json 3.11 REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(tomlplusplus 3.3 QUIET)
find_package(Eigen3 3.4 REQUIRED)
if(NOT ELBO_DOUBLE)
  # Debian's CMake package of oneDNN also wants OpenCL; the library does not.
  find_library(ELBO_DNNL dnnl REQUIRED)
  find_path(ELBO_DNNL_INCLUDE dnnl.h REQUIRED)
  add_library(elbo_onednn INTERFACE)
  target_link_libraries(elbo_onednn INTERFACE ${ELBO_DNNL})
  target_include_directories(elbo_onednn SYSTEM INTERFACE ${ELBO_DNNL_INCLUDE})
endif()
