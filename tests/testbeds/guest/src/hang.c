/* Hangs the guest's kernel for real, in three ways. */
#define _GNU_SOURCE
#include "hang_module.h"
#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define MODULE "/lib/hang.ko"
#define RUNQUEUE_BYTES 2048

/* One hung CPU leaves the others alive, so the others are taken away first. */
static void keep_one_cpu(void)
{
    char path[64];
    for (int cpu = 1; cpu < 256; cpu++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/online", cpu);
        if (write_text(path, "0") && errno == ENOENT)
            break;
    }
}

static unsigned long kernel_symbol(const char *wanted)
{
    char line[256], name[128];
    unsigned long value, found = 0;
    FILE *symbols = fopen("/proc/kallsyms", "re");
    while (symbols && !found && fgets(line, sizeof line, symbols))
        if (sscanf(line, "%lx %*c %127s", &value, name) == 2 && !strcmp(name, wanted))
            found = value;
    if (symbols)
        fclose(symbols);
    return found;
}

static void load_hang_module(unsigned long per_cpu_offset, unsigned long length_bytes)
{
    static char image[65536];
    int file = open(MODULE, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, image, sizeof image);
    struct hang_arguments *arguments = size < 0 ? NULL : memmem(image, size, HANG_MARK, sizeof HANG_MARK);
    if (!arguments) {
        say_error(MODULE);
        return;
    }
    arguments->per_cpu_offset = per_cpu_offset;
    arguments->length_bytes = length_bytes;
    keep_one_cpu();
    say("ok hanging");
    tcdrain(1);
    if (syscall(SYS_init_module, image, size, ""))
        say_error(MODULE);
}

void do_hang(char **words)
{
    const char *way = words[1] ? words[1] : "";
    if (!strcmp(way, "irqs-off"))
        load_hang_module(0, 0);
    else if (!strcmp(way, "panic")) {
        say("ok hanging");
        tcdrain(1);
        if (write_text("/proc/sysrq-trigger", "c"))
            say_error("/proc/sysrq-trigger");
    } else if (!strcmp(way, "corrupt")) {
        unsigned long runqueues = kernel_symbol("runqueues");
        if (runqueues)
            load_hang_module(runqueues, RUNQUEUE_BYTES); /* the scheduler's data of the CPU we run on */
        else
            say("err hang: the kernel names no symbol runqueues");
    } else
        say("err hang: irqs-off, panic or corrupt");
}
