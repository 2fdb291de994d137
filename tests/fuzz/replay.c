/* replay: the main of targets in builds without libFuzzer. Runs the target on each file that is
 * named, and on each file of each folder that is named. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

enum { INPUT_MAX = 1 << 20, FILES_MAX = 4096 };

static bool replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    if (file == NULL || data == NULL) {
        (void)fprintf(stderr, "replay: cannot read %s\n", path);
        free(data);
        if (file != NULL) {
            (void)fclose(file);
        }
        return false;
    }
    size_t len = fread(data, 1, INPUT_MAX, file);
    (void)fclose(file);
    uint8_t *exact = fuzz_copy(rn_bytes_of(data, len));
    free(data);
    (void)fprintf(stderr, "%s\n", path); /* the last one before a failed assertion is the one */
    int result = LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    return result == 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In the order of their names. Returns how many ran; -1: one could not be read. */
static int replay_folder(const char *path) {
    char *names[FILES_MAX];
    int count = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        (void)fprintf(stderr, "replay: cannot read %s\n", path);
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL && count < FILES_MAX;) {
        char file[PATH_MAX];
        if (entry->d_name[0] != '.') {
            (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            names[count++] = strdup(file);
        }
    }
    (void)closedir(folder);
    qsort(names, (size_t)count, sizeof names[0], by_name);
    bool ok = true;
    for (int i = 0; i < count; i++) {
        ok = replay_file(names[i]) && ok;
        free(names[i]);
    }
    return ok ? count : -1;
}

int main(int argc, char *argv[]) {
    int count = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        bool folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        int ran = folder ? replay_folder(argv[i]) : replay_file(argv[i]) ? 1 : -1;
        if (ran < 0) {
            return 1;
        }
        count += ran;
    }
    (void)printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
