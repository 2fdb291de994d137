/* Tests of base/ring beside the whole history of its bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/ring.h"
#include "naive.h"
#include "rpcnet/error.h"

static void test_limit(void **state) {
    (void)state;
    static const uint8_t data[3001];
    for (size_t len = 2999; len <= 3001; len++) {
        rn_ring ring;
        rn_ring_init(&ring, 3000);
        int result = rn_ring_append(&ring, data, len);
        assert_int_equal(result, len <= 3000 ? RPCNET_OK : RPCNET_ERR_AGAIN);
        assert_int_equal(rn_ring_len(&ring), len <= 3000 ? len : 0);
        assert_int_equal(rn_ring_append(&ring, data, 1),
                         len == 3000 ? RPCNET_ERR_AGAIN : RPCNET_OK);
        rn_ring_fini(&ring);
    }
}

static void test_nothing_appended_and_nothing_kept(void **state) {
    (void)state;
    rn_ring ring;
    rn_bytes spans[2];
    rn_ring_init(&ring, 0);
    assert_int_equal(rn_ring_append(&ring, NULL, 0), RPCNET_OK);
    assert_int_equal(rn_ring_append(&ring, "a", 1), RPCNET_ERR_AGAIN);
    assert_int_equal(rn_ring_peek(&ring, 0, 10, spans), 0);
    rn_ring_release(&ring, 0);
    rn_ring_fini(&ring);
    rn_ring_fini(&ring);
    rn_ring_fini(NULL);
}

static void test_empty_large_ring_gives_memory_back(void **state) {
    (void)state;
    rn_ring ring;
    uint8_t *data = calloc(1, 100000);
    rn_ring_init(&ring, 100000);
    assert_int_equal(rn_ring_append(&ring, data, 100000), RPCNET_OK);
    assert_true(ring.capacity >= 100000);
    rn_ring_release(&ring, 99999);
    assert_true(ring.capacity >= 100000);
    rn_ring_release(&ring, 100000);
    assert_int_equal(ring.capacity, 0);
    assert_null(ring.data);
    assert_int_equal(rn_ring_append(&ring, "xyz", 3), RPCNET_OK);
    rn_bytes spans[2];
    assert_int_equal(rn_ring_peek(&ring, 100001, 10, spans), 1);
    assert_true(rn_bytes_is(spans[0], "yz"));
    free(data);
    rn_ring_fini(&ring);
}

/* The naive ring keeps every byte that there ever was. */
enum { HISTORY_MAX = 1 << 20 };

static void run(uint64_t seed, size_t limit) {
    naive_random random = naive_seed(seed);
    uint8_t *history = malloc(HISTORY_MAX + 4096);
    size_t end = 0;
    size_t start = 0;
    rn_ring ring;
    rn_ring_init(&ring, limit);
    assert_non_null(history);
    for (size_t step = 0; step < 4000 && end < HISTORY_MAX; step++) {
        size_t len =
            naive_below(&random, 4) == 0 ? naive_below(&random, 4096) : naive_below(&random, 64);
        for (size_t i = 0; i < len; i++) {
            history[end + i] = (uint8_t)naive_next(&random);
        }
        bool fits = len <= limit - (end - start);
        int expected = fits ? RPCNET_OK : RPCNET_ERR_AGAIN;
        NAIVE_CHECK(&random, step, rn_ring_append(&ring, history + end, len) == expected);
        end += fits ? len : 0;
        NAIVE_CHECK(&random, step, ring.start == start && ring.end == end);
        NAIVE_CHECK(&random, step, rn_ring_room(&ring) == limit - (end - start));

        size_t offset = start + naive_below(&random, end - start + 1);
        size_t max = naive_below(&random, 8192);
        size_t want = end - offset < max ? end - offset : max;
        rn_bytes spans[2];
        size_t count = rn_ring_peek(&ring, offset, max, spans);
        size_t seen = 0;
        for (size_t i = 0; i < count; i++) {
            NAIVE_CHECK(&random, step, spans[i].len > 0 && seen + spans[i].len <= want);
            NAIVE_CHECK(&random, step,
                        memcmp(spans[i].data, history + offset + seen, spans[i].len) == 0);
            seen += spans[i].len;
        }
        NAIVE_CHECK(&random, step, seen == want);

        if (naive_below(&random, 2) == 0) {
            start =
                naive_below(&random, 8) == 0 ? end : start + naive_below(&random, end - start + 1);
            rn_ring_release(&ring, start);
        }
    }
    rn_ring_fini(&ring);
    free(history);
}

static void test_against_the_whole_history(void **state) {
    (void)state;
    static const size_t limits[] = {1, 1023, 1024, 1025, 5000, 65536, 100000};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
            run(seed * 100 + i, limits[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_nothing_appended_and_nothing_kept),
        cmocka_unit_test(test_empty_large_ring_gives_memory_back),
        cmocka_unit_test(test_against_the_whole_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
