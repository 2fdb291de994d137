/* log_filter: the filter of RUST_LOG in the first line, then one message a line. Whatever they are,
 * a message is one line of valid text. */
#include "base/log.h"

#include "base/text.h"
#include "fuzz/fuzz.h"
#include "rpcnet/error.h"

static const char *const targets[] = {"connection_swap::director", "connection_swap::worker",
                                      "rpcnet::quic", ""};
enum { TARGETS = sizeof targets / sizeof targets[0] };

static uint64_t wall(void *user) {
    (void)user;
    return UINT64_C(1795324080999999999);
}

static bool check_line(const char *line, size_t len, void *user) {
    unsigned *lines = user;
    (*lines)++;
    assert(len > 0 && len <= RN_LOG_LINE_MAX && line[len - 1] == '\n');
    assert(rn_text_is_utf8(rn_bytes_of(line, len)));
    for (size_t i = 0; i + 1 < len; i++) {
        assert((uint8_t)line[i] >= 0x20 && line[i] != 0x7f);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = fuzz_input_of(data, size);
    unsigned lines = 0;
    rn_log_sink sink = {.wall = wall, .write = check_line, .user = &lines};
    const char *invalid = NULL;
    rn_log *log = NULL;
    char *filter = fuzz_text(fuzz_line(&input));
    int rv = rn_log_new(&log, filter, &sink, &invalid);
    free(filter);
    if (rv != RPCNET_OK) {
        assert(rv == RPCNET_ERR_LIMIT && log == NULL);
        return 0;
    }
    for (size_t i = 0; i < TARGETS; i++) { /* a level that is let through lets all above through */
        for (int level = RN_LOG_ERROR; level < RN_LOG_TRACE; level++) {
            assert(rn_log_enabled(log, (enum rn_log_level)level, targets[i]) ||
                   !rn_log_enabled(log, (enum rn_log_level)(level + 1), targets[i]));
        }
    }
    for (unsigned turn = 0; turn < 32 && input.len > 0; turn++) {
        char *message = fuzz_text(fuzz_line(&input));
        enum rn_log_level level = (enum rn_log_level)(RN_LOG_ERROR + turn % RN_LOG_TRACE);
        const char *target = targets[turn % TARGETS];
        lines = 0;
        RN_LOG(log, level, target, "%s", message);
        assert(lines <= (rn_log_enabled(log, level, target) ? 1 : 0));
        free(message);
    }
    rn_log_del(log);
    return 0;
}
