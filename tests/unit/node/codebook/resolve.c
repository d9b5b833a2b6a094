#include "tests/unit/node/codebook/fixture.h"

static const char shipped_path[] = "schema/codebook/child-protection.yaml"; // from the source root, where meson runs the tests

static void good(void **state)
{
    (void)state;
    struct codebook *codebook = fixture_load(NULL, NULL);
    assert_string_equal(codebook->id, "test");
    assert_int_equal(codebook->version, 3);
    assert_int_equal(codebook->tz_minutes, 480);
    assert_int_equal(codebook->tier_count, 3);
    const struct list *category = &codebook->lists[codebook_list(codebook, "category")];
    assert_int_equal(category->items[0].attrs[0].code, 0); // lead=civil
    assert_int_equal(category->items[2].attrs[1].number, 3 * NUMBER_SCALE);
    assert_int_equal(category->items[1].attrs[1].type, VALUE_NONE); // not set
    const struct list *colour = &codebook->lists[codebook_list(codebook, "colour")];
    assert_int_equal(colour->items[2].attrs[0].unit, 'M');
    const struct reg *child = &codebook->regs[codebook_reg(codebook, "child")];
    assert_true(child->custody_one && child->personal);
    assert_int_equal(child->dedupe, reg_prop(child, "idno"));
    assert_string_equal(child->tag_key, "county");
    assert_int_equal(child->bands[0].edge_count, 3);
    const struct form *visit = &codebook->forms[codebook_form(codebook, "visit")];
    assert_int_equal(visit->at, form_field(visit, "day"));
    assert_int_equal(visit->sections[0].tiers, 6);
    assert_int_equal(visit->sections[0].roles, 1);
    assert_int_equal(visit->sections[0].reach, 1);
    assert_int_equal(visit->sections[1].roles, 2); // none named: all of its tier
    assert_int_equal(visit->sections[1].reach, 2);
    const struct field *status = &visit->fields[form_field(visit, "status")];
    assert_int_equal(status->keep, reg_prop(child, "status"));
    assert_true(visit->keeps && visit->fields[form_field(visit, "pos")].personal && !status->personal);
    const struct indicator *children = &codebook->indicators[codebook_indicator(codebook, "children")];
    assert_int_equal(children->cell_count, (3 + 2) * (3 + 2) * (2 + 2) * (4 + 2));
    assert_int_equal(children->multi, 0);
    assert_int_equal(children->dims[0].stride, (3 + 2) * (2 + 2) * (4 + 2));
    assert_int_equal(children->dims[3].stride, 1);
    assert_int_equal(children->every, EVERY_MONTH);
    const struct indicator *share = &codebook->indicators[codebook_indicator(codebook, "red_share")];
    assert_int_equal(share->dim_count, 3);
    assert_int_equal(share->num, codebook_indicator(codebook, "red_visits"));
    const struct indicator *people = &codebook->indicators[codebook_indicator(codebook, "people")];
    assert_int_equal(people->stated_by, 0);
    assert_int_equal(people->for_tier, 1);
    assert_int_equal(people->every, EVERY_YEAR);
    assert_true(people->level);
    codebook_destroy(codebook);
    codebook_destroy(NULL);
}

static void an_urgent_form_says_whose_receipt_it_waits_for(void **state)
{
    (void)state;
    struct codebook *plain = fixture_load(NULL, NULL), *codebook;
    assert_false(plain->forms[0].urgent);
    assert_int_equal(plain->forms[0].decided_by, -1);
    codebook = fixture_load("    at: day\n", "    at: day\n    lane: urgent\n");
    assert_true(codebook->forms[0].urgent);
    assert_int_equal(codebook->forms[0].receipt_within_ms, RECEIPT_WITHIN_MS);
    assert_int_equal(codebook->forms[0].decided_by, -1);
    assert_memory_equal(&codebook->forms[0].definition, &plain->forms[0].definition,
                        sizeof plain->forms[0].definition); // decides no number
    codebook_destroy(codebook);
    codebook = fixture_load("    at: day\n", "    at: day\n    lane: urgent\n    receipt_within: 14d\n    decided_by: county\n");
    assert_int_equal(codebook->forms[0].receipt_within_ms, RECEIPT_WITHIN_MAX_MS);
    assert_int_equal(codebook->forms[0].decided_by, 0);
    codebook_destroy(codebook);
    codebook = fixture_load("    at: day\n", "    at: day\n    lane: case\n");
    assert_false(codebook->forms[0].urgent);
    codebook_destroy(codebook);
    codebook_destroy(plain);
}

