/* flood_client: many calls whose messages never come whole, to see what the receiver does about its
 * memory.
 *
 *   flood_client --target HOST:PORT --ca FILE [--path /SERVICE/METHOD] [--calls N]
 *                [--announced BYTES] [--sent BYTES]
 *
 * Each call announces one message of that length and sends so many bytes of it. Prints JSON lines:
 * "status" for each call that ends, "sent" when the others have sent all, and "over" when none is
 * left. It stays until it is killed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/framing.h"
#include "rpc/internal.h"
#include "rpcnet/loop.h"

enum { CALLS_MAX = 4096, PART = 65536 };

#define PUMP_INTERVAL RN_MILLISECOND

typedef struct flood flood;

typedef struct flooding {
    flood *of;
    rpcnet_call *call; /* NULL: over */
    uint64_t sent;     /* of the prefix and the message */
} flooding;

struct flood {
    const char *target;
    const char *ca;
    const char *path;
    uint64_t calls;
    uint64_t announced;
    uint64_t to_send;
    rpcnet_loop *loop;
    rpcnet_channel *channel;
    rn_timer *timer;
    flooding all[CALLS_MAX];
    bool told;
};

static int complain(const char *what, const char *about) {
    fprintf(stderr, "flood_client: %s: %s\n", what, about);
    return EXIT_FAILURE;
}

static void say(const char *event, const char *key, const char *text) {
    printf("{\"event\":\"%s\",\"%s\":\"%s\"}\n", event, key, text);
    fflush(stdout);
}

static void on_status(rpcnet_call *call, int code, const char *message,
                      const rpcnet_metadata *trailers, void *user) {
    flooding *one = user;
    (void)trailers;
    printf("{\"event\":\"status\",\"code\":\"%s\",\"message\":\"%s\"}\n",
           rpcnet_grpc_code_name(code), message);
    fflush(stdout);
    one->call = NULL;
    rpcnet_call_del(call);
}

/* Below the calls of the library, which send whole messages alone. False: it has no more to send
 * or no room. */
static bool send_part(flooding *one) {
    static uint8_t part[PART];
    const flood *f = one->of;
    if (one->call == NULL || one->call->inner == NULL || one->sent >= f->to_send) {
        return false;
    }
    rn_h3_stream *stream = rn_call_stream(one->call->inner);
    size_t room = stream != NULL ? rn_h3_room(stream) : 0;
    uint64_t left = f->to_send - one->sent;
    size_t len = left < PART ? (size_t)left : PART;
    len = len < room ? len : room;
    if (len < RN_FRAME_PREFIX_LEN || (len < RN_H3_SEND_PART_MIN && len < left)) {
        return false;
    }
    memset(part, 'x', len);
    if (one->sent == 0) {
        rn_frame_prefix(part, (uint32_t)f->announced);
    }
    rn_bytes piece = rn_bytes_of(part, len);
    size_t taken = 0;
    (void)rn_h3_send(stream, &piece, 1, false, &taken);
    one->sent += taken;
    return taken > 0;
}

static void pump(void *user) {
    flood *f = user;
    uint64_t open = 0;
    uint64_t sent = 0;
    for (uint64_t i = 0; i < f->calls; i++) {
        (void)send_part(&f->all[i]);
        open += f->all[i].call != NULL;
        sent += f->all[i].call != NULL && f->all[i].sent >= f->to_send;
    }
    if (open == sent && !f->told) {
        f->told = true;
        char count[32];
        snprintf(count, sizeof count, "%" PRIu64, open);
        say(open > 0 ? "sent" : "over", "open", count);
    }
    rn_env *env = rpcnet_loop_env(f->loop);
    env->ops->timer_set(f->timer, rn_env_now(env) + PUMP_INTERVAL);
}

static int run(flood *f) {
    static const rpcnet_call_callbacks callbacks = {.on_status = on_status};
    rn_env *env = rpcnet_loop_env(f->loop);
    int rv = rn_env_timer_new(env, pump, f, &f->timer);
    for (uint64_t i = 0; i < f->calls && rv == RPCNET_OK; i++) {
        f->all[i].of = f;
        rv = rpcnet_call_new(&f->all[i].call, f->channel, f->path, NULL, &callbacks, &f->all[i]);
    }
    if (rv == RPCNET_OK) {
        env->ops->timer_set(f->timer, rn_env_now(env));
        rpcnet_loop_run(f->loop);
    }
    return rv;
}

static int flood_it(flood *f) {
    char error[RPCNET_ERROR_TEXT_MAX];
    rpcnet_credentials *credentials;
    rpcnet_credentials_options given;
    rpcnet_credentials_options_init(&given);
    given.ca_file = f->ca;
    if (rpcnet_credentials_new(&credentials, &given, error) != RPCNET_OK) {
        return complain("credentials", error);
    }
    rpcnet_channel_options options;
    rpcnet_channel_options_init(&options);
    options.credentials = credentials;
    options.calls_waiting_max = CALLS_MAX;
    int rv = rpcnet_channel_new(&f->channel, rpcnet_loop_env(f->loop), f->target, &options);
    if (rv == RPCNET_OK) {
        rv = run(f);
    }
    return rv == RPCNET_OK ? EXIT_SUCCESS : complain("call", rpcnet_strerror(rv));
}

static bool take_options(flood *f, int argc, char *argv[]) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--target") == 0) {
            f->target = value;
        } else if (strcmp(argv[i], "--ca") == 0) {
            f->ca = value;
        } else if (strcmp(argv[i], "--calls") == 0) {
            f->calls = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--path") == 0) {
            f->path = value;
        } else if (strcmp(argv[i], "--announced") == 0) {
            f->announced = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--sent") == 0) {
            f->to_send = strtoull(value, NULL, 10) + RN_FRAME_PREFIX_LEN;
        } else {
            return false;
        }
    }
    return f->target != NULL && f->ca != NULL && f->calls <= CALLS_MAX;
}

int main(int argc, char *argv[]) {
    flood *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return complain("flood", "no memory");
    }
    f->calls = 1;
    f->path = "/connection_swap.Inference/Chat";
    f->announced = f->to_send = 1 << 20;
    if (!take_options(f, argc, argv)) {
        return complain("usage", "--target HOST:PORT --ca FILE [--calls N] [--announced BYTES]");
    }
    if (rpcnet_loop_new(&f->loop, "off") != RPCNET_OK) {
        return complain("loop", "no memory");
    }
    return flood_it(f);
}
