/* Counting, reading and writing on block devices, past the page cache. */
#define _GNU_SOURCE
#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ALIGNMENT 4096
#define BUFFER_BYTES 65536
#define SECTOR_BYTES 512
#define COUNT_NANOSECONDS 50000000L

static struct job counter;
static volatile unsigned long *last_count; /* shared with the counting process */
static struct job scribbler;
static volatile unsigned long *last_written; /* as last_count */
static char buffer[BUFFER_BYTES] __attribute__((aligned(ALIGNMENT)));

static int open_device(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", name[0] == '/' ? "" : "/dev/", name);
    return open(path, O_RDWR | O_DIRECT | O_SYNC | O_CLOEXEC);
}

static void count(int report, char **words)
{
    struct timespec pause = {.tv_nsec = COUNT_NANOSECONDS};
    int device = -1;
    if (strcmp(words[2], "-") && (device = open_device(words[2])) < 0) {
        job_report(report, "err %s: %s", words[2], strerror(errno));
        return;
    }
    job_report(report, "ok counting");
    for (unsigned long number = 1;; number++) {
        nanosleep(&pause, NULL);
        memset(buffer, 0, SECTOR_BYTES);
        snprintf(buffer, SECTOR_BYTES, "count %lu\n", number);
        if (device >= 0 && pwrite(device, buffer, SECTOR_BYTES, 0) != SECTOR_BYTES) {
            say("count failed: %s: %s", words[2], strerror(errno));
            return;
        }
        *last_count = number; /* on the disk before it is told */
        say("count %lu", number);
    }
}

/* Writes as fast as the disk takes it, over and over the same piece behind the first MiB. */
static void scribble(int report, char **words)
{
    unsigned long pieces = strtoul(words[3], NULL, 0) * (1 << 20) / BUFFER_BYTES;
    int device = open_device(words[2]);
    if (device < 0 || pieces == 0) {
        job_report(report, "err %s: %s", words[2], device < 0 ? strerror(errno) : "how many MiB?");
        return;
    }
    job_report(report, "ok scribbling");
    for (unsigned long written = 0;; written++) {
        memset(buffer, (int)(written / pieces), BUFFER_BYTES);
        if (pwrite(device, buffer, BUFFER_BYTES, (1 << 20) + written % pieces * BUFFER_BYTES) != BUFFER_BYTES) {
            say("scribble failed: %s: %s", words[2], strerror(errno));
            return;
        }
        *last_written = written + 1;
    }
}

void do_scribble(char **words)
{
    if (!last_written)
        last_written = mmap(NULL, ALIGNMENT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (words[1] && words[2] && words[3] && !strcmp(words[1], "start")) {
        if (!scribbler.pid)
            *last_written = 0;
        job_start(&scribbler, scribble, words);
    } else if (words[1] && !strcmp(words[1], "stop")) {
        if (job_end(&scribbler, SIGKILL))
            say("ok %lu", *last_written);
        else
            say("err scribble: not started");
    } else
        say("err scribble: start DEVICE MIB or stop");
}

void do_count(char **words)
{
    if (!last_count)
        last_count = mmap(NULL, ALIGNMENT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (words[1] && words[2] && !strcmp(words[1], "start")) {
        if (!counter.pid)
            *last_count = 0;
        job_start(&counter, count, words);
    } else if (words[1] && !strcmp(words[1], "stop")) {
        if (job_end(&counter, SIGKILL))
            say("ok %lu", *last_count);
        else
            say("err count: not started");
    } else
        say("err count: start DEVICE|- or stop");
}

/* Fills `buffer` with the aligned piece around [offset, offset + length); returns the piece's length or -1. */
static ssize_t load(int device, off_t offset, size_t length)
{
    size_t inside = offset % SECTOR_BYTES;
    size_t piece = (inside + length + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
    if (piece > sizeof buffer) {
        errno = EFBIG;
        return -1;
    }
    ssize_t got = pread(device, buffer, piece, offset - inside);
    if (got >= 0 && (size_t)got != piece) {
        errno = ENOSPC;
        return -1;
    }
    return got;
}

void do_read(char **words)
{
    static char text[4 * 900 + 1];
    if (!words[1] || !words[2] || !words[3]) {
        say("err read: DEVICE OFFSET LEN");
        return;
    }
    off_t offset = strtoll(words[2], NULL, 0);
    size_t length = strtoul(words[3], NULL, 0), used = 0;
    int device = open_device(words[1]);
    if (device < 0 || length > 900 || load(device, offset, length) < 0) {
        errno = length > 900 ? EFBIG : errno;
        say_error(words[1]);
    } else {
        const unsigned char *byte = (unsigned char *)buffer + offset % SECTOR_BYTES;
        for (; length--; byte++)
            used += sprintf(text + used, *byte >= ' ' && *byte < 127 && *byte != '\\' ? "%c" : "\\x%02x", *byte);
        text[used] = 0;
        say("ok %s", text);
    }
    if (device >= 0)
        close(device);
}

void do_write(char **words)
{
    if (!words[1] || !words[2] || !words[3]) {
        say("err write: DEVICE OFFSET TEXT");
        return;
    }
    off_t offset = strtoll(words[2], NULL, 0);
    size_t length = strlen(words[3]), inside = offset % SECTOR_BYTES;
    int device = open_device(words[1]);
    ssize_t piece = device < 0 ? -1 : load(device, offset, length);
    if (piece >= 0) {
        memcpy(buffer + inside, words[3], length);
        piece = pwrite(device, buffer, piece, offset - inside) == piece && !fsync(device) ? piece : -1;
    }
    if (piece < 0)
        say_error(words[1]);
    else
        say("ok wrote %zu", length);
    if (device >= 0)
        close(device);
}
