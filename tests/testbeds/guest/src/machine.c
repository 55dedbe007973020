/* What the guest sees of its machine: network cards, PCI devices, drivers. */
#include "shell.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs a program; true if it ended well. Its last line is in `output`. */
static int run(char *const arguments[], char *output, size_t size)
{
    int ends[2], status;
    if (pipe(ends))
        return 0;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_RDONLY), 0);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    close(ends[1]);
    FILE *stream = fdopen(ends[0], "r");
    char line[512];
    output[0] = 0;
    while (fgets(line, sizeof line, stream)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0])
            snprintf(output, size, "%s", line);
    }
    fclose(stream);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* Lists a class of devices as `NAME=VALUE`, the value made of one or two attribute files. */
static void list(const char *class, const char *first, const char *second)
{
    char line[3500] = "", path[512], one[64], two[64] = "";
    struct dirent **entries;
    int count = scandir(class, &entries, NULL, alphasort);
    for (int index = 0; index < count; index++) {
        const char *name = entries[index]->d_name;
        if (name[0] == '.' || !strcmp(name, "lo"))
            continue;
        snprintf(path, sizeof path, "%s/%s/%s", class, name, first);
        if (read_text(path, one, sizeof one))
            continue;
        snprintf(path, sizeof path, "%s/%s/%s", class, name, second ? second : "");
        if (second && read_text(path, two, sizeof two))
            continue;
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, " %s=%s%s%s", name, one, second ? ":" : "", two);
    }
    say("ok%s", line);
}

void do_mac(char **words)
{
    (void)words;
    list("/sys/class/net", "address", NULL);
}

void do_pci(char **words)
{
    (void)words;
    list("/sys/bus/pci/devices", "vendor", "device");
}

static void net_up(char *address, char *card)
{
    char output[512], *link[] = {"ip", "link", "set", card, "up", NULL};
    char *fixed[] = {"ip", "addr", "replace", address, "dev", card, NULL};
    char *dhcp[] = {"udhcpc", "-i", card, "-n", "-q", "-f", "-t", "5", "-T", "1", "-s", "/etc/udhcpc", NULL};
    if (!run(link, output, sizeof output) || !run(strcmp(address, "dhcp") ? fixed : dhcp, output, sizeof output))
        say("err net: %s", output);
    else
        say("ok %s up %s", card, strcmp(address, "dhcp") ? address : output);
}

static void net_ping(char *address)
{
    char output[512], *ping[] = {"ping", "-c", "1", "-W", "2", address, NULL};
    if (run(ping, output, sizeof output))
        say("ok %s", output);
    else
        say("err net: no answer from %s: %s", address, output);
}

void do_net(char **words)
{
    if (words[1] && !strcmp(words[1], "up"))
        net_up(words[2] ? words[2] : "dhcp", words[2] && words[3] ? words[3] : "eth0");
    else if (words[1] && words[2] && !strcmp(words[1], "ping"))
        net_ping(words[2]);
    else
        say("err net: up [dhcp|ADDRESS/BITS [CARD]] or ping ADDRESS");
}

void do_load(char **words)
{
    char output[512], *arguments[16] = {"modprobe"};
    for (int index = 1; index < 15 && words[index]; index++)
        arguments[index] = words[index];
    if (words[1] && run(arguments, output, sizeof output))
        say("ok loaded %s", words[1]);
    else
        say("err load: %s", words[1] ? output : "MODULE [PARAMETER=VALUE ...]");
}
