# Every dependency comes from a package of the system; docs/dependencies.md says why each. An
# installed RpcNet asks for the same modules (RpcnetInstall.cmake).
set(RPCNET_DEPENDENCIES NGTCP2 NGHTTP3 GNUTLS PROTOBUF_C LIBUV)
set(RPCNET_MODULES_NGTCP2 libngtcp2>=1.11 libngtcp2_crypto_gnutls>=1.11)
set(RPCNET_MODULES_NGHTTP3 libnghttp3>=1.8)
set(RPCNET_MODULES_GNUTLS gnutls>=3.7)
set(RPCNET_MODULES_PROTOBUF_C libprotobuf-c>=1.4)
set(RPCNET_MODULES_LIBUV libuv>=1.44)

# What the programs need beside the library.
set(RPCNET_PROGRAM_DEPENDENCIES LIBMICROHTTPD)
set(RPCNET_MODULES_LIBMICROHTTPD libmicrohttpd>=0.9.75)

find_package(PkgConfig REQUIRED)
foreach(name ${RPCNET_DEPENDENCIES} ${RPCNET_PROGRAM_DEPENDENCIES})
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${RPCNET_MODULES_${name}})
endforeach()

# protoc runs protobuf-c's plugin, protoc-gen-c. protoc-c does the same, with a warning that it is
# deprecated from 1.5 on.
find_program(PROTOC_C NAMES protoc protoc-c REQUIRED)