// What is replaced by what in the fixture, and the path and message that must come; the place is checked to be that of the path's text.
static const struct {
    const char *from, *to, *message;
} bad[] = {
    {"    at: day\n", "    at: day\n    lane: bulk\n", "forms[0].lane: unknown 'bulk'; expected one of: case, urgent"},
    {"    at: day\n", "    at: day\n    receipt_within: 2h\n", "forms[0].receipt_within: only with lane: urgent"},
    {"    at: day\n", "    at: day\n    lane: case\n    decided_by: county\n", "forms[0].decided_by: only with lane: urgent"},
    {"    at: day\n", "    at: day\n    lane: urgent\n    receipt_within: 15d\n",
     "forms[0].receipt_within: '15d' will not do; expected 1m to 14d"},
    {"    at: day\n", "    at: day\n    lane: urgent\n    receipt_within: 0m\n", "forms[0].receipt_within: '0m' will not do"},
    {"    at: day\n", "    at: day\n    lane: urgent\n    receipt_within: 1wd\n", "forms[0].receipt_within: '1wd' will not do"},
    {"    at: day\n", "    at: day\n    lane: urgent\n    decided_by: nation\n", "forms[0].decided_by: "},
    {"version: 3", "version: 03", "codebook.version: '03' will not do; expected a whole number from 1"},
    {"version: 3", "version: 0", "codebook.version: '0'"},
    {"tz: \"+08:00\"", "tz: \"Asia/Shanghai\"", "codebook.tz: expected the fixed offset"},
    {"tz: \"+08:00\"", "tz: \"+15:00\"", "codebook.tz: expected"},
    {"base: month", "base: week", "codebook.base: unknown 'week'; expected one of: month"},
    {"tiers: [county, township, village]", "tiers: [county, county, village]", "codebook.tiers[1]: tier 'county' is there already"},
    {"id: office, tier: county", "id: office, tier: shire", "roles[1].tier: unknown 'shire'; expected one of: county, township, village"},
    {"id: office, tier: county", "id: director, tier: county", "roles[1].id: role 'director' is there already"},
    {"zh: 儿童主任, en: director", "zh: 儿童主任", "roles[0].en: missing; a label is needed in both languages"},
    {"{id: civil,", "{id: Civil,", "lists[0].items[0].id: 'Civil' is no identifier"},
    {"{id: civil,", "{id: a2345678901234567890123456789012x,", "lists[0].items[0].id: 'a2345"},
    {"{id: league, zh", "{id: civil, zh", "lists[0].items[1].id: code 'civil' is in this list already"},
    {"lead=civil, rank=1", "lead=mayor, rank=1", "lists[1].items[0].set[0]: 'lead=mayor': expected a code of list department"},
    {"lead=civil, rank=1", "lead=civil, rank=01x", "lists[1].items[0].set[1]: 'rank=01x': expected a whole number"},
    {"lead=civil, rank=1", "lead=civil, rnk=1", "lists[1].items[0].set[1]: 'rnk=1' will not do; expected ATTRIBUTE=VALUE"},
    {"lead=civil, rank=1", "rank=1, rank=1", "lists[1].items[0].set[1]: attribute 'rank' is set twice"},
    {"{id: lead, type: code, of: department}", "{id: lead, type: code, of: departments}",
     "lists[1].attrs[0].of: unknown 'departments'; expected one of: department, category"},
    {"{id: rank, type: int}", "{id: rank, type: text}", "lists[1].attrs[1].type: unknown 'text'; expected one of: bool, int"},
    {"every=7d", "every=7", "lists[2].items[0].set[0]: 'every=7': expected a duration"},
    {"{id: m, zh: 男, en: boy}", "{id: m, zh: 男, en: boy, becomes: f}", "lists[4].items[1].until: missing; a code that becomes"},
    {"{id: m, zh: 男, en: boy}", "{id: m, zh: 男, en: boy, until: 2024-02-30, becomes: f}",
     "lists[4].items[1].until: '2024-02-30' is no date"},
    {"{id: status, items:", "{id: sex, items:", "lists[5].id: list 'sex' is there already"},
    {"custody: one", "custody: two", "registers[0].custody: unknown 'two'; expected one of: one"},
    {"dedupe: idno", "dedupe: birth", "registers[0].dedupe: 'birth' will not do; expected an idno or phone"},
    {"    tag_key: county\n", "", "registers[0].tag_key: missing; dedupe and tag_key go together"},
    {"{id: sex, type: code, of: sex}", "{id: sex, type: code, of: gender}",
     "registers[0].props[2].of: unknown 'gender'; expected one of: department"},
    {"{id: sex, type: code, of: sex}", "{id: today, type: code, of: sex}",
     "registers[0].props[2].id: 'today' has a meaning in expressions"},
    {"{id: idno, type: idno}", "{id: idno, type: idno, personal: false}", "registers[0].props[0].personal: this type is always personal"},
    {"{id: idno, type: idno}", "{id: idno, type: idno, personal: yes}",
     "registers[0].props[0].personal: unknown 'yes'; expected one of: true, false"},
    {"of: category, many: 8}, {id: colour", "of: category, many: 65}, {id: colour",
     "registers[0].props[4].many: '65' will not do; expected a whole number from 2 to 64"},
    {"of: birth, in: years", "of: sex, in: years", "registers[0].bands[0].of: 'sex' will not do; expected a date"},
    {"in: years, at: [3, 7, 18]", "in: weeks, at: [3, 7, 18]", "registers[0].bands[0].in: unknown 'weeks'"},
    {"at: [3, 7, 18]", "at: [3, 7, 7]", "registers[0].bands[0].at[2]: expected a larger number"},
    {"{id: unit, props: []}", "{id: unit, custody: one}", "registers[1].custody: the register 'unit' is the unit tree"},
    {"about: child", "about: kid", "forms[0].about: unknown 'kid'; expected one of: child, unit"},
    {"at: day\n", "at: n\n", "forms[0].at: 'n' will not do; expected the date field"},
    {"{id: day, type: date, need: \"true\"}", "{id: day, type: date, section: body}", "forms[0].at: field 'day' must be open"},
    {"roles: [director]", "roles: [office]", "forms[0].sections[0].roles[0]: role 'office' is of tier county, which may not read"},
    {"tiers: [village, township]", "tiers: [village, city]", "forms[0].sections[0].tiers[1]: unknown 'city'"},
    {"{id: n, type: int}", "{id: n, type: float}", "forms[0].fields[1].type: unknown 'float'; expected one of: bool, int, decimal, money"},
    {"{id: n, type: int}", "{id: n, type: int, of: colour}", "forms[0].fields[1].of: only code (a list) and ref"},
    {"{id: n, type: int}", "{id: child, type: int}", "forms[0].fields[1].id: 'child' has a meaning"},
    {"{id: n, type: int}", "{id: n, type: int, many: 3}", "forms[0].fields[1].many: only code, ref and file"},
    {"{id: minus, type: int}", "{id: n, type: int}", "forms[0].fields[2].id: field 'n' is there already"},
    {"type: text, max: 50", "type: text, max: 5000", "forms[0].fields[11].max: '5000' will not do"},
    {"{id: xn, type: int}", "{id: xn, type: int, max: 5}", "forms[0].fields[18].max: only a text"},
    {"{id: pos, type: position, section: body}", "{id: pos, type: position, section: head}",
     "forms[0].fields[12].section: this form has no section 'head'"},
    {"keep: status", "keep: state", "forms[0].fields[22].keep: register child has no prop 'state'"},
    {"keep: status", "keep: sex", "forms[0].fields[22].keep: child.sex is of another type"},
    {"calc: \"n + g.points\"", "calc: \"n + g.pts\"",
     "forms[0].fields[23].calc: column 5: 'g.pts': list grade has no attribute 'pts'; expected one of: points"},
    {"calc: \"n + g.points\"", "calc: \"n > 1\"", "forms[0].fields[23].calc: column 3: expected a number, this is a yes/no"},
    {"calc: \"n + g.points\"", "calc: \"score + 1\"", "forms[0].fields[23].calc: 'score' is computed too"},
    {"{id: n, type: int}", "{id: n, type: int, calc: \"score\"}", "forms[0].fields[1].calc: 'score' is computed too"},
    {"need: \"true\"", "need: \"day\"", "forms[0].fields[0].need: column 1: expected a yes/no, this is a date"},
    {"kind: flow, of: visit, value", "kind: flew, of: visit, value",
     "indicators[2].kind: unknown 'flew'; expected one of: flow, stock, ratio, entered"},
    {"kind: flow, of: visit, value", "kind: flow, of: visits, value", "indicators[2].of: unknown 'visits'; expected one of: visit"},
    {"kind: stock, of: child", "kind: stock, of: visit", "indicators[3].of: unknown 'visit'; expected one of: child, unit"},
    {"value: score", "value: hue", "indicators[2].value: column 1: expected a number, this is a code"},
    {"value: score", "value: \"days(day, today)\"", "indicators[2].value: column 11: 'today' is known only while"},
    {"where: \"status == 'active'\"", "where: \"status == 'gone'\"", "indicators[3].where: column 11: 'gone' is no code of list status"},
    {"by: [category, colour, sex, age]", "by: [category, colr, sex, age]",
     "indicators[3].by[1]: unknown name 'colr'; expected one of: child.idno"},
    {"by: [category, colour, sex, age]", "by: [category, birth]", "indicators[3].by[1]: 'birth' is no code"},
    {"by: [category, colour, sex, age]", "by: [sex, sex]", "indicators[3].by[1]: 'sex' stands here twice"},
    {"by: [category, colour, sex, age]", "by: [category, colour, sex, age, status]", "indicators[3].by: 5 of them; at most 4"},
    {"by: [category, colour, sex, age]", "by: [category, category.lead]",
     "indicators[3].by[1]: 'category.lead' is a second dimension with several codes"},
    {"every: [month], count: 次", "every: [month, year], count: 次", "indicators[0].every[1]: unknown 'year'; expected one of: month"},
    {"count: 分", "count: \"\"", "indicators[2].count: expected what is counted"},
    {"kind: ratio, num: red_visits, den: visits", "kind: ratio, num: reds, den: visits", "indicators[4].num: 'reds' is no indicator"},
    {"kind: ratio, num: red_visits, den: visits", "kind: ratio, num: red_share, den: visits",
     "indicators[4].num: 'red_share' is a ratio itself"},
    {"kind: ratio, num: red_visits, den: visits", "kind: ratio, num: red_visits, den: points",
     "indicators[4].den: 'red_visits' counts 次 and 'points' counts 分"}, // T21
    {"kind: ratio, num: red_visits, den: visits", "kind: ratio, num: children, den: people",
     "indicators[4].den: 'children' and 'people' are not of the same records"},                                                  // T19
    {"by: [hue, category.lead, age], count", "by: [hue], count", "indicators[4].den: 'red_visits' and 'visits' differ in 'by'"}, // T19
    {"kind: ratio, num", "kind: ratio, count: 次, num", "indicators[4].count: a ratio indicator has no 'count'"},
    {"stated_by: county, for_tier: township", "stated_by: village, for_tier: township",
     "indicators[5].stated_by: village is below township"},
    {"stated_by: county, for_tier: township", "stated_by: county", "indicators[5].for_tier: missing; expected one of: county"}, // T22
    {"every: [year], level", "every: [month, year], level", "indicators[5].every: expected exactly one of"},
    {"by: [sex], stated_by", "by: [gender], stated_by", "indicators[5].by[0]: unknown 'gender'"},
    {"kind: entered,", "kind: entered, of: child,", "indicators[5].of: a entered indicator has no 'of'"},
    {"id: red_visits,", "id: visits,", "indicators[1].id: indicator 'visits' is there already"},
};

