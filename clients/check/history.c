/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/check/history.h"

#include "common/base/map.h"

#include <stdio.h>
#include <string.h>

struct named {
    UT_hash_handle hh;
    uint32_t number;
    char *name; /* owned by .topics or .words */
};

/* Two numbers; no padding. */
struct pair {
    uint64_t a, b;
};

struct paired {
    UT_hash_handle hh;
    struct pair pair;
    uint32_t number;
};

struct history_index {
    struct named *topics, *words;
    struct paired *keys, *processes, *lanes;
    uint32_t *slots; /* of values: open addressing, index + 1 */
    size_t n_slots;
    uint32_t last_topic, last_word; /* most often the next one too */
};

void history_init(struct history *h)
{
    *h = (struct history){.index = mem_new(struct history_index)};
    h->index->last_topic = HISTORY_NONE;
    h->index->last_word = HISTORY_NONE;
}

static void free_named(struct named **map)
{
    struct named *n, *next;

    HASH_ITER(hh, *map, n, next)
    {
        HASH_DEL(*map, n);
        mem_free(n);
    }
}

static void free_paired(struct paired **map)
{
    struct paired *n, *next;

    HASH_ITER(hh, *map, n, next)
    {
        HASH_DEL(*map, n);
        mem_free(n);
    }
}

void history_deinit(struct history *h)
{
    if (h->index == NULL) {
        return;
    }
    free_named(&h->index->topics);
    free_named(&h->index->words);
    free_paired(&h->index->keys);
    free_paired(&h->index->processes);
    free_paired(&h->index->lanes);
    mem_free(h->index->slots);
    mem_free(h->index);
    ARRAY_FOREACH (f, &h->files) {
        mem_free(f->name);
    }
    ARRAY_FOREACH (t, &h->topics) {
        mem_free(*t);
    }
    ARRAY_FOREACH (w, &h->words) {
        mem_free(*w);
    }
    array_deinit(&h->files);
    array_deinit(&h->topics);
    array_deinit(&h->words);
    array_deinit(&h->keys);
    array_deinit(&h->processes);
    array_deinit(&h->lanes);
    array_deinit(&h->values);
    array_deinit(&h->sends);
    array_deinit(&h->polled);
    array_deinit(&h->runs);
    array_deinit(&h->listed);
    array_deinit(&h->finals);
    *h = (struct history){0};
}

void history_begin_file(struct history *h, const char *name)
{
    *array_push(&h->files) =
            (struct history_file){.name = mem_strdup(name), .first_line = h->n_lines, .last_i = -1};
}

/* --- Names and pairs to numbers --------------------------------------------------------------- */

static bool is_name(const char *name, const char *text, size_t size)
{
    return strncmp(name, text, size) == 0 && name[size] == '\0';
}

static struct named *find_named(struct named *map, const char *text, size_t size)
{
    struct named *n = NULL;

    HASH_FIND(hh, map, text, size, n);
    return n;
}

/* The number of the name, which is added to `names` when it is new. `*last` was asked for before. */
static uint32_t number_of_name(struct named **map,
        struct history_names *names,
        uint32_t *last,
        const char *text,
        size_t size)
{
    if (*last != HISTORY_NONE && is_name(names->items[*last], text, size)) {
        return *last;
    }
    struct named *n = find_named(*map, text, size);
    if (n == NULL) {
        n = mem_new(struct named);
        n->name = mem_strndup(text, size);
        n->number = (uint32_t)names->n;
        *array_push(names) = n->name;
        HASH_ADD_KEYPTR(hh, *map, n->name, size, n);
    }
    *last = n->number;
    return n->number;
}

static uint32_t topic_of(struct history *h, const char *text, size_t size)
{
    return number_of_name(&h->index->topics, &h->topics, &h->index->last_topic, text, size);
}

static uint32_t word_of(struct history *h, const char *text, size_t size)
{
    return number_of_name(&h->index->words, &h->words, &h->index->last_word, text, size);
}

/* The number of the pair; `next` is given to a new one, *ret_is_new says so. */
static uint32_t number_of(
        struct paired **map, uint64_t a, uint64_t b, size_t next, bool *ret_is_new)
{
    struct pair pair = {.a = a, .b = b};
    struct paired *p = NULL;

    HASH_FIND(hh, *map, &pair, sizeof(pair), p);
    *ret_is_new = p == NULL;
    if (p == NULL) {
        p = mem_new(struct paired);
        p->pair = pair;
        p->number = (uint32_t)next;
        HASH_ADD(hh, *map, pair, sizeof(p->pair), p);
    }
    return p->number;
}

uint32_t history_process_of(struct history *h, int64_t process)
{
    bool is_new = false;
    must(h->files.n > 0);
    uint32_t file = (uint32_t)h->files.n - 1;
    uint32_t n = number_of(&h->index->processes, file, (uint64_t)process, h->processes.n, &is_new);

    if (is_new) {
        *array_push(&h->processes) = (struct history_process){.file = file, .id = process};
    }
    return n;
}

