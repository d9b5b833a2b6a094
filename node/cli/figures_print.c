#include "node/cli/figures_print.h"

#include <assert.h>
#include <stdio.h>

#include "node/csv.h"

enum {
    ROW_OWN_NEVER = 1, // row_flags of schema/control.proto
    ROW_NO_VALUE = 2,
    ROW_ITSELF = 4,
    ROW_RATIO = 8,
    DIMENSIONS_SHOWN_MAX = 8,
    NAMES_SHOWN = 10, // of missing units, before "and N more"
};

// ---- what a reply says

static bool indices_fit(const uint32_t *indices, size_t count, size_t rows, size_t items)
{
    bool fit = count == rows;
    for (size_t i = 0; fit && i < count; i++)
        fit = indices[i] < items;
    return fit;
}

enum error_code figures_print_check(const Sanji__FiguresReply *reply, struct error *error)
{
    size_t rows = reply->n_row_indicator, dims = reply->n_dimensions;
    bool fit = dims <= DIMENSIONS_SHOWN_MAX && indices_fit(reply->row_indicator, rows, rows, reply->n_indicators) &&
               indices_fit(reply->row_unit, reply->n_row_unit, rows, reply->n_units) &&
               indices_fit(reply->row_period, reply->n_row_period, rows, reply->n_periods) && reply->n_own == rows &&
               reply->n_subtree == rows && reply->n_row_flags == rows && reply->n_members == rows * dims;
    for (size_t i = 0; fit && i < reply->n_members; i++)
        fit = reply->members[i] < reply->dimensions[i % dims]->n_members;
    return fit ? OK : error_set(error, ERR_VERSION, "%s", tr("the figures cannot be read by this program", "本程序无法识别该数值应答"));
}

static const char *label(const char *zh, const char *en, const char *code)
{
    const char *text = tr(en, zh);
    return *text ? text : *en ? en : *zh ? zh : code;
}

static const char *member_label(const Sanji__FigureMember *member)
{
    if (strcmp(member->code, "*") == 0 && !*member->zh)
        return tr("(all)", "（合计）");
    if (strcmp(member->code, "_") == 0 && !*member->zh)
        return tr("(not given)", "（未填）");
    return label(member->zh, member->en, member->code);
}

static const Sanji__FigureMember *member_of(const Sanji__FiguresReply *reply, size_t row, size_t dim)
{
    return reply->dimensions[dim]->members[reply->members[row * reply->n_dimensions + dim]];
}

static enum format_kind kind_of(const Sanji__FiguresReply *reply, size_t row)
{
    const Sanji__FigureIndicator *indicator = reply->indicators[reply->row_indicator[row]];
    return reply->row_flags[row] & ROW_RATIO ? FORMAT_RATIO : format_kind_of(indicator->kind, indicator->count);
}

static const char *scale_name(enum format_kind kind) { return kind == FORMAT_MONEY ? "fen" : kind == FORMAT_RATIO ? "1/10000" : "1"; }

static bool has_own(const Sanji__FiguresReply *reply, size_t row) { return !(reply->row_flags[row] & (ROW_OWN_NEVER | ROW_NO_VALUE)); }
static bool has_subtree(const Sanji__FiguresReply *reply, size_t row) { return !(reply->row_flags[row] & ROW_NO_VALUE); }

// ---- freshness

static void print_names(struct buffer *out, Sanji__FigureUnit *const *units, size_t count, size_t all)
{
    for (size_t i = 0; i < count && i < NAMES_SHOWN; i++) {
        format_print(out, "%s", i ? tr(", ", "、") : "");
        table_safe(out, units[i]->name);
    }
    size_t shown = count < NAMES_SHOWN ? count : NAMES_SHOWN;
    if (all > shown)
        format_print(out, tr(" and %zu more", " 等另外 %zu 个"), all - shown);
    format_print(out, "\n");
}

