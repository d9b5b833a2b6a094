#include "node/desk.h"

#include "relay/row.h"

enum { UNIT_KEY_SIZE = UNIT_CODE_MAX + 1 + 4 };

static struct bytes unit_key(const char *code, uint32_t from, uint8_t key[UNIT_KEY_SIZE])
{
    size_t size = strnlen(code, UNIT_CODE_MAX);
    memcpy(key, code, size);
    key[size] = 0;
    put_be32(key + size + 1, from);
    return bytes_of(key, size + 5);
}

uint32_t unit_id_find(struct txn *txn, const char *code, uint32_t from)
{
    uint8_t key[UNIT_KEY_SIZE];
    struct row row;
    if (!row_read(txn, TABLE_UNITS, unit_key(code, from, key), &row))
        return UNIT_ID_NONE;
    uint32_t id = row_take_u32(&row);
    return row_end(&row) ? id : UNIT_ID_NONE;
}

void unit_ids_assign(struct txn *txn, const struct units *units)
{
    uint32_t next = (uint32_t)txn_count(txn, TABLE_UNITS) + 1; // ids are never given back
    for (int32_t i = 0; i < units->count; i++) {
        const struct unit *unit = &units->items[i];
        if (unit_id_find(txn, unit->code, unit->from) != UNIT_ID_NONE)
            continue;
        uint8_t key[UNIT_KEY_SIZE];
        struct buffer fields = {0};
        row_u32(&fields, next++);
        row_write(txn, TABLE_UNITS, unit_key(unit->code, unit->from, key), &fields);
    }
}

bool desk_speaks_for(const struct desk *desk, int32_t unit)
{
    return unit >= 0 && unit < desk->units->count && units_within(desk->units, unit, desk->unit) &&
           !(desk->delegated && desk->delegated[unit]);
}
