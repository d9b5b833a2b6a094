#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/cli/figures_print.h"

#define S(text) ((char *)(uintptr_t)(text))

// An answer by unit and category: two units, the first one "itself", three members of which one is missing in the middle.
struct answer {
    Sanji__FiguresReply reply;
    Sanji__FigureIndicator indicator, *indicators[1];
    Sanji__FigureUnit units[2], *unit_list[2], absent[12], *absent_list[12];
    Sanji__FigureMember members[2], *member_list[2];
    Sanji__FigureDimension dimension, *dimensions[1];
    Sanji__Freshness freshness;
    char *periods[1];
    uint32_t row_indicator[3], row_unit[3], row_period[3], member_of[3], flags[3];
    int64_t own[3], subtree[3];
};

static void fill(struct answer *a)
{
    static char names[12][16] = {"一村", "二村", "三村", "四村", "五村", "六村", "七村", "八村", "九村", "十村", "十一村", "十二村"};
    *a = (struct answer){.row_unit = {0, 1, 1},
                         .member_of = {0, 0, 1},
                         .flags = {4, 1, 2},
                         .own = {12345, 0, 0},
                         .subtree = {12345, 1200, 0},
                         .periods = {S("2023-05")}};
    sanji__figures_reply__init(&a->reply);
    sanji__figure_indicator__init(&a->indicator);
    a->indicator.id = S("children");
    a->indicator.zh = S("在册儿童");
    a->indicator.en = S("children on file");
    a->indicator.kind = S("stock");
    a->indicator.count = S("人");
    a->indicators[0] = &a->indicator;
    static const char *const codes[2] = {"C", "=T1"}, *const unit_names[2] = {"县", "一镇"};
    for (int i = 0; i < 2; i++) {
        sanji__figure_unit__init(&a->units[i]);
        a->units[i].code = S(codes[i]);
        a->units[i].name = S(unit_names[i]);
        a->unit_list[i] = &a->units[i];
        sanji__figure_member__init(&a->members[i]);
        a->member_list[i] = &a->members[i];
    }
    a->members[0].code = S("orphan");
    a->members[0].zh = S("孤儿");
    a->members[0].en = S("orphan");
    a->members[1].code = S("_");
    sanji__figure_dimension__init(&a->dimension);
    a->dimension.id = S("category");
    a->dimension.zh = S("类别");
    a->dimension.en = S("category");
    a->dimension.n_members = 2;
    a->dimension.members = a->member_list;
    a->dimensions[0] = &a->dimension;
    sanji__freshness__init(&a->freshness);
    a->freshness.now_ms = 1683000000000;
    a->freshness.newest_ms = 1683000000000 - 120000;
    a->freshness.oldest_ms = 1683000000000 - 90000000;
    a->freshness.expected = 216;
    a->freshness.complete = 201;
    a->freshness.restated = 2;
    a->freshness.missing_count = 15;
    a->freshness.n_missing = 12;
    a->freshness.missing = a->absent_list;
    a->freshness.open_period = true;
    for (int i = 0; i < 12; i++) {
        sanji__figure_unit__init(&a->absent[i]);
        a->absent[i].name = names[i];
        a->absent_list[i] = &a->absent[i];
    }
    a->freshness.n_other_definition = 1;
    a->freshness.other_definition = a->absent_list;
    Sanji__FiguresReply *r = &a->reply;
    r->n_indicators = r->n_dimensions = r->n_periods = 1;
    r->indicators = a->indicators;
    r->n_units = 2;
    r->units = a->unit_list;
    r->periods = a->periods;
    r->dimensions = a->dimensions;
    r->n_row_indicator = r->n_row_unit = r->n_row_period = r->n_members = r->n_own = r->n_subtree = r->n_row_flags = 3;
    r->row_indicator = a->row_indicator;
    r->row_unit = a->row_unit;
    r->row_period = a->row_period;
    r->members = a->member_of;
    r->own = a->own;
    r->subtree = a->subtree;
    r->row_flags = a->flags;
    r->freshness = &a->freshness;
    r->by_unit = true;
}

static void printed_is(struct cli *cli, const char *want)
{
    buffer_append(&cli->out, "", 1);
    assert_false(cli->out.failed);
    assert_string_equal((char *)cli->out.data, want);
    buffer_finish(&cli->out);
}

