/* A program that uses memory in every way that C has, and checks each byte: what it is given is zeros where
   it must be, and stays what was written. The first argument says which part is run. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define SHOULD(what)                                                                                            \
    do {                                                                                                        \
        if (!(what)) {                                                                                          \
            dprintf(2, "line %d: %s (errno %d)\n", __LINE__, #what, errno);                                     \
            _exit(3);                                                                                           \
        }                                                                                                       \
    } while (0)

extern char **environ;

static void fill(unsigned char *memory, size_t size, unsigned tag)
{
    for (size_t at = 0; at < size; at++)
        memory[at] = (unsigned char)(tag * 31 + at * 7 + at / PAGE);
}

static int holds(const unsigned char *memory, size_t size, unsigned tag)
{
    for (size_t at = 0; at < size; at++)
        if (memory[at] != (unsigned char)(tag * 31 + at * 7 + at / PAGE))
            return 0;
    return 1;
}

static int is_zero(const unsigned char *memory, size_t size)
{
    for (size_t at = 0; at < size; at++)
        if (memory[at])
            return 0;
    return 1;
}

static unsigned next(unsigned *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Sizes of all kinds: mostly small, now and then some pages, seldom large. */
static size_t some_size(unsigned *state)
{
    unsigned kind = next(state) % 64;
    if (kind == 0)
        return 1000000 + next(state) % 400000;
    return kind < 8 ? next(state) % 200000 : 1 + next(state) % 3000;
}

#define SLOTS 48

static void *allocate(void *number)
{
    unsigned state = 1 + (unsigned)(uintptr_t)number, tags[SLOTS];
    unsigned char *slots[SLOTS] = {0};
    size_t sizes[SLOTS];
    for (unsigned turn = 1; turn <= 300; turn++) {
        unsigned slot = next(&state) % SLOTS, how = next(&state) % 8;
        size_t size = some_size(&state);
        if (slots[slot]) {
            SHOULD(holds(slots[slot], sizes[slot], tags[slot]));
            if (how < 3) {
                unsigned char *moved = realloc(slots[slot], size);
                SHOULD(moved);
                SHOULD(holds(moved, size < sizes[slot] ? size : sizes[slot], tags[slot]));
                slots[slot] = moved;
            } else {
                free(slots[slot]);
                slots[slot] = NULL;
            }
        }
        if (!slots[slot]) {
            size_t align = (size_t)16 << next(&state) % 10;
            void *memory = NULL;
            if (how < 3) {
                memory = malloc(size);
            } else if (how == 3) {
                memory = calloc(1 + size / 8, 8);
                SHOULD(memory && is_zero(memory, size));
            } else if (how == 4) {
                SHOULD(posix_memalign(&memory, align, size) == 0 && (uintptr_t)memory % align == 0);
            } else if (how == 5) {
                memory = aligned_alloc(align, size);
                SHOULD((uintptr_t)memory % align == 0);
            } else if (how == 6) {
                memory = memalign(align, size);
                SHOULD((uintptr_t)memory % align == 0);
            } else {
                memory = reallocarray(NULL, 1 + size / 16, 16);
            }
            SHOULD(memory && (uintptr_t)memory % 16 == 0);
            SHOULD(malloc_usable_size(memory) >= size);
            if (size < 5000)
                size = malloc_usable_size(memory);
            slots[slot] = memory;
        }
        sizes[slot] = size;
        tags[slot] = turn;
        fill(slots[slot], size, turn);
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        SHOULD(!slots[slot] || holds(slots[slot], sizes[slot], tags[slot]));
        free(slots[slot]);
    }
    return NULL;
}

static void with_threads(void *(*work)(void *))
{
    pthread_t threads[3];
    for (uintptr_t number = 0; number < 3; number++)
        SHOULD(pthread_create(&threads[number], NULL, work, (void *)number) == 0);
    for (int number = 0; number < 3; number++)
        SHOULD(pthread_join(threads[number], NULL) == 0);
}

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOULD(memory != MAP_FAILED);
    return memory;
}

static sigjmp_buf before_access;

static void on_signal(int number)
{
    siglongjmp(before_access, number);
}

/* The signal that an access is, or 0. */
static int access_is(volatile unsigned char *place, int is_write)
{
    int number = sigsetjmp(before_access, 1);
    if (number == 0) {
        if (is_write)
            *place = 1;
        else
            (void)*place;
    }
    return number;
}

