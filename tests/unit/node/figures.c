#include "tests/unit/node/office.h"

#include <stdio.h>
#include <stdlib.h>

#include "control.pb-c.h"
#include "node/figures.h"
#include "record.pb-c.h"

static const char tree[] = "code,name,tier,parent_code,counted\n"
                           "c,County,county,,true\n"
                           "t1,Town 1,township,c,true\n"
                           "v1,Village 1,village,t1,true\n"
                           "v2,Village 2,village,t1,true\n"
                           "f,Farm,village,t1,false\n"
                           "t2,Town 2,township,c,true\n"
                           "v3,Village 3,village,t2,true\n";
enum { JANUARY = 2024 * 12, APRIL = JANUARY + 3, MAY = JANUARY + 4, JUNE = JANUARY + 5 };
// Members: 0 *, 1 _, 2 orphan, 3 left_behind, 4 disabled; of children's cells the sex is the last digit: 1 _, 2 f, 3 m.
enum { ALL = 0, MISSING = 1, ORPHAN = 2, LEFT_BEHIND = 3, DISABLED = 4, F = 2, M = 3 };

struct county {
    struct office office;
    struct mate v1, v2, t1, t2, v3;
};

static uint32_t child(uint32_t category, uint32_t sex) { return category * 4 + sex; }

static void state(struct county *county, struct mate *mate, int indicator, const char *unit, int32_t month, const uint32_t *cells,
                  const int64_t *values, uint32_t count)
{
    mate_state(mate, &county->office, indicator, unit, MONTH_TYPE, month, true, cells, values, count);
}

// v1 and v2 have stations, v3 too; the towns state for themselves; f is a farm without reports.
static struct county *county_open(void)
{
    struct county *county = calloc(1, sizeof *county);
    office_open(&county->office, tree, "c");
    mate_open(&county->v1, &county->office, "v1", 3, 1);
    mate_open(&county->v2, &county->office, "v2", 3, 1);
    mate_open(&county->v3, &county->office, "v3", 3, 1);
    mate_open(&county->t1, &county->office, "t1", 2, 1);
    mate_open(&county->t2, &county->office, "t2", 2, 1);
    office_begin(&county->office);
    return county;
}

static void county_ready(struct county *county)
{
    struct mate *mates[] = {&county->v1, &county->v2, &county->v3, &county->t1, &county->t2};
    for (size_t i = 0; i < 5; i++) {
        uint32_t added = mates[i]->count;
        if (added)
            assert_int_equal(mate_send(mates[i], &county->office), added);
    }
    office_commit(&county->office);
    office_check_below(&county->office);
}

static void county_close(struct county *county)
{
    struct mate *mates[] = {&county->v1, &county->v2, &county->v3, &county->t1, &county->t2};
    for (size_t i = 0; i < 5; i++)
        mate_close(mates[i]);
    office_close(&county->office);
    free(county);
}

// ---- asking

struct answer {
    struct arena arena;
    const Sanji__FiguresReply *reply;
    enum error_code code;
    struct error error;
};

static char **split(char *text, size_t *ret_count)
{
    static char *parts[2][16];
    static int turn;
    char **list = parts[turn = !turn];
    *ret_count = 0;
    for (char *part = strtok(text, ","); part; part = strtok(NULL, ","))
        list[(*ret_count)++] = part;
    return list;
}

// `by`: comma-separated. `where`: dimension=code,...
static struct answer ask(struct county *county, const char *indicators, const char *unit, const char *period, const char *by,
                         const char *where)
{
    struct answer answer = {0};
    char a[128], b[128], w[128];
    snprintf(a, sizeof a, "%s", indicators);
    snprintf(b, sizeof b, "%s", by);
    snprintf(w, sizeof w, "%s", where);
    Sanji__FiguresRequest request = SANJI__FIGURES_REQUEST__INIT;
    Sanji__Filter filters[8], *pointers[8];
    request.indicators = split(a, &request.n_indicators);
    request.by = split(b, &request.n_by);
    request.unit = (char *)unit;
    request.period = (char *)period;
    for (char *part = strtok(w, ","); part; part = strtok(NULL, ",")) {
        Sanji__Filter *filter = &filters[request.n_filters];
        sanji__filter__init(filter);
        filter->dimension = part;
        filter->code = strchr(part, '=') + 1;
        filter->code[-1] = 0;
        pointers[request.n_filters++] = filter;
    }
    request.filters = pointers;
    struct txn *txn = office_read(&county->office);
    struct figures_view view = {
        .txn = txn, .codebook = county->office.codebook, .units = county->office.units, .unit = 0, .now_ms = county->office.now_ms};
    struct buffer wire = {0};
    answer.code = figures_answer(&view, &request, &wire, &answer.error);
    assert_int_equal(txn_error(txn), OK);
    txn_abort(txn);
    if (answer.code == OK) {
        const struct codec_limits limits = {.bytes_max = 1 << 20, .elements_max = 100000};
        void *message;
        struct error error;
        assert_int_equal(codec_unpack(&sanji__reply__descriptor, buffer_bytes(&wire), &limits, &answer.arena, &message, &error), OK);
        assert_int_equal(((Sanji__Reply *)message)->reply_case, SANJI__REPLY__REPLY_FIGURES);
        answer.reply = ((Sanji__Reply *)message)->figures;
    }
    buffer_finish(&wire);
    return answer;
}