void figures_print_freshness(const Sanji__FiguresReply *reply, struct buffer *out)
{
    const Sanji__Freshness *fresh = reply->freshness;
    char newest[FORMAT_MAX], ago[FORMAT_MAX];
    if (!fresh)
        return;
    format_instant(fresh->newest_ms, newest);
    format_ago(fresh->now_ms, fresh->newest_ms, ago);
    if (fresh->newest_ms)
        format_print(out, tr("last statement: %s (%s)", "最近一次签报：%s（%s）"), newest, ago);
    else
        format_print(out, "%s", tr("no statement yet", "尚无签报"));
    if (fresh->oldest_ms && fresh->oldest_ms != fresh->newest_ms) {
        format_ago(fresh->now_ms, fresh->oldest_ms, ago);
        format_print(out, tr("; the oldest among units: %s", "；各单位中最早的：%s"), ago);
    }
    format_print(out, "\n");
    format_print(out, tr("complete: %u of %u units", "齐报：%u / %u 个单位"), fresh->complete, fresh->expected);
    if (fresh->restated)
        format_print(out, tr("; %u stated again since", "；其中 %u 个此后又有更正"), fresh->restated);
    format_print(out, "\n");
    if (fresh->missing_count) {
        format_print(out, tr("missing: ", "未齐报："));
        print_names(out, fresh->missing, fresh->n_missing, fresh->missing_count);
    }
    if (fresh->n_other_definition) {
        format_print(out, tr("on another definition, not added: ", "指标口径不同、未计入："));
        print_names(out, fresh->other_definition, fresh->n_other_definition, fresh->n_other_definition);
    }
    if (fresh->open_period)
        format_print(out, "%s\n", tr("the period has not ended yet", "该期间尚未结束"));
}

// ---- table

static void print_title(struct cli *cli, const Sanji__FiguresReply *reply)
{
    struct buffer title = {0};
    if (reply->n_indicators == 1) {
        const Sanji__FigureIndicator *indicator = reply->indicators[0];
        format_print(&title, tr("%s (%s)  ", "%s（%s）  "), label(indicator->zh, indicator->en, indicator->id),
                     *indicator->count ? indicator->count : "%");
    }
    if (!reply->by_unit && reply->n_units > 0)
        format_print(&title, "%s  ", reply->units[0]->name);
    if (!reply->by_period && reply->n_periods > 0)
        format_print(&title, "%s", reply->periods[0]);
    buffer_append(&title, "", 1);
    if (!title.failed && title.size > 1) {
        format_print(&cli->out, cli->colour ? "\x1B[1m" : "");
        table_safe(&cli->out, (const char *)title.data);
        format_print(&cli->out, cli->colour ? "\x1B[0m\n\n" : "\n\n");
    }
    buffer_finish(&title);
}

static void add_columns(struct text_table *table, const Sanji__FiguresReply *reply)
{
    if (reply->n_indicators > 1) {
        table_column(table, tr("indicator", "指标"), TABLE_LEFT);
        table_column(table, tr("counted in", "计量"), TABLE_LEFT);
    }
    if (reply->by_unit)
        table_column(table, tr("unit", "单位"), TABLE_LEFT);
    if (reply->by_period)
        table_column(table, tr("period", "期间"), TABLE_LEFT);
    for (size_t i = 0; i < reply->n_dimensions; i++)
        table_column(table, label(reply->dimensions[i]->zh, reply->dimensions[i]->en, reply->dimensions[i]->id), TABLE_LEFT);
    table_column(table, tr("own", "本级"), TABLE_RIGHT);
    table_column(table, tr("with all below", "含下级"), TABLE_RIGHT);
}

static void add_row(struct text_table *table, const Sanji__FiguresReply *reply, size_t row)
{
    const Sanji__FigureIndicator *indicator = reply->indicators[reply->row_indicator[row]];
    if (reply->n_indicators > 1) {
        table_cell(table, label(indicator->zh, indicator->en, indicator->id));
        table_cell(table, *indicator->count ? indicator->count : "%");
    }
    if (reply->by_unit) {
        char name[256];
        snprintf(name, sizeof name, reply->row_flags[row] & ROW_ITSELF ? tr("(itself) %s", "（本级）%s") : "%s",
                 reply->units[reply->row_unit[row]]->name);
        table_cell(table, name);
    }
    if (reply->by_period)
        table_cell(table, reply->periods[reply->row_period[row]]);
    for (size_t i = 0; i < reply->n_dimensions; i++)
        table_cell(table, member_label(member_of(reply, row, i)));
    char own[FORMAT_MAX], subtree[FORMAT_MAX];
    format_value(reply->own[row], kind_of(reply, row), own);
    format_value(reply->subtree[row], kind_of(reply, row), subtree);
    table_cell(table, has_own(reply, row) ? own : "-");
    table_cell(table, has_subtree(reply, row) ? subtree : "-");
}

