/* access: the bearer token of each call. Neither a token nor a part of it is ever logged. */
#include "director/access.h"

static const char target[] = "connection_swap::director";

void rn_access_init(rn_access *access, rn_log *log, rpcnet_method_fn *next, void *next_user) {
    *access = (rn_access){.log = log, .next = next, .next_user = next_user};
}

void rn_access_set_tokens(rn_access *access, rn_tokens *tokens) {
    rn_tokens_del(access->tokens);
    access->tokens = tokens;
}

void rn_access_fini(rn_access *access) {
    rn_access_set_tokens(access, NULL);
}

/* NULL: it may; otherwise what to tell the caller. */
static const char *judge(const rn_access *access, const rpcnet_call *call, const char **name) {
    const void *value;
    size_t len;
    rn_bytes token;
    const rpcnet_metadata *metadata = rpcnet_call_metadata(call);
    if (metadata == NULL || !rpcnet_metadata_find(metadata, "authorization", &value, &len)) {
        return "a bearer token is needed: metadata \"authorization: Bearer <token>\"";
    }
    if (!rn_token_of_field(rn_bytes_of(value, len), &token)) {
        return "the metadata \"authorization\" holds no bearer token";
    }
    *name = rn_tokens_match(access->tokens, token);
    return *name != NULL ? NULL : "the bearer token is not known";
}

void rn_access_serve(rpcnet_server *server, rpcnet_call *call, void *user) {
    rn_access *access = user;
    const char *name = "";
    const char *why = access->tokens != NULL ? judge(access, call, &name) : NULL;
    rpcnet_peer peer;
    rpcnet_call_peer(call, &peer);
    if (why != NULL) {
        access->refused++;
        RN_INFO(access->log, target,
                "connection.id=conn-%llu stream.id=%llu client=%s client refused: %s",
                (unsigned long long)peer.connection, (unsigned long long)peer.call, peer.address,
                why);
        rpcnet_call_finish(call, RPCNET_GRPC_UNAUTHENTICATED, why, NULL);
        rpcnet_call_del(call);
        return;
    }
    if (access->tokens != NULL) {
        RN_DEBUG(access->log, target,
                 "connection.id=conn-%llu stream.id=%llu token=%s client known",
                 (unsigned long long)peer.connection, (unsigned long long)peer.call, name);
    }
    access->next(server, call, access->next_user);
}
