#include "relay/endpoint.h"
#include "relay/language.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char SCHEME[] = "tcp://";

static enum error_code bad(struct error *error, const char *text, const char *why)
{
    return error_set(error, ERR_INPUT, tr("address \"%.300s\": %s", "地址“%.300s”：%s"), text, why);
}

// 0..65535 in at most five digits and nothing else.
static bool parse_port(const char *text, uint16_t *ret)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits])
        return false;
    unsigned long port = strtoul(text, NULL, 10);
    if (port > UINT16_MAX)
        return false;
    *ret = (uint16_t)port;
    return true;
}

static bool is_name(const char *host)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    size_t size = strlen(host);
    return strspn(host, LETTERS) == size && host[0] != '-' && host[0] != '.' && !strstr(host, "..");
}

// What stands between the scheme and the port, brackets included.
static bool parse_host(const char *text, size_t size, struct endpoint *ret)
{
    bool brackets = size >= 2 && text[0] == '[' && text[size - 1] == ']';
    if (brackets) {
        text++;
        size -= 2;
    }
    if (size == 0 || size > ENDPOINT_HOST_MAX)
        return false;
    memcpy(ret->host, text, size);
    ret->host[size] = 0;
    struct in6_addr address;
    if (brackets) {
        ret->kind = ENDPOINT_IPV6;
        return inet_pton(AF_INET6, ret->host, &address) == 1;
    }
    if (strcmp(ret->host, "*") == 0) {
        ret->kind = ENDPOINT_ANY;
        return true;
    }
    if (strspn(ret->host, "0123456789.") == size) { // a name of digits alone is a mistyped address
        ret->kind = ENDPOINT_IPV4;
        return inet_pton(AF_INET, ret->host, &address) == 1;
    }
    ret->kind = ENDPOINT_NAME;
    return is_name(ret->host);
}

enum error_code endpoint_parse(const char *text, struct endpoint *ret, struct error *error)
{
    if (strncmp(text, SCHEME, sizeof SCHEME - 1) != 0)
        return bad(error, text, tr("it must begin with tcp://", "必须以 tcp:// 开头"));
    const char *host = text + sizeof SCHEME - 1;
    const char *colon = strrchr(host, ':');
    if (!colon)
        return bad(error, text, tr("the port is missing: tcp://HOST:PORT", "缺少端口：tcp://主机:端口"));
    struct endpoint endpoint = {0};
    if (!parse_port(colon + 1, &endpoint.port))
        return bad(error, text, tr("the port must be a number from 0 to 65535", "端口必须是 0 到 65535 的数字"));
    if (!parse_host(host, (size_t)(colon - host), &endpoint))
        return bad(error, text,
                   tr("the host must be an IPv4 address, an IPv6 address in [brackets], a name or *",
                      "主机必须是 IPv4 地址、[方括号] 中的 IPv6 地址、名称或 *"));
    *ret = endpoint;
    return OK;
}

enum error_code endpoint_parse_dial(const char *text, struct endpoint *ret, struct error *error)
{
    struct endpoint endpoint;
    enum error_code code = endpoint_parse(text, &endpoint, error);
    if (code != OK)
        return code;
    if (endpoint.kind == ENDPOINT_ANY || endpoint.port == 0)
        return bad(error, text, tr("this can be listened on, not called", "可用于监听，不能呼叫"));
    *ret = endpoint;
    return OK;
}

bool endpoint_is_loopback(const char *text)
{
    struct endpoint endpoint;
    if (!text || endpoint_parse(text, &endpoint, NULL) != OK)
        return false;
    struct in_addr four;
    struct in6_addr six;
    switch (endpoint.kind) {
    case ENDPOINT_IPV4:
        return inet_pton(AF_INET, endpoint.host, &four) == 1 && ntohl(four.s_addr) >> 24 == 127;
    case ENDPOINT_IPV6:
        return inet_pton(AF_INET6, endpoint.host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
    case ENDPOINT_NAME:
        return strcasecmp(endpoint.host, "localhost") == 0;
    case ENDPOINT_ANY:
        return false;
    }
    return false;
}
