#include "tests/unit/node/codebook/fixture.h"

static struct codebook *base;

static int setup(void **state)
{
    if (fixture_setup(state))
        return -1;
    base = fixture_load(NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    codebook_destroy(base);
    return 0;
}

static bool in(const char *names, const char *name)
{
    const char *at = strstr(names, name);
    size_t size = strlen(name);
    return at && (at == names || at[-1] == ' ') && (at[size] == ' ' || !at[size]);
}

static void compare(const char *what, const char *id, const struct hash *a, const struct hash *b, bool changes)
{
    if (hash_equal(a, b) == changes)
        fail_msg("the definition of %s %s %s", what, id, changes ? "should have changed" : "changed");
}

// Loads the fixture with one replacement: exactly the nouns named (separated by blanks) must have another definition.
static void check(const char *from, const char *to, const char *lists, const char *regs, const char *forms, const char *indicators)
{
    struct codebook *codebook = fixture_load(from, to);
    for (int i = 0; i < base->list_count; i++) {
        const char *id = base->lists[i].id;
        compare("list", id, &base->lists[i].definition, &codebook->lists[codebook_list(codebook, id)].definition, in(lists, id));
    }
    for (int i = 0; i < base->reg_count; i++) {
        const char *id = base->regs[i].id;
        compare("register", id, &base->regs[i].definition, &codebook->regs[codebook_reg(codebook, id)].definition, in(regs, id));
    }
    for (int i = 0; i < base->form_count; i++) {
        const char *id = base->forms[i].id;
        compare("form", id, &base->forms[i].definition, &codebook->forms[codebook_form(codebook, id)].definition, in(forms, id));
    }
    for (int i = 0; i < base->indicator_count; i++) {
        const char *id = base->indicators[i].id;
        compare("indicator", id, &base->indicators[i].definition, &codebook->indicators[codebook_indicator(codebook, id)].definition,
                in(indicators, id));
    }
    codebook_destroy(codebook);
}

static void what_leaves_numbers_alone(void **state)
{
    (void)state;
    check("version: 3", "version: 4", "", "", "", "");
    check("zh: 孤儿, en: orphan", "zh: 孤, en: orphans", "", "", "", "");
    check("zh: 探访, en: visits", "zh: 走访, en: calls, group: x", "", "", "", "");
    check("  - {id: visits, kind: flow, of: visit, by: [hue, category.lead, age], every: [month]",
          "  - {id: visits, kind: flow, of: visit, by: [ hue , category.lead, age ]", "", "", "", ""); // the default
    check("where: \"hue == 'red'\"", "where: \"( hue=='red' )\"", "", "", "", "");
    check("where: \"status == 'active'\"", "where: \"child.status == 'active'\"", "", "", "", "");
    check("lists:\n", "lists:\n  - {id: other, items: [{id: x, zh: 甲, en: x}]}\n", "", "", "", ""); // every index moves
    check("registers:\n", "registers:\n  - {id: aaa, props: [{id: p, type: int}]}\n", "", "", "", "");
    check("forms:\n", "forms:\n  - {id: aaa, about: child, at: d, sections: [{id: s, tiers: [village]}], fields: [{id: d, type: date}]}\n",
          "", "", "", "");
    check("indicators:\n", "indicators:\n  - {id: aaa, kind: flow, of: visit, count: 次, zh: 甲, en: a}\n", "", "", "", "");
    // fields and props in another order
    check("      - {id: n, type: int}\n      - {id: minus, type: int}\n", "      - {id: minus, type: int}\n      - {id: n, type: int}\n",
          "", "", "", "");
    check("{id: sex, type: code, of: sex}, {id: status, type: code, of: status}",
          "{id: status, type: code, of: status}, {id: sex, type: code, of: sex}", "", "", "", "");
    // a new code in a list that an indicator only compares with
    check("{id: left, zh: 退出, en: left}", "{id: left, zh: 退出, en: left}, {id: gone, zh: 走, en: gone}", "status", "", "", "");
    // attributes that nothing but the list itself uses
    check("every=7d", "every=8d", "colour", "", "", "");
    // who may read, what must be filled in: another form, the same figures
    check("need: \"true\"", "need: \"true\", check: \"day <= today\"", "", "", "visit", "");
    check("tiers: [village, township]", "tiers: [village, township, county]", "", "", "visit", "");
    check("type: text, max: 50", "type: text, max: 60", "", "", "visit", "");
    check("      - {id: n, type: int}\n", "      - {id: n, type: int}\n      - {id: another, type: int}\n", "", "", "visit", "");
    check("dedupe: idno\n    tag_key: county", "dedupe: idno\n    tag_key: township", "", "child", "", "");
}

static void what_decides_numbers(void **state)
{
    (void)state;
    check("where: \"hue == 'red'\"", "where: \"hue == 'green'\"", "", "", "", "red_visits red_share");
    check("count: 分", "count: 点", "", "", "", "points");
    check("value: score", "value: \"score * 2\"", "", "", "", "points");
    check("by: [category, colour, sex, age]", "by: [colour, category, sex, age]", "", "", "", "children");
    check("at: [3, 7, 18]", "at: [3, 6, 18]", "", "child", "", "visits red_visits children red_share");
    check("every: [year], level: true", "every: [year]", "", "", "", "people");
    check("every: [year], level: true", "every: [month], level: true", "", "", "", "people");
    check("for_tier: township", "for_tier: village", "", "", "", "people");
    check("{id: f, zh: 女, en: girl}, {id: m, zh: 男, en: boy}", "{id: m, zh: 男, en: boy}, {id: f, zh: 女, en: girl}", "sex", "", "",
          "children people"); // members are numbered
    check("zh: 绿, en: green, set: [every=1mo]}", "zh: 绿, en: green, set: [every=1mo]}, {id: blue, zh: 蓝, en: blue}", "colour", "", "",
          "visits red_visits red_share children");
    check("calc: \"n + g.points\"", "calc: \"n - g.points\"", "", "", "visit", "points"); // through the computed field
    check("set: [points=3]", "set: [points=4]", "grade", "", "visit", "points");          // and through its attribute
    check("set: [lead=league]", "set: [lead=civil]", "category", "", "", "visits red_visits red_share");
    check("custody: one\n    dedupe", "dedupe", "", "child", "", "visits red_visits points children red_share");
    // another form that sets the prop that is counted
    check("forms:\n",
          "forms:\n  - {id: aaa, about: child, at: d, sections: [{id: s, tiers: [village]}], fields: [{id: d, type: date}, {id: s, type: "
          "code, of: status, keep: status}]}\n",
          "", "", "", "children");
    check("keep: status}", "}", "", "", "visit", "children");
}

static void found_by_definition(void **state)
{
    (void)state;
    for (int i = 0; i < base->indicator_count; i++)
        assert_int_equal(codebook_indicator_by_definition(base, &base->indicators[i].definition), i);
    assert_int_equal(codebook_indicator_by_definition(base, &(struct hash){{1}}), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_leaves_numbers_alone), cmocka_unit_test(what_decides_numbers),
                                       cmocka_unit_test(found_by_definition)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
