// Messages in English or Chinese. Both texts stand at the place of use, so no translation can be missing.
#pragma once

enum language { LANGUAGE_EN, LANGUAGE_ZH };

// The language of this thread's messages. A service sets it from the request that it answers.
void language_set(enum language language);
enum language language_get(void);
// From LC_ALL, LC_MESSAGES or LANG, first set one wins: "zh..." is Chinese, everything else English.
enum language language_from_environment(void);
enum language language_parse(const char *text); // "zh..." or anything else

// The text of this thread's language. Both are formats of the same arguments where they are formats.
const char *tr(const char *en, const char *zh) __attribute__((format_arg(1), format_arg(2)));
