/* The guest's shell: reads command lines from the serial console, answers each with one line. */
#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 4096
#define JOB_REPORT_MILLISECONDS 10000

void say(const char *format, ...)
{
    char line[LINE_BYTES + 2];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, LINE_BYTES, format, arguments);
    va_end(arguments);
    if (length >= LINE_BYTES)
        length = LINE_BYTES - 1;
    line[length++] = '\n';
    if (write(1, line, length) < 0)
        _exit(1);
}

void say_error(const char *what)
{
    say("err %s: %s", what, strerror(errno));
}

int read_text(const char *path, char *text, size_t size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t length = read(file, text, size - 1);
    close(file);
    if (length < 0)
        return -1;
    while (length > 0 && text[length - 1] == '\n')
        length--;
    text[length] = 0;
    return 0;
}

int write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t length = write(file, text, strlen(text));
    close(file);
    return length < 0 ? -1 : 0;
}

void job_report(int report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vdprintf(report, format, arguments);
    va_end(arguments);
    close(report);
}

void job_start(struct job *job, void (*body)(int, char **), char **words)
{
    int ends[2];
    if (job->pid && waitpid(job->pid, NULL, WNOHANG) == job->pid)
        job->pid = 0;
    if (job->pid) {
        say("err %s: already running as process %d", words[0], job->pid);
        return;
    }
    if (pipe(ends) || (job->pid = fork()) < 0) {
        job->pid = 0;
        say_error(words[0]);
        return;
    }
    if (job->pid == 0) {
        close(ends[0]);
        body(ends[1], words);
        _exit(0);
    }
    close(ends[1]);
    char answer[LINE_BYTES];
    struct pollfd wait = {.fd = ends[0], .events = POLLIN};
    ssize_t length = poll(&wait, 1, JOB_REPORT_MILLISECONDS) == 1 ? read(ends[0], answer, sizeof answer - 1) : 0;
    close(ends[0]);
    if (length <= 0) {
        job_end(job, SIGKILL);
        say("err %s: the background process gave no answer", words[0]);
        return;
    }
    answer[length] = 0;
    if (strncmp(answer, "ok", 2))
        job_end(job, SIGKILL);
    say("%s", answer);
}

int job_end(struct job *job, int signal_number)
{
    if (!job->pid)
        return 0;
    kill(job->pid, signal_number);
    waitpid(job->pid, NULL, 0);
    job->pid = 0;
    return 1;
}

static void do_ping(char **words)
{
    say("ok pong%s%s", words[1] ? " " : "", words[1] ? words[1] : "");
}

static void do_uptime(char **words)
{
    struct timespec now;
    (void)words;
    clock_gettime(CLOCK_BOOTTIME, &now);
    say("ok %lld.%03ld", (long long)now.tv_sec, now.tv_nsec / 1000000);
}

static void do_poweroff(char **words)
{
    (void)words;
    say("ok powering off");
    tcdrain(1);
    sync();
    reboot(RB_POWER_OFF);
}

static const struct {
    const char *name;
    void (*run)(char **words);
} commands[] = {
    {"ping", do_ping},   {"uptime", do_uptime}, {"watchdog", do_watchdog}, {"bootstatus", do_bootstatus},
    {"timeleft", do_timeleft}, {"hang", do_hang}, {"count", do_count},
    {"scribble", do_scribble}, {"read", do_read}, {"write", do_write},
    {"dirty", do_dirty}, {"tpm", do_tpm}, {"mac", do_mac}, {"net", do_net}, {"pci", do_pci}, {"load", do_load},
    {"xen", do_xen}, {"poweroff", do_poweroff},
};

static void run_line(char *line)
{
    char *words[16] = {0}, *rest = line;
    /* `write` and `tpm extend` take the rest of the line as text, blanks and all: their fourth word. */
    for (int count = 0; count < 15; count++) {
        rest += strspn(rest, " \t");
        if (!*rest)
            break;
        int last = count == 3 && (!strcmp(words[0], "write") || !strcmp(words[0], "tpm"));
        words[count] = rest;
        rest += last ? strlen(rest) : strcspn(rest, " \t");
        if (*rest)
            *rest++ = 0;
    }
    if (!words[0])
        return;
    for (size_t index = 0; index < sizeof commands / sizeof *commands; index++)
        if (!strcmp(words[0], commands[index].name)) {
            commands[index].run(words);
            return;
        }
    say("err %s: unknown command", words[0]);
}

int main(void)
{
    static char line[LINE_BYTES];
    struct termios terminal;
    if (!tcgetattr(0, &terminal)) {
        terminal.c_lflag &= ~(ECHO | ISIG);
        terminal.c_oflag &= ~OPOST;
        tcsetattr(0, TCSANOW, &terminal);
    }
    setenv("PATH", "/bin", 1);
    say("guest: ready");
    for (;;) {
        ssize_t length = read(0, line, sizeof line - 1);
        if (length <= 0) { /* the console hung up (its other end may come back): do not spin */
            sleep(1);
            continue;
        }
        line[length] = 0;
        line[strcspn(line, "\r\n")] = 0;
        run_line(line);
    }
}
