/* config: names and defaults are those of docs/environment.md, which is made from this table. */
#include "worker/config.h"

#include <stdio.h>
#include <string.h>

#include "common/certs.h"
#include "swap/stream.h"

enum {
    STREAMS_MAX_LIMIT = 65536,
    DIE_ON_PROMPT_MAX = 32 /* shorter than what a generator keeps of its prompt */
};

static const rn_setting table[] = {
    {.group = "Addresses",
     .option = "user-addr",
     .variable = "CONNECTION_SWAP_WORKER_USER_ADDR",
     .kind = RN_SETTING_ADDRESS,
     .value = "127.0.0.1:62001",
     .help = "Where the director brings streams; port 0: any.",
     .offset = offsetof(rn_worker_config, user_addr)},
    {.option = "mgmt-addr",
     .variable = "CONNECTION_SWAP_WORKER_MGMT_ADDR",
     .kind = RN_SETTING_ADDRESS,
     .value = "127.0.0.1:63001",
     .help = "Where the worker's health is asked for; port 0: any. The older "
             "CONNECTION_SWAP_WORKER_ADDR alone gives USER, and MGMT is 1000 ports above.",
     .offset = offsetof(rn_worker_config, mgmt_addr)},
    {.option = "label",
     .variable = "CONNECTION_SWAP_WORKER_LABEL",
     .kind = RN_SETTING_TEXT,
     .value = "worker-a",
     .min = 1,
     .max = RN_LABEL_MAX,
     .help = "Name of this worker, unique in its cluster; letters, digits and . _ -. Its "
             "certificate is made for this name.",
     .offset = offsetof(rn_worker_config, label)},
    {.option = "director-mgmt-addr",
     .variable = "CONNECTION_SWAP_DIRECTOR_MGMT_ADDR",
     .kind = RN_SETTING_ADDRESS,
     .value = "127.0.0.1:61001",
     .min = 1,
     .help =
         "The director's MGMT address, to register with. The older CONNECTION_SWAP_DIRECTOR_TARGET "
         "names its USER address, and MGMT is the next port.",
     .offset = offsetof(rn_worker_config, director_mgmt_addr)},
    {.option = "advertise-addr",
     .variable = "CONNECTION_SWAP_WORKER_ADVERTISE_ADDR",
     .kind = RN_SETTING_TEXT,
     .min = 1,
     .max = RN_HOST_MAX + 8,
     .help = "Host, or host:port, under which the director reaches the USER address. Unset: what "
             "was bound, and for a wildcard the address that the director sees.",
     .offset = offsetof(rn_worker_config, advertise_addr)},
    {.option = "advertise-mgmt-addr",
     .variable = "CONNECTION_SWAP_WORKER_ADVERTISE_MGMT_ADDR",
     .kind = RN_SETTING_TEXT,
     .min = 1,
     .max = RN_HOST_MAX + 8,
     .help = "The same for the MGMT address. Unset: the host of --advertise-addr.",
     .offset = offsetof(rn_worker_config, advertise_mgmt_addr)},
    {.option = "metrics-addr",
     .variable = "CONNECTION_SWAP_WORKER_METRICS_ADDR",
     .kind = RN_SETTING_ADDRESS,
     .help = "Loopback TCP address of an HTTP server for GET /metrics (Prometheus), /health/live "
             "and /health/ready; port 0: any. Unset: none.",
     .offset = offsetof(rn_worker_config, metrics_addr)},
    {.group = "Serving",
     .option = "token-interval",
     .variable = "CONNECTION_SWAP_WORKER_TOKEN_INTERVAL",
     .kind = RN_SETTING_DURATION,
     .value = "100ms",
     .max = 60 * RN_SECOND,
     .zero = "as fast as possible",
     .help = "Time between two tokens of a stream whose request names no pace.",
     .offset = offsetof(rn_worker_config, token_interval_ns)},
    {.option = "streams-max",
     .variable = "CONNECTION_SWAP_WORKER_STREAMS_MAX",
     .kind = RN_SETTING_NUMBER,
     .value = "1000",
     .max = STREAMS_MAX_LIMIT,
     .zero = "no limit",
     .unit = "streams",
     .help = "Streams served at a time, those whose request is still to come included; more "
             "are refused.",
     .offset = offsetof(rn_worker_config, streams_max)},
    {.option = "unacked-max",
     .variable = "CONNECTION_SWAP_WORKER_UNACKED_MAX",
     .kind = RN_SETTING_SIZE,
     .value = "1MiB",
     .min = UINT64_C(2) * RN_SWAP_ACK_BYTES,
     .max = UINT64_C(64) << 20,
     .help = "Messages of a stream that the director has not acknowledged. At it the stream waits.",
     .offset = offsetof(rn_worker_config, unacked_max)},
    {.option = "drain-timeout",
     .variable = "CONNECTION_SWAP_WORKER_DRAIN_TIMEOUT",
     .kind = RN_SETTING_DURATION,
     .value = "10s",
     .max = 3600 * RN_SECOND,
     .help = "How long the worker waits at its end for its streams to be taken away.",
     .offset = offsetof(rn_worker_config, drain_timeout_ns)},
    {.group = "Simulated failure",
     .option = "fail-after",
     .variable = "CONNECTION_SWAP_WORKER_FAIL_AFTER",
     .kind = RN_SETTING_DURATION,
     .value = "15s",
     .zero = "never",
     .help = "Time from the first stream to the failure of all streams.",
     .offset = offsetof(rn_worker_config, fail_after_ns)},
    {.option = "recover-after",
     .variable = "CONNECTION_SWAP_WORKER_RECOVER_AFTER",
     .kind = RN_SETTING_DURATION,
     .value = "10s",
     .zero = "never",
     .help = "Time after the failure in which streams are refused.",
     .offset = offsetof(rn_worker_config, recover_after_ns)},
    {.group = "For trying out",
     .option = "stall-after",
     .variable = "CONNECTION_SWAP_WORKER_STALL_AFTER",
     .kind = RN_SETTING_NUMBER,
     .value = "0",
     .max = UINT32_MAX,
     .zero = "never",
     .unit = "tokens",
     .help = "One stream stops after so many tokens, once, while the worker lives on.",
     .offset = offsetof(rn_worker_config, stall_after)},
    {.option = "die-on-prompt",
     .variable = "CONNECTION_SWAP_WORKER_DIE_ON_PROMPT",
     .kind = RN_SETTING_TEXT,
     .min = 1,
     .max = DIE_ON_PROMPT_MAX,
     .help = "The process aborts when it gets a stream with this prompt: a request that kills its "
             "workers. Unset: none does.",
     .offset = offsetof(rn_worker_config, die_on_prompt)},
    RN_COMMON_CERTS(rn_worker_config, common),
    RN_COMMON_PAIR(rn_worker_config, common, "Unset: named after the label, in that folder."),
    RN_COMMON_SECRET(rn_worker_config, common),
    RN_COMMON_LOG(rn_worker_config, common),
    RN_COMMON_QLOG(rn_worker_config, common),
    RN_COMMON_PROCESS(rn_worker_config, common),
};

