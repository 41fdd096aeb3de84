// Write a provisioner for `ss` in C.
//
// A provisioner speaks operations of its own manifest and never sees a URL, a token or a socket. This is thin: `bindings/` is
// generated from the contract, what is here makes it short. An instance lives for one call, so nothing is ever freed.
//
// A function that gives bool gives false after `ss_fail`; hand the false on, and the call ends with that failure.
#ifndef STARSYSTEM_H
#define STARSYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What you write.

// A secret that the host keeps: it can be filled into a request or given as an output, and never be read.
typedef struct {
    const char *name; // NULL ends a list.
    uint32_t value;
} ss_secret;

// What the user wants. `target` is JSON; `mark` is what proves a resource to be this service's.
typedef struct {
    const char *id;
    const char *target;
    const ss_secret *inputs;
    const char *mark;
} ss_service;

// What is kept about a resource: facts (a JSON object) that `read` can see again. Never a secret, never what moves by itself.
typedef struct {
    const char *id; // NULL: there is none.
    const char *attributes;
    const char *url; // Where it is reached, without a password; NULL when nowhere.
    uint32_t schema; // Version of the shape of the attributes; 0 stands for 1.
} ss_record;

// What `apply` made: the record, one line for a person, and credentials for other services.
typedef struct {
    ss_record made;
    const char *summary;
    ss_secret outputs[16];
} ss_outcome;

// The manifest, JSON: SS_JSON({...}) spares the quotes.
const char *provisioner_manifest(void);
// Makes the resource as wanted: creates it when there is no record (`recorded->id` is NULL), changes it in place otherwise.
// Applying twice is the same as applying once; the record may be the checkpoint of a run that died.
bool provisioner_apply(const ss_service *service, const ss_record *recorded, ss_outcome *outcome);
// Reads the resource as it is; leaves `found->id` NULL when it no longer exists.
bool provisioner_read(const ss_service *service, const ss_record *recorded, ss_record *found);
// Removes the resource. One that is already gone is a success.
bool provisioner_destroy(const ss_record *recorded);

// Failures.

// Whose turn it is.
typedef enum { SS_INVALID, SS_UNAUTHORIZED, SS_DECLINED, SS_CONFLICT, SS_UNAVAILABLE, SS_BROKEN } ss_kind;

// Sets the failure that ends the call, and gives false.
bool ss_fail(ss_kind kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Calling an operation.

typedef struct {
    const char *name;
    const char *value; // NULL: not given.
} ss_param;

typedef struct {
    const char *operation;
    ss_param params[16];
    const char *body;    // JSON, or NULL.
    ss_secret fills[16]; // The name is a JSON pointer into the body.
} ss_call;

// The vendor's answer, whatever its status: a 404 is a reply.
typedef struct {
    const char *operation;
    int status;
    const char *body;
    const ss_secret *captured; // By the JSON pointer they stood at.
    const char *retry_after;   // NULL when the vendor does not say.
} ss_reply;

// Sends it and waits for the answer.
bool ss_send(const ss_call *call, ss_reply *reply);
// Sends it; any other status than these two (0 stands for any 2xx) becomes the failure that it means. `what` completes
// "could not …".
bool ss_expect(const ss_call *call, ss_reply *reply, const char *what, int status, int other);
// The secret that must stand at a JSON pointer of the answer.
bool ss_captured(const ss_reply *reply, const char *pointer, uint32_t *secret);

// The loops that every provisioner needs. `context` is yours.

// Gives an id, or NULL when there is none. It must recognise its own by the mark, never by name alone.
typedef bool (*ss_find)(void *context, const char **id);
typedef bool (*ss_create)(void *context, const char **id);
// Makes something exactly once, and gives its id. Looks first, because an earlier run may have made it and died. Then creates.
// When the answer is lost or cannot be read, or the vendor says that it exists already, looks several times over some seconds;
// only what is surely absent is created again.
bool ss_ensure(ss_find find, ss_create create, void *context, const char **id);

// Sets `done` when there is an answer.
typedef bool (*ss_ask)(void *context, bool *done);
// Asks until it is done or patience is over. Asks at least once, and once more at the end.
bool ss_poll(double patience_ms, double interval_ms, ss_ask ask, void *context, bool *done);

// Reads the page at the cursor (NULL for the first) and gives the next cursor, or NULL at the end.
typedef bool (*ss_page)(void *context, const char *cursor, const char **next);
bool ss_pages(ss_page page, void *context);

// The host's side.

void ss_step(const char *message);
void ss_log(const char *message);
// Keeps what exists so far: durable when this returns. Call it as soon as an id is known.
void ss_checkpoint(const ss_record *partial);
double ss_now_ms(void);
void ss_wait(double ms);
void ss_random(uint8_t *bytes, uint32_t count);
// A new secret out of a template: `{name}` or `{name|url}` stands for a part.
bool ss_compose(const char *format, const ss_secret *parts, uint32_t *secret);

// Text and JSON. A JSON value is its own text.

// Like printf.
char *ss_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
// JSON as it stands in the source.
#define SS_JSON(...) #__VA_ARGS__
// "text" with quotes.
char *ss_string(const char *text);
// {"key": value, …} out of keys and JSON values in turn, ended by NULL.
char *ss_object(const char *key, ...) __attribute__((sentinel));
// The JSON value at a pointer (`/records/0/id`; "" is the whole); NULL when there is none.
char *ss_at(const char *json, const char *pointer);
// The text at a pointer; NULL when there is none, or no text.
char *ss_text_at(const char *json, const char *pointer);
// Whether it is JSON, whole.
bool ss_is_json(const char *text);

#endif
