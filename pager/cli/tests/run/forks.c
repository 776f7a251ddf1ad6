/* A program whose threads fork all the time, while others allocate and use the C library's streams. The argument
   is how often each of them forks. Whatever lock a thread holds when another one forks, the child has it free. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 100
#define THREADS 4

static unsigned long most;
static volatile int is_over;

#define SHOULD(what) \
    do { \
        if (!(what)) { \
            dprintf(2, "line %d: %s: %s\n", __LINE__, #what, strerror(errno)); \
            abort(); \
        } \
    } while (0)

static unsigned word(unsigned tag, unsigned page, unsigned at)
{
    return (tag * 4096 + page * 1024 + at) * 2654435761u;
}

static void fill(unsigned *memory, unsigned tag)
{
    for (unsigned page = 0; page < PAGES; page++)
        for (unsigned at = 0; at < PAGE / 4; at += 64)
            memory[page * (PAGE / 4) + at] = word(tag, page, at);
}

static int holds(unsigned *memory, unsigned tag)
{
    for (unsigned page = 0; page < PAGES; page++)
        for (unsigned at = 0; at < PAGE / 4; at += 64)
            if (memory[page * (PAGE / 4) + at] != word(tag, page, at))
                return 0;
    return 1;
}

/* What takes locks of the library and of the C library. */
static void use_all(void)
{
    char *line = NULL;
    size_t room = 0;
    FILE *file = tmpfile();
    SHOULD(file && fprintf(file, "%0300d\n", 7) == 301);
    rewind(file);
    SHOULD(getline(&line, &room, file) == 301);
    free(line);
    fclose(file);
    void *memory = mmap(NULL, 20 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOULD(memory != MAP_FAILED);
    memset(memory, 3, 20 * PAGE);
    SHOULD(munmap(memory, 20 * PAGE) == 0);
    char *large = malloc(2000000);
    SHOULD(large && (large[1999999] = 1));
    free(large);
}

static void *meanwhile(void *unused)
{
    while (!is_over) {
        use_all();
        fflush(NULL);
    }
    return unused;
}

static void *run(void *number)
{
    unsigned *memory = malloc(PAGES * PAGE), tag = (unsigned)(size_t)number << 16;
    SHOULD(memory);
    for (unsigned long turn = 0; turn < most; turn++) {
        fill(memory, ++tag);
        pid_t child = fork();
        if (child == 0) {
            if (turn % 2)
                use_all();
            SHOULD(holds(memory, tag));
            _exit(7);
        }
        SHOULD(child > 0);
        fill(memory, ++tag);
        int status;
        SHOULD(waitpid(child, &status, 0) == child);
        SHOULD(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        SHOULD(holds(memory, tag));
    }
    free(memory);
    return NULL;
}

int main(int count, char **arguments)
{
    pthread_t threads[THREADS], other;
    most = count > 1 ? strtoul(arguments[1], NULL, 10) : 0;
    SHOULD(pthread_create(&other, NULL, meanwhile, NULL) == 0);
    for (size_t number = 0; number < THREADS; number++)
        SHOULD(pthread_create(&threads[number], NULL, run, (void *)number) == 0);
    for (size_t number = 0; number < THREADS; number++)
        SHOULD(pthread_join(threads[number], NULL) == 0);
    is_over = 1;
    SHOULD(pthread_join(other, NULL) == 0);
    printf("%lu forks: every byte is right\n", THREADS * most);
    return 0;
}
