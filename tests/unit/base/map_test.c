/* Tests of base/map beside a table indexed by the key's number. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "naive.h"
#include "rpcnet/error.h"

static void test_limit(void **state) {
    (void)state;
    static int values[101];
    rn_map *map;
    assert_int_equal(rn_map_new(&map, 100, 1), RPCNET_OK);
    for (uint64_t i = 0; i <= 100; i++) {
        assert_int_equal(rn_map_put(map, rn_map_number(&i), &values[i]),
                         i < 100 ? RPCNET_OK : RPCNET_ERR_LIMIT);
    }
    assert_int_equal(rn_map_len(map), 100);
    uint64_t key = 5;
    /* A key that is there is named as such even when the map is full. */
    assert_int_equal(rn_map_put(map, rn_map_number(&key), &values[0]), RPCNET_ERR_EXISTS);
    assert_ptr_equal(rn_map_remove(map, rn_map_number(&key)), &values[5]);
    assert_int_equal(rn_map_put(map, rn_map_number(&key), &values[7]), RPCNET_OK);
    assert_ptr_equal(rn_map_get(map, rn_map_number(&key)), &values[7]);
    rn_map_del(map);
    assert_int_equal(rn_map_new(&map, 0, 1), RPCNET_OK);
    assert_int_equal(rn_map_put(map, rn_map_number(&key), &values[7]), RPCNET_ERR_LIMIT);
    assert_null(rn_map_get(map, rn_map_number(&key)));
    assert_null(rn_map_remove(map, rn_map_number(&key)));
    rn_map_del(map);
    rn_map_del(NULL);
}

static void test_key_lengths(void **state) {
    (void)state;
    static int values[RN_MAP_KEY_MAX + 2];
    uint8_t key[RN_MAP_KEY_MAX + 1];
    memset(key, 'k', sizeof key);
    rn_map *map;
    assert_int_equal(rn_map_new(&map, SIZE_MAX, 2), RPCNET_OK);
    for (size_t len = 0; len <= RN_MAP_KEY_MAX + 1; len++) {
        assert_int_equal(rn_map_put(map, rn_bytes_of(key, len), &values[len]),
                         len <= RN_MAP_KEY_MAX ? RPCNET_OK : RPCNET_ERR_ARGUMENT);
    }
    memset(key, 'k', sizeof key);
    for (size_t len = 0; len <= RN_MAP_KEY_MAX; len++) {
        assert_ptr_equal(rn_map_get(map, rn_bytes_of(key, len)), &values[len]);
    }
    assert_null(rn_map_get(map, rn_bytes_of(key, RN_MAP_KEY_MAX + 1)));
    assert_null(rn_map_remove(map, rn_bytes_of(key, RN_MAP_KEY_MAX + 1)));
    /* Keys are copied. */
    memset(key, 'x', sizeof key);
    assert_null(rn_map_get(map, rn_bytes_of(key, 10)));
    rn_map_del(map);
}

enum { KEYS = 300, STEPS = 20000 };

static rn_bytes name_of(size_t key, char out[64]) {
    /* Some keys are too long to be kept inline. */
    int len = key % 3 == 0 ? snprintf(out, 64, "a-key-that-needs-memory-of-its-own-%zu", key)
                           : snprintf(out, 64, "%zu", key);
    return rn_bytes_of(out, (size_t)len);
}

static void check_all(const rn_map *map, void *const naive[KEYS], size_t len, naive_random *random,
                      size_t step) {
    bool seen[KEYS] = {false};
    size_t cursor = 0;
    size_t count = 0;
    rn_bytes key;
    void *value;
    while (rn_map_next(map, &cursor, &key, &value)) {
        size_t number = (size_t)((char *)value - (char *)naive);
        char text[64];
        NAIVE_CHECK(random, step, number < KEYS && !seen[number]);
        NAIVE_CHECK(random, step, rn_bytes_equal(key, name_of(number, text)));
        seen[number] = true;
        count++;
    }
    NAIVE_CHECK(random, step, count == len);
}

static void run(uint64_t seed, size_t limit) {
    naive_random random = naive_seed(seed);
    void *naive[KEYS] = {NULL};
    size_t len = 0;
    rn_map *map;
    assert_int_equal(rn_map_new(&map, limit, naive_next(&random)), RPCNET_OK);
    for (size_t step = 0; step < STEPS; step++) {
        size_t key = naive_below(&random, KEYS);
        char text[64];
        rn_bytes name = name_of(key, text);
        /* Phases of growth and of shrinking. */
        bool put = naive_below(&random, 4) < (step / 2500 % 2 == 0 ? 3 : 1);
        if (put) {
            void *value = (char *)naive + key;
            int expected = naive[key] != NULL ? RPCNET_ERR_EXISTS
                           : len >= limit     ? RPCNET_ERR_LIMIT
                                              : RPCNET_OK;
            NAIVE_CHECK(&random, step, rn_map_put(map, name, value) == expected);
            if (expected == RPCNET_OK) {
                naive[key] = value;
                len++;
            }
        } else {
            NAIVE_CHECK(&random, step, rn_map_remove(map, name) == naive[key]);
            len -= naive[key] != NULL ? 1 : 0;
            naive[key] = NULL;
        }
        size_t other = naive_below(&random, KEYS);
        NAIVE_CHECK(&random, step, rn_map_get(map, name_of(other, text)) == naive[other]);
        NAIVE_CHECK(&random, step, rn_map_len(map) == len);
        if (step % 500 == 0) {
            check_all(map, naive, len, &random, step);
        }
    }
    for (size_t key = 0; key < KEYS; key++) {
        char text[64];
        NAIVE_CHECK(&random, key, rn_map_get(map, name_of(key, text)) == naive[key]);
    }
    rn_map_del(map);
}

static void test_against_a_table_by_number(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        run(seed, seed % 2 == 0 ? KEYS : 100);
    }
}

static void test_seed_changes_the_order(void **state) {
    (void)state;
    rn_map *maps[2];
    bool differ = false;
    for (uint64_t seed = 0; seed < 2; seed++) {
        assert_int_equal(rn_map_new(&maps[seed], 64, seed), RPCNET_OK);
        for (uint64_t i = 0; i < 64; i++) {
            assert_int_equal(rn_map_put(maps[seed], rn_map_number(&i), maps), RPCNET_OK);
        }
    }
    size_t cursors[2] = {0, 0};
    rn_bytes keys[2];
    void *value;
    while (rn_map_next(maps[0], &cursors[0], &keys[0], &value) &&
           rn_map_next(maps[1], &cursors[1], &keys[1], &value)) {
        differ = differ || !rn_bytes_equal(keys[0], keys[1]);
    }
    assert_true(differ);
    rn_map_del(maps[0]);
    rn_map_del(maps[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_key_lengths),
        cmocka_unit_test(test_against_a_table_by_number),
        cmocka_unit_test(test_seed_changes_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
