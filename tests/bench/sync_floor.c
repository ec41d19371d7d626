/* SPDX-License-Identifier: Apache-2.0 */
/* sync_floor FOLDER SECONDS: how often a second the disk takes a write of 170 bytes (a batch of one record of 100) at a
 * file's end and an fdatasync; what one producer that waits for each cannot pass. See tests/bench/durable. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SIZE = 170,
    SAMPLES_MAX = 1000 * 1000
};

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static uint32_t us[SAMPLES_MAX];
    char path[4096], bytes[SIZE];
    size_t n = 0;

    if (argc != 3 || snprintf(path, sizeof(path), "%s/sync-floor-XXXXXX", argv[1]) >= 4096) {
        (void)fprintf(stderr, "usage: sync_floor FOLDER SECONDS\n");
        return 2;
    }
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        perror(path);
        return 3;
    }
    (void)unlink(path);
    memset(bytes, 'x', sizeof(bytes));
    double began = now(), until = began + strtod(argv[2], NULL);
    while (n < SAMPLES_MAX && now() < until) {
        double before = now();
        if (pwrite(fd, bytes, SIZE, (off_t)(n * SIZE)) != SIZE || fdatasync(fd) != 0) {
            perror("pwrite, fdatasync");
            return 3;
        }
        us[n++] = (uint32_t)((now() - before) * 1e6);
    }
    double took = now() - began;
    (void)close(fd);
    qsort(us, n, sizeof(us[0]), compare);
    (void)printf("{\"floor\":\"pwrite+fdatasync\",\"per_second\":%.0f,\"p50_us\":%u,\"p99_us\":%u}\n",
            (double)n / took, n > 0 ? us[n / 2] : 0, n > 0 ? us[n * 99 / 100] : 0);
    return 0;
}
