/* access: who may open streams on the USER port. */
#ifndef APPS_DIRECTOR_ACCESS_H
#define APPS_DIRECTOR_ACCESS_H

#include "base/log.h"
#include "common/tokens.h"
#include "rpcnet/rpcnet.h"

typedef struct rn_access {
    rn_log *log;
    rn_tokens *tokens; /* NULL: everybody */
    uint64_t refused;  /* calls */
    rpcnet_method_fn *next;
    void *next_user;
} rn_access;

/* Calls that are let in go on to `next`. */
void rn_access_init(rn_access *access, rn_log *log, rpcnet_method_fn *next, void *next_user);
void rn_access_fini(rn_access *access);
/* Takes the tokens over; those before them are freed. NULL: everybody may call. */
void rn_access_set_tokens(rn_access *access, rn_tokens *tokens);
/* For rpcnet_server_set_fallback; `user` is the rn_access. */
void rn_access_serve(rpcnet_server *server, rpcnet_call *call, void *user);

#endif
