/* config: the table of settings. */
#include "director/config.h"

#include "common/certs.h"
#include "director/data/data.h"
#include "swap/assignment.h"

enum { WINDOW_MIN = 64 * 1024, CONNECTION_SHARE = 8 };

#define OFFSET(member) offsetof(rn_director_config, member)

static const rn_setting table[] = {
    {.group = "Addresses",
     .option = "user-addr",
     .variable = "CONNECTION_SWAP_DIRECTOR_USER_ADDR",
     .kind = RN_SETTING_ADDRESS,
     .value = "127.0.0.1:61000",
     .help = "USER port: where clients connect. Port 0: chosen by the system and logged.",
     .offset = OFFSET(user_addr)},
    {.option = "mgmt-addr",
     .variable = "CONNECTION_SWAP_DIRECTOR_MGMT_ADDR",
     .kind = RN_SETTING_ADDRESS,
     .value = "127.0.0.1:61001",
     .help = "MGMT port: where workers register. The older CONNECTION_SWAP_DIRECTOR_ADDR alone "
             "gives USER, and MGMT is the next port.",
     .offset = OFFSET(mgmt_addr)},
    {.option = "metrics-addr",
     .variable = "CONNECTION_SWAP_DIRECTOR_METRICS_ADDR",
     .kind = RN_SETTING_ADDRESS,
     .help = "Loopback TCP address of an HTTP server for GET /metrics (Prometheus), /health/live, "
             "/health/ready and /swaps (JSON). Port 0: chosen by the system and logged. Unset: "
             "none.",
     .offset = OFFSET(metrics_addr)},
    {.group = "Choice of worker",
     .option = "preferred-worker",
     .variable = "CONNECTION_SWAP_PREFERRED_WORKER",
     .kind = RN_SETTING_TEXT,
     .min = 1,
     .max = RN_LABEL_MAX,
     .help = "Label of the worker that gets every stream while it is ready. Unset: the one with "
             "the fewest streams.",
     .offset = OFFSET(preferred_worker)},
    {.group = "Failures",
     .option = "probe-interval",
     .variable = "CONNECTION_SWAP_PROBE_INTERVAL",
     .kind = RN_SETTING_DURATION,
     .value = "25ms",
     .min = RN_MILLISECOND,
     .max = 10 * RN_SECOND,
     .help = "How often a worker that serves streams is probed. A closed port is found by it, and "
             "the silence of a worker that had nothing to say before.",
     .offset = OFFSET(probe_interval_ns)},
    {.option = "hang-timeout",
     .variable = "CONNECTION_SWAP_HANG_TIMEOUT",
     .kind = RN_SETTING_DURATION,
     .value = "250ms",
     .min = 10 * RN_MILLISECOND,
     .max = 60 * RN_SECOND,
     .help = "A worker that has answered no probe for so long has hung; earlier, if its usual "
             "round trips make a later answer unlikely.",
     .offset = OFFSET(hang_timeout_ns)},
    {.option = "stall-min",
     .variable = "CONNECTION_SWAP_STALL_MIN",
     .kind = RN_SETTING_DURATION,
     .value = "500ms",
     .min = 10 * RN_MILLISECOND,
     .max = 3600 * RN_SECOND,
     .help = "A stream is stalled after ten times its usual gap between messages, but not before "
             "this.",
     .offset = OFFSET(stall_min_ns)},
    {.option = "assign-timeout",
     .variable = "CONNECTION_SWAP_ASSIGN_TIMEOUT",
     .kind = RN_SETTING_DURATION,
     .value = "5s",
     .min = 10 * RN_MILLISECOND,
     .max = 3600 * RN_SECOND,
     .help =
         "A worker that has not answered an assignment for so long has stalled, and so has one "
         "that reads no more and says nothing for so long: the stream goes to another one. Counts "
         "from the client's first message or half close.",
     .offset = OFFSET(assign_timeout_ns)},
    {.option = "max-attempts",
     .variable = "CONNECTION_SWAP_MAX_ATTEMPTS",
     .kind = RN_SETTING_NUMBER,
     .value = "3",
     .min = 1,
     .max = 1000,
     .unit = "workers",
     .help = "A stream that loses so many workers in a row by death or failure, without one new "
             "message in between, ends with UNAVAILABLE: it may be what kills them.",
     .offset = OFFSET(max_attempts)},
    {.option = "park-timeout",
     .variable = "CONNECTION_SWAP_PARK_TIMEOUT",
     .kind = RN_SETTING_DURATION,
     .value = "30s",
     .min = 0,
     .max = 3600 * RN_SECOND,
     .help = "How long a stream waits for a worker before it ends with UNAVAILABLE.",
     .offset = OFFSET(park_timeout_ns)},
    {.option = "health-interval",
     .variable = "CONNECTION_SWAP_HEALTH_INTERVAL",
     .kind = RN_SETTING_DURATION,
     .value = "1s",
     .min = 10 * RN_MILLISECOND,
     .max = 60 * RN_SECOND,
     .help = "How often each worker's MGMT port is asked for its health.",
     .offset = OFFSET(health_interval_ns)},
    {.group = "Limits",
     .option = "journal-max",
     .variable = "CONNECTION_SWAP_JOURNAL_MAX",
     .kind = RN_SETTING_SIZE,
     .value = "1MiB",
     .min = 0,
     .max = UINT64_C(8) << 20,
     .help = "Delivered messages that are kept of each stream to go on elsewhere. A stream over it "
             "without a checkpoint cannot be moved any more.",
     .offset = OFFSET(journal_max)},
    {.option = "request-max",
     .variable = "CONNECTION_SWAP_REQUEST_MAX",
     .kind = RN_SETTING_SIZE,
     .value = "4MiB",
     .min = 0,
     .max = UINT64_C(6) << 20,
     .help = "Client messages that are kept of each stream, likewise. A stream whose first message "
             "is longer ends with RESOURCE_EXHAUSTED, unless a worker has it already.",
     .offset = OFFSET(request_max)},
    {.option = "checkpoint-max",
     .variable = "CONNECTION_SWAP_CHECKPOINT_MAX",
     .kind = RN_SETTING_SIZE,
     .value = "256KiB",
     .min = 0,
     .max = UINT64_C(4) << 20,
     .help = "State of a worker's checkpoint. A larger one is ignored.",
     .offset = OFFSET(checkpoint_max)},
    {.option = "memory-max",
     .variable = "CONNECTION_SWAP_MEMORY_MAX",
     .kind = RN_SETTING_SIZE,
     .value = "1GiB",
     .min = 1 << 20,
     .max = UINT64_C(1) << 44,
     .help = "Memory of all streams: journals, kept requests, send rings, queues, unfinished "
             "messages. Over it new streams get RESOURCE_EXHAUSTED, and what holds most goes "
             "first: a journal or request is given up, else its stream ends with "
             "RESOURCE_EXHAUSTED.",
     .offset = OFFSET(memory_max)},
    {.option = "connections-max",
     .variable = "CONNECTION_SWAP_CONNECTIONS_MAX",
     .kind = RN_SETTING_NUMBER,
     .value = "20000",
     .min = 1,
     .max = 1000000,
     .unit = "connections",
     .help = "Client connections at once.",
     .offset = OFFSET(connections_max)},
    {.option = "streams-max",
     .variable = "CONNECTION_SWAP_STREAMS_MAX",
     .kind = RN_SETTING_NUMBER,
     .value = "128",
     .min = 1,
     .max = 65536,
     .unit = "streams",
     .help = "Streams open at once on each client connection.",
     .offset = OFFSET(streams_max)},
    {.option = "retry-above",
     .variable = "CONNECTION_SWAP_RETRY_ABOVE",
     .kind = RN_SETTING_NUMBER,
     .value = "100",
     .min = 0,
     .max = 1000000,
     .unit = "handshakes",
     .help = "Unfinished handshakes from which on a client has to prove its address first (Retry).",
     .offset = OFFSET(retry_above)},
    {.option = "handshakes-max",
     .variable = "CONNECTION_SWAP_HANDSHAKES_MAX",
     .kind = RN_SETTING_NUMBER,
     .value = "1000",
     .min = 1,
     .max = 1000000,
     .unit = "handshakes",
     .help = "Unfinished handshakes of clients at once. Over it the oldest makes room if it is 1 s "
             "old, else newcomers are refused.",
     .offset = OFFSET(handshakes_max)},
    {.option = "handshakes-per-address",
     .variable = "CONNECTION_SWAP_HANDSHAKES_PER_ADDRESS",
     .kind = RN_SETTING_NUMBER,
     .value = "64",
     .max = 1000000,
     .zero = "no limit",
     .unit = "handshakes",
     .help =
         "Of them, those from one IPv4 address or IPv6 /64 network; more are refused. From half "
         "of it on a client has to prove its address first (Retry).",
     .offset = OFFSET(handshakes_per_address)},
    {.option = "connections-per-address",
     .variable = "CONNECTION_SWAP_CONNECTIONS_PER_ADDRESS",
     .kind = RN_SETTING_NUMBER,
     .value = "256",
     .max = 1000000,
     .zero = "no limit",
     .unit = "connections",
     .help = "Client connections at once from one IPv4 address or IPv6 /64 network. From half of "
             "it on a client has to prove its address first (Retry).",
     .offset = OFFSET(connections_per_address)},
    {.option = "streams-per-address",
     .variable = "CONNECTION_SWAP_STREAMS_PER_ADDRESS",
     .kind = RN_SETTING_NUMBER,
     .value = "4096",
     .max = 1000000,
     .zero = "no limit",
     .unit = "streams",
     .help = "Streams open at once from one such address. More end with RESOURCE_EXHAUSTED.",
     .offset = OFFSET(streams_per_address)},
    {.option = "headers-max",
     .variable = "CONNECTION_SWAP_HEADERS_MAX",
     .kind = RN_SETTING_SIZE,
     .value = "16KiB",
     .min = 1024,
     .max = 16384,
     .help = "Headers of a client's request, with 32 bytes more for each field.",
     .offset = OFFSET(headers_max)},
    {.option = "message-max",
     .variable = "CONNECTION_SWAP_MESSAGE_MAX",
     .kind = RN_SETTING_SIZE,
     .value = "4MiB",
     .min = 1024,
     .max = RN_RELAY_MESSAGE_MAX,
     .help = "One message of a client. A longer one ends its stream with RESOURCE_EXHAUSTED.",
     .offset = OFFSET(message_max)},
    {.option = "stream-window",
     .variable = "CONNECTION_SWAP_STREAM_WINDOW",
     .kind = RN_SETTING_SIZE,
     .value = "256KiB",
     .min = WINDOW_MIN,
     .max = UINT64_C(16) << 20,
     .help = "What a client may send on a stream beyond what its worker has taken.",
     .offset = OFFSET(stream_window)},
    {.option = "connection-window",
     .variable = "CONNECTION_SWAP_CONNECTION_WINDOW",
     .kind = RN_SETTING_SIZE,
     .value = "16MiB",
     .min = WINDOW_MIN,
     .max = UINT64_C(1) << 30,
     .help = "The same for all streams of a connection together, at most an eighth of "
             "--memory-max, but at least --stream-window and 32 KiB for each of --streams-max.",
     .offset = OFFSET(connection_window)},
    {.option = "send-ring",
     .variable = "CONNECTION_SWAP_SEND_RING",
     .kind = RN_SETTING_SIZE,
     .value = "256KiB",
     .min = UINT64_C(64) << 10,
     .max = UINT64_C(16) << 20,
     .help = "What is sent to a client on a stream and not acknowledged by it. Over it messages "
             "wait in a queue, and the worker gets no more credit.",
     .offset = OFFSET(send_ring)},
    {.option = "credit-window",
     .variable = "CONNECTION_SWAP_CREDIT_WINDOW",
     .kind = RN_SETTING_SIZE,
     .value = "256KiB",
     .min = 1024,
     .max = UINT64_C(16) << 20,
     .help = "What a worker may send of a stream beyond what its client has taken.",
     .offset = OFFSET(credit_window)},
    {.option = "queue-max",
     .variable = "CONNECTION_SWAP_QUEUE_MAX",
     .kind = RN_SETTING_SIZE,
     .value = "8MiB",
     .min = UINT64_C(5) << 20,
     .max = UINT64_C(256) << 20,
     .help = "Queue in front of a client that does not take what is sent, or of a worker once the "
             "request is more than --request-max: at least 4 MiB for a message, and nine times "
             "--credit-window and --stream-window. Over it the stream ends with "
             "RESOURCE_EXHAUSTED.",
     .offset = OFFSET(queue_max)},
    {.option = "waiting-max",
     .variable = "CONNECTION_SWAP_WAITING_MAX",
     .kind = RN_SETTING_NUMBER,
     .value = "65536",
     .min = 1,
     .max = 1000000,
     .unit = "streams",
     .help = "Streams that wait for the connection to a worker, or for its leave to open another. "
             "More go to another worker.",
     .offset = OFFSET(waiting_max)},
    {.option = "workers-max",
     .variable = "CONNECTION_SWAP_WORKERS_MAX",
     .kind = RN_SETTING_NUMBER,
     .value = "256",
     .min = 1,
     .max = RN_POOL_MAX,
     .unit = "workers",
     .help = "Registered workers. More are refused with RESOURCE_EXHAUSTED, and try again.",
     .offset = OFFSET(workers_max)},
    {.group = "Timers",
     .option = "handshake-timeout",
     .variable = "CONNECTION_SWAP_HANDSHAKE_TIMEOUT",
     .kind = RN_SETTING_DURATION,
     .value = "10s",
     .min = 100 * RN_MILLISECOND,
     .max = 3600 * RN_SECOND,
     .help = "A client that has not finished its handshake by then is given up.",
     .offset = OFFSET(handshake_timeout_ns)},
    {.option = "idle-timeout",
     .variable = "CONNECTION_SWAP_IDLE_TIMEOUT",
     .kind = RN_SETTING_DURATION,
     .value = "30s",
     .min = RN_SECOND,
     .max = 3600 * RN_SECOND,
     .help = "A client that has been silent for so long is gone, and its calls are cancelled.",
     .offset = OFFSET(idle_timeout_ns)},
    {.option = "keep-alive",
     .variable = "CONNECTION_SWAP_KEEP_ALIVE",
     .kind = RN_SETTING_DURATION,
     .value = "10s",
     .min = 100 * RN_MILLISECOND,
     .max = 3600 * RN_SECOND,
     .zero = "never",
     .help = "How often a silent connection is kept alive; at the latest after a third of its idle "
             "timeout.",
     .offset = OFFSET(keep_alive_ns)},
    {.option = "drain-timeout",
     .variable = "CONNECTION_SWAP_DIRECTOR_DRAIN_TIMEOUT",
     .kind = RN_SETTING_DURATION,
     .value = "30s",
     .min = 0,
     .max = 3600 * RN_SECOND,
     .help = "After SIGTERM: how long open streams may go on before they are cut.",
     .offset = OFFSET(drain_timeout_ns)},
    RN_COMMON_LOG(rn_director_config, common),
    RN_COMMON_QLOG(rn_director_config, common),
    RN_COMMON_CERTS(rn_director_config, common),
    RN_COMMON_PAIR(rn_director_config, common,
                   "Unset: director.crt and director.key in that folder."),
    {.option = "user-cert",
     .variable = "CONNECTION_SWAP_DIRECTOR_USER_CERT",
     .kind = RN_SETTING_PATH,
     .help = "Certificate that clients see on the USER port (PEM). Unset: server.crt in that "
             "folder.",
     .offset = OFFSET(user_cert)},
    {.option = "user-key",
     .variable = "CONNECTION_SWAP_DIRECTOR_USER_KEY",
     .kind = RN_SETTING_PATH,
     .help = "Its private key (PEM). Unset: server.key in that folder.",
     .offset = OFFSET(user_key)},
    {.option = "client-ca",
     .variable = "CONNECTION_SWAP_DIRECTOR_CLIENT_CA",
     .kind = RN_SETTING_PATH,
     .help = "Authority of clients (PEM): nobody connects to the USER port without a certificate "
             "of it. Not the cluster's own. Unset: clients show no certificate.",
     .offset = OFFSET(client_ca)},
    {.option = "client-tokens",
     .variable = "CONNECTION_SWAP_DIRECTOR_CLIENT_TOKENS",
     .kind = RN_SETTING_PATH,
     .help =
         "File of SHA-256 hashes of bearer tokens, one a line, at most 4096, with a name behind "
         "it if you like: a stream without one of them ends with UNAUTHENTICATED. Unset: "
         "everybody may open streams.",
     .offset = OFFSET(client_tokens)},
    RN_COMMON_SECRET(rn_director_config, common),
    RN_COMMON_PROCESS(rn_director_config, common),
};

