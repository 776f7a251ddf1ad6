/* A program that has more memory than there is room for, and counts the pages that it has and those that are
   lost to it: access to them is SIGBUS. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define PAGES 600

static sigjmp_buf before_access;

static void on_signal(int number)
{
    siglongjmp(before_access, number);
}

/* Not one word over and over, which takes no room. */
static unsigned word(unsigned page, unsigned at)
{
    return (page * 1024 + at) * 2654435761u;
}

int main(void)
{
    unsigned *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static volatile unsigned right, lost;
    if (memory == MAP_FAILED)
        return 2;
    signal(SIGBUS, on_signal);
    for (volatile unsigned page = 0; page < PAGES; page++)
        if (sigsetjmp(before_access, 1) == 0)
            for (unsigned at = 0; at < PAGE / 4; at++)
                memory[page * (PAGE / 4) + at] = word(page, at);
    for (volatile unsigned page = 0; page < PAGES; page++) {
        if (sigsetjmp(before_access, 1)) {
            lost++;
            continue;
        }
        for (unsigned at = 0; at < PAGE / 4; at++)
            if (memory[page * (PAGE / 4) + at] != word(page, at))
                return 3;
        right++;
    }
    printf("%u right, %u lost\n", right, lost);
    return 0;
}
