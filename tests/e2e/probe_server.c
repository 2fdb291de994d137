/* probe_server: stands in for a worker's USER port and shows what a director hands over.
 *
 *   probe_server CERT KEY CA
 *
 * Listens on any port of 127.0.0.1 and says so: "listening HOST:PORT". Prints "call PATH" for each
 * call and "message HEX" for each message, and answers nothing. Runs until it is killed. */
#include <stdio.h>
#include <stdlib.h>

#include "rpcnet/loop.h"

static void on_message(rpcnet_call *call, const void *data, size_t len, void *user) {
    const unsigned char *bytes = data;
    (void)call;
    (void)user;
    printf("message ");
    for (size_t i = 0; i < len; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
    fflush(stdout);
}

static void on_cancelled(rpcnet_call *call, int code, void *user) {
    (void)code;
    (void)user;
    rpcnet_call_del(call);
}

static void on_call(rpcnet_server *server, rpcnet_call *call, void *user) {
    static const rpcnet_call_callbacks callbacks = {.on_message = on_message,
                                                    .on_cancelled = on_cancelled};
    (void)server;
    (void)user;
    printf("call %s\n", rpcnet_call_path(call));
    rpcnet_call_set_callbacks(call, &callbacks, NULL);
}

static int serve(rpcnet_loop *loop, const rpcnet_credentials *credentials) {
    rpcnet_server *server;
    rpcnet_server_options options;
    rpcnet_server_options_init(&options);
    options.credentials = credentials;
    int rv = rpcnet_server_new(&server, rpcnet_loop_env(loop), "127.0.0.1:0", &options);
    if (rv != RPCNET_OK) {
        fprintf(stderr, "probe_server: %s\n", rpcnet_strerror(rv));
        return EXIT_FAILURE;
    }
    rpcnet_server_set_fallback(server, on_call, NULL);
    printf("listening %s\n", rpcnet_server_address(server));
    fflush(stdout);
    rpcnet_loop_run(loop);
    rpcnet_server_del(server);
    return EXIT_SUCCESS;
}

int main(int argc, char *argv[]) {
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_loop *loop;
    rpcnet_credentials *credentials;
    rpcnet_credentials_options options;
    rpcnet_credentials_options_init(&options);
    if (argc != 4 || rpcnet_loop_new(&loop, "off") != RPCNET_OK) {
        fprintf(stderr, "usage: probe_server CERT KEY CA\n");
        return EXIT_FAILURE;
    }
    options.certificate_file = argv[1];
    options.key_file = argv[2];
    options.ca_file = argv[3];
    options.require_client_certificate = true;
    int code = EXIT_FAILURE;
    if (rpcnet_credentials_new(&credentials, &options, error) == RPCNET_OK) {
        code = serve(loop, credentials);
        rpcnet_credentials_del(credentials);
    } else {
        fprintf(stderr, "probe_server: %s\n", error);
    }
    rpcnet_loop_del(loop);
    return code;
}
