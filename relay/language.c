#include "relay/language.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local enum language current = LANGUAGE_EN;

void language_set(enum language language) { current = language; }

enum language language_get(void) { return current; }

enum language language_parse(const char *text) { return text && strncmp(text, "zh", 2) == 0 ? LANGUAGE_ZH : LANGUAGE_EN; }

enum language language_from_environment(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return language_parse(value);
    }
    return LANGUAGE_EN;
}

const char *tr(const char *en, const char *zh) { return current == LANGUAGE_ZH ? zh : en; }
