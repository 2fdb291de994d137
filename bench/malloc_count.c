/* malloc_count: counts a program's allocations by who made them. Preloaded:
 *
 *   MALLOC_COUNT_FILE=/tmp/count LD_PRELOAD=build/bench/malloc_count.so director ...
 *
 * The file holds a struct malloc_count (see bench/relay, which reads it while the program runs):
 * totals, and one slot for each place in the code that allocates. A place is the address that the
 * call returns to; `program` tells those in the program itself, where all of our own code is, from
 * those in shared libraries. One thread is enough for the programs measured here; another one's
 * counts may be lost, memory is not touched. */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PLACES = 4096 /* a power of two */ };

struct place {
    uint64_t address; /* 0: free */
    uint64_t calls;
    uint64_t bytes;
};

struct malloc_count {
    uint64_t ours;   /* allocations from the program's own code */
    uint64_t theirs; /* from shared libraries */
    uint64_t frees;
    uint64_t dropped; /* no slot was free */
    uint64_t program; /* where the program begins in memory */
    uint64_t program_end;
    struct place places[PLACES];
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

/* The counts exist before the file does: allocations happen before any constructor. */
static struct malloc_count before;
static struct malloc_count *counts = &before;

static void count(const void *caller, size_t size) {
    uint64_t address = (uint64_t)(uintptr_t)caller;
    if (address >= counts->program && address < counts->program_end) {
        counts->ours++;
    } else {
        counts->theirs++;
    }
    for (uint64_t i = 0; i < PLACES; i++) {
        struct place *place = &counts->places[((address * 0x9e3779b97f4a7c15U >> 40) + i) % PLACES];
        if (place->address == 0) {
            place->address = address;
        }
        if (place->address == address) {
            place->calls++;
            place->bytes += size;
            return;
        }
    }
    counts->dropped++;
}

void *malloc(size_t size) {
    count(__builtin_return_address(0), size);
    return __libc_malloc(size);
}

void *calloc(size_t amount, size_t size) {
    count(__builtin_return_address(0), amount * size);
    return __libc_calloc(amount, size);
}

void *realloc(void *memory, size_t size) {
    count(__builtin_return_address(0), size);
    return __libc_realloc(memory, size);
}

void free(void *memory) {
    counts->frees += memory != NULL;
    __libc_free(memory);
}

static int first_object(struct dl_phdr_info *info, size_t size, void *user) {
    struct malloc_count *out = user;
    (void)size;
    out->program = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uint64_t end = info->dlpi_addr + header->p_vaddr + header->p_memsz;
        if (header->p_type == PT_LOAD && end > out->program_end) {
            out->program_end = end;
        }
    }
    return 1; /* the program comes first */
}

__attribute__((constructor)) static void open_file(void) {
    const char *path = getenv("MALLOC_COUNT_FILE");
    int fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0) {
        return;
    }
    if (ftruncate(fd, sizeof *counts) == 0) {
        void *memory = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory != MAP_FAILED) {
            dl_iterate_phdr(first_object, memory);
            counts = memory;
        }
    }
    close(fd);
}
