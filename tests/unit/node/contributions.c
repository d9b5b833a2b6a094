// The pure heart: random histories against a slow oracle, and the traps by name.
#include "tests/unit/node/village.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/contributions.h"

static uint64_t random_state = 7;
static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % limit;
}

// ---- building records by hand

enum { RECORDS_MAX = 24, VALUES_MAX = 16 };

struct made {
    struct record record;
    struct value values[VALUES_MAX];
};

static struct value code_of(const char *list, const char *item)
{
    return (struct value){.type = VALUE_CODE, .code = (uint16_t)list_item(&codebook->lists[codebook_list(codebook, list)], item)};
}
static struct value date_of(int32_t days) { return (struct value){.type = VALUE_DATE, .date = days}; }
static struct value number_of(int64_t number) { return (struct value){.type = VALUE_NUMBER, .number = number * NUMBER_SCALE}; }

static struct value *field_of(struct made *made, const char *field)
{
    int index = form_field(&codebook->forms[made->record.form], field);
    assert_true(index >= 0 && index < VALUES_MAX);
    return &made->values[index];
}

static void make(struct made *made, const char *form, uint8_t id, int32_t at)
{
    *made = (struct made){.record = {.id = {id},
                                     .revision = 1,
                                     .form = (uint16_t)codebook_form(codebook, form),
                                     .at = at,
                                     .recorded_ms = 1000u + id,
                                     .unit = "V1",
                                     .unit_from = 5,
                                     .custodian = "V1",
                                     .person = "",
                                     .post = "",
                                     .reason = ""}};
    made->record.values = made->values;
    for (int i = 0; i < VALUES_MAX; i++)
        made->values[i] = value_none();
    made->values[codebook->forms[made->record.form].at] = date_of(at);
}

static uint32_t spread = 700; // days

static void randomise(struct made *made)
{
    uint8_t id = made->record.id[0];
    int32_t at = day_of("2023-01-01") + (int32_t)random_below(spread);
    static const char *const forms[] = {"file", "file", "visit", "assess"};
    const char *form = made->record.revision ? codebook->forms[made->record.form].id : forms[random_below(4)];
    uint32_t revision = made->record.revision + 1;
    bool first = made->record.revision == 0;
    make(made, form, id, at);
    made->record.revision = revision;
    made->record.recorded_ms = 1000 + random_below(5); // ties are decided by id
    made->record.voided = !first && random_below(4) == 0;
    if (made->record.voided)
        return;
    if (strcmp(form, "file") == 0) {
        *field_of(made, "state") = code_of("state", random_below(4) ? "active" : "left");
        if (random_below(2))
            *field_of(made, "sex") = code_of("sex", random_below(2) ? "f" : "m");
        if (random_below(2))
            *field_of(made, "category") = (struct value){.type = VALUE_SET, .set = 1 + random_below(15)};
        if (random_below(2)) // 29 February among them, and some not born yet
            *field_of(made, "birth") = date_of(random_below(3) ? day_of("2016-02-29") : day_of("2020-03-01") + (int32_t)random_below(1400));
    } else if (strcmp(form, "visit") == 0) {
        if (random_below(3))
            *field_of(made, "minutes") = number_of(random_below(60));
    } else {
        *field_of(made, "harm") = code_of("grade", random_below(2) ? "grave" : "none");
        if (random_below(3))
            *field_of(made, "colour") = code_of("colour", random_below(2) ? "red" : "green");
        *field_of(made, "score") = number_of(random_below(20));
    }
}

static int by_order(const void *a, const void *b)
{
    return record_compare(*(const struct record *const *)a, *(const struct record *const *)b);
}

// A history of what has arrived so far.
static struct history history_of(struct made *made, uint32_t count, const struct record **records)
{
    uint32_t here = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (made[i].record.revision)
            records[here++] = &made[i].record;
    }
    qsort(records, here, sizeof *records, by_order);
    return (struct history){codebook, &codebook->regs[codebook_reg(codebook, "child")], records, here};
}

// ---- the oracle: levels by walking every record for every month

