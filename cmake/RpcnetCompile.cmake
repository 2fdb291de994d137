# Warnings, hardening and sanitizers that hold for every target of the project.
add_library(rn_compile INTERFACE)
target_compile_definitions(rn_compile INTERFACE _GNU_SOURCE RPCNET_VERSION="${PROJECT_VERSION}")
target_include_directories(rn_compile INTERFACE ${PROJECT_SOURCE_DIR}/include
                                                ${PROJECT_SOURCE_DIR}/src)
target_compile_options(
  rn_compile
  INTERFACE -Wall
            -Wextra
            -Werror
            -Wshadow
            -Wconversion
            -Wno-sign-conversion
            -Wstrict-prototypes
            -Wmissing-prototypes
            -Wpointer-arith
            -Wvla
            -fno-common
            -fstack-protector-strong
            # Assertions stay on in every build type; CMake's own optimised ones turn them off.
            $<$<NOT:$<CONFIG:Debug>>:-UNDEBUG>)

set(RPCNET_SANITIZE
    ""
    CACHE STRING "Sanitizers for the whole build, e.g. address,undefined")
if(RPCNET_SANITIZE)
  target_compile_options(rn_compile INTERFACE -fsanitize=${RPCNET_SANITIZE} -fno-omit-frame-pointer
                                              -fno-sanitize-recover=all)
  target_link_options(rn_compile INTERFACE -fsanitize=${RPCNET_SANITIZE})
endif()
