// JSON, as much as a provisioner needs: values are found where they stand in the text. Depth is bounded.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "starsystem.h"

enum { DEPTH_MAX = 64 };

// Each of these gives where the value ends, or NULL when it is none.
static const char *skip_value(const char *at, int depth);

static const char *skip_space(const char *at) { return at + strspn(at, " \t\r\n"); }

static const char *skip_string(const char *at) {
    if (*at++ != '"') return NULL;
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20) return NULL;
        if (*at != '\\') continue;
        at++;
        if (*at == 'u') {
            if (strspn(at + 1, "0123456789abcdefABCDEF") < 4) return NULL;
            at += 4;
        } else if (*at == 0 || strchr("\"\\/bfnrt", *at) == NULL) {
            return NULL;
        }
    }
    return at + 1;
}

static const char *skip_digits(const char *at) {
    size_t digits = strspn(at, "0123456789");
    return digits == 0 ? NULL : at + digits;
}

static const char *skip_number(const char *at) {
    if (*at == '-') at++;
    if ((at = skip_digits(at)) == NULL) return NULL;
    if (*at == '.' && (at = skip_digits(at + 1)) == NULL) return NULL;
    if (*at != 'e' && *at != 'E') return at;
    at++;
    if (*at == '+' || *at == '-') at++;
    return skip_digits(at);
}

static const char *skip_word(const char *at, const char *word) {
    return strncmp(at, word, strlen(word)) == 0 ? at + strlen(word) : NULL;
}

static const char *skip_list(const char *at, char end, bool has_keys, int depth) {
    at = skip_space(at + 1);
    if (*at == end) return at + 1;
    for (;;) {
        if (has_keys) {
            if ((at = skip_string(skip_space(at))) == NULL) return NULL;
            at = skip_space(at);
            if (*at++ != ':') return NULL;
        }
        if ((at = skip_value(skip_space(at), depth + 1)) == NULL) return NULL;
        at = skip_space(at);
        if (*at == end) return at + 1;
        if (*at++ != ',') return NULL;
    }
}

static const char *skip_value(const char *at, int depth) {
    if (depth > DEPTH_MAX) return NULL;
    switch (*at) {
    case '{': return skip_list(at, '}', true, depth);
    case '[': return skip_list(at, ']', false, depth);
    case '"': return skip_string(at);
    case 't': return skip_word(at, "true");
    case 'f': return skip_word(at, "false");
    case 'n': return skip_word(at, "null");
    default: return skip_number(at);
    }
}

bool ss_is_json(const char *text) {
    const char *end = skip_value(skip_space(text), 0);
    return end != NULL && *skip_space(end) == 0;
}

static unsigned hexadecimal(const char *at) {
    char digits[5] = {at[0], at[1], at[2], at[3], 0};
    return (unsigned)strtoul(digits, NULL, 16);
}

static char *put_utf8(char *to, unsigned code) {
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *to++ = (char)(0xE0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    } else {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3F));
        *to++ = (char)(0x80 | (code >> 6 & 0x3F));
        *to++ = (char)(0x80 | (code & 0x3F));
    }
    return to;
}

// One escape, its backslash behind us; moves on to its last character.
static char *put_escaped(char *to, const char **at) {
    static const char NAMES[] = "bfnrt", MEANT[] = "\b\f\n\r\t";
    const char *named = strchr(NAMES, **at);
    if (named != NULL) {
        *to++ = MEANT[named - NAMES];
        return to;
    }
    if (**at != 'u') {
        *to++ = **at;
        return to;
    }
    unsigned code = hexadecimal(*at + 1);
    *at += 4;
    bool is_pair = code >= 0xD800 && code < 0xDC00 && (*at)[1] == '\\' && (*at)[2] == 'u';
    unsigned low = is_pair ? hexadecimal(*at + 3) : 0;
    if (low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        *at += 6;
    } else if (code >= 0xD800 && code < 0xE000) {
        code = 0xFFFD; // Half of a pair.
    }
    // A zero would end the text.
    return put_utf8(to, code == 0 ? 0xFFFD : code);
}

// The text of a string that `skip_string` went over; it does not get longer.
static char *unescaped(const char *at, const char *end) {
    char *text = malloc((size_t)(end - at) + 1), *to = text;
    for (at++; at < end - 1; at++) {
        if (*at == '\\') {
            at++;
            to = put_escaped(to, &at);
        } else {
            *to++ = *at;
        }
    }
    *to = 0;
    return text;
}

// One step of a pointer, `~1` and `~0` undone; moves on behind it.
static char *segment(const char **pointer) {
    size_t length = strcspn(*pointer, "/");
    char *name = malloc(length + 1), *to = name;
    for (const char *at = *pointer; at < *pointer + length; at++) {
        bool is_escape = *at == '~' && (at[1] == '0' || at[1] == '1');
        *to++ = is_escape ? (*++at == '0' ? '~' : '/') : *at;
    }
    *to = 0;
    *pointer += length;
    return name;
}

// Where the member of an object or the item of an array begins. The whole was gone over before, so it is in order.
static const char *inside(const char *at, const char *name) {
    bool is_object = *at == '{';
    if (!is_object && *at != '[') return NULL;
    char *rest;
    unsigned long wanted = strtoul(name, &rest, 10);
    if (!is_object && (*name == 0 || *rest != 0)) return NULL;
    at = skip_space(at + 1);
    for (unsigned long index = 0; *at != '}' && *at != ']'; index++) {
        bool is_it = !is_object && index == wanted;
        if (is_object) {
            const char *end = skip_string(at);
            is_it = strcmp(unescaped(at, end), name) == 0;
            at = skip_space(skip_space(end) + 1);
        }
        if (is_it) return at;
        at = skip_space(skip_value(at, 0));
        if (*at == ',') at = skip_space(at + 1);
    }
    return NULL;
}

static const char *find(const char *json, const char *pointer) {
    if (json == NULL || !ss_is_json(json)) return NULL;
    const char *at = skip_space(json);
    while (at != NULL && *pointer == '/') {
        pointer++;
        at = inside(at, segment(&pointer));
    }
    return at;
}

char *ss_at(const char *json, const char *pointer) {
    const char *at = find(json, pointer);
    if (at == NULL) return NULL;
    return ss_format("%.*s", (int)(skip_value(at, 0) - at), at);
}

char *ss_text_at(const char *json, const char *pointer) {
    const char *at = find(json, pointer);
    if (at == NULL || *at != '"') return NULL;
    return unescaped(at, skip_string(at));
}

char *ss_string(const char *text) {
    char *string = malloc(strlen(text) * 6 + 3), *to = string;
    *to++ = '"';
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\') {
            *to++ = '\\';
            *to++ = *text;
        } else if ((unsigned char)*text < 0x20) {
            to += sprintf(to, "\\u%04x", (unsigned)*text);
        } else {
            *to++ = *text;
        }
    }
    *to++ = '"';
    *to = 0;
    return string;
}

char *ss_object(const char *key, ...) {
    va_list values;
    va_start(values, key);
    char *object = "{";
    for (const char *name = key; name != NULL; name = va_arg(values, const char *)) {
        const char *value = va_arg(values, const char *);
        const char *comma = name == key ? "" : ",";
        object = ss_format("%s%s%s:%s", object, comma, ss_string(name), value ? value : "null");
    }
    va_end(values);
    return ss_format("%s}", object);
}
