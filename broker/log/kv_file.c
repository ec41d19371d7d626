/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/kv_file.h"

#include "common/base/crc.h"
#include "common/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    CRC_LINE_SIZE = 13 /* "crc=xxxxxxxx\n" */
};

/* Whether the text ends with the line that its checksum demands. */
static bool checksum_is_right(const char *text, size_t size)
{
    if (size < CRC_LINE_SIZE || strlen(text) != size) {
        return false;
    }
    size_t body = size - CRC_LINE_SIZE;
    char *want = mem_format("crc=%08x\n", crc32c(0, text, body));
    bool right = (body == 0 || text[body - 1] == '\n') && strcmp(text + body, want) == 0;
    mem_free(want);
    return right;
}

int kv_file_read(const struct file_io *io, const char *path, struct kv_file *ret)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = file_read_all(io, path, KV_FILE_SIZE_MAX, &bytes, &size);

    if (r == -ENOENT) {
        return KV_FILE_E_ABSENT;
    }
    if (r == -EFBIG) {
        return KV_FILE_E_DAMAGED;
    }
    if (r < 0) {
        return err_forward(r);
    }
    struct kv_file f = {.text = (char *)bytes, .size = size};
    int64_t version = 0;
    bool is_whole = checksum_is_right(f.text, size);
    if (is_whole) {
        for (size_t i = 0; i < size; i++) {
            f.text[i] = f.text[i] == '\n' ? '\0' : f.text[i];
        }
    }
    if (!is_whole || !kv_file_get_i64(&f, "version", &version) || version != 1) {
        kv_file_deinit(&f);
        return KV_FILE_E_DAMAGED;
    }
    *ret = f;
    return 0;
}

void kv_file_deinit(struct kv_file *f)
{
    f->text = mem_free(f->text);
    f->size = 0;
}

const char *kv_file_get(const struct kv_file *f, const char *key)
{
    size_t key_size = strlen(key);

    for (size_t at = 0; at < f->size; at += strlen(f->text + at) + 1) {
        const char *line = f->text + at;
        if (strncmp(line, key, key_size) == 0 && line[key_size] == '=') {
            return line + key_size + 1;
        }
    }
    return NULL;
}

bool kv_file_get_i64(const struct kv_file *f, const char *key, int64_t *ret)
{
    const char *text = kv_file_get(f, key);
    char *end = NULL;

    if (text == NULL || *text == '\0') {
        return false;
    }
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *ret = v;
    return true;
}

bool kv_file_get_u64(const struct kv_file *f, const char *key, uint64_t *ret)
{
    const char *text = kv_file_get(f, key);
    char *end = NULL;

    if (text == NULL || *text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *ret = v;
    return true;
}

bool kv_file_get_uuid(const struct kv_file *f, const char *key, struct uuid *ret)
{
    const char *text = kv_file_get(f, key);

    return text != NULL && uuid_parse(text, ret);
}

int kv_file_write(const struct file_io *io, const char *path, const char *lines)
{
    struct buf out = {0};

    buf_append_str(&out, "version=1\n");
    buf_append_str(&out, lines);
    buf_append_format(&out, "crc=%08x\n", crc32c(0, out.data, out.size));
    int r = durable_write(io, path, out.data, out.size);
    buf_deinit(&out);
    return r < 0 ? err_forward(r) : 0;
}
