# What `cmake --install` puts into place: one library of all layers with the public headers, and
# the descriptions by which pkg-config and find_package(rpcnet) find it. The programs of apps/ say
# for themselves where they go.
include(CMakePackageConfigHelpers)

set(objects $<TARGET_OBJECTS:rn_proto>)
foreach(layer base quic h3 grpc rpc loop)
  list(APPEND objects $<TARGET_OBJECTS:rn_${layer}>)
endforeach()
add_library(rpcnet STATIC ${objects})
add_library(rpcnet::rpcnet ALIAS rpcnet)
set_target_properties(rpcnet PROPERTIES LINKER_LANGUAGE C EXPORT_NAME rpcnet)
target_include_directories(rpcnet PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                         $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set(package_modules "")
set(package_find "")
foreach(name ${RPCNET_DEPENDENCIES})
  target_link_libraries(rpcnet PUBLIC PkgConfig::${name})
  list(APPEND package_modules ${RPCNET_MODULES_${name}})
  list(JOIN RPCNET_MODULES_${name} " " modules)
  string(APPEND package_find "pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${modules})\n")
endforeach()
list(JOIN package_modules ", " package_requires)
string(REPLACE ">=" " >= " package_requires "${package_requires}")
# From the folder of rpcnet.pc to the prefix, so that an installed tree can be moved.
file(RELATIVE_PATH package_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/rpcnet)
install(TARGETS rpcnet EXPORT rpcnet-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(EXPORT rpcnet-targets NAMESPACE rpcnet:: DESTINATION ${package_dir})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/rpcnet-config.cmake.in
                              ${PROJECT_BINARY_DIR}/rpcnet-config.cmake
                              INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rpcnet-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/rpcnet-config.cmake
              ${PROJECT_BINARY_DIR}/rpcnet-config-version.cmake DESTINATION ${package_dir})

configure_file(${CMAKE_CURRENT_LIST_DIR}/rpcnet.pc.in ${PROJECT_BINARY_DIR}/rpcnet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/rpcnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
