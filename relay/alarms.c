// Of journal.h: the last alarms. The key is a number that counts up, not the time: a clock that jumps must not push new alarms out.
#include "relay/journal.h"
#include "relay/row.h"

enum { NUMBER_SIZE = 8 };

void alarm_add(struct txn *txn, const struct alarm *alarm)
{
    uint8_t key[NUMBER_SIZE], first[NUMBER_SIZE];
    uint64_t number = 0;
    bool full = txn_count(txn, TABLE_ALARMS) >= ALARMS_MAX;
    struct cursor *cursor = cursor_open(txn, TABLE_ALARMS);
    if (cursor && cursor_last(cursor) && cursor_key(cursor).size == NUMBER_SIZE)
        number = get_be64(cursor_key(cursor).data);
    full = full && cursor_seek(cursor, bytes_of("", 1)) && cursor_key(cursor).size == NUMBER_SIZE;
    if (full)
        memcpy(first, cursor_key(cursor).data, NUMBER_SIZE);
    cursor_close(cursor);
    if (full)
        txn_delete(txn, TABLE_ALARMS, bytes_of(first, NUMBER_SIZE));
    size_t size = strnlen(alarm->text, sizeof alarm->text - 1);
    struct buffer fields = {0};
    put_be64(key, number + 1);
    row_u64(&fields, alarm->time_ms);
    row_text(&fields, alarm->kind);
    row_u16(&fields, (uint16_t)size);
    row_raw(&fields, alarm->text, size);
    row_append(txn, TABLE_ALARMS, bytes_of(key, NUMBER_SIZE), &fields);
}

static bool alarm_take(struct row *row, struct alarm *ret)
{
    struct alarm alarm = {0};
    alarm.time_ms = row_take_u64(row);
    row_take_text(row, alarm.kind, sizeof alarm.kind);
    struct bytes text = row_take_span(row, row_take_u16(row));
    row->bad |= text.size >= sizeof alarm.text;
    if (!row_end(row))
        return false;
    if (text.size)
        memcpy(alarm.text, text.data, text.size);
    *ret = alarm;
    return true;
}

uint32_t alarm_last(struct txn *txn, struct alarm *alarms, uint32_t max)
{
    struct row row;
    uint32_t count = 0;
    struct cursor *cursor = cursor_open(txn, TABLE_ALARMS);
    bool more = cursor && max > 0 && cursor_last(cursor);
    while (more && row_at(txn, TABLE_ALARMS, cursor, &row) && alarm_take(&row, &alarms[count]))
        more = ++count < max && cursor_prev(cursor);
    cursor_close(cursor);
    return count;
}