static void refuse(struct county *county, enum error_code code, const char *why, const char *indicators, const char *unit,
                   const char *period, const char *by, const char *where)
{
    struct answer answer = ask(county, indicators, unit, period, by, where);
    assert_int_equal(answer.code, code);
    if (!strstr(answer.error.detail, why))
        fail_msg("'%s' is not in '%s'", why, answer.error.detail);
    arena_finish(&answer.arena);
}

// The rows as text, one a line: "indicator unit period members own/subtree flags".
static const char *text_of(const struct answer *answer)
{
    static char text[8192];
    size_t at = 0;
    if (answer->code)
        return answer->error.detail;
    const Sanji__FiguresReply *reply = answer->reply;
    for (size_t i = 0; i < reply->n_own; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s %s %s", reply->indicators[reply->row_indicator[i]]->id,
                               reply->units[reply->row_unit[i]]->code, reply->periods[reply->row_period[i]]);
        for (size_t d = 0; d < reply->n_dimensions; d++)
            at += (size_t)snprintf(text + at, sizeof text - at, " %s",
                                   reply->dimensions[d]->members[reply->members[i * reply->n_dimensions + d]]->code);
        at += (size_t)snprintf(text + at, sizeof text - at, " %lld/%lld", (long long)reply->own[i], (long long)reply->subtree[i]);
        if (reply->row_flags[i])
            at += (size_t)snprintf(text + at, sizeof text - at, " %u", reply->row_flags[i]);
        at += (size_t)snprintf(text + at, sizeof text - at, "\n");
        assert_true(at < sizeof text);
    }
    return text;
}

static void expect(struct county *county, const char *rows, const char *indicators, const char *unit, const char *period, const char *by,
                   const char *where)
{
    struct answer answer = ask(county, indicators, unit, period, by, where);
    assert_string_equal(text_of(&answer), rows);
    arena_finish(&answer.arena);
}

// ---- flow

static void a_county_by_town_adds_up(void **context) // T12
{
    (void)context;
    struct county *county = county_open();
    state(county, &county->v1, VISITS, "v1", APRIL, (uint32_t[]){ORPHAN}, (int64_t[]){1}, 1);
    state(county, &county->v1, VISITS, "v1", MAY, (uint32_t[]){MISSING, ORPHAN}, (int64_t[]){10, 20}, 2);
    state(county, &county->v2, VISITS, "v2", MAY, (uint32_t[]){ORPHAN}, (int64_t[]){300}, 1);
    state(county, &county->t1, VISITS, "t1", MAY, (uint32_t[]){DISABLED}, (int64_t[]){4000}, 1);
    state(county, &county->t2, VISITS, "t2", APRIL, NULL, NULL, 0);
    mate_state(&county->t1, &county->office, VISITS, "f", MONTH_TYPE, MAY, true, (uint32_t[]){ORPHAN}, (int64_t[]){50000}, 1);
    struct group_key own = office_group(&county->office, county->office.desk.txn, VISITS, "c", MONTH_TYPE, MAY);
    ledger_add(county->office.ledger, &county->office.desk, &own, "c", ORPHAN, 600000); // the county's own 16 inspectors
    county_ready(county);
    expect(county, "visits c 2024 600000/654331\n", "visits", "", "2024", "", "");
    expect(county,
           "visits c 2024-05 600000/600000 4\n"
           "visits t1 2024-05 4000/54330\n"
           "visits t2 2024-05 0/0 3\n", // silent in May
           "visits", "", "2024-05", "unit", "");
    expect(county,
           "visits c 2024-04 0/0 7\n"
           "visits t1 2024-04 0/1 1\n"
           "visits t2 2024-04 0/0\n", // said zero in April
           "visits", "c", "2024-04", "unit", "");
    expect(county,
           "visits t1 2024-03 0/0 3\n"
           "visits t1 2024-04 0/1 1\n"
           "visits t1 2024-05 4000/54330\n",
           "visits", "t1", "2024-03..2024-05", "period", "");
    expect(county,
           "visits t1 2024-Q1 0/0 3\n"
           "visits t1 2024-Q2 4000/54331\n",
           "visits", "t1", "2024-Q1..2024-Q2", "period", "");
    expect(county, "visits c 2023..2024 600000/654331\n", "visits", "", "2023..2024", "", "");
    expect(county,
           "visits v1 2024-Q2 31/31\n"
           "visits v2 2024-Q2 300/300\n"
           "visits f 2024-Q2 50000/50000\n"
           "visits v3 2024-Q2 0/0 3\n",
           "visits", "", "2024-Q2", "tier=village", "");
    county_close(county);
}