/* Streams that are held back use up to their window of it: the others have to have a share left. */
static uint64_t connection_window_min(const rn_director_config *config) {
    return config->stream_window + config->streams_max * RN_STREAM_SHARE;
}

uint64_t rn_director_connection_window(const rn_director_config *config) {
    uint64_t least = connection_window_min(config);
    uint64_t share = config->memory_max / CONNECTION_SHARE;
    uint64_t window = config->connection_window < share ? config->connection_window : share;
    return window > least ? window : least;
}

/* Behind a first message of any length comes what credit or the window lets through. It costs most
 * in the smallest messages, of one byte of credit, or of a prefix of five bytes of window: with its
 * length and the frame around it each takes five times as much of the queue. Events may take as
 * much again as the credit, and RN_SWAP_EVENT_LIMIT twice. */
static uint64_t queue_min(const rn_director_config *config) {
    uint64_t window = config->credit_window > config->stream_window ? config->credit_window
                                                                    : config->stream_window;
    return RN_RELAY_MESSAGE_MAX + 9 * window;
}

static int check_label(rn_settings *settings, const rn_director_config *config) {
    if (config->preferred_worker == NULL || rn_label_is_valid(config->preferred_worker)) {
        return RPCNET_OK;
    }
    rn_settings_complain(settings, "preferred-worker", settings->error, "%s", RN_LABEL_EXPECTED);
    return RPCNET_ERR_ARGUMENT;
}