static void *mappings(void *number)
{
    unsigned tag = 7 + (unsigned)(uintptr_t)number;
    size_t size = 400 * PAGE;
    for (int turn = 0; turn < 2; turn++) {
        unsigned char *memory = map(size);
        SHOULD(is_zero(memory, size));
        fill(memory, size, tag);
        SHOULD(holds(memory, size, tag));
        SHOULD(madvise(memory + 100 * PAGE, 200 * PAGE, turn ? MADV_DONTNEED : MADV_FREE) == 0);
        if (turn)
            SHOULD(is_zero(memory + 100 * PAGE, 200 * PAGE));
        SHOULD(holds(memory, 100 * PAGE, tag));
        unsigned char *larger = mremap(memory, size, 2 * size, MREMAP_MAYMOVE);
        SHOULD(larger != MAP_FAILED && holds(larger, 100 * PAGE, tag) && is_zero(larger + size, size));
        fill(larger, 2 * size, tag + 1);
        SHOULD(mremap(larger, 2 * size, size, 0) == larger);
        SHOULD(holds(larger, size, tag + 1));
        SHOULD(mmap(larger + 50 * PAGE, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
               == larger + 50 * PAGE);
        SHOULD(is_zero(larger + 50 * PAGE, 10 * PAGE));
        SHOULD(holds(larger, 50 * PAGE, tag + 1));
        SHOULD(munmap(larger + 60 * PAGE, 40 * PAGE) == 0);
        SHOULD(holds(larger, 50 * PAGE, tag + 1));
        SHOULD(munmap(larger, size) == 0);
    }
    return NULL;
}

static int wait_for(pid_t child)
{
    int status;
    SHOULD(child > 0 && waitpid(child, &status, 0) == child);
    return status;
}

/* Pages of a piece of memory that are here. */
static size_t resident(void *memory, size_t size)
{
    unsigned char here[2048];
    size_t start = (uintptr_t)memory / PAGE * PAGE, pages = ((uintptr_t)memory + size - start + PAGE - 1) / PAGE;
    size_t count = 0;
    SHOULD(pages <= sizeof here && mincore((void *)start, pages * PAGE, here) == 0);
    for (size_t page = 0; page < pages; page++)
        count += here[page] & 1;
    return count;
}

/* What the program itself has protected and unmapped, it feels as ever. */
static void protection(void)
{
    signal(SIGSEGV, on_signal);
    size_t size = 64 * PAGE;
    /* Many times more of it than may be resident, which is 256 KiB. */
    unsigned char *much = map(20 * size);
    fill(much, 20 * size, 3);
    SHOULD(mprotect(much, 20 * size, PROT_READ) == 0);
    SHOULD(holds(much, 20 * size, 3) && resident(much, 20 * size) <= 64);
    SHOULD(access_is(much + 700 * PAGE, 1) == SIGSEGV);
    SHOULD(mprotect(much, 8 * size, PROT_NONE) == 0);
    SHOULD(holds(much + 8 * size, 12 * size, 3) && access_is(much + PAGE, 0) == SIGSEGV);
    pid_t child = fork();
    if (child == 0) {
        SHOULD(access_is(much + PAGE, 0) == SIGSEGV && access_is(much + 700 * PAGE, 1) == SIGSEGV);
        SHOULD(mprotect(much, 20 * size, PROT_READ) == 0);
        SHOULD(holds(much, 20 * size, 3) && resident(much, 20 * size) <= 64);
        _exit(0);
    }
    SHOULD(wait_for(child) == 0);
    SHOULD(mprotect(much, 20 * size, PROT_READ | PROT_WRITE) == 0);
    SHOULD(holds(much, 20 * size, 3));
    fill(much, 20 * size, 4);
    SHOULD(holds(much, 20 * size, 4));
    SHOULD(munmap(much, 20 * size) == 0);
    unsigned char *memory = map(size);
    fill(memory, size, 5);
    SHOULD(mprotect(memory, 16 * PAGE, PROT_READ) == 0);
    SHOULD(holds(memory, size, 5));
    SHOULD(access_is(memory + PAGE, 1) == SIGSEGV);
    SHOULD(access_is(memory + 16 * PAGE, 1) == 0);
    SHOULD(mprotect(memory, 16 * PAGE, PROT_NONE) == 0);
    SHOULD(access_is(memory + PAGE, 0) == SIGSEGV);
    SHOULD(mprotect(memory, 16 * PAGE, PROT_READ | PROT_WRITE) == 0);
    SHOULD(holds(memory, 16 * PAGE, 5));
    SHOULD(munmap(memory + 32 * PAGE, 32 * PAGE) == 0);
    SHOULD(access_is(memory + 40 * PAGE, 0) == SIGSEGV);
    SHOULD(holds(memory, 16 * PAGE, 5));
    SHOULD(munmap(memory, 32 * PAGE) == 0);
    SHOULD(access_is(memory, 0) == SIGSEGV);
}

/* The system reads and writes pages that are not there. */
static void system_calls(void)
{
    size_t size = 600 * PAGE;
    unsigned char *from = malloc(size), *to = calloc(1, size);
    FILE *file = tmpfile();
    SHOULD(from && to && file);
    fill(from, size, 9);
    fill(to, size, 1);
    SHOULD(write(fileno(file), from, size) == (ssize_t)size);
    SHOULD(pread(fileno(file), to, size, 0) == (ssize_t)size);
    SHOULD(holds(to, size, 9));
    fclose(file);
    /* And keeps what it has to tell a signal's handler, on a stack that is not there. */
    stack_t stack = {.ss_sp = malloc(16 * PAGE), .ss_size = 16 * PAGE};
    SHOULD(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    SHOULD(sigaction(SIGUSR1, &action, NULL) == 0);
    fill(from, size, 2);
    if (sigsetjmp(before_access, 1) == 0) {
        raise(SIGUSR1);
        SHOULD(!"a handler was called");
    }
    SHOULD(holds(to, size, 9));
}

/* Programs that are started are what they would be otherwise. */
static void start_programs(void)
{
    char *arguments[] = {"sh", "-c", "exit 5", NULL};
    unsigned char *memory = malloc(500 * PAGE);
    fill(memory, 500 * PAGE, 4);
    pid_t child;
    SHOULD(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ) == 0);
    SHOULD(WEXITSTATUS(wait_for(child)) == 5);
    child = vfork();
    if (child == 0) {
        execv("/bin/sh", arguments);
        _exit(9);
    }
    SHOULD(WEXITSTATUS(wait_for(child)) == 5);
    SHOULD(WEXITSTATUS(system("exit 6")) == 6);
    FILE *pipe = popen("echo a word", "r");
    char word[16] = "";
    SHOULD(pipe && fgets(word, sizeof word, pipe) && strcmp(word, "a word\n") == 0 && pclose(pipe) == 0);
    SHOULD(holds(memory, 500 * PAGE, 4));
}

static unsigned char *small, *large, *mapped;

static void fill_all(unsigned tag)
{
    fill(small, 90000, tag);
    fill(large, 500 * PAGE, tag + 1);
    fill(mapped, 300 * PAGE, tag + 2);
}

static int all_hold(unsigned tag)
{
    return holds(small, 90000, tag) && holds(large, 500 * PAGE, tag + 1) && holds(mapped, 300 * PAGE, tag + 2);
}

/* What a child does: it has what there was at the fork, and memory of its own. */
static void live_as_child(unsigned tag, int depth)
{
    unsigned char *of_parent = realloc(malloc(300000), 3000000);
    SHOULD(all_hold(tag));
    /* And no more of it is here than may be: 256 KiB. */
    SHOULD(resident(small, 90000) + resident(large, 500 * PAGE) + resident(mapped, 300 * PAGE) <= 64);
    fill_all(tag + 10);
    with_threads(allocate);
    with_threads(mappings);
    fill(of_parent, 3000000, 6);
    if (depth) {
        pid_t child = fork();
        if (child == 0) {
            live_as_child(tag + 10, depth - 1);
            _exit(0);
        }
        fill_all(tag + 20);
        SHOULD(wait_for(child) == 0);
        SHOULD(all_hold(tag + 20) && holds(of_parent, 3000000, 6));
        fill_all(tag + 10);
    }
    free(of_parent);
    SHOULD(all_hold(tag + 10));
    free(small);
    free(large);
    SHOULD(munmap(mapped, 300 * PAGE) == 0);
}

static volatile int is_over;

/* Memory that changes while others fork. */
static void *meanwhile(void *number)
{
    while (!is_over)
        allocate(number);
    return NULL;
}

/* A program may close whatever it does not know, take any number, and have few of them. */
static void descriptors(void)
{
    size_t size = 400 * PAGE;
    unsigned char *memory = malloc(size);
    pthread_t thread;
    fill(memory, size, 8);
    int null = open("/dev/null", O_RDWR), other = open("/dev/null", O_RDWR);
    SHOULD(null >= 0 && close(other) == 0);
    /* The lowest number that is free is the next one, whatever the library opens meanwhile. */
    SHOULD(pthread_create(&thread, NULL, meanwhile, NULL) == 0);
    for (int turn = 0; turn < 3000; turn++)
        SHOULD(open("/dev/null", O_RDWR) == other && close(other) == 0 && close(other) == -1);
    is_over = 1;
    SHOULD(pthread_join(thread, NULL) == 0);
    for (int number = 3; number < 1000; number++)
        SHOULD(dup2(null, number) == number);
    SHOULD(holds(memory, size, 8));
    for (int number = 3; number < 2000; number++)
        close(number);
    SHOULD(holds(memory, size, 8));
    fill(memory, size, 9);
    SHOULD(close_range(3, ~0U, 0) == 0 && fcntl(null, F_GETFD) == -1);
    SHOULD(holds(memory, size, 9));
    struct rlimit few = {32, 32};
    SHOULD(setrlimit(RLIMIT_NOFILE, &few) == 0);
    pid_t child = fork();
    if (child == 0) {
        SHOULD(open("/dev/null", O_RDWR) == 3);
        closefrom(3);
        SHOULD(holds(memory, size, 9));
        fill(memory, size, 7);
        SHOULD(holds(memory, size, 7));
        _exit(0);
    }
    int status;
    SHOULD(waitpid(child, &status, 0) == child && status == 0);
    SHOULD(holds(memory, size, 9));
}

static void forks(void)
{
    pthread_t thread;
    /* The C library touches its streams in the child before anything else, and they have left by then. */
    FILE *streams[40];
    for (int number = 0; number < 40; number++)
        SHOULD(streams[number] = tmpfile());
    small = malloc(90000);
    large = malloc(500 * PAGE);
    mapped = map(300 * PAGE);
    SHOULD(pthread_create(&thread, NULL, meanwhile, NULL) == 0);
    for (unsigned turn = 0; turn < 3; turn++) {
        fill_all(turn);
        pid_t child = fork();
        if (child == 0) {
            is_over = 1;
            live_as_child(turn, turn == 1);
            exit(0);
        }
        fill_all(turn + 50);
        SHOULD(wait_for(child) == 0);
        SHOULD(all_hold(turn + 50));
    }
    for (int number = 0; number < 40; number++)
        SHOULD(fputs("a word", streams[number]) >= 0 && fclose(streams[number]) == 0);
    is_over = 1;
    SHOULD(pthread_join(thread, NULL) == 0);
    fill_all(7);
    /* A child that nobody could prepare must not take zeros for its memory. */
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        syscall(SYS_exit_group, holds(mapped, 300 * PAGE, 9) ? 1 : 0);
    int status = wait_for(child);
    SHOULD(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    SHOULD(all_hold(7));
}

static int speaks_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 && strcmp(setlocale(LC_ALL, NULL), "C.UTF-8") == 0;
}

/* What the C library keeps for the whole process every thread reads when it begins, also one of the library in
   a child whose memory is not paged yet. */
static void locales(void)
{
    SHOULD(setlocale(LC_ALL, "C.UTF-8") && speaks_utf8());
    size_t size = 500 * PAGE;
    unsigned char *memory = map(size);
    for (unsigned turn = 0; turn < 10; turn++) {
        fill(memory, size, turn);
        pid_t child = fork();
        if (child == 0)
            _exit(speaks_utf8() && holds(memory, size, turn) ? 0 : 1);
        SHOULD(wait_for(child) == 0);
        SHOULD(speaks_utf8() && holds(memory, size, turn));
        /* For the next turn the tables are new ones. */
        SHOULD(setlocale(LC_ALL, "C") && setlocale(LC_ALL, "C.UTF-8"));
    }
}

/* Pieces that are small are freed in every order; the last one leaves no two neighbours until it is half done. */
static void pieces(void)
{
    enum { COUNT = 60000 };
    static unsigned char *pieces[COUNT];
    for (unsigned turn = 0; turn < 3; turn++) {
        for (unsigned at = 0; at < COUNT; at++) {
            SHOULD((pieces[at] = malloc(50 + at % 30)));
            fill(pieces[at], 50 + at % 30, at);
        }
        for (unsigned at = 0; at < COUNT; at++)
            SHOULD(holds(pieces[at], 50 + at % 30, at));
        for (unsigned at = 0; at < COUNT; at++) {
            unsigned orders[] = {at, COUNT - 1 - at, at * 2 % COUNT + at / (COUNT / 2)};
            free(pieces[orders[turn]]);
        }
    }
}

int main(int count, char **arguments)
{
    const char *part = count > 1 ? arguments[1] : "";
    /* With a second argument, whoever has started this is told that it runs. */
    if (count > 2)
        SHOULD(write(1, "begun\n", 6) == 6);
    if (strcmp(part, "allocate") == 0)
        with_threads(allocate);
    else if (strcmp(part, "pieces") == 0)
        pieces();
    else if (strcmp(part, "map") == 0)
        with_threads(mappings);
    else if (strcmp(part, "protect") == 0)
        protection();
    else if (strcmp(part, "system") == 0)
        system_calls();
    else if (strcmp(part, "start") == 0)
        start_programs();
    else if (strcmp(part, "descriptors") == 0)
        descriptors();
    else if (strcmp(part, "fork") == 0)
        forks();
    else if (strcmp(part, "locale") == 0)
        locales();
    else if (strcmp(part, "exec") == 0)
        execl("/proc/self/exe", arguments[0], "system", NULL);
    else if (strcmp(part, "abort") == 0)
        abort();
    else if (strcmp(part, "quick") == 0)
        _exit(42);
    else
        return 2;
    puts("every byte is right");
    return 0;
}