void figures_print_table(struct cli *cli, const Sanji__FiguresReply *reply)
{
    struct text_table table = {0};
    print_title(cli, reply);
    add_columns(&table, reply);
    for (size_t i = 0; i < reply->n_row_indicator; i++)
        add_row(&table, reply, i);
    table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
    for (size_t i = 0; i < reply->n_indicators; i++)
        if (*reply->indicators[i]->note) {
            format_print(&cli->out, "%s: ", reply->indicators[i]->id);
            table_safe(&cli->out, reply->indicators[i]->note);
            format_print(&cli->out, "\n");
        }
    format_print(&cli->out, "\n");
    figures_print_freshness(reply, &cli->out);
}

// ---- CSV

static void csv_optional(struct csv_writer *csv, bool there, int64_t value)
{
    if (there)
        csv_put_number(csv, value);
    else
        csv_put(csv, "");
}

static void csv_heading(struct csv_writer *csv, const Sanji__FiguresReply *reply)
{
    static const char *const before[] = {"indicator", "indicator_label", "count", "unit", "unit_name", "tier", "itself", "period"};
    static const char *const after[] = {"own",      "subtree",          "unit_of_value", "expected",  "complete",  "missing",
                                        "restated", "other_definition", "open_period",   "oldest_ms", "newest_ms", "now_ms"};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        csv_put(csv, before[i]);
    for (size_t i = 0; i < reply->n_dimensions; i++) {
        char name[160];
        csv_put(csv, reply->dimensions[i]->id);
        snprintf(name, sizeof name, "%s_label", reply->dimensions[i]->id);
        csv_put(csv, name);
    }
    for (size_t i = 0; i < sizeof after / sizeof *after; i++)
        csv_put(csv, after[i]);
    csv_end(csv);
}

static void csv_row(struct csv_writer *csv, const Sanji__FiguresReply *reply, size_t row)
{
    const Sanji__FigureIndicator *indicator = reply->indicators[reply->row_indicator[row]];
    const Sanji__FigureUnit *unit = reply->units[reply->row_unit[row]];
    static const Sanji__Freshness none = SANJI__FRESHNESS__INIT;
    const Sanji__Freshness *fresh = reply->freshness ? reply->freshness : &none;
    const char *const before[] = {indicator->id,
                                  label(indicator->zh, indicator->en, indicator->id),
                                  indicator->count,
                                  unit->code,
                                  unit->name,
                                  unit->tier,
                                  reply->row_flags[row] & ROW_ITSELF ? "true" : "false",
                                  reply->periods[reply->row_period[row]]};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        csv_put(csv, before[i]);
    for (size_t i = 0; i < reply->n_dimensions; i++) {
        csv_put(csv, member_of(reply, row, i)->code);
        csv_put(csv, member_label(member_of(reply, row, i)));
    }
    csv_optional(csv, has_own(reply, row), reply->own[row]);
    csv_optional(csv, has_subtree(reply, row), reply->subtree[row]);
    csv_put(csv, scale_name(kind_of(reply, row)));
    csv_put_number(csv, fresh->expected);
    csv_put_number(csv, fresh->complete);
    csv_put_number(csv, fresh->missing_count);
    csv_put_number(csv, fresh->restated);
    csv_put_number(csv, (int64_t)fresh->n_other_definition);
    csv_put(csv, fresh->open_period ? "true" : "false");
    csv_optional(csv, fresh->oldest_ms != 0, (int64_t)fresh->oldest_ms);
    csv_optional(csv, fresh->newest_ms != 0, (int64_t)fresh->newest_ms);
    csv_put_number(csv, (int64_t)fresh->now_ms);
    csv_end(csv);
}

void figures_print_csv(struct cli *cli, const Sanji__FiguresReply *reply)
{
    struct csv_writer csv = {.out = &cli->out};
    csv_heading(&csv, reply);
    for (size_t i = 0; i < reply->n_row_indicator; i++)
        csv_row(&csv, reply, i);
}

// ---- JSON

static void unit_json(struct json_writer *json, const Sanji__FigureUnit *unit)
{
    json_open_map(json, NULL);
    json_put_text(json, "code", unit->code);
    json_put_text(json, "name", unit->name);
    json_put_text(json, "tier", unit->tier);
    json_close(json);
}

static void units_json(struct json_writer *json, const char *name, Sanji__FigureUnit *const *units, size_t count)
{
    json_open_list(json, name);
    for (size_t i = 0; i < count; i++)
        unit_json(json, units[i]);
    json_close(json);
}