// Line and column of the first place where two texts differ are never after the error's, and the error's line exists.
static void place_is_plausible(const char *yaml, const char *detail)
{
    unsigned line, column, lines = 1;
    char rest;
    assert_int_equal(sscanf(detail, "bad.yaml:%u:%u: %c", &line, &column, &rest), 3);
    for (const char *p = yaml; *p; p++)
        lines += *p == '\n';
    assert_true(line >= 1 && line <= lines && column >= 1);
}

static void each_error_names_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = fixture_text(bad[i].from, bad[i].to);
        struct codebook *codebook = NULL;
        struct error error = {0};
        enum error_code code = codebook_load(bytes_of_text(text), "bad.yaml", &codebook, &error);
        const char *path = code == ERR_INPUT ? strstr(error.detail, ": ") : NULL;
        if (!path || strncmp(path + 2, bad[i].message, strlen(bad[i].message)) != 0)
            fail_msg("%s -> %s\n  gives   %s\n  not     %s", bad[i].from, bad[i].to, error.detail, bad[i].message);
        assert_null(codebook);
        place_is_plausible(text, error.detail);
        language_set(LANGUAGE_ZH); // the same place, in other words
        struct error other = {0};
        assert_int_equal(codebook_load(bytes_of_text(text), "bad.yaml", &codebook, &other), ERR_INPUT);
        language_set(LANGUAGE_EN);
        assert_memory_equal(error.detail, other.detail, (size_t)(path - error.detail));
        assert_string_not_equal(error.detail, other.detail);
        free(text);
    }
}

