/* Tests of base/file: what is read, what is refused unread, and that nothing waits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "naive.h"

enum { MAX = 16, PATH_SIZE = 128, ALARM_S = 30 /* a read that waits is a failure, not a hang */ };

static char folder[] = "/tmp/rpcnet-file-XXXXXX";

static const char *path_of(const char *name, char out[PATH_SIZE]) {
    snprintf(out, PATH_SIZE, "%s/%s", folder, name);
    return out;
}

static const char *write_file(const char *name, const char *text, char out[PATH_SIZE]) {
    FILE *file = fopen(path_of(name, out), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return out;
}

static int count_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static int read_at(const char *path) {
    char bytes[MAX];
    size_t len = 1;
    int open_before = count_descriptors();
    int result = rn_file_read(path, bytes, sizeof bytes, &len);
    assert_int_equal(count_descriptors(), open_before);
    return result;
}

static void test_regular(void **state) {
    (void)state;
    static const char *const texts[] = {"", "a", "fifteen bytes..", "sixteen bytes..."};
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char bytes[MAX];
        size_t len = 99;
        assert_int_equal(rn_file_read(write_file("file", texts[i], path), bytes, MAX, &len), 0);
        assert_int_equal(len, strlen(texts[i]));
        assert_memory_equal(bytes, texts[i], len);
    }
    char link[PATH_SIZE];
    assert_int_equal(symlink(path, path_of("link", link)), 0);
    assert_int_equal(read_at(link), 0);
}

static void test_too_large(void **state) {
    (void)state;
    char path[PATH_SIZE];
    char bytes[MAX + 1] = {0};
    size_t len;
    bytes[MAX] = 'x';
    write_file("large", "seventeen bytes..", path);
    assert_int_equal(rn_file_read(path, bytes, MAX, &len), EFBIG);
    assert_int_equal(bytes[MAX], 'x');
    assert_int_equal(rn_file_read(path, bytes, 0, &len), EFBIG);
    /* A hole without end costs neither time nor memory. */
    assert_int_equal(truncate(path, (off_t)1 << 40), 0);
    assert_int_equal(read_at(path), EFBIG);
}

static void test_what_is_no_file(void **state) {
    (void)state;
    char path[PATH_SIZE];
    char link[PATH_SIZE];
    assert_int_equal(mkfifo(path_of("fifo", path), 0600), 0);
    assert_int_equal(read_at(path), RN_FILE_IRREGULAR);
    assert_int_equal(symlink(path, path_of("link-to-fifo", link)), 0);
    assert_int_equal(read_at(link), RN_FILE_IRREGULAR);
    /* With a writer and something to read it is no better. */
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "text", 4), 4);
    assert_int_equal(read_at(path), RN_FILE_IRREGULAR);
    close(fd);
    assert_int_equal(read_at("/dev/zero"), RN_FILE_IRREGULAR);
    assert_int_equal(read_at("/dev/null"), RN_FILE_IRREGULAR);
    assert_int_equal(read_at(folder), EISDIR);
    assert_int_equal(read_at(path_of("nothing", path)), ENOENT);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path_of("socket", path));
    assert_true(len < sizeof address.sun_path);
    memcpy(address.sun_path, path, len);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_not_equal(read_at(path), 0);
    close(fd);
}

static void test_words(void **state) {
    (void)state;
    assert_string_equal(rn_file_error(RN_FILE_IRREGULAR), "is no regular file");
    assert_string_equal(rn_file_error(ENOENT), "No such file or directory");
    assert_non_null(strstr(rn_file_error(EMFILE), "ulimit"));
    assert_string_equal(rn_file_error(ENFILE), rn_file_error(EMFILE));
}

static int set_up(void **state) {
    (void)state;
    alarm(ALARM_S);
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int tear_down(void **state) {
    static const char *const names[] = {"file", "link", "large", "fifo", "link-to-fifo", "socket"};
    char path[PATH_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unlink(path_of(names[i], path));
    }
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regular),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_what_is_no_file),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
