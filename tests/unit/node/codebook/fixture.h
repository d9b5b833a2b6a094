// A small codebook with every type, for the tests of this folder.
#pragma once
// cmocka wants these four first
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/codebook/codebook.h"
#include "node/codebook/expr.h"
#include "node/period.h"
#include "relay/crypto.h"
#include "relay/language.h"

static const char fixture_head[] =
    "codebook: {id: test, version: 3, grammar: 1, tz: \"+08:00\", base: month, tiers: [county, township, village]}\n"
    "roles:\n"
    "  - {id: director, tier: village, zh: 儿童主任, en: director}\n"
    "  - {id: office, tier: county, zh: 未保办, en: office}\n";
static const char fixture_lists[] =
    "lists:\n"
    "  - {id: department, items: [{id: civil, zh: 民政, en: civil affairs}, {id: league, zh: 团委, en: league}]}\n"
    "  - id: category\n"
    "    attrs: [{id: lead, type: code, of: department}, {id: rank, type: int}]\n"
    "    items: [{id: orphan, zh: 孤儿, en: orphan, set: [lead=civil, rank=1]}, {id: left_behind, zh: 留守, en: left behind, set: "
    "[lead=league]},\n"
    "            {id: disabled, zh: 残疾, en: disabled, set: [lead=civil, rank=3]}]\n"
    "  - id: colour\n"
    "    attrs: [{id: every, type: duration}]\n"
    "    items: [{id: red, zh: 红, en: red, set: [every=7d]}, {id: yellow, zh: 黄, en: yellow, set: [every=15d]}, {id: green, zh: 绿, en: "
    "green, set: [every=1mo]}]\n"
    "  - id: grade\n"
    "    attrs: [{id: points, type: int}]\n"
    "    items: [{id: none, zh: 无, en: none, set: [points=0]}, {id: grave, zh: 重, en: grave, set: [points=3]}]\n"
    "  - {id: sex, items: [{id: f, zh: 女, en: girl}, {id: m, zh: 男, en: boy}]}\n"
    "  - {id: status, items: [{id: active, zh: 在册, en: on file}, {id: left, zh: 退出, en: left}]}\n";
static const char fixture_registers[] =
    "registers:\n"
    "  - id: child\n"
    "    custody: one\n"
    "    dedupe: idno\n"
    "    tag_key: county\n"
    "    props: [{id: idno, type: idno}, {id: birth, type: date, personal: true}, {id: sex, type: code, of: sex}, {id: status, type: code, "
    "of: status},\n"
    "            {id: category, type: code, of: category, many: 8}, {id: colour, type: code, of: colour}]\n"
    "    bands: [{id: age, of: birth, in: years, at: [3, 7, 18], zh: 年龄, en: age}]\n"
    "  - {id: unit, props: []}\n";
static const char fixture_forms[] =
    "forms:\n"
    "  - id: visit\n"
    "    about: child\n"
    "    at: day\n"
    "    sections: [{id: body, tiers: [village, township], roles: [director]}, {id: secret, tiers: [county]}]\n"
    "    fields:\n"
    "      - {id: day, type: date, need: \"true\"}\n"
    "      - {id: n, type: int}\n"
    "      - {id: minus, type: int}\n"
    "      - {id: huge, type: int}\n"
    "      - {id: dec, type: decimal}\n"
    "      - {id: cash, type: money}\n"
    "      - {id: yes, type: bool}\n"
    "      - {id: nope, type: bool}\n"
    "      - {id: hue, type: code, of: colour}\n"
    "      - {id: g, type: code, of: grade}\n"
    "      - {id: cats, type: code, of: category, many: 8}\n"
    "      - {id: t, type: text, max: 50}\n"
    "      - {id: pos, type: position, section: body}\n"
    "      - {id: pos2, type: position, section: body}\n"
    "      - {id: kids, type: ref, of: child, many: 8}\n"
    "      - {id: when, type: instant}\n"
    "      - {id: span, type: duration}\n"
    "      - {id: place, type: unit}\n"
    "      - {id: xn, type: int}\n"
    "      - {id: xb, type: bool}\n"
    "      - {id: xc, type: code, of: colour}\n"
    "      - {id: xd, type: date}\n"
    "      - {id: status, type: code, of: status, keep: status}\n"
    "      - {id: score, type: int, calc: \"n + g.points\"}\n";
static const char fixture_indicators[] =
    "indicators:\n"
    "  - {id: visits, kind: flow, of: visit, by: [hue, category.lead, age], every: [month], count: 次, zh: 探访, en: visits}\n"
    "  - {id: red_visits, kind: flow, of: visit, where: \"hue == 'red'\", by: [hue, category.lead, age], count: 次, zh: 红色探访, en: red "
    "visits}\n"
    "  - {id: points, kind: flow, of: visit, value: score, count: 分, zh: 分数, en: points}\n"
    "  - {id: children, kind: stock, of: child, where: \"status == 'active'\", by: [category, colour, sex, age], count: 人, zh: 在册, en: "
    "on file}\n"
    "  - {id: red_share, kind: ratio, num: red_visits, den: visits, zh: 红色占比, en: red share}\n"
    "  - {id: people, kind: entered, by: [sex], stated_by: county, for_tier: township, every: [year], level: true, count: 人, zh: 人口, "
    "en: people}\n";

// The whole file, with `from` (NULL: nothing) replaced once by `to`. The caller frees it.
static inline char *fixture_text(const char *from, const char *to)
{
    char *text = malloc(65536);
    assert_non_null(text);
    snprintf(text, 65536, "%s%s%s%s%s", fixture_head, fixture_lists, fixture_registers, fixture_forms, fixture_indicators);
    if (from) {
        char *at = strstr(text, from);
        if (!at)
            fail_msg("the fixture has no '%s'", from);
        memmove(at + strlen(to), at + strlen(from), strlen(at + strlen(from)) + 1);
        memcpy(at, to, strlen(to));
    }
    return text;
}

static inline struct codebook *fixture_load(const char *from, const char *to)
{
    struct codebook *codebook = NULL;
    struct error error = {0};
    char *text = fixture_text(from, to);
    if (codebook_load(bytes_of_text(text), "test.yaml", &codebook, &error) != OK)
        fail_msg("%s", error.detail);
    free(text);
    return codebook;
}

static inline int fixture_setup(void **state)
{
    (void)state;
    return crypto_init(NULL);
}