static void indicators_json(struct json_writer *json, const Sanji__FiguresReply *reply)
{
    json_open_list(json, "indicators");
    for (size_t i = 0; i < reply->n_indicators; i++) {
        const Sanji__FigureIndicator *indicator = reply->indicators[i];
        json_open_map(json, NULL);
        json_put_text(json, "id", indicator->id);
        json_put_text(json, "label", label(indicator->zh, indicator->en, indicator->id));
        json_put_text(json, "zh", indicator->zh);
        json_put_text(json, "en", indicator->en);
        json_put_text(json, "kind", indicator->kind);
        json_put_text(json, "count", indicator->count);
        json_put_text(json, "unit_of_value", scale_name(format_kind_of(indicator->kind, indicator->count)));
        json_put_text(json, "note", *indicator->note ? indicator->note : NULL);
        json_close(json);
    }
    json_close(json);
}

static void dimensions_json(struct json_writer *json, const Sanji__FiguresReply *reply)
{
    json_open_list(json, "dimensions");
    for (size_t i = 0; i < reply->n_dimensions; i++) {
        const Sanji__FigureDimension *dimension = reply->dimensions[i];
        json_open_map(json, NULL);
        json_put_text(json, "id", dimension->id);
        json_put_text(json, "label", label(dimension->zh, dimension->en, dimension->id));
        json_open_list(json, "members");
        for (size_t j = 0; j < dimension->n_members; j++) {
            json_open_map(json, NULL);
            json_put_text(json, "code", dimension->members[j]->code);
            json_put_text(json, "label", member_label(dimension->members[j]));
            json_put_text(json, "zh", dimension->members[j]->zh);
            json_put_text(json, "en", dimension->members[j]->en);
            json_close(json);
        }
        json_close(json);
        json_close(json);
    }
    json_close(json);
}

static void row_json(struct json_writer *json, const Sanji__FiguresReply *reply, size_t row)
{
    json_open_map(json, NULL);
    json_put_text(json, "indicator", reply->indicators[reply->row_indicator[row]]->id);
    json_put_text(json, "unit", reply->units[reply->row_unit[row]]->code);
    json_put_text(json, "unit_name", reply->units[reply->row_unit[row]]->name);
    json_put_truth(json, "itself", reply->row_flags[row] & ROW_ITSELF);
    json_put_text(json, "period", reply->periods[reply->row_period[row]]);
    json_open_map(json, "members");
    for (size_t i = 0; i < reply->n_dimensions; i++)
        json_put_text(json, reply->dimensions[i]->id, member_of(reply, row, i)->code);
    json_close(json);
    if (has_own(reply, row))
        json_put_integer(json, "own", reply->own[row]);
    else
        json_put_null(json, "own");
    if (has_subtree(reply, row))
        json_put_integer(json, "subtree", reply->subtree[row]);
    else
        json_put_null(json, "subtree");
    json_put_text(json, "unit_of_value", scale_name(kind_of(reply, row)));
    json_close(json);
}

static void freshness_json(struct json_writer *json, const Sanji__Freshness *fresh)
{
    json_open_map(json, "freshness");
    json_put_unsigned(json, "now_ms", fresh->now_ms);
    json_put_unsigned(json, "oldest_ms", fresh->oldest_ms);
    json_put_unsigned(json, "newest_ms", fresh->newest_ms);
    json_put_unsigned(json, "expected", fresh->expected);
    json_put_unsigned(json, "complete", fresh->complete);
    json_put_unsigned(json, "missing_count", fresh->missing_count);
    units_json(json, "missing", fresh->missing, fresh->n_missing);
    json_put_unsigned(json, "restated", fresh->restated);
    units_json(json, "other_definition", fresh->other_definition, fresh->n_other_definition);
    json_put_truth(json, "open_period", fresh->open_period);
    json_close(json);
}

void figures_print_json(struct cli *cli, const Sanji__FiguresReply *reply)
{
    struct json_writer writer = json_writer(&cli->out, true), *json = &writer;
    json_open_map(json, NULL);
    indicators_json(json, reply);
    units_json(json, "units", reply->units, reply->n_units);
    json_open_list(json, "periods");
    for (size_t i = 0; i < reply->n_periods; i++)
        json_put_text(json, NULL, reply->periods[i]);
    json_close(json);
    dimensions_json(json, reply);
    json_open_list(json, "rows");
    for (size_t i = 0; i < reply->n_row_indicator; i++)
        row_json(json, reply, i);
    json_close(json);
    if (reply->freshness)
        freshness_json(json, reply->freshness);
    json_close(json);
}
