// Addresses of stations as text: tcp://HOST:PORT. HOST is an IPv4 address, an IPv6 address in brackets, a name, or * (every IPv4
// address of this machine, to listen on). Nothing is looked up here.
#pragma once
#include "relay/error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ENDPOINT_HOST_MAX = 253,                                    // bytes: the longest DNS name (RFC 1035, 2.3.4, as text)
    ENDPOINT_MAX = ENDPOINT_HOST_MAX + sizeof "tcp://[]:65535", // with the NUL
};

enum endpoint_kind { ENDPOINT_IPV4, ENDPOINT_IPV6, ENDPOINT_NAME, ENDPOINT_ANY };

struct endpoint {
    enum endpoint_kind kind;
    char host[ENDPOINT_HOST_MAX + 1]; // without brackets
    uint16_t port;                    // 0: any free one, to listen on
};

// Reads `text`. `error` may be NULL. ERR_INPUT: not of that form; the detail quotes the text and says which part.
enum error_code endpoint_parse(const char *text, struct endpoint *ret, struct error *error);
// The same for an address to call: ERR_INPUT also for * and for port 0.
enum error_code endpoint_parse_dial(const char *text, struct endpoint *ret, struct error *error);

// Whether only this machine can reach it: 127.0.0.0/8 (RFC 1122), ::1 (RFC 4291) or the name localhost (RFC 6761). False for what
// cannot be read, for other names and for *. The configuration asks this before it lets a station listen.
bool endpoint_is_loopback(const char *text);
