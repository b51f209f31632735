# What `cmake --install` leaves: the library, its headers, a CMake package and a pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/elbo)

install(TARGETS elbo_library EXPORT elbo
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${public_headers}/elbo DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT elbo NAMESPACE elbo:: FILE elboTargets.cmake DESTINATION ${package_dir})
configure_package_config_file(cmake/elboConfig.cmake.in elboConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(elboConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/elboConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/elboConfigVersion.cmake cmake/Hdf5.cmake
  DESTINATION ${package_dir})

# A prefix holds one kind of library, so that its pkg-config file need not ask for --static.
file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" prefix_from_pc "${prefix_from_pc}")
set(pc_definitions "")
set(pc_requires "")
set(pc_libraries "")
if(ELBO_DOUBLE)
  set(pc_definitions " -DELBO_DOUBLE")
endif()
if(NOT BUILD_SHARED_LIBS)
  set(pc_requires "libpng zlib libzip")
  set(libraries ${ELBO_HDF5})
  if(ELBO_HAS_CUDA)
    list(APPEND libraries ${CUDA_cudart_static_LIBRARY} -lrt)
  endif()
  foreach(library ${CMAKE_DL_LIBS})
    list(APPEND libraries -l${library})
  endforeach()
  list(JOIN libraries " " pc_libraries)
  string(PREPEND pc_libraries " ")
endif()
configure_file(cmake/elbo.pc.in elbo.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/elbo.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET elbo_executable)
  file(RELATIVE_PATH library_from_bin /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  set_target_properties(elbo_executable PROPERTIES INSTALL_RPATH "$ORIGIN/${library_from_bin}")
  install(TARGETS elbo_executable DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