uint32_t history_lane_of(
        struct history *h, int64_t process, const char *topic, size_t topic_size, int32_t partition)
{
    uint32_t t = topic_of(h, topic, topic_size);
    uint32_t p = history_process_of(h, process);
    bool is_new = false;
    uint32_t key = number_of(&h->index->keys, t, (uint32_t)partition, h->keys.n, &is_new);

    if (is_new) {
        *array_push(&h->keys) = (struct history_key){.topic = t, .partition = partition};
    }
    uint32_t lane = number_of(&h->index->lanes, p, key, h->lanes.n, &is_new);
    if (is_new) {
        *array_push(&h->lanes) = (struct history_lane){
                .process = p, .key = key, .run = HISTORY_NONE, .known = -1, .floor = -1};
    }
    return lane;
}

/* --- Values ----------------------------------------------------------------------------------- */

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* Length of the word in "<word>-<number>", 0 = not of this form. */
static size_t split(const char *text, size_t size, uint64_t *ret_number)
{
    size_t dash = size;
    uint64_t number = 0;

    while (dash > 0 && text[dash - 1] >= '0' && text[dash - 1] <= '9') {
        dash--;
    }
    if (dash < 2 || dash == size || size - dash > 19 || text[dash - 1] != '-' ||
            dash > HISTORY_WORD_SIZE || (text[dash] == '0' && size - dash > 1)) {
        return 0;
    }
    for (size_t i = dash; i < size; i++) {
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    for (size_t i = 0; i < dash - 1; i++) {
        if (!is_word_char(text[i])) {
            return 0;
        }
    }
    *ret_number = number;
    return dash - 1;
}

bool history_value_parse(const void *text,
        size_t size,
        char ret_word[static HISTORY_WORD_SIZE],
        uint64_t *ret_number)
{
    size_t word_size = text != NULL ? split(text, size, ret_number) : 0;

    if (word_size == 0) {
        return false;
    }
    memcpy(ret_word, text, word_size);
    ret_word[word_size] = '\0';
    return true;
}

static size_t slot_of(const struct history_index *x, uint32_t word, uint64_t number)
{
    uint64_t v = (number ^ ((uint64_t)word << 40)) * 0x9e3779b97f4a7c15u;

    return (size_t)(v >> 20) & (x->n_slots - 1);
}

static void insert_slot(struct history_index *x, const struct history *h, uint32_t value)
{
    const struct history_value *v = &h->values.items[value];
    size_t i = slot_of(x, v->word, v->number);

    while (x->slots[i] != 0) {
        i = (i + 1) & (x->n_slots - 1);
    }
    x->slots[i] = value + 1;
}

static void grow_slots(struct history *h)
{
    struct history_index *x = h->index;

    mem_free(x->slots);
    x->n_slots = x->n_slots > 0 ? x->n_slots * 2 : 4096;
    x->slots = mem_new_n(uint32_t, x->n_slots);
    for (size_t i = 0; i < h->values.n; i++) {
        insert_slot(x, h, (uint32_t)i);
    }
}

uint32_t history_value_of(struct history *h, const char *text, size_t size)
{
    struct history_index *x = h->index;
    uint64_t number = 0;
    size_t word_size = split(text, size, &number);

    if (word_size == 0) {
        return HISTORY_NONE;
    }
    if (h->values.n * 2 >= x->n_slots) {
        grow_slots(h);
    }
    uint32_t word = word_of(h, text, word_size);
    size_t i = slot_of(x, word, number);
    while (x->slots[i] != 0) {
        const struct history_value *v = &h->values.items[x->slots[i] - 1];
        if (v->number == number && v->word == word) {
            return x->slots[i] - 1;
        }
        i = (i + 1) & (x->n_slots - 1);
    }
    *array_push(&h->values) = (struct history_value){
            .number = number, .word = word, .lane = HISTORY_NONE, .offset = -1};
    x->slots[i] = (uint32_t)h->values.n;
    return (uint32_t)h->values.n - 1;
}

/* --- Words ------------------------------------------------------------------------------------ */

const char *history_key_text(const struct history *h, uint32_t key, char *text, size_t size)
{
    const struct history_key *k = &h->keys.items[key];

    (void)snprintf(text, size, "%s-%d", h->topics.items[k->topic], (int)k->partition);
    return text;
}

const char *history_value_text(const struct history *h, uint32_t value, char *text, size_t size)
{
    if (value == HISTORY_NONE) {
        (void)snprintf(text, size, "a record without a value");
        return text;
    }
    const struct history_value *v = &h->values.items[value];
    (void)snprintf(text, size, "%s-%llu", h->words.items[v->word], (unsigned long long)v->number);
    return text;
}

const char *history_line_text(const struct history *h, uint32_t line, char *text, size_t size)
{
    size_t i = h->files.n;

    if (line == HISTORY_NONE) {
        (void)snprintf(text, size, "no line");
        return text;
    }
    while (i > 1 && h->files.items[i - 1].first_line > line) {
        i--;
    }
    must(i > 0);
    const struct history_file *f = &h->files.items[i - 1];
    if (h->files.n == 1) {
        (void)snprintf(text, size, "line %u", line + 1);
    } else {
        (void)snprintf(text, size, "%s:%u", f->name, line - f->first_line + 1);
    }
    return text;
}
