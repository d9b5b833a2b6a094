#include "relay/text.h"

// Decodes the character at *at, moving past it. False: not well-formed.
static bool next_char(struct bytes text, size_t *at, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t lead = text.data[*at];
    size_t more = lead < 0x80 ? 0 : lead < 0xC2 ? 4 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : lead < 0xF5 ? 3 : 4;
    if (more == 4 || text.size - *at <= more)
        return false;
    uint32_t value = more == 0 ? lead : lead & (0x3Fu >> more);
    for (size_t i = 1; i <= more; i++) {
        uint8_t next = text.data[*at + i];
        if ((next & 0xC0) != 0x80)
            return false;
        value = value << 6 | (next & 0x3Fu);
    }
    if (value < least[more] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF) || value == 0)
        return false;
    *at += more + 1;
    *ret = value;
    return true;
}

static bool is_plain(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7F && c <= 0x9F))
        return false;
    return c != 0x061C && c != 0x200E && c != 0x200F && !(c >= 0x2028 && c <= 0x202E) && !(c >= 0x2066 && c <= 0x2069) && c != 0xFEFF;
}

bool text_valid(struct bytes text)
{
    for (size_t at = 0; at < text.size;) {
        uint32_t c;
        if (!next_char(text, &at, &c))
            return false;
    }
    return true;
}

bool text_plain(struct bytes text)
{
    for (size_t at = 0; at < text.size;) {
        uint32_t c;
        if (!next_char(text, &at, &c) || !is_plain(c))
            return false;
    }
    return true;
}