static int64_t level_of(const struct history *history, int indicator, int32_t day, int dim, uint32_t member)
{
    struct value props[PROPS_MAX];
    const struct indicator *of = &codebook->indicators[indicator];
    bool kept = false;
    for (unsigned i = 0; i < history->reg->prop_count; i++)
        props[i] = value_none();
    for (uint32_t r = 0; r < history->count; r++) {
        const struct record *record = history->records[r];
        const struct form *form = &codebook->forms[record->form];
        for (unsigned f = 0; !record->voided && record->at <= day && f < form->field_count; f++) {
            kept |= form->keeps;
            if (form->fields[f].keep >= 0 && record->values[f].type != VALUE_NONE)
                props[form->fields[f].keep] = record->values[f];
        }
    }
    const struct value *active = &props[reg_prop(history->reg, "state")];
    if (!kept || (of->where && !(active->type == VALUE_CODE && active->code == 0)))
        return 0;
    if (dim < 0)
        return 1;
    const struct value *value = NULL;
    if (of->dims[dim].source == DIMENSION_BAND) {
        const struct value *birth = &props[reg_prop(history->reg, "birth")];
        if (birth->type == VALUE_NONE || civil_years(birth->date, day) < 0)
            return member == 1;
        int32_t age = civil_years(birth->date, day);
        return member == (age < 3 ? 2u : age < 7 ? 3u : age < 14 ? 4u : 5u);
    }
    value = &props[of->dims[dim].index];
    if (value->type == VALUE_NONE)
        return member <= 1 && (member == 1 || of->dims[dim].multi);
    if (of->dims[dim].source == DIMENSION_PROP_ATTR) { // led by civil: orphan, disabled; youth: left_behind; nobody: poor
        bool civil = value->set & 5, youth = value->set & 2;
        return member == 0 ? 1 : member == 2 ? civil : member == 3 ? youth : !civil && !youth;
    }
    if (value->type == VALUE_SET)
        return member == 0 || (member >= 2 && value->set >> (member - 2) & 1);
    return member == value->code + 2u;
}

static int64_t stated(const struct contributions *list, int indicator, int32_t month, bool through, int dim, uint32_t member)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct contribution *item = &list->items[i];
        const struct dimension *dimension = dim >= 0 ? &codebook->indicators[indicator].dims[dim] : NULL;
        if (item->indicator == indicator && (through ? item->month <= month : item->month == month) &&
            (!dimension || item->cell / dimension->stride % dimension->radix == member))
            sum += item->value;
    }
    return sum;
}

static void check_against_oracle(const struct history *history, const struct contributions *list, int32_t through)
{
    for (int i = 0; i < codebook->indicator_count; i++) {
        const struct indicator *of = &codebook->indicators[i];
        if (of->kind != INDICATOR_STOCK || &codebook->regs[of->reg] != history->reg)
            continue;
        for (int32_t month = month_of("2022-12-01"); month <= month_of_days(through); month++) {
            int32_t day = month_last_day(month) < through ? month_last_day(month) : through;
            for (int d = 0; d < of->dim_count; d++) {
                int64_t parts = 0, heads = level_of(history, i, day, -1, 0);
                for (uint32_t m = 0; m < of->dims[d].radix; m++) {
                    int64_t level = stated(list, i, month, true, d, m);
                    if (of->multi < 0 || d == of->multi) // beside a multi dim, the others' digits repeat for each of its members
                        assert_int_equal(level, level_of(history, i, day, d, m));
                    parts += m > 0 ? level : 0;
                }
                if (of->multi < 0)
                    assert_int_equal(parts, heads); // T2
            }
            if (of->multi >= 0)
                assert_int_equal(stated(list, i, month, true, of->multi, 0), level_of(history, i, day, -1, 0)); // T1
        }
    }
}

static void check_flows(const struct history *history, const struct contributions *list)
{
    int visits = codebook_indicator(codebook, "visits"), form = codebook_form(codebook, "visit");
    for (int32_t month = month_of("2023-01-01"); month <= month_of("2024-12-01"); month++) {
        int64_t count = 0;
        for (uint32_t i = 0; i < history->count; i++)
            count += history->records[i]->form == form && !history->records[i]->voided && month_of_days(history->records[i]->at) == month;
        assert_int_equal(stated(list, visits, month, false, 0, 0), count);
    }
}

static void same(struct contributions *a, struct contributions *b) // consumes both
{
    contributions_subtract(a, b);
    assert_false(a->failed);
    assert_int_equal(a->count, 0);
    contributions_finish(a);
}

// T6, T7: whatever arrives in whatever order, with time passing between: the sum of differences is what one look from scratch gives.
static void differences_add_up(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 150; run++) {
        struct made made[RECORDS_MAX] = {0};
        const struct record *records[RECORDS_MAX];
        struct contributions sum = {0}, stated_now = {0};
        int32_t today = day_of("2024-06-01") + (int32_t)random_below(200);
        for (unsigned i = 0; i < RECORDS_MAX; i++)
            made[i].record.id[0] = (uint8_t)(i + 1);
        unsigned used = 1 + random_below(RECORDS_MAX);
        for (unsigned step = 0; step < 40; step++) {
            struct made *one = &made[random_below(used)];
            randomise(one);
            today += (int32_t)random_below(20);
            struct history history = history_of(made, RECORDS_MAX, records);
            int32_t through = history_through(&history, today);
            struct contributions now = {0}, before = stated_now;
            stated_now = (struct contributions){0};
            contributions_all(&history, through, &now);
            contributions_all(&history, through, &stated_now);
            contributions_subtract(&now, &before); // the difference
            for (uint32_t i = 0; i < now.count; i++)
                now.items[i].value = -now.items[i].value;
            contributions_subtract(&sum, &now);
        }
        struct history history = history_of(made, RECORDS_MAX, records);
        check_against_oracle(&history, &stated_now, history_through(&history, today));
        check_flows(&history, &stated_now);
        same(&sum, &stated_now);
    }
}