static void exact_places(void **state)
{
    (void)state;
    static const char yaml[] = "codebook: {id: x, version: 1, grammar: 1, tz: \"+08:00\", base: month, tiers: [county]}\n"
                               "lists:\n"
                               "  - {id: colour, items: [{id: red, zh: 红, en: red}]}\n"
                               "forms:\n"
                               "  - id: visit\n"
                               "    at: day\n"
                               "    sections: [{id: body, tiers: [county]}]\n"
                               "    fields:\n"
                               "      - {id: day, type: date}\n"
                               "      - {id: hue, type: code, of: colour}\n"
                               "indicators:\n"
                               "  - {id: a, kind: flow, of: visit, count: 次, zh: 甲, en: a}\n"
                               "  - id: b\n"
                               "    kind: flow\n"
                               "    of: visit\n"
                               "    count: 次\n"
                               "    by: [hue, shade]\n"
                               "    zh: 乙\n"
                               "    en: b\n"
                               "    where: \"hue == 'blue'\"\n";
    struct codebook *codebook = NULL;
    struct error error;
    assert_int_equal(codebook_load(bytes_of_text(yaml), "file.yaml", &codebook, &error), ERR_INPUT);
    assert_string_equal(error.detail,
                        "file.yaml:20:12: indicators[1].where: column 8: 'blue' is no code of list colour; expected one of: red");
}

