/* What only a guest of Xen can do: the raw watchdog hypercall, suspending itself. */
#define _GNU_SOURCE
#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SCHED_OP 29        /* xen/include/public/xen.h */
#define SCHEDOP_WATCHDOG 6 /* xen/include/public/sched.h */
#define XS_WRITE 11        /* xen/include/public/io/xs_wire.h */
#define PAGE_BYTES 4096

struct hypercall { /* include/uapi/xen/privcmd.h */
    uint64_t number, arguments[5];
};

static struct job kicker;

/* SCHEDOP_watchdog; -1 with errno. The kernel lets a guest do this only with xen_privcmd's unrestricted=1. */
static int watchdog(unsigned id, unsigned seconds)
{
    static int device = -1;
    static struct {
        uint32_t id, seconds;
    } *order;
    if (device < 0 && (device = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC)) < 0)
        return -1;
    if (!order) /* locked: the hypervisor reads it in place */
        order = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
    order->id = id;
    order->seconds = seconds;
    struct hypercall call = {SCHED_OP, {SCHEDOP_WATCHDOG, (uintptr_t)order}};
    return ioctl(device, _IOC(_IOC_NONE, 'P', 0, sizeof call), &call);
}

static void kick(int report, char **words)
{
    int seconds = words[3] ? atoi(words[3]) : 0, id = seconds > 0 ? watchdog(0, seconds) : -1;
    if (id < 0) {
        job_report(report, "err xen: %s", seconds > 0 ? strerrorname_np(errno) : "how many seconds?");
        return;
    }
    job_report(report, "ok kicking %d", id);
    struct timespec pause = {.tv_sec = seconds / 4, .tv_nsec = seconds % 4 * 250000000L};
    do
        nanosleep(&pause, NULL);
    while (!watchdog(id, seconds));
    say("kicker ended: %s", strerrorname_np(errno));
}

/* What `xl save` does to a guest, done by the guest: the kernel watches this key of its own. */
static void suspend(void)
{
    static const char key_and_value[] = "control/shutdown\0suspend";
    struct {
        uint32_t type, request, transaction, length;
        char content[sizeof key_and_value - 1];
    } message = {XS_WRITE, 1, 0, sizeof message.content, {0}};
    memcpy(message.content, key_and_value, sizeof message.content);
    int store = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
    if (store < 0 || write(store, &message, sizeof message) != sizeof message)
        say_error("/dev/xen/xenbus");
    else
        say("ok suspending");
    if (store >= 0)
        close(store);
}

void do_xen(char **words)
{
    const char *what = words[1] ? words[1] : "", *how = words[2] ? words[2] : "";
    if (!strcmp(what, "watchdog") && words[2] && words[3]) {
        int result = watchdog(strtoul(words[2], NULL, 0), strtoul(words[3], NULL, 0));
        if (result < 0)
            say("err xen: %s", strerrorname_np(errno));
        else
            say("ok %d", result);
    } else if (!strcmp(what, "kick") && !strcmp(how, "start"))
        job_start(&kicker, kick, words);
    else if (!strcmp(what, "kick") && !strcmp(how, "kill"))
        say(job_end(&kicker, SIGKILL) ? "ok killed" : "err xen: not started");
    else if (!strcmp(what, "suspend"))
        suspend();
    else
        say("err xen: watchdog ID SECONDS, kick start SECONDS, kick kill or suspend");
}
