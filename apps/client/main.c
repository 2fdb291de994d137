/* The client's main: from the settings to the exit code. */
#include <unistd.h>

#include "client/client.h"

int main(int argc, char *argv[]) {
    rn_client client = {0};
    if (rn_program_start(&client.program, rn_client_spec(), &client.config, argc, argv, environ)) {
        if (rn_client_open(&client) == RPCNET_OK) {
            rn_program_run(&client.program);
        }
        rn_client_close(&client);
    }
    return rn_program_end(&client.program);
}
