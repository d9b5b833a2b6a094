// What a test can't go on without.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/error.h"

static inline void must(enum error_code code, const struct error *error)
{
    if (code != OK)
        fail_msg("%s: %s", error_name(code), error->detail);
}
