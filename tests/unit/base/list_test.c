/* Tests of base/list. */
#include "base/list.h"
#include "naive.h"

typedef struct item {
    int number;
    rn_list link;
} item;

static void check(rn_list *list, const int *numbers, size_t count) {
    rn_list *link;
    rn_list *after;
    size_t i = 0;
    RN_LIST_FOREACH(link, after, list) {
        assert_true(i < count);
        assert_int_equal(RN_CONTAINER_OF(link, item, link)->number, numbers[i]);
        assert_ptr_equal(link->next->prev, link);
        i++;
    }
    assert_int_equal(i, count);
    assert_int_equal(rn_list_empty(list), count == 0);
}

static void test_append_prepend_remove(void **state) {
    (void)state;
    item items[4];
    rn_list list;
    rn_list_init(&list);
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        rn_list_init(&items[i].link);
        assert_false(rn_list_linked(&items[i].link));
    }
    check(&list, NULL, 0);
    rn_list_append(&list, &items[1].link);
    rn_list_append(&list, &items[2].link);
    rn_list_prepend(&list, &items[0].link);
    rn_list_append(&list, &items[3].link);
    check(&list, (const int[]){0, 1, 2, 3}, 4);
    rn_list_remove(&items[2].link);
    rn_list_remove(&items[2].link);
    assert_false(rn_list_linked(&items[2].link));
    assert_true(rn_list_linked(&items[3].link));
    check(&list, (const int[]){0, 1, 3}, 3);
    rn_list *link;
    rn_list *after;
    RN_LIST_FOREACH(link, after, &list) {
        rn_list_remove(link);
    }
    check(&list, NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_append_prepend_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
