/* The director's main: from the settings to the exit code. */
#include <unistd.h>

#include "director/director.h"

int main(int argc, char *argv[]) {
    rn_director director = {0};
    if (rn_program_start(&director.program, &rn_director_program, &director.config, argc, argv,
                         environ)) {
        if (rn_director_open(&director) == RPCNET_OK) {
            rn_program_run(&director.program);
        }
        rn_director_close(&director);
    }
    return rn_program_end(&director.program);
}
