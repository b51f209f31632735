# elbo::hdf5, for the build and for those who link the static library: CMake's own module for HDF5
# wants a C compiler.
find_library(ELBO_HDF5 NAMES hdf5_serial hdf5 REQUIRED)
find_path(ELBO_HDF5_INCLUDE hdf5.h PATH_SUFFIXES hdf5/serial REQUIRED)
mark_as_advanced(ELBO_HDF5 ELBO_HDF5_INCLUDE)
if(NOT TARGET elbo::hdf5)
  add_library(elbo::hdf5 UNKNOWN IMPORTED GLOBAL)
  set_target_properties(elbo::hdf5 PROPERTIES IMPORTED_LOCATION ${ELBO_HDF5}
    INTERFACE_INCLUDE_DIRECTORIES ${ELBO_HDF5_INCLUDE})
endif()
