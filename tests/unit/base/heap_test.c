/* Tests of base/heap beside a search of all nodes. */
#include <string.h>

#include "base/heap.h"
#include "naive.h"
#include "rpcnet/error.h"

enum { NODES = 200 };

static void run(uint64_t seed, uint64_t keys) {
    naive_random random = naive_seed(seed);
    rn_heap_node nodes[NODES];
    uint64_t naive[NODES];
    bool in[NODES] = {false};
    size_t len = 0;
    rn_heap heap;
    rn_heap_init(&heap);
    memset(nodes, 0, sizeof nodes);
    for (size_t step = 0; step < 20000; step++) {
        size_t i = naive_below(&random, NODES);
        uint64_t choice = naive_below(&random, 8);
        if (choice < 5) {
            naive[i] = naive_below(&random, 50) == 0 ? UINT64_MAX : naive_below(&random, keys);
            NAIVE_CHECK(&random, step, rn_heap_set(&heap, &nodes[i], naive[i]) == RPCNET_OK);
            len += in[i] ? 0 : 1;
            in[i] = true;
        } else if (choice < 7 || len == 0) {
            rn_heap_remove(&heap, &nodes[i]);
            len -= in[i] ? 1 : 0;
            in[i] = false;
        } else {
            rn_heap_node *first = rn_heap_first(&heap);
            i = (size_t)(first - nodes);
            NAIVE_CHECK(&random, step, i < NODES && in[i]);
            rn_heap_remove(&heap, first);
            len--;
            in[i] = false;
        }
        uint64_t smallest = UINT64_MAX;
        for (size_t j = 0; j < NODES; j++) {
            NAIVE_CHECK(&random, step, (nodes[j].index != 0) == in[j]);
            if (in[j] && naive[j] < smallest) {
                smallest = naive[j];
            }
        }
        const rn_heap_node *first = rn_heap_first(&heap);
        NAIVE_CHECK(&random, step, heap.len == len && (first != NULL) == (len > 0));
        NAIVE_CHECK(&random, step, first == NULL || first->key == smallest);
    }
    uint64_t last = 0;
    while (rn_heap_first(&heap) != NULL) {
        rn_heap_node *first = rn_heap_first(&heap);
        NAIVE_CHECK(&random, 0, first->key >= last && first->key == naive[first - nodes]);
        last = first->key;
        rn_heap_remove(&heap, first);
        len--;
    }
    NAIVE_CHECK(&random, 0, len == 0);
    rn_heap_fini(&heap);
}

static void test_against_a_search_of_all(void **state) {
    (void)state;
    run(1, 1000000);
    run(2, 10);
    run(3, 1);
}

static void test_empty(void **state) {
    (void)state;
    rn_heap heap;
    rn_heap_node node = {.key = 0};
    rn_heap_init(&heap);
    assert_null(rn_heap_first(&heap));
    rn_heap_remove(&heap, &node);
    assert_int_equal(rn_heap_set(&heap, &node, 5), RPCNET_OK);
    assert_ptr_equal(rn_heap_first(&heap), &node);
    rn_heap_remove(&heap, &node);
    rn_heap_remove(&heap, &node);
    assert_null(rn_heap_first(&heap));
    rn_heap_fini(&heap);
    rn_heap_fini(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_search_of_all),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
