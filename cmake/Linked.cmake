# elbo::hdf5 and elbo::onednn, for the build and for those who link the static library: CMake's own
# module for HDF5 wants a C compiler, and Debian's CMake package of oneDNN wants OpenCL.
function(elbo_linked name library header)
  string(TOUPPER ELBO_${name} variable)
  find_library(${variable} NAMES ${library} REQUIRED)
  find_path(${variable}_INCLUDE ${header} PATH_SUFFIXES hdf5/serial REQUIRED)
  mark_as_advanced(${variable} ${variable}_INCLUDE)
  if(NOT TARGET elbo::${name})
    add_library(elbo::${name} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(elbo::${name} PROPERTIES IMPORTED_LOCATION ${${variable}}
      INTERFACE_INCLUDE_DIRECTORIES ${${variable}_INCLUDE})
  endif()
endfunction()
elbo_linked(hdf5 "hdf5_serial;hdf5" hdf5.h)
if(NOT ELBO_DOUBLE)
  elbo_linked(onednn dnnl dnnl.h)
endif()
