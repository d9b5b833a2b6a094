// Reads the records of a request, one at a time, from JSON or CSV. Every complaint carries its place: "source:line:column: field: why".
//
// JSON: one object, a list of them, or {"records": [...]}. CSV: a header row, then a record a row. Names are the form's fields, and
//   at        the form's date field (`at` of the form), for those who do not want to know its name
//   subject   id of the subject (32 hex digits)      key      the caller's own stable text for the subject, 1..128 bytes
//   record    id of the record that this corrects    void     true: withdraws it       reason   why; needed to withdraw
//   unit      code of the unit it is recorded for
// A field of the form hides one of these names. A withdrawal has no values: `reason` is then always its reason.
#pragma once
#include "node/csv.h"
#include "node/finding.h"
#include "node/record.h"
#include "node/record_value.h"
#include "node/records.h"

enum { SUBJECT_KEY_MAX = 128 }; // bytes of `key`

struct record_draft {
    struct value *values; // of the form's fields
    bool has_record, has_subject, voided;
    uint8_t record[RECORD_ID_SIZE], subject[SUBJECT_ID_SIZE];
    const char *key, *unit, *reason; // NULL: not said
};

struct json_document;

// Caller's memory; all members but `code` are private.
struct record_reader {
    enum error_code code; // OK, or why record_reader_next() stopped
    const struct codebook *codebook;
    const struct form *form;
    struct arena *arena;
    bool is_csv;
    struct csv csv;
    struct json_document *document;
    const struct json *item; // the current record
    bool begun, single;
    int16_t columns[CSV_FIELDS_MAX];
};

// What is read lives in `arena`; the input's data must outlive the reader. ERR_INPUT for text that is no JSON or CSV, or unknown columns.
enum error_code record_reader_init(struct record_reader *reader, const struct record_input *input, const struct codebook *codebook,
                                   const struct form *form, struct arena *arena, struct error *error);
void record_reader_finish(struct record_reader *reader); // also after a failed init

// The next record; false at the end, and on an error, which stays in reader->code.
bool record_reader_next(struct record_reader *reader, struct record_draft *ret, struct error *error);
// A finding about the current record, with its place. Returns its code.
enum error_code record_reader_fail(const struct record_reader *reader, const struct finding *finding, struct error *error);
