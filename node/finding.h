// What is wrong with one record, without its place: whoever reads the source adds that.
#pragma once
#include <stdbool.h>

#include "relay/error.h"

struct finding {
    enum error_code code; // OK: nothing is
    char field[40];       // name of the field or column; "": the record
    char text[400];       // why, in the thread's language
};

// Fills the finding and returns false, so that a check can end with `return finding_set(...)`. Long texts are cut at a UTF-8 boundary.
bool finding_set(struct finding *finding, enum error_code code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
