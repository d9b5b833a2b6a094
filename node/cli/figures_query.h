// The question that `figures` and `prove` ask, from their options.
#pragma once
#include "control.pb-c.h"
#include "node/cli/cli.h"

enum {
    QUERY_TEXT_MAX = 4096, // bytes of all names together
    QUERY_NAMES_MAX = 64,  // indicators in one question; groupings
};

// Caller's memory, about 6 KiB; points into itself, so it must not be copied.
struct figures_query {
    Sanji__FiguresRequest request;
    char text[QUERY_TEXT_MAX];
    size_t used;
    char *indicators[QUERY_NAMES_MAX], *by[QUERY_NAMES_MAX];
    Sanji__Filter filters[OPTION_LIST_MAX], *filter_list[OPTION_LIST_MAX];
};

// The options that both verbs have: -i, --unit, --period, --where.
#define FIGURES_QUERY_OPTIONS                                                                                                              \
    {"indicator", 'i', OPTION_VALUE, "IND[,IND]", {"indicators of the codebook", "编码本中的指标"}},                                       \
        {"unit", 0, OPTION_VALUE, "CODE", {"the unit (default: the station's own)", "单位（默认：本站点单位）"}},                          \
        {"period", 'p', OPTION_VALUE, "P[..P]", {"2023, 2023-Q1, 2023-01, or first..last", "2023、2023-Q1、2023-01，或 起..止"}},          \
    {                                                                                                                                      \
        "where", 'w', OPTION_LIST, "DIM=CODE", { "only this member of a dimension; may be repeated", "只计该维度的此项；可重复给出" }      \
    }

// `by`: the comma-separated groupings, or NULL. ERR_USAGE, ERR_INPUT (not a period).
enum error_code figures_query_init(struct figures_query *query, const struct cli *cli, const char *by, struct error *error);
