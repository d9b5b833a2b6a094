// What somebody types or pastes as a join token.
#include "relay/token.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    struct join_token token, again;
    struct error error = {0};
    enum error_code code = token_parse(text, &token, &error);
    MUST(code == OK || (error.code == code && error.detail[0]));
    if (code == OK) {
        char formatted[TOKEN_TEXT_MAX];
        MUST(token_format(&token, formatted, NULL) == OK);
        MUST(strstr(text, formatted)); // but for white space around it, there is one text for a token
        MUST(token_parse(formatted, &again, NULL) == OK);
    }
    free(text);
    return 0;
}
