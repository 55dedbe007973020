/* Reads and extends the PCRs of a TPM 2.0. */
#include "shell.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* TPM 2.0 Library Specification, part 3, TPM2_PCR_Event: the TPM hashes the text itself and extends the PCR of
 * every bank by the digest, so the sha256 bank gets what TPM2_PCR_Extend with SHA-256 of the text would give. */
struct __attribute__((packed)) event_command {
    uint16_t tag;
    uint32_t size, code, pcr, authorization_size, session;
    uint16_t nonce_size;
    uint8_t attributes;
    uint16_t hmac_size, data_size;
    char data[1024];
};

static void extend(uint32_t pcr, const char *text)
{
    struct event_command command = {
        .tag = htons(0x8002), /* TPM_ST_SESSIONS */
        .code = htonl(0x13c),
        .pcr = htonl(pcr),
        .authorization_size = htonl(9),
        .session = htonl(0x40000009), /* TPM_RS_PW, with an empty password */
    };
    size_t length = strlen(text) < sizeof command.data ? strlen(text) : sizeof command.data;
    size_t size = sizeof command - sizeof command.data + length;
    command.size = htonl(size);
    command.data_size = htons(length);
    memcpy(command.data, text, length);

    unsigned char answer[4096];
    int device = open("/dev/tpm0", O_RDWR | O_CLOEXEC);
    if (device < 0 || write(device, &command, size) != (ssize_t)size || read(device, answer, sizeof answer) < 10)
        say_error("/dev/tpm0");
    else {
        uint32_t code;
        memcpy(&code, answer + 6, sizeof code);
        if (code)
            say("err tpm: response code 0x%03x", ntohl(code));
        else
            say("ok extended %u", pcr);
    }
    if (device >= 0)
        close(device);
}

void do_tpm(char **words)
{
    char path[128], text[256];
    if (!words[1] || !words[2]) {
        say("err tpm: pcr N or extend N TEXT");
    } else if (!strcmp(words[1], "pcr")) {
        snprintf(path, sizeof path, "/sys/class/tpm/tpm0/pcr-sha256/%d", atoi(words[2]));
        if (read_text(path, text, sizeof text))
            say_error(path);
        else
            say("ok %s", text);
    } else if (!strcmp(words[1], "extend") && words[3])
        extend(atoi(words[2]), words[3]);
    else
        say("err tpm: pcr N or extend N TEXT");
}
