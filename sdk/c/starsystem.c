// The contract's exports and imports, in the words of starsystem.h.
#include "starsystem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provisioner.h"

// Failures.

static struct {
    ss_kind kind;
    const char *message;
    uint32_t retry_after_ms;
    bool is_lost; // The request was sent and what became of it is not known.
} failure;

static char *format_list(const char *format, va_list values) {
    va_list again;
    va_copy(again, values);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = malloc((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, values);
    return text;
}

char *ss_format(const char *format, ...) {
    va_list values;
    va_start(values, format);
    char *text = format_list(format, values);
    va_end(values);
    return text;
}

bool ss_fail(ss_kind kind, const char *format, ...) {
    va_list values;
    va_start(values, format);
    failure.kind = kind;
    failure.message = format_list(format, values);
    failure.retry_after_ms = 0;
    failure.is_lost = false;
    va_end(values);
    return false;
}

// The contract's strings are not ended by a zero, and ours are.

static char *text_of(const uint8_t *bytes, size_t length) {
    char *text = malloc(length + 1);
    if (length > 0) memcpy(text, bytes, length);
    text[length] = 0;
    return text;
}

static provisioner_string_t string_of(const char *text) {
    provisioner_string_t string;
    provisioner_string_dup(&string, text);
    return string;
}

typedef starsystem_provisioner_model_named_secret_t named_secret;

static ss_secret *secrets_of(const named_secret *list, size_t length) {
    ss_secret *secrets = calloc(length + 1, sizeof *secrets);
    for (size_t i = 0; i < length; i++) {
        secrets[i] = (ss_secret){text_of(list[i].name.ptr, list[i].name.len), list[i].value};
    }
    return secrets;
}

static size_t count_secrets(const ss_secret *secrets) {
    size_t count = 0;
    while (secrets[count].name != NULL) count++;
    return count;
}

static named_secret *named_secrets(const ss_secret *secrets, size_t *length) {
    *length = count_secrets(secrets);
    named_secret *list = calloc(*length + 1, sizeof *list);
    for (size_t i = 0; i < *length; i++) list[i] = (named_secret){string_of(secrets[i].name), secrets[i].value};
    return list;
}

// Calling an operation.

static void fail_call(const starsystem_provisioner_api_call_failure_t *failed) {
    ss_kind kind = SS_UNAVAILABLE;
    if (failed->kind == STARSYSTEM_PROVISIONER_API_CALL_FAILURE_KIND_DENIED) kind = SS_DECLINED;
    if (failed->kind == STARSYSTEM_PROVISIONER_API_CALL_FAILURE_KIND_TOO_LARGE) kind = SS_BROKEN;
    ss_fail(kind, "%s", text_of(failed->message.ptr, failed->message.len));
    failure.is_lost = failed->kind == STARSYSTEM_PROVISIONER_API_CALL_FAILURE_KIND_OUTCOME_UNKNOWN;
}

bool ss_send(const ss_call *call, ss_reply *reply) {
    starsystem_provisioner_api_call_t raw = {.operation = string_of(call->operation)};
    starsystem_provisioner_api_param_t params[16];
    for (size_t i = 0; i < 16 && call->params[i].name != NULL; i++) {
        if (call->params[i].value == NULL) continue;
        params[raw.params.len++] =
            (starsystem_provisioner_api_param_t){string_of(call->params[i].name), string_of(call->params[i].value)};
    }
    raw.params.ptr = params;
    if (call->body != NULL) {
        raw.body.is_some = true;
        raw.body.val = (provisioner_list_u8_t){(uint8_t *)call->body, strlen(call->body)};
    }
    starsystem_provisioner_api_fill_t fills[16];
    for (size_t i = 0; i < 16 && call->fills[i].name != NULL; i++) {
        fills[raw.fill.len++] =
            (starsystem_provisioner_api_fill_t){string_of(call->fills[i].name), call->fills[i].value};
    }
    raw.fill.ptr = fills;
    starsystem_provisioner_api_reply_t answer;
    starsystem_provisioner_api_call_failure_t failed;
    if (!starsystem_provisioner_api_send(&raw, &answer, &failed)) {
        fail_call(&failed);
        return false;
    }
    *reply = (ss_reply){
        .operation = call->operation,
        .status = (int)answer.status,
        .body = text_of(answer.body.ptr, answer.body.len),
        .captured = secrets_of(answer.captured.ptr, answer.captured.len),
    };
    for (size_t i = 0; i < answer.headers.len; i++) {
        const starsystem_provisioner_api_param_t *header = &answer.headers.ptr[i];
        if (strcmp(text_of(header->name.ptr, header->name.len), "retry-after") == 0) {
            reply->retry_after = text_of(header->value.ptr, header->value.len);
        }
    }
    return true;
}

static ss_kind kind_of(int status) {
    switch (status) {
    case 400: case 422: return SS_INVALID;
    case 401: case 403: return SS_UNAUTHORIZED;
    case 402: return SS_DECLINED;
    case 409: return SS_CONFLICT;
    case 408: case 423: case 429: return SS_UNAVAILABLE;
    default: return status >= 500 ? SS_UNAVAILABLE : SS_BROKEN;
    }
}

bool ss_expect(const ss_call *call, ss_reply *reply, const char *what, int status, int other) {
    if (!ss_send(call, reply)) return false;
    bool is_wanted = status == 0 ? reply->status / 100 == 2 : reply->status == status || reply->status == other;
    if (is_wanted && (*reply->body == 0 || ss_is_json(reply->body))) return true;
    if (is_wanted) return ss_fail(SS_BROKEN, "%s: the answer is no JSON", call->operation);
    const char *said = ss_is_json(reply->body) ? ss_text_at(reply->body, "/message") : NULL;
    if (said == NULL && ss_is_json(reply->body)) said = ss_text_at(reply->body, "/error");
    ss_fail(kind_of(reply->status), "could not %s: the vendor answered %d%s%s", what, reply->status, said ? ": " : "",
            said ? said : "");
    long seconds = reply->retry_after ? strtol(reply->retry_after, NULL, 10) : 0;
    if (seconds > 0 && seconds < 100000) failure.retry_after_ms = (uint32_t)seconds * 1000;
    return false;
}

bool ss_captured(const ss_reply *reply, const char *pointer, uint32_t *secret) {
    for (const ss_secret *captured = reply->captured; captured->name != NULL; captured++) {
        if (strcmp(captured->name, pointer) == 0) {
            *secret = captured->value;
            return true;
        }
    }
    return ss_fail(SS_BROKEN, "%s: the answer has no secret at %s", reply->operation, pointer);
}

// Loops.

enum { CREATE_ATTEMPTS = 3, PAGES_MAX = 1000 };
// Waits before each look after a lost answer: vendors' lists lag behind.
static const double LOOKS_MS[] = {500, 1000, 2000, 4000, 8000};

bool ss_ensure(ss_find find, ss_create create, void *context, const char **id) {
    *id = NULL;
    if (!find(context, id) || *id != NULL) return *id != NULL;
    for (int attempt = 0; attempt < CREATE_ATTEMPTS; attempt++) {
        if (create(context, id)) return true;
        bool is_open = failure.kind == SS_BROKEN || failure.is_lost;
        if (!is_open && failure.kind != SS_CONFLICT) return false;
        ss_log(ss_format("%s; looking whether it exists", failure.message));
        for (size_t look = 0; look < sizeof LOOKS_MS / sizeof *LOOKS_MS; look++) {
            ss_wait(LOOKS_MS[look]);
            *id = NULL;
            // A failed look ends it, so the failure of the attempt is the last one here.
            if (!find(context, id)) return false;
            if (*id != NULL) return true;
        }
        if (!is_open) return false;
    }
    return false;
}

bool ss_poll(double patience_ms, double interval_ms, ss_ask ask, void *context, bool *done) {
    double deadline = ss_now_ms() + patience_ms;
    for (;;) {
        double now = ss_now_ms();
        *done = false;
        if (!ask(context, done)) return false;
        if (*done || now >= deadline) return true;
        double left = deadline - now;
        ss_wait(left < interval_ms ? left : interval_ms);
    }
}

bool ss_pages(ss_page page, void *context) {
    const char *cursor = NULL;
    for (int number = 0; number < PAGES_MAX; number++) {
        const char *next = NULL;
        if (!page(context, cursor, &next)) return false;
        bool is_end = next == NULL || *next == 0 || (cursor != NULL && strcmp(next, cursor) == 0);
        if (is_end) return true;
        cursor = next;
    }
    return ss_fail(SS_BROKEN, "the list has no end: gave up after %d pages", PAGES_MAX);
}

// The host's side.

void ss_step(const char *message) {
    provisioner_string_t text = string_of(message);
    starsystem_provisioner_progress_step(&text);
}

void ss_log(const char *message) {
    provisioner_string_t text = string_of(message);
    starsystem_provisioner_progress_log(&text);
}

static starsystem_provisioner_model_resource_record_t raw_record(const ss_record *record) {
    starsystem_provisioner_model_resource_record_t raw = {
        .id = string_of(record->id),
        .attributes = string_of(record->attributes),
        .schema = record->schema == 0 ? 1 : record->schema,
    };
    if (record->url != NULL) raw.url = (provisioner_option_string_t){true, string_of(record->url)};
    return raw;
}

void ss_checkpoint(const ss_record *partial) {
    starsystem_provisioner_model_resource_record_t raw = raw_record(partial);
    starsystem_provisioner_progress_checkpoint(&raw);
}

double ss_now_ms(void) { return starsystem_provisioner_clock_now_ms(); }

void ss_wait(double ms) { starsystem_provisioner_clock_wait(ms > 0 ? (uint32_t)ms : 0); }

void ss_random(uint8_t *bytes, uint32_t count) {
    provisioner_list_u8_t given;
    starsystem_provisioner_clock_random(count, &given);
    memcpy(bytes, given.ptr, given.len < count ? given.len : count);
}

bool ss_compose(const char *format, const ss_secret *parts, uint32_t *secret) {
    starsystem_provisioner_secrets_list_named_secret_t list;
    list.ptr = named_secrets(parts, &list.len);
    provisioner_string_t text = string_of(format), why;
    if (starsystem_provisioner_secrets_compose(&text, &list, secret, &why)) return true;
    return ss_fail(SS_BROKEN, "%s", text_of(why.ptr, why.len));
}

// What the contract exports.

static ss_record record_of(const starsystem_provisioner_model_resource_record_t *raw) {
    return (ss_record){
        .id = text_of(raw->id.ptr, raw->id.len),
        .attributes = text_of(raw->attributes.ptr, raw->attributes.len),
        .url = raw->url.is_some ? text_of(raw->url.val.ptr, raw->url.val.len) : NULL,
        .schema = raw->schema,
    };
}

static ss_service service_of(const starsystem_provisioner_model_service_t *raw) {
    return (ss_service){
        .id = text_of(raw->id.ptr, raw->id.len),
        .target = text_of(raw->target.ptr, raw->target.len),
        .inputs = secrets_of(raw->inputs.ptr, raw->inputs.len),
        .mark = text_of(raw->mark.ptr, raw->mark.len),
    };
}

static bool failed(starsystem_provisioner_model_failure_t *raw) {
    *raw = (starsystem_provisioner_model_failure_t){
        .kind = (uint8_t)failure.kind,
        .message = string_of(failure.message ? failure.message : "it failed without saying why"),
        .retry_after_ms = {failure.retry_after_ms > 0, failure.retry_after_ms},
    };
    return false;
}

void exports_starsystem_provisioner_lifecycle_manifest(provisioner_string_t *ret) {
    *ret = string_of(provisioner_manifest());
}

bool exports_starsystem_provisioner_lifecycle_apply(starsystem_provisioner_model_service_t *service,
                                                    starsystem_provisioner_model_resource_record_t *recorded,
                                                    starsystem_provisioner_model_outcome_t *ret,
                                                    starsystem_provisioner_model_failure_t *err) {
    ss_service wanted = service_of(service);
    ss_record known = recorded == NULL ? (ss_record){0} : record_of(recorded);
    ss_outcome outcome = {0};
    if (!provisioner_apply(&wanted, &known, &outcome)) return failed(err);
    ret->made = raw_record(&outcome.made);
    ret->summary = string_of(outcome.summary);
    ret->outputs.ptr = named_secrets(outcome.outputs, &ret->outputs.len);
    return true;
}

bool exports_starsystem_provisioner_lifecycle_read(
    starsystem_provisioner_model_service_t *service, starsystem_provisioner_model_resource_record_t *recorded,
    exports_starsystem_provisioner_lifecycle_option_resource_record_t *ret, starsystem_provisioner_model_failure_t *err) {
    ss_service wanted = service_of(service);
    ss_record known = record_of(recorded), found = {0};
    if (!provisioner_read(&wanted, &known, &found)) return failed(err);
    ret->is_some = found.id != NULL;
    if (ret->is_some) ret->val = raw_record(&found);
    return true;
}

bool exports_starsystem_provisioner_lifecycle_destroy(starsystem_provisioner_model_resource_record_t *recorded,
                                                      starsystem_provisioner_model_failure_t *err) {
    ss_record known = record_of(recorded);
    return provisioner_destroy(&known) || failed(err);
}

// The generated bindings ask for the object file that holds the contract; `ss plugin build` adds the contract instead.
void __component_type_object_force_link_provisioner(void);
void __component_type_object_force_link_provisioner(void) {}
