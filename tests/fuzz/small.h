// A codebook of one form with a field of each type.
#pragma once

static const char small_codebook[] =
    "codebook: {id: fuzz, version: 1, grammar: 1, tz: \"+08:00\", base: month, tiers: [county, village]}\n"
    "lists:\n"
    "  - {id: l, items: [{id: a, zh: 甲, en: a}, {id: b, zh: 乙, en: b}]}\n"
    "registers:\n"
    "  - {id: r, props: [{id: c, type: code, of: l}]}\n"
    "forms:\n"
    "  - id: f\n"
    "    about: r\n"
    "    at: e\n"
    "    sections: [{id: z, tiers: [village]}]\n"
    "    fields: [{id: e, type: date}, {id: n, type: decimal}, {id: t, type: bool}, {id: k, type: code, of: l},\n"
    "             {id: x, type: text}, {id: g, type: position}, {id: q, type: ref, of: r, many: 3},\n"
    "             {id: u, type: duration, section: z}]\n";
