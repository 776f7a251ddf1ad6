/* A program that has more memory than there is room for, and counts the pages that it has and those that are
   lost to it: access to them is SIGBUS. The first argument is how many pages it has. With a second one it says
   where it is and waits for a line: before it writes the second half of them, before it reads the first one, and
   before it reads the second one. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096

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

static unsigned *memory;
static int asks;

static void write_pages(unsigned first, unsigned end)
{
    for (volatile unsigned page = first; page < end; page++)
        if (sigsetjmp(before_access, 1) == 0)
            for (unsigned at = 0; at < PAGE / 4; at++)
                memory[page * (PAGE / 4) + at] = word(page, at);
}

/* Not by streams, whose memory may be lost as any other. */
static void tell(const char *text, int length)
{
    if (write(1, text, (size_t)length) != length)
        exit(4);
}

static int read_pages(unsigned first, unsigned end)
{
    static volatile unsigned right, lost;
    right = lost = 0;
    for (volatile unsigned page = first; page < end; page++) {
        if (sigsetjmp(before_access, 1)) {
            lost++;
            continue;
        }
        for (unsigned at = 0; at < PAGE / 4; at++)
            if (memory[page * (PAGE / 4) + at] != word(page, at))
                return 0;
        right++;
    }
    char line[64];
    tell(line, snprintf(line, sizeof line, "%u right, %u lost\n", right, lost));
    return 1;
}

static void wait_for_a_line(const char *before)
{
    char line[8];
    if (!asks)
        return;
    tell(before, (int)strlen(before));
    if (read(0, line, sizeof line) < 1)
        exit(4);
}

int main(int count, char **arguments)
{
    unsigned pages = count > 1 ? (unsigned)atoi(arguments[1]) : 0;
    asks = count > 2;
    memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 2;
    signal(SIGBUS, on_signal);
    write_pages(0, pages / 2);
    wait_for_a_line("write\n");
    write_pages(pages / 2, pages);
    wait_for_a_line("read first\n");
    if (!read_pages(0, pages / 2))
        return 3;
    wait_for_a_line("read second\n");
    return read_pages(pages / 2, pages) ? 0 : 3;
}
