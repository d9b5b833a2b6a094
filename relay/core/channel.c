// Sending and receiving side of one channel.
#include "relay/core/channel.h"

#include <assert.h>

enum { DELTA_MAX = (1 << 24) - 1, SIZE_MASK = (1 << 24) - 1, OVERHEAD_MASK = (1 << 16) - 1 }; // of struct sender_row

// ---- sender

void sender_init(struct sender *sender, uint64_t generation, uint64_t end, const struct core_mark *acknowledged)
{
    *sender = (struct sender){.end = end};
    if (acknowledged && acknowledged->generation == generation) {
        sender->headers = acknowledged->headers;
        sender->bodies = acknowledged->bodies;
    }
}

static void sender_clear(struct sender *sender)
{
    sender->head = sender->count = 0;
    sender->offset = sender->partial = 0;
    sender->resume_position = 0;
    sender->loading = sender->extended = false;
    flight_clear(&sender->flight);
}

// From position `after` on; with `repair`, what the peer's heads cover is left out up to the present end.
static void sender_run(struct sender *sender, uint64_t after, bool repair)
{
    sender_clear(sender);
    sender->state = SENDER_RUN;
    sender->after = sender->scanned = after;
    sender->repair_end = repair ? sender->end : 0;
}

static void sender_ask(struct sender *sender, uint64_t now_ms)
{
    sender->asked_ms = now_ms;
    sender_clear(sender);
    sender->headers = sender->bodies = 0;
    sender->repair_end = 0;
    sender->state = SENDER_HEADS;
}

enum core_alarm sender_begin(struct sender *sender, uint64_t generation, const struct core_mark *held, const struct core_staged *staged,
                             uint64_t now_ms)
{
    bool same = held->generation == generation;
    bool nothing = held->generation == 0 && held->headers == 0;
    uint64_t before = sender->headers;
    sender->repairs = 0;
    sender->high = 0;
    sender->claimed = same ? held->headers : 0;
    sender->best = sender->claimed;
    sender->headers = sender->bodies = 0;
    if (nothing) {
        sender_run(sender, 0, false);
        return before ? ALARM_PEER_RESTORED : ALARM_NONE;
    }
    if (!same || held->headers > sender->end) {
        if (sender->end == 0) // nothing to compare: what will be appended begins after 0
            sender_run(sender, 0, false);
        else
            sender_ask(sender, now_ms);
        return same ? ALARM_PEER_HOLDS_MORE : ALARM_NONE;
    }
    sender_run(sender, held->headers, false);
    sender->headers = held->headers;
    sender->bodies = held->bodies < held->headers ? held->bodies : held->headers;
    sender->resume_position = staged->position;
    sender->resume_offset = staged->offset;
    return held->headers < before ? ALARM_PEER_RESTORED : ALARM_NONE;
}

void sender_finish(struct sender *sender)
{
    sender_clear(sender);
    sender->repair_end = 0;
    sender->state = SENDER_OFF;
}

bool sender_restart(struct sender *sender, uint64_t now_ms)
{
    sender_ask(sender, now_ms);
    if (sender->repairs < CHANNEL_REPAIRS_MAX) {
        sender->repairs++;
        return true;
    }
    sender->state = SENDER_STOPPED;
    return false;
}

void sender_retry(struct sender *sender, uint64_t now_ms)
{
    assert(sender->state == SENDER_STOPPED);
    sender_ask(sender, now_ms);
}

void sender_heads(struct sender *sender)
{
    if (sender->state == SENDER_HEADS)
        sender_run(sender, 0, true);
}

void sender_extend(struct sender *sender, uint64_t end)
{
    if (end <= sender->end)
        return;
    sender->end = end;
    sender->extended = true;
}

bool sender_load(struct sender *sender, uint64_t *ret_after, uint32_t *ret_max, bool *ret_skip)
{
    if (sender->state != SENDER_RUN || sender->loading || sender->count > CORE_ROWS_MAX / 2 || sender->scanned >= sender->end)
        return false;
    sender->loading = true;
    sender->extended = false;
    *ret_after = sender->scanned;
    *ret_max = CORE_ROWS_MAX - sender->count;
    *ret_skip = sender->repair_end != 0;
    return true;
}

