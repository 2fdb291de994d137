/* send_ring: against a plain array with random operations; bytes in flight never move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "quic/send_ring.h"
#include "rpcnet/error.h"

enum { LIMIT = 20000, TOTAL_MAX = 1 << 20 };

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static uint8_t byte_at(uint64_t offset) {
    return (uint8_t)(offset * 31 + (offset >> 8));
}

static int append(rn_send_ring *ring, size_t len) {
    uint8_t *data = malloc(len + 1);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++) {
        data[i] = byte_at(ring->end + i);
    }
    size_t cut = len / 3;
    rn_bytes pieces[2] = {rn_bytes_of(data, cut), rn_bytes_of(data + cut, len - cut)};
    int result = rn_send_ring_append(ring, pieces, 2);
    free(data);
    return result;
}

static void check_unsent(const rn_send_ring *ring) {
    rn_bytes spans[RN_SEND_SPANS_MAX];
    size_t count = rn_send_ring_unsent_spans(ring, spans);
    uint64_t offset = ring->next;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < spans[i].len; j++, offset++) {
            assert_int_equal(spans[i].data[j], byte_at(offset));
        }
    }
    assert_true(offset <= ring->end);
    assert_int_equal(count == 0, ring->next == ring->end);
}

static void agrees_with_offsets(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint64_t random = seed;
        rn_send_ring ring;
        rn_budget budget = {.limit = SIZE_MAX};
        rn_send_ring_init(&ring, LIMIT, &budget);
        while (ring.end < TOTAL_MAX) {
            uint64_t choice = next_random(&random) % 3;
            if (choice == 0) {
                /* Many short ones, so that the ring is often empty and begins with a small chunk.
                 */
                size_t most = next_random(&random) % 4 == 0 ? 9000 : 700;
                size_t len = next_random(&random) % most;
                size_t room = rn_send_ring_room(&ring);
                uint64_t end = ring.end;
                if (next_random(&random) % 2 == 0) {
                    assert_int_equal(rn_send_ring_reserve(&ring, len),
                                     len <= room ? RPCNET_OK : RPCNET_ERR_AGAIN);
                }
                int result = append(&ring, len);
                assert_int_equal(result, len <= room ? RPCNET_OK : RPCNET_ERR_AGAIN);
                assert_int_equal(ring.end - end, len <= room ? len : 0);
            } else if (choice == 1) {
                size_t unsent = rn_send_ring_unsent(&ring);
                rn_send_ring_sent(&ring, unsent == 0 ? 0 : next_random(&random) % (unsent + 1));
            } else {
                uint64_t in_flight = ring.next - ring.start;
                rn_send_ring_release(&ring, ring.start + next_random(&random) % (in_flight + 1));
            }
            if (ring.end - ring.start > LIMIT) {
                fail_msg("over the limit with seed %llu", (unsigned long long)seed);
            }
            check_unsent(&ring);
        }
        assert_int_equal(budget.used, ring.memory);
        rn_send_ring_fini(&ring);
        assert_int_equal(budget.used, 0);
    }
}

static void takes_exactly_its_limit(void **state) {
    (void)state;
    rn_send_ring ring;
    rn_send_ring_init(&ring, LIMIT, NULL);
    assert_int_equal(append(&ring, LIMIT - 1), RPCNET_OK);
    assert_int_equal(append(&ring, 2), RPCNET_ERR_AGAIN);
    assert_int_equal(append(&ring, 1), RPCNET_OK);
    assert_int_equal(append(&ring, 1), RPCNET_ERR_AGAIN);
    assert_int_equal(rn_send_ring_room(&ring), 0);
    rn_send_ring_fini(&ring);
}

static void bytes_in_flight_stay_in_place(void **state) {
    (void)state;
    rn_send_ring ring;
    rn_bytes spans[RN_SEND_SPANS_MAX];
    rn_send_ring_init(&ring, LIMIT, NULL);
    assert_int_equal(append(&ring, 100), RPCNET_OK);
    assert_int_equal(rn_send_ring_unsent_spans(&ring, spans), 1);
    const uint8_t *first = spans[0].data;
    rn_send_ring_sent(&ring, 100);
    assert_int_equal(append(&ring, LIMIT - 100), RPCNET_OK);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(first[i], byte_at(i));
    }
    rn_send_ring_fini(&ring);
}

static void few_bytes_take_a_small_chunk(void **state) {
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        rn_send_ring ring;
        rn_send_ring_init(&ring, LIMIT, NULL);
        assert_int_equal(append(&ring, RN_SEND_CHUNK_SMALL_BYTES + more), RPCNET_OK);
        assert_int_equal(ring.first->size,
                         more == 0 ? RN_SEND_CHUNK_SMALL_BYTES : RN_SEND_CHUNK_BYTES);
        assert_ptr_equal(ring.first, ring.last);
        rn_send_ring_fini(&ring);
    }
}

