/* What the shell writes into hang.ko before it loads it: the kernel's loader passes it on unread. */
#ifndef HANG_MODULE_H
#define HANG_MODULE_H

#define HANG_MARK "hang:arguments"

struct hang_arguments {
    char mark[16];
    unsigned long per_cpu_offset; /* 0: loop with interrupts off; else: overwrite memory there */
    unsigned long length_bytes;
};

#endif
