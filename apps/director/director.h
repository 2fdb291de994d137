/* director: the program's state; one for each process. */
#ifndef APPS_DIRECTOR_DIRECTOR_H
#define APPS_DIRECTOR_DIRECTOR_H

#include "common/certs.h"
#include "common/program.h"
#include "common/reload.h"
#include "director/access.h"
#include "director/config.h"
#include "director/control/control.h"
#include "director/data/data.h"
#include "director/sight/sight.h"

typedef struct rn_director {
    rn_director_config config;
    rn_program program;
    rpcnet_credentials *identity; /* inside the cluster */
    rpcnet_credentials *public;   /* for clients */
    rn_secret secret;
    rn_access access;
    rn_reload reload;
    rn_control control;
    rn_data data;
    rpcnet_server *user;
    rn_director_sight *sight; /* NULL: not asked for */
} rn_director;

/* Two ports, two planes. `program` was started, the rest is zero. On failure it was said. */
int rn_director_open(rn_director *director);
void rn_director_close(rn_director *director); /* also what is half open; wipes the secret */

#endif
