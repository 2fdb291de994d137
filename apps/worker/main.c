/* The worker's main: from the settings to the exit code. */
#include <unistd.h>

#include "worker/worker.h"

int main(int argc, char *argv[]) {
    rn_worker worker = {0};
    if (rn_program_start(&worker.program, rn_worker_spec(), &worker.config, argc, argv, environ)) {
        if (rn_worker_open(&worker) == RPCNET_OK) {
            rn_program_run(&worker.program);
        }
        rn_worker_close(&worker);
    }
    return rn_program_end(&worker.program);
}