static void slow_messages_stay_in_the_small_chunk(void **state) {
    (void)state;
    rn_send_ring ring;
    rn_send_ring_init(&ring, LIMIT, NULL);
    assert_int_equal(append(&ring, 60), RPCNET_OK);
    const rn_send_chunk *one = ring.first;
    for (size_t i = 0; i < 1000; i++) {
        rn_send_ring_sent(&ring, rn_send_ring_unsent(&ring));
        rn_send_ring_release(&ring, ring.next);
        assert_int_equal(append(&ring, 60), RPCNET_OK);
        assert_ptr_equal(ring.first, one);
        assert_ptr_equal(ring.last, one);
        assert_null(ring.spare);
        check_unsent(&ring);
    }
    rn_send_ring_fini(&ring);
}

static void the_small_chunk_goes_when_it_is_outgrown(void **state) {
    (void)state;
    rn_send_ring ring;
    rn_send_ring_init(&ring, LIMIT, NULL);
    assert_int_equal(append(&ring, 60), RPCNET_OK);
    assert_int_equal(append(&ring, RN_SEND_CHUNK_SMALL_BYTES - 60 + 1), RPCNET_OK);
    assert_int_equal(ring.first->size, RN_SEND_CHUNK_SMALL_BYTES);
    assert_int_equal(ring.last->size, RN_SEND_CHUNK_BYTES);
    check_unsent(&ring);
    rn_send_ring_sent(&ring, RN_SEND_CHUNK_SMALL_BYTES);
    rn_send_ring_release(&ring, RN_SEND_CHUNK_SMALL_BYTES);
    assert_ptr_equal(ring.first, ring.last);
    assert_int_equal(ring.first->size, RN_SEND_CHUNK_BYTES);
    assert_null(ring.spare);
    check_unsent(&ring);
    rn_send_ring_fini(&ring);
}

static void a_flowing_stream_needs_no_new_memory(void **state) {
    (void)state;
    rn_send_ring ring;
    rn_send_ring_init(&ring, LIMIT, NULL);
    assert_int_equal(append(&ring, RN_SEND_CHUNK_BYTES - 50), RPCNET_OK); /* it has been faster */
    rn_send_chunk *one = ring.first;
    rn_send_chunk *other = NULL;
    rn_send_ring_sent(&ring, RN_SEND_CHUNK_BYTES - 50);
    for (size_t i = 0; i < 10000; i++) {
        /* One message is always in flight, so the ring is never empty. */
        assert_int_equal(append(&ring, 60), RPCNET_OK);
        rn_send_ring_sent(&ring, 60);
        rn_send_ring_release(&ring, ring.next - 60);
        if (ring.last != one && other == NULL) {
            other = ring.last;
        }
        assert_true(ring.last == one || ring.last == other);
    }
    rn_send_ring_fini(&ring);
}

enum { CHUNK = sizeof(rn_send_chunk) + RN_SEND_CHUNK_BYTES };

static void what_is_abandoned_is_leaving(void **state) {
    rn_budget budget = {.limit = SIZE_MAX};
    rn_send_ring ring;
    (void)state;
    rn_send_ring_init(&ring, LIMIT, &budget);
    assert_int_equal(append(&ring, 2 * RN_SEND_CHUNK_BYTES + 1), RPCNET_OK);
    assert_int_equal(budget.used, 3 * CHUNK);
    rn_send_ring_sent(&ring, rn_send_ring_unsent(&ring));
    rn_send_ring_release(&ring, RN_SEND_CHUNK_BYTES);
    assert_int_equal(budget.used, 3 * CHUNK); /* one is kept for later */
    assert_int_equal(budget.leaving, 0);
    rn_send_ring_abandon(&ring);
    rn_send_ring_abandon(&ring);
    assert_int_equal(budget.used, 2 * CHUNK);
    assert_int_equal(budget.leaving, budget.used);
    rn_send_ring_release(&ring, UINT64_C(2) * RN_SEND_CHUNK_BYTES);
    assert_int_equal(budget.used, CHUNK);
    assert_int_equal(budget.leaving, budget.used);
    rn_send_ring_fini(&ring);
    assert_int_equal(budget.used, 0);
    assert_int_equal(budget.leaving, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_offsets),
        cmocka_unit_test(takes_exactly_its_limit),
        cmocka_unit_test(bytes_in_flight_stay_in_place),
        cmocka_unit_test(few_bytes_take_a_small_chunk),
        cmocka_unit_test(slow_messages_stay_in_the_small_chunk),
        cmocka_unit_test(the_small_chunk_goes_when_it_is_outgrown),
        cmocka_unit_test(a_flowing_stream_needs_no_new_memory),
        cmocka_unit_test(what_is_abandoned_is_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