static int check(rn_settings *settings, void *values) {
    rn_worker_config *config = values;
    int result = rn_alias_worker(settings, &config->mgmt_alias, &config->director_alias);
    if (result != RPCNET_OK) {
        return result;
    }
    rn_alias ignored;
    const char *wrong = NULL;
    if (!rn_label_is_valid(config->label)) {
        wrong = "label";
    } else if (rn_worker_advertised(config->advertise_addr, "0.0.0.0:1", &ignored) != RPCNET_OK) {
        wrong = "advertise-addr";
    } else if (rn_worker_advertised(config->advertise_mgmt_addr, "0.0.0.0:1", &ignored) !=
               RPCNET_OK) {
        wrong = "advertise-mgmt-addr";
    }
    if (wrong == NULL) {
        return RPCNET_OK;
    }
    rn_settings_complain(settings, wrong, settings->error, "%s",
                         strcmp(wrong, "label") == 0 ? RN_LABEL_EXPECTED
                                                     : "expected host or host:port");
    return RPCNET_ERR_ARGUMENT;
}

const rn_program_spec *rn_worker_spec(void) {
    static const rn_settings_spec settings = {
        .program = "worker",
        .version = RPCNET_VERSION,
        .summary = "Serves the streams that a director hands to it, with a small language model, "
                   "and fails now and then to show that the streams go on elsewhere.",
        .table = table,
        .count = sizeof table / sizeof table[0],
        .check = check,
    };
    static const rn_program_spec spec = {.settings = &settings,
                                         .target = "worker",
                                         .common_offset = offsetof(rn_worker_config, common),
                                         .reloads = true};
    return &spec;
}

int rn_worker_advertised(const char *setting, const char *bound, rn_alias *out) {
    char host[RN_HOST_MAX + 1];
    char bound_host[RN_HOST_MAX + 1];
    uint16_t port;
    if (rn_address_split(bound, bound_host, &port) != RPCNET_OK) {
        return RPCNET_ERR_ADDRESS;
    }
    if (setting == NULL) {
        return rn_alias_shift(bound, 0, out);
    }
    uint16_t own_port;
    if (rn_address_split(setting, host, &own_port) == RPCNET_OK) {
        return own_port == 0 ? RPCNET_ERR_ADDRESS : rn_alias_shift(setting, 0, out);
    }
    int len = snprintf(out->text, sizeof out->text, "%s:%u", setting, (unsigned)port);
    if (len < 0 || (size_t)len >= sizeof out->text ||
        rn_address_split(out->text, host, &own_port) != RPCNET_OK) {
        return RPCNET_ERR_ADDRESS;
    }
    return RPCNET_OK;
}