static void table_in_english(void **state)
{
    (void)state;
    struct answer a;
    struct cli cli = {0};
    fill(&a);
    assert_int_equal(figures_print_check(&a.reply, NULL), OK);
    figures_print_table(&cli, &a.reply);
    printed_is(&cli, "children on file (人)  2023-05\n\n"
                     "unit         category        own  with all below\n"
                     "(itself) 县  orphan       12,345          12,345\n"
                     "一镇         orphan            -           1,200\n"
                     "一镇         (not given)       -               -\n\n"
                     "last statement: 2023-05-02 11:58:00 +08:00 (2 min ago); the oldest among units: 1 d 1 h ago\n"
                     "complete: 201 of 216 units; 2 stated again since\n"
                     "missing: 一村, 二村, 三村, 四村, 五村, 六村, 七村, 八村, 九村, 十村 and 5 more\n"
                     "on another definition, not added: 一村\n"
                     "the period has not ended yet\n");
}

static void table_in_chinese_of_money_and_ratio(void **state)
{
    (void)state;
    struct answer a;
    struct cli cli = {0};
    fill(&a);
    language_set(LANGUAGE_ZH);
    a.indicator.count = S("元");
    a.flags[1] = 8;
    a.own[1] = 5;
    a.reply.freshness = NULL;
    figures_print_table(&cli, &a.reply);
    language_set(LANGUAGE_EN);
    printed_is(&cli, "在册儿童（元）  2023-05\n\n"
                     "单位        类别        本级   含下级\n"
                     "（本级）县  孤儿      123.45   123.45\n"
                     "一镇        孤儿      0.05 %  12.00 %\n"
                     "一镇        （未填）       -        -\n\n");
}

static void csv_gives_everything_and_no_formula(void **state)
{
    (void)state;
    struct answer a;
    struct cli cli = {0};
    fill(&a);
    figures_print_csv(&cli, &a.reply);
    printed_is(
        &cli, "indicator,indicator_label,count,unit,unit_name,tier,itself,period,category,category_label,own,subtree,unit_of_value,"
              "expected,complete,missing,restated,other_definition,open_period,"
              "oldest_ms,newest_ms,now_ms\r\n"
              "children,children on "
              "file,人,C,县,,true,2023-05,orphan,orphan,12345,12345,1,216,201,15,2,1,true,1682910000000,1682999880000,1683000000000\r\n"
              "children,children on "
              "file,人,\"'=T1\",一镇,,false,2023-05,orphan,orphan,,1200,1,216,201,15,2,1,true,1682910000000,1682999880000,1683000000000\r\n"
              "children,children on file,人,\"'=T1\",一镇,,false,2023-05,_,(not "
              "given),,,1,216,201,15,2,1,true,1682910000000,1682999880000,1683000000000\r\n");
}

static void json_gives_everything(void **state)
{
    (void)state;
    struct answer a;
    struct cli cli = {0};
    struct json_document *document;
    struct error error;
    int64_t number;
    fill(&a);
    figures_print_json(&cli, &a.reply);
    if (json_parse(buffer_bytes(&cli.out), "out", &document, &error) != OK)
        fail_msg("%s", error.detail);
    const struct json *root = json_root(document), *row = json_first(json_get(root, "rows"));
    assert_int_equal(json_count(json_get(root, "rows")), 3);
    assert_string_equal(json_text(json_get(row, "unit")), "C");
    assert_string_equal(json_text(json_get(json_get(row, "members"), "category")), "orphan");
    assert_true(json_whole(json_get(row, "own"), &number));
    assert_int_equal(number, 12345);
    row = json_next(row);
    assert_int_equal(json_kind(json_get(row, "own")), JSON_KIND_NONE); // trap T15: never stated is not zero
    assert_true(json_whole(json_get(row, "subtree"), &number));
    assert_int_equal(number, 1200);
    row = json_next(row);
    assert_int_equal(json_kind(json_get(row, "subtree")), JSON_KIND_NONE);
    const struct json *fresh = json_get(root, "freshness");
    assert_true(json_whole(json_get(fresh, "missing_count"), &number));
    assert_int_equal(number, 15);
    assert_int_equal(json_count(json_get(fresh, "missing")), 12);
    json_destroy(document);
    buffer_finish(&cli.out);
}

static void replies_that_do_not_fit_together_are_refused(void **state)
{
    (void)state;
    struct answer a;
    for (int i = 0; i < 6; i++) {
        fill(&a);
        Sanji__FiguresReply *r = &a.reply;
        uint32_t *indices[] = {&a.row_indicator[2], &a.row_unit[2], &a.row_period[2], &a.member_of[2]};
        size_t *counts[] = {&r->n_own, &r->n_row_flags};
        if (i < 4)
            *indices[i] = 2;
        else
            *counts[i - 4] = 2;
        assert_int_equal(figures_print_check(r, NULL), ERR_VERSION);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_in_english),
        cmocka_unit_test(table_in_chinese_of_money_and_ratio),
        cmocka_unit_test(csv_gives_everything_and_no_formula),
        cmocka_unit_test(json_gives_everything),
        cmocka_unit_test(replies_that_do_not_fit_together_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