static uint64_t row_position(const struct sender *sender, uint32_t i)
{
    return sender->base + sender->rows[(sender->head + i) % CORE_ROWS_MAX].delta;
}

// Position of the last row sent or loaded.
static uint64_t sender_tail(const struct sender *sender)
{
    return sender->count ? row_position(sender, sender->count - 1u) : sender->after;
}

void sender_rows(struct sender *sender, const struct core_row *rows, uint32_t count, uint64_t scanned)
{
    uint64_t after = sender->scanned;
    if (sender->state != SENDER_RUN || !sender->loading)
        return;
    sender->loading = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct core_row *row = &rows[i];
        assert(row->position > sender->scanned && row->overhead <= CHANNEL_OVERHEAD_MAX && row->size <= DOCUMENT_MAX);
        assert(sender->count < CORE_ROWS_MAX);
        if (sender->count == 0)
            sender->base = row->position;
        if (row->position - sender->base > DELTA_MAX)
            return; // loaded again when the rows before it are sent
        sender->rows[(sender->head + sender->count++) % CORE_ROWS_MAX] = (struct sender_row){
            .delta = (row->position - sender->base) & DELTA_MAX, .size = row->size & SIZE_MASK, .overhead = row->overhead & OVERHEAD_MASK};
        sender->scanned = row->position;
    }
    if (scanned > sender->scanned)
        sender->scanned = scanned;
    if (sender->scanned > sender->end)
        sender->end = sender->scanned; // a commit that was read before it was told
    if (sender->scanned == after && !sender->extended)
        sender->end = after; // the stream ends before it was said to: ask again when it grows
    if (sender->repair_end && sender->scanned >= sender->repair_end) {
        sender->repair_end = 0;
        if (sender_tail(sender) < sender->scanned)
            sender->scanned--; // the last row was left out: send it all the same
    }
}

bool sender_next(const struct sender *sender, uint32_t piece_max, struct sender_piece *ret)
{
    if (sender->state != SENDER_RUN || sender->count == 0)
        return false;
    const struct sender_row *row = &sender->rows[sender->head];
    uint64_t position = row_position(sender, 0);
    uint32_t offset = sender->offset;
    if (offset == 0 && position == sender->resume_position && sender->resume_offset < row->size)
        offset = sender->resume_offset;
    uint32_t size = row->size;
    uint32_t length = size - offset < piece_max ? size - offset : piece_max;
    *ret = (struct sender_piece){.after = sender->after,
                                 .position = position,
                                 .offset = offset,
                                 .length = length,
                                 .bytes = length + (offset == 0 ? row->overhead : 0),
                                 .last = offset + length == size};
    if (ret->bytes == 0)
        ret->bytes = 1; // nothing is for nothing
    return true;
}

void sender_sent(struct sender *sender, const struct sender_piece *piece, uint32_t upto)
{
    assert(sender->count > 0 && piece->position == row_position(sender, 0));
    sender->resume_position = 0;
    sender->offset = piece->offset + piece->length;
    sender->partial += piece->bytes;
    if (!piece->last)
        return;
    flight_add(&sender->flight, piece->position, upto, sender->partial);
    sender->after = piece->position;
    if (piece->position > sender->high)
        sender->high = piece->position;
    sender->offset = sender->partial = 0;
    sender->head = (sender->head + 1) % CORE_ROWS_MAX;
    sender->count--;
}

bool sender_acknowledge(struct sender *sender, uint64_t generation, const struct core_mark *mark, bool *ret_news, bool *ret_released,
                        uint32_t *ret_upto)
{
    *ret_news = *ret_released = false;
    if (mark->generation != generation)
        return true;
    uint64_t most = sender->high > sender->claimed ? sender->high : sender->claimed;
    if (mark->headers > most || mark->bodies > mark->headers)
        return false;
    if (sender->state != SENDER_RUN)
        return true; // late, from before the repair
    *ret_news = mark->headers > sender->headers || mark->bodies > sender->bodies;
    if (mark->headers > sender->headers) {
        sender->headers = mark->headers;
        if (sender->headers > sender->best) { // the way back to where a repair began is no progress
            sender->best = sender->headers;
            sender->repairs = 0;
        }
    }
    if (mark->bodies > sender->bodies)
        sender->bodies = mark->bodies;
    *ret_released = flight_release(&sender->flight, mark->headers, ret_upto);
    return true;
}

