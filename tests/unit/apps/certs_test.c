/* Tests of common/certs: the search for the folder, labels, the secret's text. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/certs.h"

static void make_folder(char *out, const char *root, const char *name, mode_t mode) {
    snprintf(out, PATH_MAX, "%s/%s", root, name);
    assert_int_equal(mkdir(out, 0700), 0);
    assert_int_equal(chmod(out, mode), 0);
}

static void make_file(const char *folder, const char *name) {
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

static void remove_all(const char *root) {
    static const char *const names[] = {
        "a/certs/ca.crt",    "a/certs",    "a/b/c",       "a/b",     "a",
        "open/certs/ca.crt", "open/certs", "open/x/y",    "open/x",  "open",
        "p/certs/ca.crt",    "p/certs",    "p/build/dev", "p/build", "p"};
    char path[PATH_MAX + 32];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", root, names[i]);
        remove(path);
    }
    remove(root);
}

static void found_is(const char *here, const char *program, const char *root,
                     const char *expected) {
    char found[PATH_MAX] = "unchanged";
    char wanted[PATH_MAX + 32];
    bool is_found = rn_certs_search(here, program, found);
    assert_int_equal(is_found, expected != NULL);
    if (expected != NULL) {
        snprintf(wanted, sizeof wanted, "%s/%s", root, expected);
        assert_string_equal(found, wanted);
    } else {
        assert_string_equal(found, "unchanged");
    }
}

static void test_search(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    char root[256];
    char here[PATH_MAX];
    char folder[PATH_MAX];
    char program[PATH_MAX + 16];
    snprintf(root, sizeof root, "%s/rpcnet-certs-XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(root));

    make_folder(folder, root, "a", 0755);
    make_folder(folder, root, "a/b", 0755);
    make_folder(here, root, "a/b/c", 0755);
    found_is(here, NULL, root, NULL);
    make_folder(folder, root, "a/certs", 0755);
    found_is(here, NULL, root, NULL); /* empty */
    make_file(folder, "ca.crt");
    found_is(here, NULL, root, "a/certs");
    snprintf(here, sizeof here, "%s/a", root);
    found_is(here, NULL, root, "a/certs");

    /* relative to the program, when there is none from here */
    make_folder(folder, root, "p", 0755);
    make_folder(folder, root, "p/build", 0755);
    make_folder(folder, root, "p/build/dev", 0755);
    snprintf(program, sizeof program, "%s/worker", folder);
    make_folder(folder, root, "p/certs", 0755);
    make_file(folder, "ca.crt");
    found_is(root, program, root, "p/certs");
    found_is(NULL, program, root, "p/certs");
    found_is(here, program, root, "a/certs"); /* from here comes first */

    /* where anyone may write, only the working directory itself is believed */
    make_folder(folder, root, "open", 0777);
    make_folder(folder, root, "open/certs", 0755);
    make_file(folder, "ca.crt");
    make_folder(folder, root, "open/x", 0755);
    make_folder(here, root, "open/x/y", 0755);
    found_is(here, NULL, root, NULL);
    snprintf(here, sizeof here, "%s/open", root);
    found_is(here, NULL, root, "open/certs");

    found_is("relative", "relative", root, NULL);
    remove_all(root);
}

static void test_label(void **state) {
    (void)state;
    static const char *const good[] = {"a", "worker-a", "W.1_x-", "0"};
    static const char *const bad[] = {"",    "-a",   ".a",  "_a",      "a b",
                                      "a/b", "../x", "a\n", "\xc3\xbc"};
    char label[RN_LABEL_MAX + 2];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(rn_label_is_valid(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(rn_label_is_valid(bad[i]));
    }
    for (size_t len = RN_LABEL_MAX - 1; len <= RN_LABEL_MAX + 1; len++) {
        memset(label, 'x', len);
        label[len] = '\0';
        assert_int_equal(rn_label_is_valid(label), len <= RN_LABEL_MAX);
    }
}

static const char digits[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
static const char older[] = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

static void is_not_secret(const char *text, size_t len) {
    rn_secret secret;
    memset(&secret, 0xAA, sizeof secret);
    assert_false(rn_secret_parse(text, len, &secret));
    assert_int_equal(secret.current[0], 0xAA); /* unchanged */
    assert_int_equal(secret.previous[0], 0xAA);
}

static void test_secret(void **state) {
    (void)state;
    rn_secret secret;
    char text[80];
    assert_true(rn_secret_parse(digits, 64, &secret));
    for (unsigned i = 0; i < RPCNET_SECRET_LEN; i++) {
        assert_int_equal(secret.current[i], i);
    }
    assert_false(secret.changed);
    assert_null(rn_secret_previous(&secret));
    snprintf(text, sizeof text, " \n%s\r\n", digits);
    assert_true(rn_secret_parse(text, strlen(text), &secret));
    is_not_secret(digits, 63);
    is_not_secret(digits, 0);
    snprintf(text, sizeof text, "%s0", digits);
    is_not_secret(text, 65);
    static const char wrong[] = {'g', 'G', '/', ':', '@', '`', ' ', '\0'};
    for (size_t i = 0; i < sizeof wrong; i++) {
        strcpy(text, digits);
        text[31] = wrong[i];
        is_not_secret(text, 64);
    }
}

static void test_changed_secret(void **state) {
    (void)state;
    rn_secret secret;
    char text[256];
    snprintf(text, sizeof text, "%s\n%s\n", digits, older);
    assert_true(rn_secret_parse(text, strlen(text), &secret));
    assert_true(secret.changed);
    assert_int_equal(secret.current[1], 0x01);
    assert_int_equal(secret.previous[1], 0xee);
    assert_ptr_equal(rn_secret_previous(&secret), secret.previous);
    rn_secret_wipe(&secret);
    assert_int_equal(secret.current[1], 0);
    assert_int_equal(secret.previous[RPCNET_SECRET_LEN - 1], 0);

    is_not_secret(text, strlen(text) - 2); /* the second one is cut */
    snprintf(text, sizeof text, "%s%s", digits, older);
    is_not_secret(text, strlen(text));
    snprintf(text, sizeof text, "%s\n%s\n%s\n", digits, older, digits);
    is_not_secret(text, strlen(text));
    snprintf(text, sizeof text, "nonsense\n%s\n", digits);
    is_not_secret(text, strlen(text));
    snprintf(text, sizeof text, "%s\nnonsense\n", digits);
    is_not_secret(text, strlen(text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_label),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_changed_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
