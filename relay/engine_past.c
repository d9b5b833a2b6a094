// Introductions, and the link past a parent that keeps silent.
#include "relay/engine_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "relay/introduce.h"
#include "relay/language.h"
#include "relay/receipt.h"

void engine_guest_came(struct engine *engine, const struct slot *guest)
{
    struct txn *txn = engine_reader(engine);
    enum object_kind kind;
    struct bytes wire;
    struct certificate certificate, between;
    char text[200];
    if (!txn || !object_read(txn, &guest->certificate, &kind, &wire) || certificate_decode(wire, &certificate, NULL) != OK ||
        !object_read(txn, &certificate.issuer, &kind, &wire) || certificate_decode(wire, &between, NULL) != OK)
        return;
    snprintf(text, sizeof text, "the station of unit %s came past its parent, the station of unit %s: its urgent records get no receipt",
             certificate.unit, between.unit);
    engine_alarm(engine, "came-past-parent", text);
}

// ---- introductions

static void closed(struct engine *engine, uint32_t link)
{
    struct core_event event = engine_event(EVENT_CLOSED, link);
    event.fresh = crypto_random_u64();
    engine->links.slots[link].introducing = false;
    transport_hangup(engine->transport, link);
    engine_step(engine, &event);
}

void engine_introduce(struct engine *engine, uint32_t link)
{
    struct slot *slot = &engine->links.slots[link];
    struct buffer wire = {0};
    struct error error = {0};
    struct txn *txn = engine_reader(engine);
    enum error_code code = txn ? engine->config.hooks.introduce(engine->config.hooks.context, txn, &slot->key, &wire, &error) : ERR_BUSY;
    if (code == OK)
        code = transport_send_parent(engine->transport, link, buffer_bytes(&wire), bytes_of(NULL, 0));
    else if (txn)
        engine_report(engine, true, error.detail);
    buffer_finish(&wire);
    if (code != OK)
        closed(engine, link);
}

void engine_introduced(struct engine *engine, uint32_t link, struct bytes answer)
{
    struct slot *slot = &engine->links.slots[link];
    struct error error = {0};
    enum error_code code = introduction_answer(answer, &error);
    if (code != OK)
        engine_report(engine, true, error.detail);
    slot->introducing = false;
    if (code == OK) // and now to the link endpoint, within the patience of this dial
        code = transport_dial(engine->transport, link, slot->past ? engine->config.above_endpoint : engine->config.parent_endpoint,
                              &slot->key, &error);
    if (code != OK)
        closed(engine, link);
}

// ---- past the parent

static void open_past(struct engine *engine)
{
    char text[200];
    snprintf(text, sizeof text, "urgent records have no receipt of the tier that decides: calling the station of unit %s, past the parent",
             engine->config.above->unit);
    engine->past_parent = true;
    engine_alarm(engine, "past-parent", text);
    engine_add_link(engine, LINK_ABOVE);
}

static void close_past(struct engine *engine)
{
    struct core_event event = engine_event(EVENT_LINK_REMOVE, LINK_ABOVE);
    engine->past_parent = false;
    engine_step(engine, &event);
}

void engine_look_past(struct engine *engine)
{
    const struct engine_config *config = &engine->config;
    if (!config->parent || !config->above)
        return;
    uint64_t now = monotonic_ms();
    struct txn *txn = engine_reader(engine);
    int64_t due = txn ? urgent_due_in(txn, utc_ms(), config->self->depth - config->above->depth) : 0;
    if (!txn || txn_error(txn) != OK) {
        engine_reader_end(engine);
        engine->past_ms = now + LOOK_AGAIN_MS;
        return;
    }
    engine->past_ms = due > 0 ? now + (uint64_t)(due < TICK_WAIT_MAX_MS ? due : TICK_WAIT_MAX_MS) : UINT64_MAX;
    if (due == 0 && !engine->past_parent)
        open_past(engine);
    else if (due != 0 && engine->past_parent)
        close_past(engine);
}