uint32_t sender_unacknowledged(const struct sender *sender) { return sender->flight.bytes + sender->partial; }

// ---- receiver

bool receiver_init(struct receiver *receiver, const struct core_mark *mark, const struct core_staged *staged)
{
    *receiver = (struct receiver){.mark = *mark};
    if (!staged || staged->position == 0)
        return true;
    if (mark->generation == 0 || staged->position <= mark->headers || staged->offset == 0 || staged->offset >= staged->size)
        return false;
    receiver->staged = true;
    receiver->part = (struct receiver_part){.generation = mark->generation,
                                            .position = staged->position,
                                            .size = staged->size,
                                            .offset = staged->offset,
                                            .name = staged->header};
    return true;
}

void receiver_begin(struct receiver *receiver, struct core_mark *ret_held, struct core_staged *ret_staged)
{
    const struct receiver_part *part = &receiver->part;
    receiver->told = receiver->mark;
    if (receiver->mark.generation == 0 && part->position) // the very first row: names the journal that it is of
        receiver->told = (struct core_mark){.generation = part->generation};
    if (part->position && part->generation == receiver->told.generation && part->position > receiver->told.headers)
        *ret_staged = (struct core_staged){.position = part->position, .offset = part->offset, .size = part->size, .header = part->name};
    receiver->state = RECEIVER_OPEN;
    receiver->accepted = receiver->told.headers;
    receiver->generation = receiver->told.generation;
    receiver->repairing = false;
    receiver->gaps = receiver->wants = 0;
    receiver->part.bytes = 0;
    flight_clear(&receiver->flight);
    *ret_held = receiver->told;
}

bool receiver_finish(struct receiver *receiver)
{
    bool stage = receiver->part.position && !receiver->staged;
    if (stage)
        receiver->staged = true;
    receiver->state = RECEIVER_OFF;
    receiver->part.bytes = 0;
    flight_clear(&receiver->flight);
    return stage;
}

static bool well_formed(const struct core_piece *piece)
{
    if (piece->generation == 0 || piece->position == 0 || piece->after >= piece->position)
        return false;
    if (piece->size > DOCUMENT_MAX || piece->length > FRAME_MAX || piece->overhead > CHANNEL_OVERHEAD_MAX)
        return false;
    if (piece->offset > piece->size || piece->length > piece->size - piece->offset)
        return false;
    return piece->length > 0 || piece->size == 0;
}

// Whether a row may begin with this piece, as far as generation and place are concerned.
static bool follows(const struct receiver *receiver, const struct core_piece *piece)
{
    if (receiver->state == RECEIVER_RUN)
        return piece->generation == receiver->generation && piece->after == receiver->accepted;
    if (receiver->repairing || piece->generation != receiver->told.generation)
        return piece->after == 0;
    return piece->after == receiver->told.headers;
}

static bool goes_on(const struct receiver_part *part, const struct core_piece *piece)
{
    return part->position == piece->position && part->generation == piece->generation && part->offset == piece->offset &&
           part->size == piece->size;
}

// Held or taken already: a repeated piece.
static bool repeated(const struct receiver *receiver, const struct core_piece *piece)
{
    const struct receiver_part *part = &receiver->part;
    if (receiver->state != RECEIVER_RUN || piece->generation != receiver->generation)
        return false;
    return piece->position <= receiver->accepted ||
           (part->position == piece->position && !receiver->staged && piece->offset + piece->length <= part->offset);
}

static struct receiver_answer take(struct receiver *receiver, const struct core_piece *piece, struct receiver_answer answer)
{
    struct receiver_part *part = &receiver->part;
    part->offset = piece->offset + piece->length;
    part->bytes += piece->length + piece->overhead;
    answer.verdict = RECEIVER_TAKE;
    if (part->offset == part->size) {
        answer.verdict = RECEIVER_TAKE_LAST;
        receiver->accepted = piece->position;
        flight_add(&receiver->flight, piece->position, 0, part->bytes);
        *part = (struct receiver_part){0};
    }
    return answer;
}

