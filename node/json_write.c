// The writing half of json.h.
#include "node/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "node/utf8.h"

static void put(struct json_writer *writer, const char *text) { buffer_append(writer->out, text, strlen(text)); }

static void put_string(struct json_writer *writer, const char *text)
{
    put(writer, "\"");
    size_t n;
    for (const char *p = text; *p; p += n) {
        uint32_t code = utf8_decode(p, &n);
        bool raw = utf8_size((const uint8_t *)p, strnlen(p, 4)) != 0 && code >= 0x20 && code != 0x7F && code != 0x2028 && code != 0x2029 &&
                   !strchr("\"\\<>&", *p);
        char escaped[8];
        if (raw) {
            buffer_append(writer->out, p, n);
            continue;
        }
        if (code == '"' || code == '\\')
            snprintf(escaped, sizeof escaped, "\\%c", (char)code);
        else if (code == '\n')
            snprintf(escaped, sizeof escaped, "\\n");
        else
            snprintf(escaped, sizeof escaped, "\\u%04" PRIx32, code & 0xFFFF);
        put(writer, escaped);
    }
    put(writer, "\"");
}

static void new_line(struct json_writer *writer)
{
    if (!writer->pretty)
        return;
    put(writer, "\n");
    for (uint32_t i = 0; i < writer->depth; i++)
        put(writer, "  ");
}

// What stands in front of a value: comma, line, name.
static void begin(struct json_writer *writer, const char *name)
{
    if (writer->depth == 0)
        return;
    uint64_t bit = UINT64_C(1) << (writer->depth - 1);
    assert(!name == !!(writer->lists & bit)); // members have names, items have none
    if (writer->begun & bit)
        put(writer, ",");
    writer->begun |= bit;
    new_line(writer);
    if (name) {
        put_string(writer, name);
        put(writer, writer->pretty ? ": " : ":");
    }
}

static void open_level(struct json_writer *writer, const char *name, bool list)
{
    begin(writer, name);
    assert(writer->depth < JSON_DEPTH_MAX);
    uint64_t bit = UINT64_C(1) << writer->depth++;
    writer->begun &= ~bit;
    writer->lists = list ? writer->lists | bit : writer->lists & ~bit;
    put(writer, list ? "[" : "{");
}

void json_open_map(struct json_writer *writer, const char *name) { open_level(writer, name, false); }

void json_open_list(struct json_writer *writer, const char *name) { open_level(writer, name, true); }

void json_close(struct json_writer *writer)
{
    assert(writer->depth > 0);
    uint64_t bit = UINT64_C(1) << --writer->depth;
    if (writer->begun & bit)
        new_line(writer);
    put(writer, writer->lists & bit ? "]" : "}");
    if (writer->depth == 0)
        put(writer, "\n");
}

void json_put_text(struct json_writer *writer, const char *name, const char *text)
{
    if (!text) {
        json_put_null(writer, name);
        return;
    }
    begin(writer, name);
    put_string(writer, text);
}

void json_put_integer(struct json_writer *writer, const char *name, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    begin(writer, name);
    put(writer, text);
}

void json_put_unsigned(struct json_writer *writer, const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    begin(writer, name);
    put(writer, text);
}

void json_put_truth(struct json_writer *writer, const char *name, bool truth)
{
    begin(writer, name);
    put(writer, truth ? "true" : "false");
}

void json_put_null(struct json_writer *writer, const char *name)
{
    begin(writer, name);
    put(writer, "null");
}

void json_put_hex(struct json_writer *writer, const char *name, struct bytes data)
{
    static const char digits[] = "0123456789abcdef";
    if (data.size == 0) {
        json_put_null(writer, name);
        return;
    }
    begin(writer, name);
    put(writer, "\"");
    for (size_t i = 0; i < data.size; i++) {
        char pair[2] = {digits[data.data[i] >> 4], digits[data.data[i] & 15]};
        buffer_append(writer->out, pair, 2);
    }
    put(writer, "\"");
}