struct heard {
    int count;
    char text[8][512];
};
static void hear(void *context, const struct error *error)
{
    struct heard *heard = context;
    assert_true(heard->count < 8);
    snprintf(heard->text[heard->count++], 512, "%s", error->detail);
}

static void check_reports_all(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct error error = {0};
    char *text = fixture_text("where: \"hue == 'red'\"", "where: \"hue == 'blue'\"");
    char *value = strstr(text, "value: score"), *people = strstr(text, "for_tier: township");
    memcpy(value, "value: scare", 12);
    memcpy(people, "for_tier: townshop", 18);
    assert_int_equal(codebook_check(bytes_of_text(text), "c.yaml", hear, &heard, NULL, &error), ERR_INPUT);
    assert_int_equal(heard.count, 3);
    assert_string_equal(heard.text[0], error.detail);
    assert_non_null(strstr(heard.text[0], "indicators[1].where: column 8"));
    assert_non_null(strstr(heard.text[1], "indicators[2].value: column 1: unknown name 'scare'"));
    assert_non_null(strstr(heard.text[2], "indicators[5].for_tier: unknown 'townshop'"));
    heard.count = 0; // an error of the YAML itself is reported too, once
    assert_int_equal(codebook_check(bytes_of_text("a: *b"), "c.yaml", hear, &heard, NULL, &error), ERR_INPUT);
    assert_int_equal(heard.count, 1);
    free(text);
}

static void later_grammar(void **state)
{
    (void)state;
    struct codebook *codebook = NULL;
    struct error error;
    assert_int_equal(codebook_load(bytes_of_text("codebook: {id: x, grammar: 2}\nwhatever: 1\n"), "g.yaml", &codebook, &error),
                     ERR_VERSION);
    assert_string_equal(error.detail, "g.yaml:1:28: codebook.grammar: grammar 2 is unknown to this program; expected 1");
    assert_int_equal(codebook_load(bytes_of_text("lists: []\n"), "g.yaml", &codebook, &error), ERR_INPUT);
    assert_non_null(strstr(error.detail, "codebook: missing; expected codebook: {id"));
}