struct receiver_answer receiver_piece(struct receiver *receiver, const struct core_piece *piece)
{
    struct receiver_answer answer = {.verdict = RECEIVER_IGNORE};
    struct receiver_part *part = &receiver->part;
    if (receiver->state != RECEIVER_OPEN && receiver->state != RECEIVER_RUN)
        return answer;
    if (!well_formed(piece)) {
        answer.verdict = RECEIVER_BROKEN;
        return answer;
    }
    if (repeated(receiver, piece))
        return answer;
    bool in_row = part->position && !receiver->staged;
    bool resumes = receiver->staged && piece->offset > 0 && goes_on(part, piece);
    if (in_row ? !goes_on(part, piece) : !follows(receiver, piece) || (piece->offset > 0 && !resumes)) {
        answer.verdict = RECEIVER_GAP;
        return answer;
    }
    if (in_row)
        return take(receiver, piece, answer);
    if (receiver->state == RECEIVER_OPEN) {
        answer.restored = receiver->mark.generation && piece->generation != receiver->mark.generation;
        receiver->generation = piece->generation;
        receiver->accepted = piece->after;
        receiver->repairing = false;
        receiver->state = RECEIVER_RUN;
    }
    answer.discard = receiver->staged && !resumes;
    receiver->staged = false;
    if (!resumes)
        *part =
            (struct receiver_part){.generation = piece->generation, .position = piece->position, .size = piece->size, .name = piece->name};
    return take(receiver, piece, answer);
}

// Forgets what is under way. True: there was a part.
static bool receiver_drop(struct receiver *receiver)
{
    bool part = receiver->part.position != 0;
    receiver->part = (struct receiver_part){0};
    receiver->staged = false;
    flight_clear(&receiver->flight);
    return part;
}

bool receiver_gap(struct receiver *receiver, bool *ret_discard, bool *ret_alarm)
{
    *ret_discard = *ret_alarm = false;
    if (receiver->state != RECEIVER_OPEN && receiver->state != RECEIVER_RUN)
        return false;
    *ret_discard = receiver_drop(receiver);
    receiver->state = RECEIVER_WAIT;
    if (receiver->gaps <= CHANNEL_REPAIRS_MAX)
        *ret_alarm = receiver->gaps++ == CHANNEL_REPAIRS_MAX; // once
    return true;
}

bool receiver_heads_wanted(struct receiver *receiver, uint64_t now_ms, bool *ret_discard)
{
    *ret_discard = false;
    if (receiver->wants > CHANNEL_REPAIRS_MAX && now_ms - receiver->wanted_ms < CHANNEL_PAUSE_MS / 2)
        return false;
    if (receiver->wants <= CHANNEL_REPAIRS_MAX)
        receiver->wants++;
    receiver->wanted_ms = now_ms;
    receiver->state = RECEIVER_OPEN;
    receiver->repairing = true;
    receiver->told = (struct core_mark){0};
    *ret_discard = receiver_drop(receiver);
    return true;
}

bool receiver_held(struct receiver *receiver, uint64_t now_ms, const struct core_mark *mark)
{
    bool lacks = mark->bodies < mark->headers;
    if (!lacks || mark->bodies > receiver->mark.bodies || receiver->behind_ms == 0)
        receiver->behind_ms = lacks ? now_ms + (now_ms == 0) : 0;
    receiver->alarmed = receiver->alarmed && lacks;
    receiver->mark = *mark;
    if (receiver->state != RECEIVER_RUN || mark->generation != receiver->generation)
        return false;
    struct core_mark told = *mark; // no further than what came in this session: rows of the one before may be committed late
    if (told.headers > receiver->accepted)
        told.headers = receiver->accepted;
    if (told.bodies > told.headers)
        told.bodies = told.headers;
    uint32_t unused;
    if (flight_release(&receiver->flight, told.headers, &unused))
        receiver->gaps = receiver->wants = 0;
    bool news =
        told.generation != receiver->told.generation || told.headers != receiver->told.headers || told.bodies != receiver->told.bodies;
    receiver->told = told;
    return news;
}

uint32_t receiver_taken(const struct receiver *receiver) { return receiver->flight.bytes + receiver->part.bytes; }