/* Those that depend on each other. */
static int check_limits(rn_settings *settings, const rn_director_config *config) {
    uint64_t kept = config->journal_max + config->request_max + config->checkpoint_max;
    if (kept > RN_ASSIGNMENT_BYTES_MAX - RN_ASSIGNMENT_SLACK) {
        rn_settings_complain(settings, "journal-max", settings->error,
                             "expected at most 15MiB together with --request-max and "
                             "--checkpoint-max: a worker takes no longer assignment");
        return RPCNET_ERR_ARGUMENT;
    }
    if (config->queue_max < queue_min(config)) {
        rn_settings_complain(settings, "queue-max", settings->error,
                             "expected at least %llu bytes: 4MiB, and nine times the larger of "
                             "--credit-window and --stream-window",
                             (unsigned long long)queue_min(config));
        return RPCNET_ERR_ARGUMENT;
    }
    return RPCNET_OK;
}

static int check(rn_settings *settings, void *values) {
    rn_director_config *config = values;
    int result = rn_alias_director(settings, &config->mgmt_alias);
    if (result == RPCNET_OK) {
        result = check_label(settings, config);
    }
    return result == RPCNET_OK ? check_limits(settings, config) : result;
}

static const rn_settings_spec settings_spec = {
    .program = "director",
    .version = RPCNET_VERSION,
    .summary = "Takes streams of clients and hands them to workers. A stream goes on when its "
               "worker fails, hangs, drains or is killed: over the same connection, every message "
               "once and in order.",
    .table = table,
    .count = sizeof table / sizeof table[0],
    .check = check};

const rn_program_spec rn_director_program = {.settings = &settings_spec,
                                             .target = "connection_swap::director",
                                             .common_offset = OFFSET(common),
                                             .reloads = true};
