/* A program that maps memory by chance, writes it, reads it back, discards it, grows it, unmaps it and forks,
   in several threads, and knows of each page what it has to hold. The argument is how long: `600s`, or how
   many steps each thread takes, `2000`. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define THREADS 4
#define REGIONS 8
#define MOST_PAGES 1024
/* A step in so many is a fork, which brings all memory in. */
#define FORK_EVERY 400

/* Memory, and for each page which write was the last; none means zeros. */
struct region {
    uint64_t *memory;
    unsigned pages;
    int is_mapped;
    unsigned writes[MOST_PAGES];
};

struct thread {
    unsigned number;
    unsigned long steps, forks, maps, writes, discards, checks;
    struct region regions[REGIONS];
};

static struct thread threads[THREADS];
static time_t end;
static unsigned long most_steps;

static void fail(const char *what, const struct thread *thread, unsigned page)
{
    dprintf(2, "%s: thread %u, step %lu, page %u\n", what, thread->number, thread->steps, page);
    abort();
}

static unsigned next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33);
}

static uint64_t word(const struct thread *thread, const struct region *region, unsigned page, unsigned at)
{
    uint64_t place = (uint64_t)thread->number << 56 | (uint64_t)(region - thread->regions) << 48;
    /* Every third write is one word over and over, which pagers keep in no room. */
    unsigned write = region->writes[page];
    return write == 0 ? 0 : (place ^ (uint64_t)write << 20 ^ page) * (write % 3 == 0 ? 1 : 2 * at + 1);
}

static void fill(struct thread *thread, struct region *region, unsigned page)
{
    region->writes[page] = (unsigned)++thread->writes;
    for (unsigned at = 0; at < PAGE / 8; at++)
        region->memory[page * (PAGE / 8) + at] = word(thread, region, page, at);
}

static void check(struct thread *thread, struct region *region, unsigned page)
{
    thread->checks++;
    for (unsigned at = 0; at < PAGE / 8; at++)
        if (region->memory[page * (PAGE / 8) + at] != word(thread, region, page, at))
            fail("a page does not hold what was written", thread, page);
}

static void give_back(struct region *region)
{
    if (region->is_mapped)
        munmap(region->memory, (size_t)region->pages * PAGE);
    else
        free(region->memory);
    region->memory = NULL;
}

static void take(struct thread *thread, struct region *region, uint64_t *random)
{
    size_t size;
    region->pages = 1 + next(random) % MOST_PAGES;
    region->is_mapped = next(random) % 2;
    size = (size_t)region->pages * PAGE;
    memset(region->writes, 0, sizeof region->writes);
    if (region->is_mapped)
        region->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    else
        region->memory = calloc(1, size);
    if (region->memory == MAP_FAILED || region->memory == NULL)
        fail("there is no memory", thread, region->pages);
    thread->maps++;
}

static void grow(struct thread *thread, struct region *region, uint64_t *random)
{
    unsigned pages = 1 + next(random) % MOST_PAGES, kept = pages < region->pages ? pages : region->pages;
    void *memory;
    if (region->is_mapped) {
        memory = mremap(region->memory, (size_t)region->pages * PAGE, (size_t)pages * PAGE, MREMAP_MAYMOVE);
        if (memory == MAP_FAILED)
            fail("mremap", thread, pages);
    } else {
        memory = realloc(region->memory, (size_t)pages * PAGE);
        if (memory == NULL)
            fail("realloc", thread, pages);
    }
    region->memory = memory;
    region->pages = pages;
    memset(region->writes + kept, 0, (MOST_PAGES - kept) * sizeof *region->writes);
    /* What realloc adds holds anything. */
    for (unsigned page = kept; !region->is_mapped && page < pages; page++)
        fill(thread, region, page);
}

static void check_all(struct thread *thread)
{
    for (struct region *region = thread->regions; region < thread->regions + REGIONS; region++)
        for (unsigned page = 0; region->memory != NULL && page < region->pages; page++)
            check(thread, region, page);
}

/* The child has the memory as it is now, whatever the parent does to it meanwhile. */
static void fork_and_check(struct thread *thread)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        check_all(thread);
        for (struct region *region = thread->regions; region < thread->regions + REGIONS; region++)
            for (unsigned page = 0; region->memory != NULL && page < region->pages; page += 7)
                fill(thread, region, page);
        check_all(thread);
        _exit(0);
    }
    for (struct region *region = thread->regions; region < thread->regions + REGIONS; region++)
        for (unsigned page = 0; region->memory != NULL && page < region->pages; page += 5)
            fill(thread, region, page);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail("a child", thread, (unsigned)child);
    thread->forks++;
}

static void step(struct thread *thread, uint64_t *random)
{
    struct region *region = &thread->regions[next(random) % REGIONS];
    unsigned first, count;
    if (next(random) % FORK_EVERY == 0)
        fork_and_check(thread);
    if (region->memory == NULL) {
        take(thread, region, random);
        return;
    }
    first = next(random) % region->pages;
    count = 1 + next(random) % 32;
    if (count > region->pages - first)
        count = region->pages - first;
    switch (next(random) % 32) {
    case 0:
        give_back(region);
        break;
    case 1:
        grow(thread, region, random);
        break;
    case 2:
        if (region->is_mapped) {
            if (madvise((char *)region->memory + (size_t)first * PAGE, (size_t)count * PAGE, MADV_DONTNEED))
                fail("madvise", thread, first);
            memset(region->writes + first, 0, count * sizeof *region->writes);
            thread->discards += count;
        }
        break;
    default:
        if (next(random) % 2)
            for (unsigned page = first; page < first + count; page++)
                fill(thread, region, page);
        else
            for (unsigned page = first; page < first + count; page++)
                check(thread, region, page);
    }
}

static void *run(void *argument)
{
    struct thread *thread = argument;
    uint64_t random = 0x9e3779b97f4a7c15u * (thread->number + 1);
    while (most_steps ? thread->steps < most_steps : time(NULL) < end) {
        step(thread, &random);
        thread->steps++;
    }
    check_all(thread);
    return NULL;
}

int main(int count, char **arguments)
{
    pthread_t ids[THREADS];
    struct thread all = { 0 };
    char *unit;
    unsigned long number = strtoul(count == 2 ? arguments[1] : "", &unit, 10);
    if (number == 0) {
        dprintf(2, "soak STEPS, or soak SECONDSs\n");
        return 2;
    }
    if (*unit == 's')
        end = time(NULL) + (time_t)number;
    else
        most_steps = number;
    for (unsigned at = 0; at < THREADS; at++) {
        threads[at].number = at;
        if (pthread_create(&ids[at], NULL, run, &threads[at]))
            return 3;
    }
    for (unsigned at = 0; at < THREADS; at++) {
        pthread_join(ids[at], NULL);
        all.steps += threads[at].steps;
        all.maps += threads[at].maps;
        all.writes += threads[at].writes;
        all.checks += threads[at].checks;
        all.discards += threads[at].discards;
        all.forks += threads[at].forks;
    }
    printf("%lu steps, %lu maps, %lu pages written, %lu checked, %lu discarded, %lu forks: every byte is right\n",
           all.steps, all.maps, all.writes, all.checks, all.discards, all.forks);
    return 0;
}
