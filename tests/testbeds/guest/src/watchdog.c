/* The standard Linux watchdog interface: a kicker process, boot status, time left. */
#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DEVICE "/dev/watchdog"
#define CLASS "/sys/class/watchdog/watchdog0/"

static struct job kicker;
static volatile sig_atomic_t stop_wanted;

static void on_stop(int number)
{
    (void)number;
    stop_wanted = 1;
}

static void kick(int report, char **words)
{
    int seconds = words[2] ? atoi(words[2]) : 0, granted = 0;
    struct watchdog_info info = {0};
    int device = open(DEVICE, O_WRONLY);
    if (device < 0) {
        job_report(report, "err " DEVICE ": %s", strerror(errno));
        return;
    }
    if (ioctl(device, WDIOC_SETTIMEOUT, &seconds) || ioctl(device, WDIOC_KEEPALIVE, 0)) {
        int reason = errno;
        if (write(device, "V", 1) != 1)
            reason = errno;
        job_report(report, "err " DEVICE ": time-out of %s s: %s", words[2] ? words[2] : "?", strerror(reason));
        return;
    }
    ioctl(device, WDIOC_GETTIMEOUT, &granted);
    ioctl(device, WDIOC_GETSUPPORT, &info);
    struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGTERM, &action, NULL);
    job_report(report, "ok timeout %d identity %s", granted, (char *)info.identity);
    struct timespec pause = {.tv_sec = granted / 4, .tv_nsec = granted % 4 * 250000000L};
    while (!stop_wanted) {
        nanosleep(&pause, NULL);
        ioctl(device, WDIOC_KEEPALIVE, 0);
    }
    if (write(device, "V", 1) != 1) /* magic close: the driver disarms the timer */
        _exit(1);
    close(device);
}

void do_watchdog(char **words)
{
    if (words[1] && !strcmp(words[1], "start"))
        job_start(&kicker, kick, words);
    else if (words[1] && !strcmp(words[1], "stop"))
        say(job_end(&kicker, SIGTERM) ? "ok disarmed" : "err watchdog: not started");
    else if (words[1] && !strcmp(words[1], "kill"))
        say(job_end(&kicker, SIGKILL) ? "ok killed" : "err watchdog: not started");
    else
        say("err watchdog: start SECONDS, stop or kill");
}

/* sysfs shows the ioctl's values without opening the device, which would arm it; ib700wdt has no sysfs. */
static void show(const char *attribute, unsigned long request)
{
    char path[128], text[64];
    int value, device;
    snprintf(path, sizeof path, CLASS "%s", attribute);
    if (!read_text(path, text, sizeof text)) {
        say("ok %s", text);
        return;
    }
    if (!access(CLASS, F_OK)) {
        say("err %s: this driver does not tell", attribute);
        return;
    }
    device = open(DEVICE, O_WRONLY);
    if (device < 0) {
        say_error(DEVICE);
        return;
    }
    if (ioctl(device, request, &value))
        say_error(attribute);
    else
        say("ok %d", value);
    if (write(device, "V", 1) != 1)
        say_error(DEVICE);
    close(device);
}

void do_bootstatus(char **words)
{
    (void)words;
    show("bootstatus", WDIOC_GETBOOTSTATUS);
}

void do_timeleft(char **words)
{
    (void)words;
    show("timeleft", WDIOC_GETTIMELEFT);
}