static void cells_are_bounded(void **state)
{
    (void)state;
    // 64 * 64 = 4,096 declared cells are the most
    char *text = malloc(65536);
    size_t size = (size_t)sprintf(text, "%slists:\n", fixture_head);
    for (int list = 0; list < 3; list++) {
        size += (size_t)sprintf(text + size, "  - id: l%d\n    items: [", list);
        for (int i = 0; i < (list == 2 ? 2 : 64); i++)
            size += (size_t)sprintf(text + size, "{id: c%d, zh: 码, en: c},", i);
        size += (size_t)sprintf(text + size, "]\n");
    }
    size += (size_t)sprintf(
        text + size, "indicators: [{id: a, kind: entered, for_tier: village, every: [year], count: 个, by: [l0, l1], zh: 甲, en: a}]\n");
    struct codebook *codebook = NULL;
    struct error error = {0};
    assert_int_equal(codebook_load(bytes_of(text, size), "c", &codebook, &error), OK);
    assert_int_equal(codebook->indicators[0].cell_count, 66 * 66);
    codebook_destroy(codebook);
    memcpy(strstr(text, "[l0, l1]"), "[l0,l1,", 7);
    char *end = strstr(text, "[l0,l1,") + 7;
    memmove(end + 3, end + 1, strlen(end + 1) + 1);
    memcpy(end, "l2]", 3);
    assert_int_equal(codebook_load(bytes_of_text(text), "c", &codebook, &error), ERR_INPUT);
    assert_non_null(strstr(error.detail, "indicators[0].by: 8192 cells (17424 with missing and total); at most 4096"));
    free(text);
}

static void must_have_labels(const struct label *label, const char *id)
{
    if (!label->zh[0] || !label->en[0] || (strcmp(label->zh, id) == 0 && strcmp(label->en, id) == 0))
        fail_msg("%s has no label of its own", id);
}

static void shipped_codebook(void **state)
{
    (void)state;
    struct error error = {0};
    uint8_t *bytes = malloc(1 << 20);
    FILE *file = fopen(shipped_path, "rb");
    if (!file)
        fail_msg("%s: not found; run from the source root", shipped_path);
    size_t size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    struct codebook *codebook = NULL;
    if (codebook_load(bytes_of(bytes, size), shipped_path, &codebook, &error) != OK)
        fail_msg("%s", error.detail);
    assert_int_equal(codebook->document_size, size);
    assert_true(hash_equal(&codebook->hash, &(struct hash[]){crypto_hash(TAG_DOCUMENT, bytes_of(bytes, size))}[0]));
    const struct list *category = &codebook->lists[codebook_list(codebook, "category")];
    assert_int_equal(category->item_count, 8);
    assert_int_equal(codebook->lists[codebook_list(codebook, "colour")].item_count, 4);
    static const char *const wanted[] = {"leads",        "children",       "reports",           "plans",
                                         "group_plans",  "group_projects", "services",          "projects",
                                         "activities",   "sheltered",      "conference",        "bases",
                                         "items",        "practice",       "practice_children", "practice_hardship",
                                         "volunteers",   "classes",        "class_children",    "funds_in",
                                         "funds_out",    "demo_stations",  "inspectors",        "inspection_teams",
                                         "member_units", "directors",      "supervisors",       "visits",
                                         "population",   "confirmed_rate"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (codebook_indicator(codebook, wanted[i]) < 0)
            fail_msg("no indicator %s", wanted[i]);
    for (int i = 0; i < codebook->list_count; i++)
        must_have_labels(&codebook->lists[i].label, codebook->lists[i].id);
    for (int i = 0; i < codebook->reg_count; i++) {
        must_have_labels(&codebook->regs[i].label, codebook->regs[i].id);
        for (int j = 0; j < codebook->regs[i].prop_count; j++)
            must_have_labels(&codebook->regs[i].props[j].label, codebook->regs[i].props[j].id);
    }
    for (int i = 0; i < codebook->form_count; i++) {
        const struct form *form = &codebook->forms[i];
        must_have_labels(&form->label, form->id);
        for (int j = 0; j < form->field_count; j++) {
            must_have_labels(&form->fields[j].label, form->fields[j].id);
            if (form->fields[j].personal && form->fields[j].section < 0)
                fail_msg("%s.%s is personal and in no section", form->id, form->fields[j].id);
        }
    }
    for (int i = 0; i < codebook->indicator_count; i++)
        for (int j = 0; j < i; j++)
            assert_false(hash_equal(&codebook->indicators[i].definition, &codebook->indicators[j].definition));
    codebook_destroy(codebook);
    free(bytes);
    assert_int_equal(codebook_check_file(shipped_path, NULL, NULL, &error), OK);
    assert_int_equal(codebook_check_file("schema/codebook/nothing.yaml", NULL, NULL, &error), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(an_urgent_form_says_whose_receipt_it_waits_for),
        cmocka_unit_test(each_error_names_its_place),
        cmocka_unit_test(exact_places),
        cmocka_unit_test(check_reports_all),
        cmocka_unit_test(later_grammar),
        cmocka_unit_test(cells_are_bounded),
        cmocka_unit_test(shipped_codebook),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
