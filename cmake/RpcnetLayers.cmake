# rn_add_layer(<name> [DEPENDS <layer>...] [LIBRARIES <target>...])
#
# A layer is the folder src/<name> and becomes the static library rn_<name>.
function(rn_add_layer name)
  cmake_parse_arguments(arg "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.c)
  add_library(rn_${name} STATIC ${sources})
  target_link_libraries(rn_${name} PUBLIC rn_compile ${arg_LIBRARIES})
  foreach(layer ${arg_DEPENDS})
    target_link_libraries(rn_${name} PUBLIC rn_${layer})
  endforeach()
endfunction()
