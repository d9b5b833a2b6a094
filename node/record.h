// A record in memory, and its sections on the wire (RecordSection of schema/record.proto). Pure: no store, no keys.
//
// A revision travels as one entry per section, each with its own readers and reach: first the section "" (fields that belong to no named
// section; it is left out when the form has none of those, but has named ones), then the form's named sections in their order.
#pragma once
#include "node/codebook/codebook.h"
#include "node/codebook/value.h"
#include "relay/codec.h"

enum {
    SECTION_OWN = -1, // the section ""
    RECORD_SECTIONS_MAX = SECTIONS_MAX + 1,
    RECORD_TEXT_MAX = 512,          // bytes of person, post and reason
    SECTION_MAX = ENTRY_MAX - 1024, // bytes of a section's plaintext: leaves room for the seal and the entry around it
};

// Texts and values live in an arena of the caller's.
struct record {
    uint8_t id[RECORD_ID_SIZE];
    uint32_t revision;                // 1, 2, 3 ...
    uint16_t form;                    // index in the codebook
    bool voided;                      // withdrawn: has no values and no effect
    uint8_t subject[SUBJECT_ID_SIZE]; // zero when the form has no subject
    int32_t at;                       // civil date
    uint64_t recorded_ms;             // UTC
    const char *unit;                 // the unit that recorded it
    uint32_t unit_from;
    const char *custodian;              // the unit that holds the subject; "" without a subject
    const char *person, *post, *reason; // "" when not said
    struct value *values;               // of every field of the form, in its order
};

// A duration as records hold it: whole days when it is some, else minutes. `seconds` is a multiple of 60.
struct value duration_of_seconds(int64_t seconds);

// Order of a subject's history: (at, recorded_ms, id). Negative, 0, positive.
int record_compare(const struct record *a, const struct record *b);

// The sections of a form's records in the order they are written; returns how many (1..RECORD_SECTIONS_MAX).
unsigned record_sections(const struct form *form, int sections[RECORD_SECTIONS_MAX]);

// Appends one section's canonical bytes. `scratch` is used while packing. ERR_LIMIT over SECTION_MAX, ERR_MEMORY.
enum error_code record_encode(const struct codebook *codebook, const struct record *record, int section, struct arena *scratch,
                              struct buffer *ret, struct error *error);

// Reads one section: `ret` gets the values of that section's fields, the others are none. `ret_sections`: how many the revision has.
// Everything lives in the arena. Fields that the form no longer has are left out. ERR_INPUT with the field when a bound is broken or a
// value is not of the field's type; ERR_NOT_FOUND for a form or code that the codebook does not know.
enum error_code record_decode(const struct codebook *codebook, struct bytes wire, struct arena *arena, struct record *ret, int *ret_section,
                              uint32_t *ret_sections, struct error *error);

// Adds the values of another section of the same revision. ERR_INPUT when the two are not of one revision.
enum error_code record_merge(const struct codebook *codebook, struct record *record, const struct record *part, int section,
                             struct error *error);
