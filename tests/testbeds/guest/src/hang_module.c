/* hang.ko, a kernel module that stops its kernel for good.
 *
 * It imports no symbol and includes no kernel header: what the kernel's module loader checks (kernel/module/main.c)
 * is read from one of Debian's own modules when the guest is built, and comes in as macros. */
#include "hang_module.h"

#define MSR_GS_BASE 0xc0000101 /* where this CPU's per-CPU memory begins */

volatile struct hang_arguments arguments = {.mark = HANG_MARK};

static int hang(void)
{
    if (!arguments.per_cpu_offset)
        for (;;)
            __asm__ volatile("cli");
    unsigned low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_GS_BASE));
    volatile unsigned char *target = (unsigned char *)((unsigned long)high << 32 | low) + arguments.per_cpu_offset;
    for (unsigned long index = 0; index < arguments.length_bytes; index++)
        target[index] = 0xa5;
    return 0;
}

#define IN(name) __attribute__((used, section(name)))

static const char info[] IN(".modinfo") = "license=GPL\0name=hang\0retpoline=Y\0vermagic=" VERMAGIC;

static const struct {
    unsigned long crc;
    char name[56];
} versions[] IN("__versions") = {{LAYOUT_CRC, "module_layout"}};

static struct {
    char before[NAME_OFFSET];
    char name[56];
    char between[INIT_OFFSET - NAME_OFFSET - 56];
    int (*init)(void);
    char after[MODULE_BYTES - INIT_OFFSET - sizeof(int (*)(void))];
} this_module IN(".gnu.linkonce.this_module") = {.name = "hang", .init = hang};