// The fast path: a new record of a form that keeps nothing changes figures by its own flows only.
static void own_flows_are_the_difference(void **state)
{
    (void)state;
    unsigned checked = 0;
    for (unsigned run = 0; run < 400; run++) {
        struct made made[RECORDS_MAX] = {0};
        const struct record *records[RECORDS_MAX];
        struct contributions before = {0}, after = {0}, own = {0};
        int32_t today = day_of("2024-12-31");
        spread = run % 2 ? 700 : 8; // many on one day
        for (unsigned i = 0; i < 12; i++) {
            made[i].record.id[0] = (uint8_t)(i + 1);
            if (i < 11)
                randomise(&made[i]);
        }
        struct history history = history_of(made, 12, records);
        contributions_all(&history, history_through(&history, today), &before);
        randomise(&made[11]);
        if (codebook->forms[made[11].record.form].keeps) {
            contributions_finish(&before);
            continue;
        }
        history = history_of(made, 12, records);
        contributions_all(&history, history_through(&history, today), &after);
        for (uint32_t i = 0; i < history.count; i++) {
            if (history.records[i] == &made[11].record)
                contributions_of_record(&history, i, &own);
        }
        contributions_subtract(&after, &before);
        same(&after, &own);
        checked++;
    }
    assert_true(checked > 50);
    spread = 700;
}

// T14: between `through` and the next edge nothing changes; on the edge something does.
static void edges_are_where_time_tells(void **state)
{
    (void)state;
    unsigned edges = 0;
    for (unsigned run = 0; run < 300; run++) {
        struct made made[4] = {0};
        const struct record *records[4];
        for (unsigned i = 0; i < 4; i++) {
            made[i].record.id[0] = (uint8_t)(i + 1);
            randomise(&made[i]);
        }
        struct history history = history_of(made, 4, records);
        int32_t through = history_through(&history, day_of("2024-12-01"));
        int32_t edge = history_next_edge(&history, through);
        struct contributions now = {0}, later = {0}, then = {0}, again = {0};
        int32_t until = edge == INT32_MAX ? through + 20000 : edge - 1;
        contributions_all(&history, through, &now);
        contributions_all(&history, until, &later);
        same(&now, &later);
        if (edge == INT32_MAX)
            continue;
        contributions_all(&history, edge, &then);
        contributions_all(&history, edge - 1, &again);
        contributions_subtract(&then, &again);
        assert_int_not_equal(then.count, 0);
        contributions_finish(&then);
        edges++;
    }
    assert_true(edges > 50);
}

static void birthdays_and_days_ahead(void **state)
{
    (void)state;
    struct made made[1];
    const struct record *records[1];
    make(&made[0], "file", 1, day_of("2024-03-10"));
    *field_of(&made[0], "state") = code_of("state", "active");
    *field_of(&made[0], "birth") = date_of(day_of("2017-03-20"));
    struct history history = history_of(made, 1, records);
    assert_int_equal(history_next_edge(&history, day_of("2024-03-19")), day_of("2024-03-20"));
    assert_int_equal(history_next_edge(&history, day_of("2024-03-20")), day_of("2031-03-20"));
    assert_int_equal(history_next_edge(&history, day_of("2031-03-20")), INT32_MAX);
    assert_int_equal(history_next_edge(&history, day_of("2024-03-09")), INT32_MAX); // not on file yet
    // a record dated tomorrow, or a clock that went back: judged up to the record
    assert_int_equal(history_through(&history, day_of("2024-03-09")), day_of("2024-03-10"));
    assert_int_equal(history_through(&history, day_of("2024-04-01")), day_of("2024-04-01"));
    made[0].record.voided = true;
    assert_int_equal(history_through(&history, day_of("2024-03-09")), day_of("2024-03-09"));
}

