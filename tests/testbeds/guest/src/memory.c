/* Dirties memory in the background at a chosen rate, for migration tests. */
#include "shell.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define PAGES_PER_MIB 256
#define SLICE_NANOSECONDS 10000000L

static struct job dirtier;

static void dirty(int report, char **words)
{
    size_t pages = strtoul(words[1], NULL, 0) * PAGES_PER_MIB;
    double pages_per_slice = strtod(words[2], NULL) * PAGES_PER_MIB / 100, allowed = 0;
    struct timespec pause = {.tv_nsec = SLICE_NANOSECONDS}, before, now;
    volatile unsigned long *memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) {
        job_report(report, "err dirty: %s MiB: %s", words[1], strerror(errno));
        return;
    }
    job_report(report, "ok dirtying");
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (size_t page = 0;; page = (page + 1) % pages) {
        memory[page * (PAGE_BYTES / sizeof *memory)]++;
        while (pages_per_slice > 0 && (allowed -= 1) < 0) {
            nanosleep(&pause, NULL);
            clock_gettime(CLOCK_MONOTONIC, &now); /* by the clock: sleeps are longer than asked for */
            allowed += pages_per_slice * ((now.tv_sec - before.tv_sec) * 1e9 + now.tv_nsec - before.tv_nsec)
                       / SLICE_NANOSECONDS;
            before = now;
        }
    }
}

void do_dirty(char **words)
{
    if (words[1] && !strcmp(words[1], "stop"))
        say(job_end(&dirtier, SIGKILL) ? "ok stopped" : "err dirty: not started");
    else if (words[1] && words[2] && strtoul(words[1], NULL, 0) > 0)
        job_start(&dirtier, dirty, words);
    else
        say("err dirty: MIB RATE (MiB/s, 0 is unlimited) or stop");
}
