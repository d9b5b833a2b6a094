#include "node/figures.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/figures_inside.h"
#include "relay/language.h"

enum { ANSWER_MEMORY_MAX = 64 * 1024 * 1024 }; // bytes of messages beside the columns: 50,000 units are 5 MB

static const char *kind_name(enum indicator_kind kind)
{
    static const char *const names[] = {
        [INDICATOR_FLOW] = "flow", [INDICATOR_STOCK] = "stock", [INDICATOR_RATIO] = "ratio", [INDICATOR_ENTERED] = "entered"};
    return names[kind];
}

// `count` messages and pointers to them, each initialised by copying `init`.
static void **new_messages(struct arena *arena, size_t count, size_t size, const void *init)
{
    void **pointers = arena_alloc(arena, (count + 1) * sizeof *pointers);
    uint8_t *messages = arena_alloc(arena, (count + 1) * size);
    if (!pointers || !messages)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        pointers[i] = messages + i * size;
        memcpy(pointers[i], init, size);
    }
    return pointers;
}

static char *copy_text(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static bool put_indicators(const struct plan *plan, struct arena *arena, Sanji__FiguresReply *reply)
{
    const Sanji__FigureIndicator init = SANJI__FIGURE_INDICATOR__INIT;
    reply->indicators = (Sanji__FigureIndicator **)new_messages(arena, plan->asked_count, sizeof init, &init);
    if (!reply->indicators)
        return false;
    for (uint32_t i = 0; i < plan->asked_count; i++) {
        const struct indicator *indicator = plan->asked[i].indicator;
        Sanji__FigureIndicator *figure = reply->indicators[i];
        figure->id = (char *)indicator->id;
        figure->zh = (char *)indicator->label.zh;
        figure->en = (char *)indicator->label.en;
        figure->kind = (char *)kind_name(indicator->kind);
        figure->count = (char *)indicator->count;
        if (indicator->kind == INDICATOR_RATIO) {
            char note[2 * NAME_MAX_BYTES + 4];
            snprintf(note, sizeof note, "%s / %s", plan->asked[i].parts[0].indicator->id, plan->asked[i].parts[1].indicator->id);
            figure->note = copy_text(arena, note);
            if (!figure->note)
                return false;
        }
    }
    reply->n_indicators = plan->asked_count;
    return true;
}

static bool put_units(const struct plan *plan, struct arena *arena, Sanji__FiguresReply *reply)
{
    const Sanji__FigureUnit init = SANJI__FIGURE_UNIT__INIT;
    const struct units *units = plan->view->units;
    reply->units = (Sanji__FigureUnit **)new_messages(arena, plan->unit_count, sizeof init, &init);
    if (!reply->units)
        return false;
    for (uint32_t i = 0; i < plan->unit_count; i++) {
        const struct unit *unit = &units->items[plan->units[i]];
        reply->units[i]->code = (char *)unit->code;
        reply->units[i]->name = (char *)unit->name;
        reply->units[i]->tier = units->tiers[unit->tier];
    }
    reply->n_units = plan->unit_count;
    return true;
}

static bool put_periods(const struct plan *plan, struct arena *arena, Sanji__FiguresReply *reply)
{
    char first[16], last[16], text[36];
    reply->periods = arena_alloc(arena, plan->columns * sizeof *reply->periods);
    if (!reply->periods)
        return false;
    for (uint32_t i = 0; i < plan->columns; i++) {
        period_format((struct period){plan->first.type, plan->first.number + (int32_t)i}, first);
        period_format(plan->last, last);
        bool range = !plan->by_period && plan->first.number != plan->last.number;
        snprintf(text, sizeof text, "%s%s%s", first, range ? ".." : "", range ? last : "");
        reply->periods[i] = copy_text(arena, text);
        if (!reply->periods[i])
            return false;
    }
    reply->n_periods = plan->columns;
    return true;
}

// Members stand in the order of their numbers, so a row's member is an index here.
static bool put_members(const struct plan *plan, const struct dimension *dimension, struct arena *arena, Sanji__FigureDimension *ret)
{
    const Sanji__FigureMember init = SANJI__FIGURE_MEMBER__INIT;
    ret->members = (Sanji__FigureMember **)new_messages(arena, dimension->radix, sizeof init, &init);
    if (!ret->members)
        return false;
    for (uint32_t i = 0; i < dimension->radix; i++) {
        char code[NAME_MAX_BYTES + 1];
        dimension_member(plan->view->codebook, plan->dims_of, dimension, i, code);
        Sanji__FigureMember *member = ret->members[i];
        member->code = member->zh = member->en = copy_text(arena, code);
        if (!member->code)
            return false;
        if (i == 0) {
            member->zh = (char *)"合计";
            member->en = (char *)"all";
        } else if (i == 1) {
            member->zh = (char *)"未填";
            member->en = (char *)"missing";
        } else if (dimension->list >= 0) {
            const struct list_item *item = &plan->view->codebook->lists[dimension->list].items[i - 2];
            member->zh = (char *)item->label.zh;
            member->en = (char *)item->label.en;
        }
    }
    ret->n_members = dimension->radix;
    return true;
}

static bool put_dimensions(const struct plan *plan, struct arena *arena, Sanji__FiguresReply *reply)
{
    const Sanji__FigureDimension init = SANJI__FIGURE_DIMENSION__INIT;
    reply->dimensions = (Sanji__FigureDimension **)new_messages(arena, plan->dim_count, sizeof init, &init);
    if (!reply->dimensions)
        return false;
    for (uint32_t i = 0; i < plan->dim_count; i++) {
        const struct dimension *dimension = &plan->dims_of->dims[plan->dims[i]];
        reply->dimensions[i]->id = (char *)dimension->id;
        reply->dimensions[i]->zh = (char *)dimension->label.zh;
        reply->dimensions[i]->en = (char *)dimension->label.en;
        if (!put_members(plan, dimension, arena, reply->dimensions[i]))
            return false;
    }
    reply->n_dimensions = plan->dim_count;
    return true;
}

static void put_rows(const struct rows *rows, Sanji__FiguresReply *reply)
{
    reply->n_row_indicator = reply->n_row_unit = reply->n_row_period = reply->n_row_flags = reply->n_own = reply->n_subtree = rows->count;
    reply->n_members = (size_t)rows->count * rows->dim_count;
    reply->row_indicator = rows->indicator;
    reply->row_unit = rows->unit;
    reply->row_period = rows->period;
    reply->row_flags = rows->flags;
    reply->members = rows->members;
    reply->own = rows->own;
    reply->subtree = rows->subtree;
}

// The columns are most of an answer, and to ask for their size takes as long as to write them: room is made for the largest.
static void pack_with_rows(const struct rows *rows, Sanji__Reply *reply, struct buffer *ret)
{
    enum { U32_MAX = 5, I64_MAX = 10, FRAMES = 10 * 11 }; // bytes of the longest varints; of the columns' and the messages' tags and sizes
    size_t most = sanji__reply__get_packed_size(reply) + FRAMES + (size_t)rows->count * ((4 + rows->dim_count) * U32_MAX + 2 * I64_MAX);
    put_rows(rows, reply->figures);
    uint8_t *place = buffer_extend(ret, most);
    if (place)
        ret->size -= most - sanji__reply__pack(reply, place);
}

static enum error_code put_reply(const struct plan *plan, const struct rows *rows, Sanji__Freshness *freshness, struct arena *arena,
                                 struct buffer *ret, struct error *error)
{
    Sanji__FiguresReply figures = SANJI__FIGURES_REPLY__INIT;
    if (!put_indicators(plan, arena, &figures) || !put_units(plan, arena, &figures) || !put_periods(plan, arena, &figures) ||
        !put_dimensions(plan, arena, &figures))
        return error_set(error, ERR_MEMORY, tr("figures", "指标"));
    figures.freshness = freshness;
    figures.by_unit = plan->by_unit || plan->by_tier;
    figures.by_period = plan->by_period;
    Sanji__Reply reply = SANJI__REPLY__INIT;
    reply.reply_case = SANJI__REPLY__REPLY_FIGURES;
    reply.figures = &figures;
    pack_with_rows(rows, &reply, ret);
    return ret->failed ? error_set(error, ERR_MEMORY, tr("figures", "指标")) : OK;
}

enum error_code figures_answer(const struct figures_view *view, const void *request, struct buffer *ret, struct error *error)
{
    struct plan plan;
    struct rows rows = {0};
    struct arena arena = {.limit = ANSWER_MEMORY_MAX};
    Sanji__Freshness freshness;
    enum error_code code = plan_make(&plan, view, request, error);
    if (!code)
        code = rows_read(&plan, &rows, error);
    if (!code)
        code = freshness_read(&plan, &arena, &freshness, error);
    if (!code)
        code = put_reply(&plan, &rows, &freshness, &arena, ret, error);
    rows_finish(&rows);
    plan_finish(&plan);
    arena_finish(&arena);
    return code;
}
