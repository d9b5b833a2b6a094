// Text as we accept it from others: UTF-8 (RFC 3629). Pure; used by codec.c and by whoever reads names and codes.
#pragma once
#include "relay/bytes.h"

// Whether it is well-formed: no over-long forms, no surrogates, nothing above U+10FFFF, no NUL.
bool text_valid(struct bytes text);
// Whether it is valid and shows as what it is: no control characters (U+0000-1F, 7F-9F), no line or paragraph separators, no bidi
// controls (U+061C, 200E-F, 202A-E, 2066-9), no byte order mark. For codes, names of tiers, addresses: things that people compare.
bool text_plain(struct bytes text);
