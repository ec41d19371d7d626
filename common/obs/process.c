/* SPDX-License-Identifier: Apache-2.0 */
#include "common/obs/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Reads a small file of /proc as text. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, size - 1);
    (void)close(fd); /* nothing was written */
    if (n <= 0) {
        return false;
    }
    text[n] = '\0';
    return true;
}

int64_t process_resident_bytes(void)
{
    char text[256];
    int64_t total = 0;
    int64_t resident = 0;

    if (!read_text("/proc/self/statm", text, sizeof(text)) ||
            sscanf(text, "%" SCNd64 " %" SCNd64, &total, &resident) != 2) {
        return -1;
    }
    return resident * sysconf(_SC_PAGESIZE);
}

int64_t process_open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int64_t n = 0;

    if (dir == NULL) {
        return -1;
    }
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir); /* nothing was written */
    return n - 3;        /* ".", ".." and the folder itself */
}

int64_t process_start_time_s(void)
{
    char text[1024];
    int64_t ticks = 0;
    struct timespec wall;
    struct timespec boot;

    if (!read_text("/proc/self/stat", text, sizeof(text))) {
        return -1;
    }
    /* The second field is the program's name in parentheses and may hold anything; the start is
     * the 22nd. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL || sscanf(at, " %" SCNd64, &ticks) != 1) {
        return -1;
    }
    if (clock_gettime(CLOCK_REALTIME, &wall) != 0 || clock_gettime(CLOCK_BOOTTIME, &boot) != 0) {
        return -1;
    }
    return wall.tv_sec - boot.tv_sec + ticks / sysconf(_SC_CLK_TCK);
}

void process_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    if (path == NULL || path[0] == '\0' || strlen(path) >= sizeof(to.sun_path)) {
        return;
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@') { /* an abstract name */
        to.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        /* systemd that does not listen is no reason not to run. */
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, size);
        (void)close(fd);
    }
}
