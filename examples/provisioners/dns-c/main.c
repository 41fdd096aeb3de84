// A record at Zonely, an imaginary DNS host.
#include <string.h>

#include "starsystem.h"

static const char MANIFEST[] = SS_JSON({
    "manifest": 1,
    "name": "dns-c",
    "version": "0.1.0",
    "description": "Records at Zonely, an imaginary DNS host; written in C.",
    "targets": [{
        "type": "dns-c",
        "description": "One DNS record.",
        "creates": "record {name} in {zone}",
        "outputs": [{"name": "DNS_UPDATE_TOKEN", "description": "With it a machine may update the record by itself."}],
        "schema": {
            "type": "object",
            "additionalProperties": false,
            "required": ["zone", "name", "content"],
            "properties": {
                "zone": {"type": "string", "description": "The zone that the record is in: example.org.", "x-immutable": true},
                "name": {"type": "string", "description": "The record's name within the zone: www."},
                "content": {"type": "string", "description": "The address it leads to."},
                "ttl": {"type": "integer", "description": "How many seconds an answer may be kept.", "default": 300, "minimum": 60}
            }
        }
    }],
    "credentials": [{"name": "dns-c.api_token", "description": "A Zonely token, from its settings page.", "verify": "whoAmI"}],
    "connections": [{
        "name": "dns-c-api",
        "base_url": "https://api.zonely.example/v1",
        "auth": {"bearer": "dns-c.api_token"},
        "operations": [
            {"name": "whoAmI", "route": "GET /me"},
            {"name": "listRecords", "route": "GET /zones/{zone}/records", "query": ["cursor"],
             "adopts": [{"param": "record", "id": "/records/*/id", "mark": "/records/*/comment"}]},
            {"name": "getRecord", "route": "GET /zones/{zone}/records/{record}", "secrets": ["/update_token"],
             "adopts": [{"param": "record", "mark": "/comment"}]},
            {"name": "createRecord", "route": "POST /zones/{zone}/records", "in": ["create"], "owns": {"record": "/id"},
             "secrets": ["/update_token"]},
            {"name": "updateRecord", "route": "PATCH /zones/{zone}/records/{record}", "in": ["create", "update"],
             "repeatable": true, "secrets": ["/update_token"]},
            {"name": "deleteRecord", "route": "DELETE /zones/{zone}/records/{record}", "in": ["destroy"],
             "destroys": true, "repeatable": true}
        ]
    }]
});

const char *provisioner_manifest(void) { return MANIFEST; }

// What the callbacks of one call share.
typedef struct {
    const ss_service *service;
    const char *zone;
    const char *found;
} context;

static char *wanted(const ss_service *service) {
    return ss_object("name", ss_at(service->target, "/name"), "content", ss_at(service->target, "/content"), "ttl",
                     ss_at(service->target, "/ttl"), "comment", ss_string(service->mark), NULL);
}

static ss_record record_of(const char *zone, const char *found) {
    return (ss_record){
        .id = ss_text_at(found, "/id"),
        .attributes = ss_object("zone", ss_string(zone), "name", ss_at(found, "/name"), "content", ss_at(found, "/content"),
                                "ttl", ss_at(found, "/ttl"), NULL),
    };
}

static bool page(void *given, const char *cursor, const char **next) {
    context *at = given;
    ss_reply reply;
    ss_call call = {"listRecords", .params = {{"zone", at->zone}, {"cursor", cursor}}};
    if (!ss_expect(&call, &reply, "list the records", 0, 0)) return false;
    if (ss_at(reply.body, "/records") == NULL) return ss_fail(SS_BROKEN, "listRecords: the answer has no records");
    const char *record;
    for (int i = 0; (record = ss_at(reply.body, ss_format("/records/%d", i))) != NULL; i++) {
        const char *comment = ss_text_at(record, "/comment");
        if (comment != NULL && strcmp(comment, at->service->mark) == 0) at->found = ss_text_at(record, "/id");
    }
    *next = at->found == NULL ? ss_text_at(reply.body, "/next") : NULL;
    return true;
}

static bool find(void *given, const char **id) {
    context *at = given;
    at->found = NULL;
    if (!ss_pages(page, at)) return false;
    *id = at->found;
    return true;
}

static bool create(void *given, const char **id) {
    context *at = given;
    ss_reply reply;
    ss_call call = {"createRecord", .params = {{"zone", at->zone}}, .body = wanted(at->service)};
    if (!ss_expect(&call, &reply, "create the record", 0, 0)) return false;
    *id = ss_text_at(reply.body, "/id");
    if (*id == NULL) return ss_fail(SS_BROKEN, "createRecord: the answer has no id");
    ss_step(ss_format("Record created: %s", *id));
    return true;
}

// Leaves `found` NULL when there is no such record.
static bool get(const char *zone, const char *id, const char **found) {
    ss_reply reply;
    ss_call call = {"getRecord", .params = {{"zone", zone}, {"record", id}}};
    if (!ss_expect(&call, &reply, "read the record", 200, 404)) return false;
    *found = reply.status == 404 ? NULL : reply.body;
    if (*found != NULL && ss_text_at(*found, "/id") == NULL) return ss_fail(SS_BROKEN, "getRecord: the answer has no id");
    return true;
}

bool provisioner_apply(const ss_service *service, const ss_record *recorded, ss_outcome *outcome) {
    context at = {.service = service, .zone = ss_text_at(service->target, "/zone")};
    const char *id = recorded->id, *found = NULL;
    if (id == NULL) {
        if (!ss_ensure(find, create, &at, &id)) return false;
        ss_checkpoint(&(ss_record){.id = id, .attributes = ss_object("zone", ss_string(at.zone), NULL)});
    }
    if (!get(at.zone, id, &found)) return false;
    if (found == NULL) {
        return ss_fail(SS_CONFLICT, "record %s was deleted meanwhile; `ss deploy --refresh` makes it again", id);
    }
    ss_reply reply;
    ss_call call = {"updateRecord", .params = {{"zone", at.zone}, {"record", id}}, .body = wanted(service)};
    if (!ss_expect(&call, &reply, "update the record", 0, 0)) return false;
    outcome->made = record_of(at.zone, reply.body);
    if (outcome->made.id == NULL) return ss_fail(SS_BROKEN, "updateRecord: the answer has no id");
    outcome->summary = "record ready";
    outcome->outputs[0].name = "DNS_UPDATE_TOKEN";
    return ss_captured(&reply, "/update_token", &outcome->outputs[0].value);
}

bool provisioner_read(const ss_service *service, const ss_record *recorded, ss_record *found) {
    (void)service;
    const char *zone = ss_text_at(recorded->attributes, "/zone"), *body = NULL;
    if (!get(zone, recorded->id, &body)) return false;
    if (body != NULL) *found = record_of(zone, body);
    return true;
}

bool provisioner_destroy(const ss_record *recorded) {
    ss_reply reply;
    const char *zone = ss_text_at(recorded->attributes, "/zone");
    ss_call call = {"deleteRecord", .params = {{"zone", zone}, {"record", recorded->id}}};
    return ss_expect(&call, &reply, "delete the record", 204, 404);
}
