/* What the parts of the guest's shell share: answering, background jobs, the commands. */
#ifndef SHELL_H
#define SHELL_H

#include <sys/types.h>

/* Prints one line on the console in one write, so that lines of several processes never mix. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* `say` with "err WHAT: the system's message". */
void say_error(const char *what);

/* Reads a small file into `text` without its last newline; -1 with errno if it cannot. */
int read_text(const char *path, char *text, size_t size);
int write_text(const char *path, const char *text);

/* One background process; pid 0 when there is none. */
struct job {
    pid_t pid;
    int report; /* in the job: where its first line, the answer to the command that began it, goes */
};

/* Forks `body`; passes the first line it reports on as the answer. Refuses a second job of the same kind. */
void job_start(struct job *job, void (*body)(int report, char **words), char **words);
/* Inside a job: the answer to the command that started it. */
void job_report(int report, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Sends the signal and waits for the end; false when there was no job. */
int job_end(struct job *job, int signal_number);

/* Commands. `words` ends with NULL and holds the command's own name first. */
void do_watchdog(char **words);
void do_bootstatus(char **words);
void do_timeleft(char **words);
void do_hang(char **words);
void do_count(char **words);
void do_scribble(char **words);
void do_read(char **words);
void do_write(char **words);
void do_dirty(char **words);
void do_tpm(char **words);
void do_mac(char **words);
void do_net(char **words);
void do_pci(char **words);
void do_load(char **words);
void do_xen(char **words);

#endif
