// UTF-8 as RFC 3629 has it, and how wide a terminal shows it.
#pragma once
#include "relay/bytes.h"

// Bytes of the character at the front of `size` > 0 bytes; 0: not UTF-8 (overlong, surrogate, beyond U+10FFFF, cut off).
size_t utf8_size(const uint8_t *p, size_t size);
// The code point of the character at the front of NUL-terminated `text`, and its bytes. Not UTF-8: U+FFFD, one byte.
uint32_t utf8_decode(const char *text, size_t *ret_size);
// Columns of one code point on a terminal: 0 combining and control, 2 wide and full-width (Unicode 14, East Asian Width W and F), else 1.
int utf8_columns(uint32_t code);
// Columns of a whole text.
size_t utf8_width(const char *text);
// The most bytes of `text` that fit in `size` without cutting a character.
size_t utf8_cut(const char *text, size_t size);
