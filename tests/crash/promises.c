#include "tests/crash/promises.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/enrol.h"
#include "relay/link_wire.h"

struct gathering {
    struct promise *promises;
    size_t count;
    const char *name;
    uint32_t node; // process of the running node; 0: none
    bool ours;     // the command that runs is about this station
    bool making;   // ... and makes it
    size_t answer; // the node's last answer since the command began; 0: it works on the directory itself
};

static struct promise *add(struct gathering *gathering, enum promise_kind kind, size_t event)
{
    if (gathering->count == PROMISES_MAX)
        abort();
    struct promise *promise = &gathering->promises[gathering->count++];
    *promise = (struct promise){.kind = kind, .event = event};
    return promise;
}

// ---- what is printed

static const char *after(const char *text, const char *end, const char *wanted)
{
    const char *found = memmem(text, (size_t)(end - text), wanted, strlen(wanted));
    return found ? found + strlen(wanted) : NULL;
}

static void take_said(struct gathering *gathering, size_t event, const char *text, size_t size)
{
    const char *end = text + size;
    size_t left = gathering->answer ? gathering->answer : event; // the node's answer is the promise; the command only shows it
    if (gathering->making)
        add(gathering, PROMISE_MADE, event);
    if (!gathering->answer)
        add(gathering, PROMISE_END, event);
    for (const char *at = text; (at = after(at, end, "\"record\": \""));) {
        char hex[2 * 16 + 1] = "";
        struct promise *promise = add(gathering, PROMISE_RECORD, left);
        memcpy(hex, at, end - at < 32 ? (size_t)(end - at) : 32);
        if (!crypto_from_hex(hex, promise->id, 16))
            abort();
    }
    for (const char *at = text; (at = after(at, end, "\"token\": \""));) {
        char token[TOKEN_TEXT_MAX] = "";
        struct join_token parsed;
        for (size_t i = 0; at + i < end && at[i] != '"' && i + 1 < sizeof token; i++)
            token[i] = at[i];
        if (token_parse(token, &parsed, NULL) != OK)
            abort();
        struct hash name = token_name(parsed.secret);
        memcpy(add(gathering, PROMISE_TOKEN, left)->id, name.bytes, HASH_SIZE);
    }
}

// ---- what is sent

static void take_mark(struct gathering *gathering, size_t event, unsigned channel, uint64_t generation, uint64_t headers, uint64_t bodies)
{
    if (generation == 0 || (headers == 0 && bodies == 0))
        return;
    struct promise *promise = add(gathering, PROMISE_HELD, event);
    promise->stream = core_channel_stream(channel);
    promise->lane = core_channel_lane(channel);
    promise->generation = generation;
    promise->headers = headers;
    promise->bodies = bodies;
}

static bool take_link(struct gathering *gathering, size_t event, struct bytes frame)
{
    struct arena arena = {0};
    struct link_in in;
    bool link = link_decode(frame, 0, &arena, &in, NULL) == OK;
    if (link && in.type == LINK_ACK)
        take_mark(gathering, event, in.channel, in.ack.generation, in.ack.headers, in.ack.bodies);
    for (unsigned i = 0; link && in.type == LINK_HELLO && i < CORE_CHANNELS; i++) {
        const struct core_mark *held = &in.hello.hello.held[i];
        take_mark(gathering, event, i, held->generation, held->headers, held->bodies);
    }
    arena_finish(&arena);
    return link;
}

static void take_sent(struct gathering *gathering, size_t event, struct bytes frame)
{
    struct join_request request;
    static struct join_reply reply;
    struct certificate certificate;
    if (gathering->making && join_request_unpack(frame, &request, NULL) == OK)
        memcpy(add(gathering, PROMISE_ASKED, event)->id, request.station.bytes, STATION_ID_SIZE);
    else if (!gathering->making && !take_link(gathering, event, frame) && join_reply_unpack(frame, &reply, NULL) == OK && !*reply.refusal &&
             certificate_decode(reply.certificate, &certificate, NULL) == OK)
        memcpy(add(gathering, PROMISE_ENROLLED, event)->id, certificate.station.bytes, STATION_ID_SIZE);
}

// ---- whose it is

static bool is_about(const struct gathering *gathering, const char *note, const char *word, const char **ret_rest)
{
    size_t size = strlen(word), name = strlen(gathering->name);
    if (strncmp(note, word, size) != 0 || note[size] != ' ' || strncmp(note + size + 1, gathering->name, name) != 0)
        return false;
    *ret_rest = note + size + 1 + name;
    return **ret_rest == 0 || **ret_rest == ' ';
}

static void take_note(struct gathering *gathering, const char *note)
{
    const char *rest;
    if (is_about(gathering, note, "begin", &rest)) {
        gathering->ours = true;
        gathering->making = strcmp(rest, " make") == 0;
        gathering->answer = 0;
    } else if (is_about(gathering, note, "end", &rest)) {
        gathering->ours = gathering->making = false;
    } else if (is_about(gathering, note, "process", &rest)) {
        gathering->node = (uint32_t)strtoul(rest, NULL, 10);
    }
}

size_t promises_gather(const struct event_head *const *events, size_t count, const char *name, struct promise *ret)
{
    struct gathering gathering = {.promises = ret, .name = name};
    for (size_t i = 0; i < count; i++) {
        const struct event_head *event = events[i];
        const char *a = (const char *)(event + 1);
        bool node = event->process == gathering.node && gathering.node != 0;
        char note[256];
        if (event->kind == LOG_NOTE) {
            snprintf(note, sizeof note, "%.*s", (int)event->a_size, a);
            take_note(&gathering, note);
        } else if (event->kind == LOG_ANSWER && node) {
            gathering.answer = i;
        } else if (event->kind == LOG_SAY && gathering.ours && !node) {
            take_said(&gathering, i, a, event->a_size);
        } else if (event->kind == LOG_MESSAGE && (node || gathering.making)) {
            take_sent(&gathering, i, bytes_of(a, event->a_size));
        }
    }
    return gathering.count;
}
