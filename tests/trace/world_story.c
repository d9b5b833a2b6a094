// What a world tells.
#include <assert.h>
#include <stdarg.h>

#include "relay/core/admission.h"
#include "tests/trace/world_inside.h"

static const char *const lanes[] = {"urgent", "control", "case", "aggregate", "bulk"};
static const char *const streams[] = {"up", "down-all", "down-one"};
static const char *const faults[] = {"none", "version", "gap", "forged", "unknown peer", "busy", "protocol", "store", "disputed", "clone"};

const char *world_fault_name(uint32_t fault) { return faults[fault]; }

static void append_text(struct world *world, const char *format, va_list arguments)
{
    char line[2048];
    int size = vsnprintf(line, sizeof line, format, arguments);
    assert(size >= 0 && (size_t)size < sizeof line);
    if (world->text_size + (size_t)size + 2 > world->text_room) {
        world->text_room = 2 * world->text_room + (size_t)size + 4096;
        world->text = world_must(realloc(world->text, world->text_room));
    }
    memcpy(world->text + world->text_size, line, (size_t)size);
    world->text_size += (size_t)size;
    world->text[world->text_size++] = '\n';
    world->text[world->text_size] = 0;
}

void world_say(struct world *world, const char *format, ...)
{
    if (!world->story)
        return;
    va_list arguments;
    va_start(arguments, format);
    append_text(world, format, arguments);
    va_end(arguments);
}

void world_pings(struct world *world, bool told) { world->pings = told; }

const char *world_story(const struct world *world) { return world->text ? world->text : ""; }

const char *world_channel_name(unsigned channel, char name[32])
{
    snprintf(name, 32, "%s/%s", streams[channel / LANES], lanes[channel % LANES]);
    return name;
}

static void describe_hello(const struct core_hello *hello, char *text, size_t room)
{
    size_t used = (size_t)snprintf(text, room, "hello%s", hello->reply ? " back" : "");
    const char *before = ", holds ";
    for (unsigned channel = 0; channel < CORE_CHANNELS && used < room; channel++) {
        char name[32];
        if (hello->held[channel].headers)
            used += (size_t)snprintf(text + used, room - used, "%s%s %llu", before, world_channel_name(channel, name),
                                     (unsigned long long)hello->held[channel].headers);
        else if (hello->staged[channel].position)
            used += (size_t)snprintf(text + used, room - used, "%s%s 0", before, world_channel_name(channel, name));
        else
            continue;
        before = ", ";
        if (hello->staged[channel].position && used < room)
            used += (size_t)snprintf(text + used, room - used, " and %llu to byte %u", (unsigned long long)hello->staged[channel].position,
                                     hello->staged[channel].offset);
    }
    if (!hello->credit_bytes && used < room)
        snprintf(text + used, room - used, ", no credit");
}

void world_describe(const struct message *message, char *text, size_t room)
{
    const struct core_event *event = &message->event;
    char name[32];
    world_channel_name(event->channel, name);
    switch (event->type) {
    case EVENT_HELLO:
        describe_hello(&message->hello, text, room);
        break;
    case EVENT_HEADS_WANTED:
        snprintf(text, room, "asks for heads of %s", name);
        break;
    case EVENT_HEADS_ALL:
        snprintf(text, room, "heads of %s", name);
        break;
    case EVENT_PIECE:
        if (message->bodiless)
            snprintf(text, room, "push %s %llu (header alone)", name, (unsigned long long)event->piece.position);
        else if (event->piece.length == event->piece.size)
            snprintf(text, room, "push %s %llu (%u bytes)", name, (unsigned long long)event->piece.position, event->piece.size);
        else
            snprintf(text, room, "push %s %llu (bytes %u to %u of %u)", name, (unsigned long long)event->piece.position,
                     event->piece.offset, event->piece.offset + event->piece.length, event->piece.size);
        break;
    case EVENT_ACK: {
        int used = snprintf(text, room, "ack %s %llu", name, (unsigned long long)event->ack.headers);
        if (event->ack.bodies != event->ack.headers)
            used += snprintf(text + used, room - (size_t)used, ", bodies %llu", (unsigned long long)event->ack.bodies);
        if (event->ack.received_position)
            used += snprintf(text + used, room - (size_t)used, ", received %llu to byte %u",
                             (unsigned long long)event->ack.received_position, event->ack.received_offset);
        if (event->ack.credit_bytes != ADMISSION_MIN)
            snprintf(text + used, room - (size_t)used, ", credit %u", event->ack.credit_bytes);
        break;
    }
    case EVENT_PING:
        snprintf(text, room, event->ping.reply ? "ping back" : "ping");
        break;
    case EVENT_ERROR:
        snprintf(text, room, "error %s%s%s", faults[event->error.fault], event->error.fault == FAULT_GAP ? " " : "",
                 event->error.fault == FAULT_GAP ? name : "");
        break;
    default:
        abort();
    }
}
