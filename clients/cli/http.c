/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/cli.h"

#include "common/base/array.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum {
    ANSWER_MAX = 256 * 1024 * 1024
};

void http_answer_deinit(struct http_answer *a)
{
    buf_deinit(&a->body);
}

static size_t on_body(char *bytes, size_t one, size_t n, void *ctx)
{
    struct http_answer *a = ctx;

    (void)one;
    if (a->body.size + n > ANSWER_MAX) {
        return 0;
    }
    buf_append(&a->body, bytes, n);
    return n;
}

static void perform(CURL *curl,
        const char *method,
        const char *url,
        const char *body,
        int64_t timeout_ms,
        const char *reason,
        bool follow,
        struct http_answer *ret)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");

    must(headers != NULL);
    if (reason[0] != '\0') {
        char *line = mem_format("Weir-Reason: %s", reason);
        headers = curl_slist_append(headers, line);
        must(headers != NULL);
        mem_free(line);
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms < 3000 ? (long)timeout_ms : 3000L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, follow ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 4L);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode rc = curl_easy_perform(curl);
    if (rc == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
    } else {
        (void)snprintf(ret->error, sizeof(ret->error), "%s: %s", url, curl_easy_strerror(rc));
    }
    curl_slist_free_all(headers);
}

static void request(const char *method,
        const char *url,
        const char *body,
        int64_t timeout_ms,
        const char *reason,
        bool follow,
        struct http_answer *ret)
{
    static bool global_done;

    if (!global_done) {
        must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
        global_done = true;
    }
    CURL *curl = curl_easy_init();
    must(curl != NULL);
    ret->status = 0;
    ret->error[0] = '\0';
    buf_clear(&ret->body);
    perform(curl, method, url, body, timeout_ms, reason, follow, ret);
    curl_easy_cleanup(curl);
}

void cli_http_url(const char *method,
        const char *url,
        const char *body,
        int64_t timeout_ms,
        struct http_answer *ret)
{
    request(method, url, body, timeout_ms, "", false, ret);
}

/* A controller that has no active one to name yet answers 503; another may know better. */
static bool is_final(const struct http_answer *a)
{
    return a->status != 0 && a->status != 503;
}

void cli_http(const struct cli *cli,
        const char *method,
        const char *path,
        const char *body,
        struct http_answer *ret)
{
    char *urls = cli->controller != NULL ? mem_strdup(cli->controller)
                                         : cli_controllers_of_brokers(cli, ret);
    char *rest = urls;
    char *url = NULL;

    while (urls != NULL && (url = strsep(&rest, ",")) != NULL) {
        if (url[0] == '\0') {
            continue;
        }
        bool has_scheme = strstr(url, "://") != NULL;
        char *full = mem_format(
                "%s%.*s%s", has_scheme ? "" : "http://", (int)strcspn(url, " "), url, path);
        request(method, full, body, cli->timeout_ms, cli->reason, true, ret);
        mem_free(full);
        if (is_final(ret)) {
            break;
        }
    }
    mem_free(urls);
}

static enum cli_exit exit_for_status(long status)
{
    switch (status) {
    case 0:
    case 503:
    case 504: return EXIT_UNREACHABLE;
    case 400:
    case 422: return EXIT_USAGE;
    case 401:
    case 403: return EXIT_NOT_ALLOWED;
    case 404: return EXIT_NOT_FOUND;
    case 409:
    case 412: return EXIT_CONFLICT;
    default: return EXIT_FAILED;
    }
}

int cli_http_fail(const struct http_answer *a)
{
    if (a->status == 0) {
        return cli_fail(EXIT_UNREACHABLE,
                "Is the cluster running? `weir dev up` starts one here; WEIR_CONTROLLER or "
                "--controller names another.",
                "no controller answered (%s)", a->error);
    }
    json_error_t error;
    json_t *problem = json_loadb((const char *)a->body.data, a->body.size, 0, &error);
    const char *detail =
            problem != NULL ? json_string_value(json_object_get(problem, "detail")) : NULL;
    const char *title =
            problem != NULL ? json_string_value(json_object_get(problem, "title")) : NULL;
    const char *hint = problem != NULL ? json_string_value(json_object_get(problem, "hint")) : NULL;
    int code;
    if (detail != NULL || title != NULL) {
        code = cli_fail(exit_for_status(a->status), hint != NULL ? hint : "", "%s",
                detail != NULL ? detail : title);
    } else {
        code = cli_fail(
                exit_for_status(a->status), "", "the controller answered HTTP %ld", a->status);
    }
    json_decref(problem);
    return code;
}
