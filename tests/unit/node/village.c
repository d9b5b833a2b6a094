#include "tests/unit/node/village.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "envelope.pb-c.h"
#include "relay/batch.h"
#include "relay/route.h"
#include "tests/must.h"

static const char units_csv[] = "code,name,tier,parent_code,valid_from\n"
                                "C,县,county,,\nT,镇,township,C,\nV1,一村,village,T,2015-01-01\nH,一组,hamlet,V1,\nV2,二村,village,T,\n";

static const char codebook_yaml[] =
    "codebook: {id: test, version: 1, grammar: 1, tz: \"+08:00\", base: month, tiers: [county, township, village], zh: 测试, en: test}\n"
    "roles: [{id: director, tier: village, zh: 主任, en: director}]\n"
    "lists:\n"
    "  - {id: department, zh: 部门, en: department, items: [{id: civil, zh: 民政, en: civil}, {id: youth, zh: 团委, en: youth}]}\n"
    "  - id: category\n"
    "    zh: 类别\n"
    "    en: category\n"
    "    attrs: [{id: lead, type: code, of: department}]\n"
    "    items:\n"
    "      - {id: orphan, zh: 孤儿, en: orphan, set: [lead=civil]}\n"
    "      - {id: left_behind, zh: 留守, en: left behind, set: [lead=youth]}\n"
    "      - {id: disabled, zh: 残疾, en: disabled, set: [lead=civil]}\n"
    "      - {id: poor, zh: 贫困, en: poor, until: 2020-12-31, becomes: orphan}\n"
    "  - id: grade\n"
    "    zh: 程度\n"
    "    en: grade\n"
    "    attrs: [{id: points, type: int}]\n"
    "    items: [{id: none, zh: 无, en: none, set: [points=0]}, {id: some, zh: 有, en: some, set: [points=1]}, {id: grave, zh: 重, en: "
    "grave, set: [points=3]}]\n"
    "  - {id: colour, zh: 颜色, en: colour, items: [{id: red, zh: 红, en: red}, {id: green, zh: 绿, en: green}]}\n"
    "  - {id: sex, zh: 性别, en: sex, items: [{id: f, zh: 女, en: girl}, {id: m, zh: 男, en: boy}]}\n"
    "  - {id: state, zh: 状态, en: state, items: [{id: active, zh: 在册, en: active}, {id: left, zh: 退出, en: left}]}\n"
    "registers:\n"
    "  - id: child\n"
    "    zh: 儿童\n"
    "    en: child\n"
    "    custody: one\n"
    "    props:\n"
    "      - {id: name, type: text, personal: true, zh: 姓名, en: name}\n"
    "      - {id: birth, type: date, personal: true, zh: 出生, en: birth}\n"
    "      - {id: sex, type: code, of: sex, zh: 性别, en: sex}\n"
    "      - {id: category, type: code, of: category, many: 4, zh: 类别, en: category}\n"
    "      - {id: colour, type: code, of: colour, zh: 颜色, en: colour}\n"
    "      - {id: state, type: code, of: state, zh: 状态, en: state}\n"
    "    bands: [{id: age, of: birth, in: years, at: [3, 7, 14], zh: 年龄, en: age}]\n"
    "  - {id: unit, zh: 单位, en: unit, props: [{id: state, type: code, of: state, zh: 状态, en: state}]}\n"
    "forms:\n"
    "  - id: file\n"
    "    zh: 建档\n"
    "    en: file\n"
    "    about: child\n"
    "    at: since\n"
    "    sections: [{id: body, tiers: [village, township], roles: [director]}]\n"
    "    fields:\n"
    "      - {id: since, type: date, need: \"true\", zh: 日期, en: since}\n"
    "      - {id: name, type: text, max: 40, keep: name, section: body}\n"
    "      - {id: birth, type: date, keep: birth, section: body}\n"
    "      - {id: sex, type: code, of: sex, keep: sex}\n"
    "      - {id: category, type: code, of: category, many: 4, keep: category}\n"
    "      - {id: state, type: code, of: state, keep: state, need: \"true\"}\n"
    "  - id: assess\n"
    "    zh: 评估\n"
    "    en: assessment\n"
    "    about: child\n"
    "    at: day\n"
    "    sections: [{id: body, tiers: [village, township, county], roles: [director]}]\n"
    "    fields:\n"
    "      - {id: day, type: date, zh: 日期, en: day}\n"
    "      - {id: harm, type: code, of: grade, need: \"true\", section: body, zh: 伤害, en: harm}\n"
    "      - {id: score, type: int, section: body, calc: \"5 * harm.points\", zh: 得分, en: score}\n"
    "      - {id: advised, type: code, of: colour, calc: \"pick(score >= 5, 'red', 'green')\", zh: 建议, en: advised}\n"
    "      - {id: colour, type: code, of: colour, keep: colour, need: \"true\", zh: 颜色, en: colour}\n"
    "      - {id: why, type: text, max: 20, section: body, personal: true, show: \"colour != advised\", need: \"colour != advised\", zh: "
    "理由, en: why}\n"
    "      - {id: worse, type: bool, calc: \"known(prior.score) and score > prior.score\", zh: 加重, en: worse}\n"
    "  - id: visit\n"
    "    zh: 探访\n"
    "    en: visit\n"
    "    about: child\n"
    "    at: day\n"
    "    sections: [{id: body, tiers: [village, township], roles: [director]}]\n"
    "    fields:\n"
    "      - {id: day, type: date, need: \"true\", check: \"day <= today\", zh: 日期, en: day}\n"
    "      - {id: minutes, type: int, check: \"minutes > 0\", zh: 分钟, en: minutes}\n"
    "      - {id: place, type: position, section: body, zh: 位置, en: place}\n"
    "      - {id: notes, type: text, max: 1000, section: body, personal: true, zh: 情况, en: notes}\n"
    "  - id: money\n"
    "    zh: 资金\n"
    "    en: money\n"
    "    at: day\n"
    "    sections: [{id: body, tiers: [village, township]}]\n"
    "    fields:\n"
    "      - {id: day, type: date, need: \"true\", zh: 日期, en: day}\n"
    "      - {id: amount, type: money, need: \"true\", zh: 金额, en: amount}\n"
    "      - {id: source, type: code, of: department, zh: 来源, en: source}\n"
    "  - id: report\n"
    "    zh: 报告\n"
    "    en: report\n"
    "    at: day\n"
    "    lane: urgent\n"
    "    decided_by: township\n"
    "    sections: [{id: body, tiers: [village, township], roles: [director]}, {id: reporter, tiers: [county]}]\n"
    "    fields:\n"
    "      - {id: day, type: date, need: \"true\", zh: 日期, en: day}\n"
    "      - {id: facts, type: text, section: body, personal: true, zh: 事实, en: facts}\n"
    "      - {id: told_by, type: text, section: reporter, personal: true, zh: 报告人, en: told by}\n"
    "  - id: organise\n"
    "    zh: 组织\n"
    "    en: organise\n"
    "    about: unit\n"
    "    at: since\n"
    "    sections: [{id: body, tiers: [village, township]}]\n"
    "    fields:\n"
    "      - {id: since, type: date, need: \"true\", zh: 日期, en: since}\n"
    "      - {id: state, type: code, of: state, keep: state, need: \"true\"}\n"
    "  - id: kinds\n"
    "    zh: 各类字段\n"
    "    en: kinds\n"
    "    at: day\n"
    "    sections: [{id: body, tiers: [village, township]}]\n"
    "    fields:\n"
    "      - {id: day, type: date, zh: 日期, en: day}\n"
    "      - {id: yes, type: bool, zh: 是否, en: yes}\n"
    "      - {id: whole, type: int, zh: 整数, en: whole}\n"
    "      - {id: decimal, type: decimal, zh: 小数, en: decimal}\n"
    "      - {id: money, type: money, zh: 金额, en: money}\n"
    "      - {id: instant, type: instant, zh: 时刻, en: instant}\n"
    "      - {id: length, type: duration, zh: 时长, en: length}\n"
    "      - {id: colour, type: code, of: colour, zh: 颜色, en: colour}\n"
    "      - {id: category, type: code, of: category, many: 2, zh: 类别, en: category}\n"
    "      - {id: text, type: text, max: 5, zh: 文本, en: text}\n"
    "      - {id: child, type: ref, of: child, zh: 儿童, en: child}\n"
    "      - {id: children, type: ref, of: child, many: 3, zh: 儿童们, en: children}\n"
    "      - {id: home, type: unit, zh: 单位, en: home}\n"
    "      - {id: idno, type: idno, zh: 证件, en: idno}\n"
    "      - {id: phone, type: phone, zh: 电话, en: phone}\n"
    "      - {id: place, type: position, zh: 位置, en: place}\n"
    "      - {id: photo, type: file, many: 3, zh: 照片, en: photo}\n"
    "      - {id: reason, type: text, max: 600, zh: 原因, en: reason}\n"
    "indicators:\n"
    "  - {id: children, kind: stock, of: child, where: \"state == 'active'\", by: [category, sex], count: 人, zh: 儿童, en: children}\n"
    "  - {id: ages, kind: stock, of: child, where: \"state == 'active'\", by: [age, colour], count: 人, zh: 年龄, en: ages}\n"
    "  - {id: leads, kind: stock, of: child, where: \"state == 'active'\", by: [category.lead], count: 人, zh: 牵头, en: leads}\n"
    "  - {id: everyone, kind: stock, of: child, count: 人, zh: 所有, en: everyone}\n"
    "  - {id: visits, kind: flow, of: visit, by: [child.category, age], count: 次, zh: 探访, en: visits}\n"
    "  - {id: minutes, kind: flow, of: visit, where: \"known(minutes)\", value: minutes, by: [colour], count: 分钟, zh: 分钟, en: "
    "minutes}\n"
    "  - {id: assessments, kind: flow, of: assess, by: [harm, advised], count: 次, zh: 评估, en: assessments}\n"
    "  - {id: points, kind: flow, of: assess, value: \"score / 4\", count: 分, zh: 分, en: points}\n"
    "  - {id: funds, kind: flow, of: money, value: amount, by: [source], count: 元, zh: 资金, en: funds}\n"
    "  - {id: units, kind: stock, of: unit, where: \"state == 'active'\", count: 个, zh: 单位数, en: units}\n";

