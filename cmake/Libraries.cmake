# The libraries that Elbo stands on; scripts/setup installs them on Debian 12.
# Their targets serve whoever links Elbo's, in whatever folder.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Eigen3 3.4 REQUIRED)
find_package(PkgConfig REQUIRED)
# Its CMake package wants its tools too.
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET GLOBAL libzip)
include(Hdf5)
if(ELBO_APP OR ELBO_TESTS OR ELBO_PYTHON)
  find_package(fmt REQUIRED)
  find_package(CLI11 2.1 REQUIRED)
  find_package(tomlplusplus 3.3 QUIET)
endif()