static void flows_look_at_the_end_of_their_day(void **state)
{
    (void)state;
    struct made made[4];
    const struct record *records[4];
    make(&made[0], "file", 1, day_of("2024-01-10"));
    *field_of(&made[0], "state") = code_of("state", "active");
    *field_of(&made[0], "birth") = date_of(day_of("2017-03-05"));
    make(&made[1], "visit", 2, day_of("2024-03-04")); // six, the day before its birthday
    make(&made[2], "visit", 3, day_of("2024-03-05"));
    made[2].record.unit = "T";                       // the township's own visit: its own cell
    make(&made[3], "file", 4, day_of("2024-03-05")); // of the same day, typed later
    *field_of(&made[3], "category") = (struct value){.type = VALUE_SET, .set = 3};
    struct history history = history_of(made, 4, records);
    struct contributions list = {0};
    contributions_all(&history, day_of("2024-03-31"), &list);
    int visits = codebook_indicator(codebook, "visits");
    int32_t march = month_of("2024-03-01");
    assert_int_equal(stated(&list, visits, march, false, 0, 0), 2);
    assert_int_equal(stated(&list, visits, march, false, 0, 1), 1); // category not known on the 4th
    assert_int_equal(stated(&list, visits, march, false, 0, 2), 1);
    assert_int_equal(stated(&list, visits, march, false, 0, 3), 1);
    unsigned townships = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        const struct contribution *item = &list.items[i];
        if (item->indicator != visits)
            continue;
        const struct dimension *age = &codebook->indicators[visits].dims[1];
        bool township = strcmp(item->unit, "T") == 0;
        townships += township;
        assert_int_equal(item->cell / age->stride % age->radix, township ? 4 : 3);
    }
    assert_int_equal(townships, 3); // two categories and `*`
    contributions_finish(&list);
}

static void values_are_rounded_halves_up(void **state)
{
    (void)state;
    static const struct {
        int64_t score;
        int64_t points;
    } cases[] = {{8, 2}, {9, 2}, {10, 3}, {11, 3}, {-10, -2}, {-11, -3}, {1, 0}};
    int points = codebook_indicator(codebook, "points");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made made[1];
        const struct record *records[1];
        struct contributions list = {0};
        make(&made[0], "assess", 1, day_of("2024-03-04"));
        *field_of(&made[0], "score") = number_of(cases[i].score); // a quarter of it
        struct history history = history_of(made, 1, records);
        contributions_of_record(&history, 0, &list);
        assert_int_equal(stated(&list, points, month_of("2024-03-01"), false, -1, 0), cases[i].points);
        contributions_finish(&list);
    }
}

static void stocks_belong_to_the_custodian(void **state)
{
    (void)state;
    struct made made[2];
    const struct record *records[2];
    make(&made[0], "file", 1, day_of("2024-02-10")); // opened the file
    make(&made[1], "file", 2, day_of("2024-01-10")); // dated before it, by another unit
    for (int i = 0; i < 2; i++)
        *field_of(&made[i], "state") = code_of("state", "active");
    made[1].record.unit = "T";
    made[1].record.unit_from = 9;
    struct history history = history_of(made, 2, records);
    struct contributions list = {0};
    contributions_all(&history, day_of("2024-03-31"), &list);
    assert_int_equal(stated(&list, codebook_indicator(codebook, "everyone"), month_of("2024-01-01"), false, -1, 0), 1);
    for (uint32_t i = 0; i < list.count; i++) {
        assert_string_equal(list.items[i].unit, "V1");
        assert_int_equal(list.items[i].unit_from, 5);
    }
    contributions_finish(&list);
}

static void subtract_sums_and_drops_zeros(void **state)
{
    (void)state;
    struct contributions a = {0}, b = {0};
    a.items = calloc(3, sizeof *a.items);
    b.items = calloc(2, sizeof *b.items);
    a.count = a.capacity = 3;
    b.count = b.capacity = 2;
    a.items[0] = (struct contribution){1, 5, 2, 10, "x", 0};
    a.items[1] = (struct contribution){1, 5, 2, 1, "y", 0};
    a.items[2] = (struct contribution){0, 5, 2, 3, "x", 0};
    b.items[0] = (struct contribution){1, 5, 2, 4, "x", 0};
    b.items[1] = (struct contribution){0, 5, 2, 3, "x", 0};
    contributions_subtract(&a, &b);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.items[0].value, 6);
    assert_string_equal(a.items[1].unit, "y");
    assert_int_equal(a.items[1].value, 1);
    assert_null(b.items);
    contributions_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_add_up),
        cmocka_unit_test(own_flows_are_the_difference),
        cmocka_unit_test(edges_are_where_time_tells),
        cmocka_unit_test(birthdays_and_days_ahead),
        cmocka_unit_test(flows_look_at_the_end_of_their_day),
        cmocka_unit_test(values_are_rounded_halves_up),
        cmocka_unit_test(stocks_belong_to_the_custodian),
        cmocka_unit_test(subtract_sums_and_drops_zeros),
    };
    return cmocka_run_group_tests(tests, codebook_setup, codebook_teardown);
}