struct codebook *test_codebook(void)
{
    struct codebook *loaded = NULL;
    struct error error = {0};
    must(codebook_load(bytes_of_text(codebook_yaml), "test.yaml", &loaded, &error), &error);
    return loaded;
}

struct codebook *codebook;

int codebook_setup(void **state)
{
    (void)state;
    codebook = test_codebook();
    return 0;
}

int codebook_teardown(void **state)
{
    (void)state;
    codebook_destroy(codebook);
    codebook = NULL;
    return 0;
}

int32_t day_of(const char *date)
{
    int32_t days = 0;
    assert_true(civil_parse(date, &days));
    return days;
}

int32_t month_of(const char *date) { return month_of_days(day_of(date)); }

void village_today(struct village *village, const char *date) { village->now_ms = ((uint64_t)day_of(date) * 24 + 2) * 3600000; }

// ---- opening

static void enrol(struct village *village, struct certificate *certificate, struct secret_key *sign, struct secret_key *seal,
                  const char *unit, uint64_t term, const struct certificate *issuer, const struct secret_key *issuer_key,
                  struct buffer *wire)
{
    struct secret_key transport;
    struct error error = {0};
    int32_t at = units_find(village->units, unit);
    *certificate = (struct certificate){.term = term, .ordinal = 1, .issued_ms = village->now_ms, .units = village->units->hash};
    crypto_random(certificate->station.bytes, STATION_ID_SIZE);
    crypto_random(certificate->serial, sizeof certificate->serial);
    crypto_sign_keypair(&certificate->sign_key, sign);
    crypto_seal_keypair(&certificate->seal_key, seal);
    crypto_seal_keypair(&certificate->transport_key, &transport);
    snprintf(certificate->unit, sizeof certificate->unit, "%s", unit);
    snprintf(certificate->tier, sizeof certificate->tier, "%s", village->units->tiers[village->units->items[at].tier]);
    certificate->unit_from = village->units->items[at].from;
    certificate->depth = village->units->items[at].depth;
    must(certificate_issue(certificate, issuer, issuer ? issuer_key : sign, wire, &error), &error);
}

