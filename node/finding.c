#include "node/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Takes off what a cut left of a character.
static void trim(char *text, size_t capacity)
{
    size_t end = strlen(text);
    if (end + 1 < capacity)
        return;
    size_t lead = end - 1;
    while (lead > 0 && ((unsigned char)text[lead] & 0xC0) == 0x80)
        lead--;
    text[lead] = 0;
}

bool finding_set(struct finding *finding, enum error_code code, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    finding->code = code;
    snprintf(finding->field, sizeof finding->field, "%s", field);
    int written = vsnprintf(finding->text, sizeof finding->text, format, args);
    va_end(args);
    if (written >= (int)sizeof finding->text)
        trim(finding->text, sizeof finding->text);
    return false;
}
