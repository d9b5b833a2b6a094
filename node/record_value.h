// Text and JSON of a field -> its value, exactly: no floating point, one spelling a thing. What a person typed wrong comes back as a
// finding that says what was expected.
//
//   bool      true false yes no 1 0 是 否          int       whole number
//   decimal   at most four decimals              money     fen: whole number
//   date      2023-05-02                         instant   2023-05-02T08:30[:15](Z|+08:00); without an offset: the codebook's time zone
//   duration  90m 2h 3d 1w                       code      one of its list (not one retired before the record's date: record_validate.h)
//   ref       32 hex digits                      unit      a unit's code, 1..32 bytes; it may lie outside the tree
//   position  "LAT LON ACCURACY_M" in degrees with at most six decimals, WGS-84: "32.272258 119.184766 20"
//   idno, phone, text, file                      text
// A field with `many` above 1 takes that many: a JSON list, or text separated by '|'.
#pragma once
#include "node/codebook/codebook.h"
#include "node/codebook/value.h"
#include "node/finding.h"
#include "relay/arena.h"

enum { TEXT_MAX_DEFAULT = 1000, IDNO_MAX = 32 }; // characters of a text field without `max`; of papers' numbers and phone numbers

struct json;

// Empty text and null give none, and so does an empty list. Texts live in the arena. False with a finding: ERR_INPUT, ERR_MEMORY.
bool value_from_text(const struct codebook *codebook, const struct field *field, const char *text, struct arena *arena, struct value *ret,
                     struct finding *finding);
bool value_from_json(const struct codebook *codebook, const struct field *field, const struct json *json, struct arena *arena,
                     struct value *ret, struct finding *finding);

// "orphan, left_behind, ...", cut when it is long.
void value_codes_text(const struct list *list, char *ret, size_t size);