static void open_shells(struct village *village)
{
    struct error error = {0};
    char keys[96];
    snprintf(keys, sizeof keys, "%s/keys", village->directory);
    assert_int_equal(mkdir(keys, 0700), 0);
    must(keyring_create(village->directory, &error), &error);
    must(keyring_open(village->directory, &village->keyring, &error), &error);
    must(store_open(village->directory, STORE_CREATE, 0, &village->store, &error), &error);
    struct author_config config = {
        .self = &village->self, .parent = &village->ancestors[0], .sign_key = &village->sign_key, .ordinal = 1, .nonce = 77};
    must(author_create(&config, &village->author, &error), &error);
    must(ledger_create(&village->ledger, &error), &error);
}

void village_open(struct village *village)
{
    struct error error = {0};
    struct buffer wires[3] = {0};
    struct secret_key signs[2], seal;
    *village = (struct village){.codebook = test_codebook()};
    must(crypto_init(&error), &error);
    village_today(village, "2024-06-15");
    const char *base = getenv("TMPDIR");
    snprintf(village->directory, sizeof village->directory, "%s/sanji-XXXXXX", base && strlen(base) < 40 ? base : "/tmp");
    assert_non_null(mkdtemp(village->directory));
    must(units_parse(bytes_of_text(units_csv), "units.csv", &village->units, &error), &error);
    enrol(village, &village->ancestors[1], &signs[1], &village->seal_keys[1], "C", 1, NULL, NULL, &wires[2]);
    enrol(village, &village->ancestors[0], &signs[0], &village->seal_keys[0], "T", 5, &village->ancestors[1], &signs[1], &wires[1]);
    enrol(village, &village->self, &village->sign_key, &seal, "V1", 10, &village->ancestors[0], &signs[0], &wires[0]);
    open_shells(village);
    village->desk = (struct desk){.codebook = village->codebook,
                                  .units = village->units,
                                  .unit = units_find(village->units, "V1"),
                                  .self = &village->self,
                                  .ancestors = village->ancestors,
                                  .ancestor_count = 2,
                                  .keyring = village->keyring,
                                  .author = village->author,
                                  .ledger = village->ledger};
    village_begin(village);
    struct journal_meta meta = {.format = 1, .station = village->self.station, .generation = 5, .starts = 1};
    journal_create(village->desk.txn, &meta);
    object_add(village->desk.txn, &village->self.hash, OBJECT_CERTIFICATE, buffer_bytes(&wires[0]));
    object_add(village->desk.txn, &village->ancestors[0].hash, OBJECT_CERTIFICATE, buffer_bytes(&wires[1]));
    object_add(village->desk.txn, &village->ancestors[1].hash, OBJECT_CERTIFICATE, buffer_bytes(&wires[2]));
    unit_ids_assign(village->desk.txn, village->units);
    village_commit(village);
    for (size_t i = 0; i < 3; i++)
        buffer_finish(&wires[i]);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void village_close(struct village *village)
{
    if (village->desk.txn) // a test failed inside one
        village_abort(village);
    ledger_destroy(village->ledger);
    author_destroy(village->author);
    keyring_close(village->keyring);
    store_close(village->store);
    units_destroy(village->units);
    codebook_destroy(village->codebook);
    assert_int_equal(nftw(village->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

// ---- transactions

int village_setup(void **state)
{
    struct village *village = calloc(1, sizeof *village);
    assert_non_null(village);
    village_open(village);
    *state = village;
    return 0;
}

int village_setup_begun(void **state)
{
    village_setup(state);
    village_begin(*state);
    return 0;
}

int village_teardown(void **state)
{
    village_close(*state);
    free(*state);
    return 0;
}

void village_begin(struct village *village)
{
    village->desk.txn = txn_begin(village->store, true, &village->error);
    assert_non_null(village->desk.txn);
    village->desk.now_ms = village->now_ms;
    author_context(village->author, village->now_ms, NULL);
}

void village_commit(struct village *village)
{
    struct grown grown = {0};
    ledger_state(village->ledger, &village->desk);
    ledger_flush(village->ledger, village->desk.txn);
    author_finish(village->author, village->desk.txn, &grown);
    must(keyring_sync(village->keyring, &village->error), &village->error);
    must(txn_commit(village->desk.txn, &village->error), &village->error);
    village->desk.txn = NULL;
}

void village_abort(struct village *village)
{
    ledger_abort(village->ledger);
    author_abort(village->author);
    txn_abort(village->desk.txn);
    village->desk.txn = NULL;
}

static void keep_result(void *context, const struct record_result *result)
{
    struct village *village = context;
    if (village->result_count < sizeof village->results / sizeof *village->results)
        village->results[village->result_count] = *result;
    village->result_count++;
}

enum error_code village_submit(struct village *village, const char *form, const char *json, const char *unit)
{
    struct record_input input = {
        .form = form, .data = bytes_of_text(json), .source = "test.json", .unit = unit, .person = "li", .post = "director"};
    village->result_count = 0;
    village->error = (struct error){0};
    return records_submit(&village->desk, &input, keep_result, village, &village->error);
}

enum error_code village_enter(struct village *village, const char *form, const char *json)
{
    village_begin(village);
    enum error_code code = village_submit(village, form, json, NULL);
    if (code == OK)
        village_commit(village);
    else
        village_abort(village);
    return code;
}

void village_tick(struct village *village, uint32_t max)
{
    bool more = true;
    for (unsigned rounds = 0; more; rounds++) {
        assert_true(rounds < 10000);
        village_begin(village);
        more = records_tick(&village->desk, max);
        village_commit(village);
    }
}

// ---- reading

struct sum {
    const struct dimension *dimension;
    uint32_t member;
    int64_t total;
};

static void add_cell(void *context, uint32_t cell, int64_t value)
{
    struct sum *sum = context;
    if (!sum->dimension || cell / sum->dimension->stride % sum->dimension->radix == sum->member)
        sum->total += value;
}

int64_t village_figure(struct village *village, const char *indicator, const char *unit, int32_t month, int dim, const char *member,
                       bool through)
{
    int index = codebook_indicator(village->codebook, indicator);
    assert_true(index >= 0);
    const struct indicator *of = &village->codebook->indicators[index];
    struct sum sum = {.dimension = dim >= 0 ? &of->dims[dim] : NULL};
    if (dim >= 0) {
        int found = dimension_member_find(village->codebook, of, &of->dims[dim], member);
        assert_true(found >= 0);
        sum.member = (uint32_t)found;
    }
    struct txn *txn = village->desk.txn ? village->desk.txn : txn_begin(village->store, false, &village->error);
    uint32_t from = village->units->items[units_find(village->units, unit)].from;
    for (int32_t m = through ? month_of("2010-01-01") : month; m <= month; m++) {
        struct group_key group = {of->definition, unit_id_find(txn, unit, from), {1, m}};
        cells_each(txn, &group, false, add_cell, &sum);
    }
    if (!village->desk.txn)
        txn_abort(txn);
    return sum.total;
}

void village_entries(struct village *village,
                     void (*visit)(void *context, uint32_t reach, uint32_t kind, bool sealed, struct bytes content,
                                   const struct key_id *key),
                     void *context)
{
    struct txn *txn = txn_begin(village->store, false, &village->error);
    static struct entry entries[BATCH_ENTRIES_MAX];
    for (uint64_t position = 1; position <= journal_end(txn); position++) {
        struct batch_row row;
        struct header header;
        assert_true(journal_read(txn, position, &row));
        must(header_decode(row.header, &header, &village->error), &village->error);
        must(body_decode(row.body, &header, entries, &village->error), &village->error);
        for (uint32_t i = 0; i < header.count; i++)
            visit(context, header.reach, entries[i].kind, entries[i].is_sealed, entries[i].content, &entries[i].key);
    }
    txn_abort(txn);
}

static const char *wanted;
static bool seen;

static int look_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)walk;
    if (type != FTW_F || strstr(path, "/keys/"))
        return 0;
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    char *text = malloc((size_t)status->st_size + 1);
    assert_non_null(text);
    size_t size = fread(text, 1, (size_t)status->st_size, file);
    seen |= memmem(text, size, wanted, strlen(wanted)) != NULL;
    free(text);
    fclose(file);
    return 0;
}

bool village_stored(struct village *village, const char *text)
{
    wanted = text;
    seen = false;
    assert_int_equal(nftw(village->directory, look_one, 8, FTW_PHYS), 0);
    return seen;
}

struct hash village_table(struct village *village, enum table table)
{
    struct buffer all = {0};
    struct txn *txn = txn_begin(village->store, false, &village->error);
    struct cursor *cursor = cursor_open(txn, table);
    for (bool more = cursor_seek(cursor, bytes_of("", 0)); more; more = cursor_next(cursor)) {
        buffer_append(&all, cursor_key(cursor).data, cursor_key(cursor).size);
        buffer_append(&all, cursor_value(cursor).data, cursor_value(cursor).size);
    }
    cursor_close(cursor);
    txn_abort(txn);
    struct hash hash = crypto_hash(TAG_DOCUMENT, buffer_bytes(&all));
    buffer_finish(&all);
    return hash;
}
