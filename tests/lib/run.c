/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/run.h"

#include "common/base/mem.h"
#include "common/base/must.h"
#include "tests/lib/check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void run_result_deinit(struct run_result *r)
{
    buf_deinit(&r->out);
    buf_deinit(&r->err);
}

/* An unlinked file that holds `bytes`, positioned at its start. */
static int memory_file(const void *bytes, size_t size)
{
    int fd = memfd_create("weir-test", MFD_CLOEXEC);

    must(fd >= 0);
    for (size_t at = 0; at < size;) {
        ssize_t n = write(fd, (const char *)bytes + at, size - at);
        must(n > 0);
        at += (size_t)n;
    }
    must(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static void slurp(int fd, struct buf *ret)
{
    char block[65536];
    ssize_t n;

    buf_clear(ret);
    must(lseek(fd, 0, SEEK_SET) == 0);
    while ((n = read(fd, block, sizeof(block))) > 0) {
        buf_append(ret, block, (size_t)n);
    }
    (void)buf_str(ret);
    (void)close(fd);
}

union words {
    const char *const *in;
    char *const *out;
};

static pid_t start(const char *const *argv, int in, int out, int err)
{
    union words words = {.in = argv};

    (void)fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2) {
            (void)signal(SIGPIPE, SIG_DFL);
            (void)execvp(words.out[0], words.out);
        }
        _exit(127);
    }
    return pid;
}

int run_wait(pid_t pid, int signal_number, int timeout_ms)
{
    int64_t deadline = check_now_ms() + timeout_ms;
    int status = 0;

    if (signal_number != 0) {
        (void)kill(pid, signal_number);
    }
    for (;;) {
        pid_t r = waitpid(pid, &status, WNOHANG);
        if (r == pid) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        if (r < 0 && errno != EINTR) {
            return -1;
        }
        if (check_now_ms() > deadline) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            return -1;
        }
        check_pause_ms(2);
    }
}

void run_program(const char *const *argv, const struct run_options *options, struct run_result *ret)
{
    static const struct run_options none;
    const struct run_options *o = options != NULL ? options : &none;
    int in;
    int out = o->output_path != NULL
                      ? open(o->output_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
                      : memory_file("", 0);
    int err = memory_file("", 0);

    if (o->input_path != NULL) {
        in = open(o->input_path, O_RDONLY | O_CLOEXEC);
    } else {
        in = o->input != NULL
                     ? memory_file(o->input, o->input_size > 0 ? o->input_size : strlen(o->input))
                     : open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    must(in >= 0);
    must(out >= 0);
    pid_t pid = start(argv, in, out, err);
    (void)close(in);
    ret->code = run_wait(pid, 0, o->timeout_ms > 0 ? o->timeout_ms : 60000);
    if (o->output_path != NULL) {
        buf_clear(&ret->out);
        (void)buf_str(&ret->out);
        (void)close(out);
    } else {
        slurp(out, &ret->out);
    }
    slurp(err, &ret->err);
}

pid_t run_background(const char *const *argv, const char *input_path, const char *log_path)
{
    int in = open(input_path != NULL ? input_path : "/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    must(in >= 0);
    must(out >= 0);
    pid_t pid = start(argv, in, out, out);
    (void)close(in);
    (void)close(out);
    return pid;
}

static char folder[256];
static pid_t folder_owner;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    if (getpid() != folder_owner) {
        return;
    }
    if (getenv("WEIR_TEST_KEEP") != NULL) {
        fprintf(stderr, "kept: %s\n", folder);
        return;
    }
    (void)nftw(folder, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

const char *test_folder(void)
{
    const char *tmp = getenv("TMPDIR");

    if (folder[0] == '\0') {
        (void)snprintf(folder, sizeof(folder), "%s/weir-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
        must(mkdtemp(folder) != NULL);
        folder_owner = getpid();
        must(atexit(remove_folder) == 0);
    }
    return folder;
}

const char *test_build_root(void)
{
    static char root[4096];
    const char *given = getenv("WEIR_BUILD");

    if (given != NULL) {
        return given;
    }
    if (root[0] == '\0') {
        ssize_t n = readlink("/proc/self/exe", root, sizeof(root) - 1);
        must(n > 0);
        root[n] = '\0';
        char *tests = strstr(root, "/tests/");
        for (char *later = tests; later != NULL; later = strstr(later + 1, "/tests/")) {
            tests = later;
        }
        must(tests != NULL);
        *tests = '\0';
    }
    return root;
}

bool process_is_alive(pid_t pid)
{
    char path[64];
    char state = 'Z';
    long n_threads = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = pid > 0 ? fopen(path, "re") : NULL;
    if (f == NULL) {
        return false;
    }
    bool is_read = fscanf(f,
                           "%*d (%*[^)]) %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                           "%*s %*s %*s %*s %ld",
                           &state, &n_threads) == 2;
    (void)fclose(f);
    /* The first thread is a zombie before the others, who may hold ports and files, have ended. */
    return is_read && (state != 'Z' || n_threads > 1);
}

void run_shell_ok(const char *command)
{
    struct run_result r = {0};

    run_program((const char *const[]){"sh", "-c", command, NULL}, NULL, &r);
    if (r.code != 0) {
        check_fail(__FILE__, __LINE__, "%s: %d: %s%s", command, r.code, buf_str(&r.out),
                buf_str(&r.err));
    }
    run_result_deinit(&r);
}

bool run_says(const struct run_result *r, const char *text)
{
    return (r->out.size > 0 && strstr((const char *)r->out.data, text) != NULL) ||
           (r->err.size > 0 && strstr((const char *)r->err.data, text) != NULL);
}