static void missing_members_are_shown_and_counted(void **context) // T2
{
    (void)context;
    struct county *county = county_open();
    state(county, &county->v1, VISITS, "v1", MAY, (uint32_t[]){MISSING, ORPHAN, DISABLED}, (int64_t[]){10, 20, 3}, 3);
    state(county, &county->v2, VISITS, "v2", MAY, (uint32_t[]){ORPHAN}, (int64_t[]){-20}, 1);
    county_ready(county);
    expect(county, "visits c 2024-05 0/13 1\n", "visits", "", "2024-05", "", "");
    expect(county,
           "visits c 2024-05 _ 0/10 1\n"
           "visits c 2024-05 disabled 0/3 1\n", // orphans: +20 - 20
           "visits", "", "2024-05", "category", "");
    expect(county, "visits c 2024-04 * 0/0 3\n", "visits", "", "2024-04..2024-04", "category", ""); // nothing at all
    county_close(county);
}

static void overlapping_members_are_never_summed(void **context) // T1
{
    (void)context;
    struct county *county = county_open();
    // one girl is an orphan and disabled, one boy is left behind: 2 children, 3 categories
    state(county, &county->v1, CHILDREN, "v1", MAY,
          (uint32_t[]){child(ALL, F), child(ALL, M), child(ORPHAN, F), child(LEFT_BEHIND, M), child(DISABLED, F)},
          (int64_t[]){1, 1, 1, 1, 1}, 5);
    county_ready(county);
    expect(county, "children c 2024-05 0/2 1\n", "children", "", "2024-05", "", "");
    expect(county,
           "children c 2024-05 * 0/2 1\n"
           "children c 2024-05 orphan 0/1 1\n"
           "children c 2024-05 left_behind 0/1 1\n"
           "children c 2024-05 disabled 0/1 1\n",
           "children", "", "2024-05", "category", "");
    expect(county,
           "children c 2024-05 f * 0/1 1\n"
           "children c 2024-05 f orphan 0/1 1\n"
           "children c 2024-05 f disabled 0/1 1\n"
           "children c 2024-05 m * 0/1 1\n"
           "children c 2024-05 m left_behind 0/1 1\n",
           "children", "", "2024-05", "sex,category", "");
    expect(county, "children c 2024-05 0/1 1\n", "children", "", "2024-05", "", "category=orphan");
    expect(county, "children c 2024-05 0/2 1\n", "children", "", "2024-05", "", "sex=f,sex=m");
    expect(county, "children c 2024-05 orphan 0/1 1\nchildren c 2024-05 disabled 0/1 1\n", "children", "", "2024-05", "category",
           "category=orphan,category=disabled");
    refuse(county, ERR_REFUSED, "overlap", "children", "", "2024-05", "", "category=orphan,category=disabled");
    county_close(county);
}

