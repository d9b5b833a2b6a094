// An answer of figures, as a table, CSV or JSON.
#pragma once
#include "control.pb-c.h"
#include "node/cli/cli.h"

// Whether the columns of the reply fit together and every index points at something: to be asked before printing. ERR_VERSION.
enum error_code figures_print_check(const Sanji__FiguresReply *reply, struct error *error);

// Columns only for what differs between rows; the freshness below.
void figures_print_table(struct cli *cli, const Sanji__FiguresReply *reply);
// A row a figure, labels in the thread's language beside codes. Values are raw: `unit_of_value` says fen, 1/10000 or 1. Freshness in
// counts.
void figures_print_csv(struct cli *cli, const Sanji__FiguresReply *reply);
void figures_print_json(struct cli *cli, const Sanji__FiguresReply *reply);
// Lines about who is missing and how fresh it is.
void figures_print_freshness(const Sanji__FiguresReply *reply, struct buffer *out);
