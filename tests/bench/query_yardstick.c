// The questions of query.py, answered from a bare LMDB table in this process: no units, no freshness, no socket.
//   bench_query_yardstick DIR TOWNS MONTHS TIMES
// The table has one row for each town, month, category and colour, as a roll-up table would. Prints one JSON object.
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "relay/bytes.h"

enum { CATEGORIES = 9, COLOURS = 4, KEY_SIZE = 10 }; // with the category `*`

static void must(int code)
{
    if (code == 0)
        return;
    fprintf(stderr, "bench_query_yardstick: %s\n", mdb_strerror(code));
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static MDB_val key_of(uint8_t key[KEY_SIZE], uint32_t town, uint32_t month, unsigned category, unsigned colour)
{
    put_be32(key, town);
    put_be32(key + 4, month);
    key[8] = (uint8_t)category;
    key[9] = (uint8_t)colour;
    return (MDB_val){KEY_SIZE, key};
}

struct table {
    MDB_env *env;
    MDB_dbi dbi;
    uint32_t towns, months;
    int64_t *sums; // [towns][months][CATEGORIES]
};

static void fill(struct table *table)
{
    MDB_txn *txn;
    uint8_t key[KEY_SIZE];
    must(mdb_txn_begin(table->env, NULL, 0, &txn));
    must(mdb_dbi_open(txn, NULL, 0, &table->dbi));
    for (uint32_t town = 0; town < table->towns; town++)
        for (uint32_t month = 0; month < table->months; month++)
            for (unsigned cell = 0; cell < CATEGORIES * COLOURS; cell++) {
                int64_t value = 1 + town + month + cell;
                MDB_val at = key_of(key, town, month, cell / COLOURS, cell % COLOURS), data = {sizeof value, &value};
                must(mdb_put(txn, table->dbi, &at, &data, MDB_APPEND));
            }
    must(mdb_txn_commit(txn));
}

// Sums the rows of towns first .. last over their colours.
static void read_towns(struct table *table, uint32_t first, uint32_t last)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    uint8_t from[KEY_SIZE];
    MDB_val key = key_of(from, first, 0, 0, 0), data;
    memset(table->sums, 0, sizeof *table->sums * table->towns * table->months * CATEGORIES);
    must(mdb_txn_begin(table->env, NULL, MDB_RDONLY, &txn));
    must(mdb_cursor_open(txn, table->dbi, &cursor));
    for (int code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE); code == 0; code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) {
        const uint8_t *at = key.mv_data;
        int64_t value;
        uint32_t town = get_be32(at);
        if (town > last)
            break;
        memcpy(&value, data.mv_data, sizeof value);
        table->sums[((size_t)town * table->months + get_be32(at + 4)) * CATEGORIES + at[8]] += value;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
}

static void read_one(struct table *table)
{
    MDB_txn *txn;
    uint8_t at[KEY_SIZE];
    MDB_val key = key_of(at, table->towns / 2, table->months / 2, 1, 1), data;
    must(mdb_txn_begin(table->env, NULL, MDB_RDONLY, &txn));
    must(mdb_get(txn, table->dbi, &key, &data));
    memcpy(table->sums, data.mv_data, sizeof *table->sums);
    mdb_txn_abort(txn);
}

static double median(struct table *table, int question, size_t times, double *took)
{
    for (size_t i = 0; i < times; i++) {
        double began = now_s();
        if (question == 0)
            read_towns(table, 0, table->towns - 1);
        else if (question == 1)
            read_towns(table, 3, 3);
        else
            read_one(table);
        took[i] = now_s() - began;
    }
    qsort(took, times, sizeof *took, by_size);
    return took[times / 2] * 1e3;
}

int main(int count, char **arguments)
{
    if (count != 5) {
        fprintf(stderr, "bench_query_yardstick DIR TOWNS MONTHS TIMES\n");
        return 2;
    }
    struct table table = {.towns = (uint32_t)atoi(arguments[2]), .months = (uint32_t)atoi(arguments[3])};
    size_t times = strtoull(arguments[4], NULL, 10);
    double *took = malloc(times * sizeof *took);
    table.sums = malloc(sizeof *table.sums * table.towns * table.months * CATEGORIES);
    if (!took || !table.sums)
        must(MDB_PANIC);
    must(mdb_env_create(&table.env));
    must(mdb_env_set_mapsize(table.env, 1 << 28));
    must(mdb_env_open(table.env, arguments[1], 0, 0600));
    fill(&table);
    double whole = median(&table, 0, times, took), town = median(&table, 1, times, took), one = median(&table, 2, times, took);
    printf("{\"whole_ms\": %.5f, \"town_ms\": %.5f, \"one_ms\": %.5f, \"check\": %" PRId64 "}\n", whole, town, one, table.sums[0]);
    mdb_env_close(table.env);
    free(took);
    free(table.sums);
    return 0;
}
