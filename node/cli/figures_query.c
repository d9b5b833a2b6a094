#include "node/cli/figures_query.h"

#include "node/period.h"

static enum error_code keep(struct figures_query *query, const char *text, size_t size, char **ret, struct error *error)
{
    if (size >= QUERY_TEXT_MAX - query->used)
        return error_set(error, ERR_USAGE, "%s", tr("the question is too long; ask in parts", "查询过长；请分次查询"));
    *ret = query->text + query->used;
    memcpy(*ret, text, size);
    (*ret)[size] = 0;
    query->used += size + 1;
    return OK;
}

// "a,b,c": no name may be empty.
static enum error_code split(struct figures_query *query, const char *option, const char *text, char **names, size_t *ret_count,
                             struct error *error)
{
    for (;;) {
        size_t size = strcspn(text, ",");
        if (size == 0 || *ret_count == QUERY_NAMES_MAX)
            return error_set(error, ERR_USAGE, tr("--%s: names separated by commas, at most %d", "--%s：名称以逗号分隔，最多 %d 个"),
                             option, QUERY_NAMES_MAX);
        enum error_code code = keep(query, text, size, &names[(*ret_count)++], error);
        if (code != OK || text[size] == 0)
            return code;
        text += size + 1;
    }
}

static enum error_code read_filters(struct figures_query *query, const struct cli *cli, struct error *error)
{
    const char *const *texts;
    uint32_t count = options_list(&cli->options, "where", &texts);
    for (uint32_t i = 0; i < count; i++) {
        size_t size = strcspn(texts[i], "=");
        if (size == 0 || texts[i][size] != '=' || texts[i][size + 1] == 0)
            return error_set(error, ERR_USAGE, tr("--where %s: write DIMENSION=CODE", "--where %s：应写作 维度=代码"), texts[i]);
        Sanji__Filter *filter = &query->filters[i];
        sanji__filter__init(filter);
        enum error_code code = keep(query, texts[i], size, &filter->dimension, error);
        if (code == OK)
            code = keep(query, texts[i] + size + 1, strlen(texts[i] + size + 1), &filter->code, error);
        if (code != OK)
            return code;
        query->filter_list[i] = filter;
    }
    query->request.filters = query->filter_list;
    query->request.n_filters = count;
    return OK;
}

enum error_code figures_query_init(struct figures_query *query, const struct cli *cli, const char *by, struct error *error)
{
    const char *indicators, *period, *unit = options_value(&cli->options, "unit");
    struct period first, last;
    *query = (struct figures_query){0};
    sanji__figures_request__init(&query->request);
    enum error_code code = cli_need(cli, "indicator", &indicators, error);
    if (code == OK)
        code = cli_need(cli, "period", &period, error);
    if (code == OK)
        code = period_range_parse(period, &first, &last, error);
    if (code == OK)
        code = split(query, "indicator", indicators, query->indicators, &query->request.n_indicators, error);
    if (code == OK && by)
        code = split(query, "by", by, query->by, &query->request.n_by, error);
    if (code == OK)
        code = read_filters(query, cli, error);
    if (code != OK)
        return code;
    query->request.indicators = query->indicators;
    query->request.by = query->by;
    query->request.unit = (char *)(uintptr_t)(unit ? unit : "");
    query->request.period = (char *)(uintptr_t)period;
    return OK;
}