static void random_children_are_counted_once(void **context) // T1: `*` is heads, whatever the categories
{
    (void)context;
    struct county *county = county_open();
    int64_t cells[20] = {0}, heads = 0, values[20];
    uint32_t numbers[20], count = 0, random = 7;
    for (int i = 0; i < 500; i++) {
        random = random * 1103515245 + 12345;
        uint32_t set = random >> 16 & 7, sex = 1 + (random >> 20) % 3;
        heads++;
        cells[child(ALL, sex)]++;
        if (set == 0)
            cells[child(MISSING, sex)]++;
        for (uint32_t c = 0; c < 3; c++)
            cells[child(2 + c, sex)] += set >> c & 1;
    }
    for (uint32_t i = 0; i < 20; i++)
        if (cells[i]) {
            numbers[count] = i;
            values[count++] = cells[i];
        }
    state(county, &county->v3, CHILDREN, "v3", MAY, numbers, values, count);
    county_ready(county);
    struct answer answer = ask(county, "children", "", "2024-05", "", "");
    assert_int_equal(answer.reply->subtree[0], heads);
    arena_finish(&answer.arena);
    answer = ask(county, "children", "t2", "2024-05", "sex", ""); // parts of a single-valued dimension add up
    int64_t sum = 0;
    for (size_t i = 0; i < answer.reply->n_subtree; i++)
        sum += answer.reply->subtree[i];
    assert_int_equal(sum, heads);
    arena_finish(&answer.arena);
    county_close(county);
}

// ---- stock

static void a_stock_is_a_level(void **context) // T8
{
    (void)context;
    struct county *county = county_open();
    state(county, &county->v1, CHILDREN, "v1", JANUARY - 13, (uint32_t[]){child(ALL, F)}, (int64_t[]){100}, 1);
    state(county, &county->v1, CHILDREN, "v1", APRIL, (uint32_t[]){child(ALL, F)}, (int64_t[]){-3}, 1);
    state(county, &county->v2, CHILDREN, "v2", MAY, (uint32_t[]){child(ALL, M)}, (int64_t[]){7}, 1);
    county_ready(county);
    expect(county, "children c 2024-03 0/100 1\n", "children", "", "2024-03", "", "");
    expect(county, "children c 2024-01..2024-05 0/104 1\n", "children", "", "2024-01..2024-05", "", "");
    expect(county,
           "children c 2022-10 0/0 3\n"
           "children c 2022-11 0/0 3\n"
           "children c 2022-12 0/100 1\n"
           "children c 2023-01 0/100 1\n",
           "children", "", "2022-10..2023-01", "period", "");
    expect(county,
           "children c 2024-Q1 0/100 1\n"
           "children c 2024-Q2 0/104 1\n",
           "children", "", "2024-Q1..2024-Q2", "period", "");
    expect(county,
           "children v1 2024-04 f 97/97\n"
           "children v1 2024-05 f 97/97\n"
           "children v2 2024-04 * 0/0 3\n"
           "children v2 2024-05 m 7/7\n"
           "children f 2024-04 * 0/0 3\n"
           "children f 2024-05 * 0/0 3\n",
           "children", "t1", "2024-04..2024-05", "tier=village,period,sex", "");
    county_close(county);
}

static void late_changes_move_every_later_level(void **context) // T6
{
    (void)context;
    struct county *county = county_open();
    state(county, &county->v1, CHILDREN, "v1", MAY, (uint32_t[]){child(ALL, F)}, (int64_t[]){5}, 1);
    county_ready(county);
    expect(county, "children c 2024-04 0/0 3\nchildren c 2024-05 0/5 1\n", "children", "", "2024-04..2024-05", "period", "");
    office_begin(&county->office);
    state(county, &county->v1, CHILDREN, "v1", APRIL, (uint32_t[]){child(ALL, F)}, (int64_t[]){2}, 1);
    county_ready(county);
    expect(county, "children c 2024-04 0/2 1\nchildren c 2024-05 0/7 1\n", "children", "", "2024-04..2024-05", "period", "");
    county_close(county);
}

// ---- ratio

