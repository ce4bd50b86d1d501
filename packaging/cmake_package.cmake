# How other projects find an installed libcove: find_package(Cove) and pkg-config. Both work wherever the tree of an
# installation is moved to; docs/embedding.md says what a program has to do then.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Cove)
set(generated ${PROJECT_BINARY_DIR}/packaging)

install(EXPORT CoveTargets NAMESPACE Cove:: DESTINATION ${package_dir})
set(installed_libexec_dir ${CMAKE_INSTALL_LIBEXECDIR}/cove)
configure_package_config_file(packaging/CoveConfig.cmake.in ${generated}/CoveConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS installed_libexec_dir)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${generated}/CoveConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${generated}/CoveConfig.cmake ${generated}/CoveConfigVersion.cmake DESTINATION ${package_dir})

set(pkgconfig_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pkgconfig_to_lib ${pkgconfig_dir} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH pkgconfig_to_include ${pkgconfig_dir} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
file(RELATIVE_PATH pkgconfig_to_libexec ${pkgconfig_dir} ${CMAKE_INSTALL_FULL_LIBEXECDIR}/cove)
configure_file(packaging/cove.pc.in ${generated}/cove.pc @ONLY)
install(FILES ${generated}/cove.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