static void a_ratio_is_made_of_totals(void **context) // T19, T20
{
    (void)context;
    struct county *county = county_open();
    state(county, &county->v1, VISITS, "v1", MAY, (uint32_t[]){ORPHAN}, (int64_t[]){1}, 1);
    state(county, &county->v1, CHILDREN, "v1", MAY, (uint32_t[]){child(ALL, F), child(ORPHAN, F)}, (int64_t[]){1, 1}, 2);
    state(county, &county->v2, VISITS, "v2", MAY, (uint32_t[]){ORPHAN}, (int64_t[]){1}, 1);
    state(county, &county->v2, CHILDREN, "v2", MAY, (uint32_t[]){child(ALL, F), child(ORPHAN, F)}, (int64_t[]){5, 5}, 2);
    county_ready(county);
    expect(county, "share t1 2024-05 0/3333 9\n", "share", "t1", "2024-05", "", ""); // 2 / 6, not the mean of 1 and 0.2
    expect(county,
           "share t1 2024-05 0/0 15\n"
           "share v1 2024-05 10000/10000 8\n"
           "share v2 2024-05 2000/2000 8\n"
           "share f 2024-05 0/0 11\n",
           "share", "t1", "2024-05", "unit", "");
    county_close(county);
}

static void ratios_round_half_away_from_zero(void **context)
{
    (void)context;
    struct county *county = county_open();
    static const struct {
        int64_t num, den;
        const char *shown;
    } cases[] = {
        {2, 3, "share v1 2024-05 6667/6667 8\n"},    {-2, 3, "share v1 2024-05 -6667/-6667 8\n"}, {1, 20000, "share v1 2024-05 1/1 8\n"},
        {1, 20001, "share v1 2024-05 0/0 8\n"},      {-1, 20000, "share v1 2024-05 -1/-1 8\n"},   {1, 0, "share v1 2024-05 0/0 11\n"},
        {INT64_MAX, 1, "share v1 2024-05 0/0 11\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (i > 0)
            office_begin(&county->office);
        state(county, &county->v1, VISITS, "v1", MAY, (uint32_t[]){ORPHAN}, &cases[i].num, 1);
        state(county, &county->v1, CHILDREN, "v1", MAY, (uint32_t[]){child(ALL, F)}, &cases[i].den, 1);
        county_ready(county);
        expect(county, cases[i].shown, "share", "v1", "2024-05", "", "");
    }
    county_close(county);
}

// ---- entered

static void entered_values_have_their_own_periods(void **context)
{
    (void)context;
    struct county *county = county_open();
    struct office *office = &county->office;
    mate_state(&county->t1, office, POPULATION, "t1", YEAR_TYPE, 2023, true, (uint32_t[]){0}, (int64_t[]){500}, 1);
    mate_state(&county->t1, office, POPULATION, "t1", YEAR_TYPE, 2024, true, (uint32_t[]){0}, (int64_t[]){600}, 1);
    mate_state(&county->t2, office, POPULATION, "t2", YEAR_TYPE, 2024, true, (uint32_t[]){0}, (int64_t[]){70}, 1);
    mate_state(&county->v1, office, POPULATION, "v1", YEAR_TYPE, 2024, true, (uint32_t[]){0}, (int64_t[]){99}, 1); // T22: not a township
    mate_state(&county->v1, office, BEDS, "v1", MONTH_TYPE, MAY, true, (uint32_t[]){ORPHAN}, (int64_t[]){3}, 1);
    mate_state(&county->v1, office, BEDS, "v1", YEAR_TYPE, 2024, true, (uint32_t[]){ORPHAN}, (int64_t[]){8}, 1);
    county_ready(county);
    expect(county, "population c 2024 0/670 1\n", "population", "", "2024", "", "");
    expect(county, "population c 2024 0/0 7\npopulation t1 2024 600/600\npopulation t2 2024 70/70\n", "population", "", "2024", "unit", "");
    expect(county, "population c 2023 0/500 1\npopulation c 2024 0/670 1\n", "population", "", "2023..2024", "period", "");
    expect(county, "population t1 2024-01..2024-12 600/600\n", "population", "t1", "2024-01..2024-12", "", ""); // the one year in it
    expect(county, "beds c 2024-05 0/3 1\n", "beds", "", "2024-05", "", "");
    expect(county, "beds c 2024 0/8 1\n", "beds", "", "2024", "", "");
    refuse(county, ERR_REFUSED, "no sum over time", "population", "", "2023..2024", "", "");
    refuse(county, ERR_REFUSED, "year", "population", "", "2024-05", "", "");
    refuse(county, ERR_REFUSED, "year", "population", "", "2024-01..2024-12", "period", "");
    refuse(county, ERR_REFUSED, "no sum over time", "beds", "", "2024-04..2024-05", "", "");
    refuse(county, ERR_REFUSED, "month", "beds", "", "2024-Q1", "", "");
    county_close(county);
}

// ---- refusals

static void what_has_no_meaning_is_refused_with_the_reason(void **context)
{
    (void)context;
    struct county *county = county_open();
    county_ready(county);
    refuse(county, ERR_REFUSED, "not added", "visits+children", "", "2024", "", ""); // T21
    refuse(county, ERR_NOT_FOUND, "nothing", "nothing", "", "2024", "", "");
    refuse(county, ERR_INPUT, "no indicator", "", "", "2024", "", "");
    refuse(county, ERR_NOT_FOUND, "x9", "visits", "x9", "2024", "", "");
    refuse(county, ERR_INPUT, "no period", "visits", "", "", "", "");
    refuse(county, ERR_INPUT, "", "visits", "", "2024-13", "", "");
    refuse(county, ERR_NOT_FOUND, "it has: category", "visits", "", "2024", "colour", "");
    refuse(county, ERR_NOT_FOUND, "has none", "population", "", "2024", "sex", "");
    refuse(county, ERR_NOT_FOUND, "no dimension sex", "children,visits", "", "2024", "sex", "");
    refuse(county, ERR_REFUSED, "not the same", "visits,children", "", "2024", "category", ""); // one may be several at once
    refuse(county, ERR_NOT_FOUND, "no member", "visits", "", "2024", "", "category=red");
    refuse(county, ERR_NOT_FOUND, "no dimension", "visits", "", "2024", "", "colour=red");
    refuse(county, ERR_NOT_FOUND, "province", "visits", "", "2024", "tier=province", "");
    refuse(county, ERR_NOT_FOUND, "county", "visits", "t1", "2024", "tier=county", "");
    refuse(county, ERR_INPUT, "exclude", "visits", "", "2024", "unit,tier=village", "");
    refuse(county, ERR_INPUT, "twice", "visits", "", "2024", "unit,unit", "");
    refuse(county, ERR_INPUT, "twice", "visits", "", "2024", "category,category", "");
    county_close(county);
}

static void several_indicators_stand_side_by_side(void **context)
{
    (void)context;
    struct county *county = county_open();
    state(county, &county->v1, VISITS, "v1", MAY, (uint32_t[]){ORPHAN}, (int64_t[]){1}, 1);
    state(county, &county->v1, CHILDREN, "v1", MAY, (uint32_t[]){child(ALL, F)}, (int64_t[]){2}, 1);
    county_ready(county);
    struct answer answer = ask(county, "visits,children", "", "2024-05", "", "");
    assert_string_equal(text_of(&answer), "visits c 2024-05 0/1 1\nchildren c 2024-05 0/2 1\n");
    assert_string_equal(answer.reply->indicators[0]->kind, "flow");
    assert_string_equal(answer.reply->indicators[1]->kind, "stock");
    assert_string_equal(answer.reply->indicators[1]->count, "人");
    arena_finish(&answer.arena);
    county_close(county);
}

static void a_sum_that_cannot_be_is_no_number(void **context)
{
    (void)context;
    struct county *county = county_open();
    state(county, &county->v1, VISITS, "v1", MAY, (uint32_t[]){ORPHAN}, (int64_t[]){INT64_MAX}, 1);
    state(county, &county->v1, VISITS, "v1", APRIL, (uint32_t[]){ORPHAN}, (int64_t[]){1}, 1);
    county_ready(county);
    refuse(county, ERR_LIMIT, "too large", "visits", "v1", "2024", "", "");
    county_close(county);
}

// ---- freshness

static void zero_and_silent_differ(void **context) // T15
{
    (void)context;
    struct county *county = county_open();
    struct office *office = &county->office;
    state(county, &county->v1, VISITS, "v1", APRIL, (uint32_t[]){ORPHAN}, (int64_t[]){1}, 1);
    mate_complete(&county->v1, office, "v1", APRIL);
    mate_complete(&county->v2, office, "v2", MAY);
    mate_complete(&county->t1, office, "t1", MAY);
    mate_complete(&county->t2, office, "t2", MAY);
    county_ready(county);
    struct answer answer = ask(county, "visits", "", "2024-05", "", "");
    const Sanji__Freshness *fresh = answer.reply->freshness;
    assert_int_equal(fresh->expected, 6); // the farm owes nothing
    assert_int_equal(fresh->complete, 3);
    assert_int_equal(fresh->missing_count, 3);
    assert_int_equal(fresh->n_missing, 3);
    assert_string_equal(fresh->missing[0]->code, "c");
    assert_string_equal(fresh->missing[1]->code, "v1");
    assert_string_equal(fresh->missing[2]->code, "v3");
    assert_string_equal(fresh->missing[2]->name, "Village 3");
    assert_int_equal(fresh->oldest_ms, office->now_ms);
    assert_int_equal(fresh->newest_ms, office->now_ms);
    assert_false(fresh->open_period);
    arena_finish(&answer.arena);
    answer = ask(county, "visits", "t1", "2024-04", "", "");
    assert_int_equal(answer.reply->freshness->complete, 3);
    assert_int_equal(answer.reply->freshness->missing_count, 0);
    arena_finish(&answer.arena);
    answer = ask(county, "visits", "t1", "2024", "", ""); // not over: what has ended is owed
    assert_true(answer.reply->freshness->open_period);
    assert_int_equal(answer.reply->freshness->missing_count, 1);
    arena_finish(&answer.arena);
    county_close(county);
}

static void a_late_change_is_seen(void **context)
{
    (void)context;
    struct county *county = county_open();
    struct office *office = &county->office;
    state(county, &county->v1, VISITS, "v1", APRIL, (uint32_t[]){ORPHAN}, (int64_t[]){1}, 1);
    state(county, &county->v1, VISITS, "v1", MAY, NULL, NULL, 0);
    mate_complete(&county->v1, office, "v1", MAY);
    state(county, &county->v1, VISITS, "v1", JUNE, (uint32_t[]){ORPHAN}, (int64_t[]){1}, 1); // was not complete anyway
    county_ready(county);
    struct answer answer = ask(county, "visits", "v1", "2024-04", "", "");
    assert_int_equal(answer.reply->freshness->restated, 0);
    arena_finish(&answer.arena);
    office_begin(office);
    mate_state(&county->v1, office, VISITS, "v1", MONTH_TYPE, APRIL, false, (uint32_t[]){ORPHAN}, (int64_t[]){2}, 1);
    county_ready(county);
    answer = ask(county, "visits", "v1", "2024-04", "", "");
    assert_int_equal(answer.reply->freshness->restated, 1);
    assert_int_equal(answer.reply->freshness->complete, 1);
    arena_finish(&answer.arena);
    answer = ask(county, "visits", "v1", "2024-05", "", ""); // that month did not move
    assert_int_equal(answer.reply->freshness->restated, 0);
    arena_finish(&answer.arena);
    answer = ask(county, "children", "v1", "2024-04", "", ""); // nor did that indicator
    assert_int_equal(answer.reply->freshness->restated, 0);
    arena_finish(&answer.arena);
    county_close(county);
}

static void members_have_their_labels(void **context)
{
    (void)context;
    struct county *county = county_open();
    county_ready(county);
    struct answer answer = ask(county, "children", "", "2024-05", "sex,category", "");
    assert_int_equal(answer.reply->n_dimensions, 2);
    assert_string_equal(answer.reply->dimensions[0]->id, "sex");
    assert_int_equal(answer.reply->dimensions[0]->n_members, 4);
    assert_string_equal(answer.reply->dimensions[1]->members[0]->code, "*");
    assert_string_equal(answer.reply->dimensions[1]->members[0]->zh, "合计");
    assert_string_equal(answer.reply->dimensions[1]->members[1]->code, "_");
    assert_string_equal(answer.reply->dimensions[1]->members[4]->en, "disabled");
    arena_finish(&answer.arena);
    county_close(county);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_county_by_town_adds_up),
        cmocka_unit_test(missing_members_are_shown_and_counted),
        cmocka_unit_test(overlapping_members_are_never_summed),
        cmocka_unit_test(random_children_are_counted_once),
        cmocka_unit_test(a_stock_is_a_level),
        cmocka_unit_test(late_changes_move_every_later_level),
        cmocka_unit_test(a_ratio_is_made_of_totals),
        cmocka_unit_test(ratios_round_half_away_from_zero),
        cmocka_unit_test(entered_values_have_their_own_periods),
        cmocka_unit_test(what_has_no_meaning_is_refused_with_the_reason),
        cmocka_unit_test(several_indicators_stand_side_by_side),
        cmocka_unit_test(a_sum_that_cannot_be_is_no_number),
        cmocka_unit_test(zero_and_silent_differ),
        cmocka_unit_test(a_late_change_is_seen),
        cmocka_unit_test(members_have_their_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
