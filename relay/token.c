#include "relay/token.h"

#include <ctype.h>

#include "relay/codec.h"
#include "relay/language.h"
#include "trust.pb-c.h"

enum {
    CHECK_SIZE = 4,
    TOKEN_MAX = 296, // bytes of a JoinToken: 2 + 18 + 129 + 3 * 34 + 11 + 34
};

static const char stem[] = "sanji";
static const char prefix[] = "sanji1-";
static const struct codec_limits limits = {.bytes_max = TOKEN_MAX, .elements_max = 8};

static enum error_code missing(struct error *error, const char *field)
{
    return error_set(error, ERR_INPUT, tr("join token: %s: missing", "入网令牌：%s：缺失"), field);
}

static enum error_code read_field(const struct codec_field *field, struct join_token *ret, struct error *error)
{
    switch (field->number) {
    case 2:
        return codec_copy(field->bytes, ret->secret, TOKEN_SECRET_SIZE, "join token: secret", error);
    case 3:
        return codec_copy_text(field->bytes, ret->endpoint, ADDRESS_MAX, "join token: endpoint", error);
    case 4:
        return codec_copy(field->bytes, ret->parent_key.bytes, PUBLIC_KEY_SIZE, "join token: parent_key", error);
    case 5:
        return codec_copy(field->bytes, ret->root.bytes, HASH_SIZE, "join token: root", error);
    case 6:
        return codec_copy(field->bytes, ret->parent.bytes, HASH_SIZE, "join token: parent", error);
    case 7:
        ret->expires_ms = field->value;
        return OK;
    case 8:
        return codec_copy_text(field->bytes, ret->unit, UNIT_CODE_MAX, "join token: unit", error);
    default:
        return OK;
    }
}

static enum error_code decode(struct bytes wire, struct join_token *ret, struct error *error)
{
    enum error_code code = codec_version(wire, error);
    if (!code)
        code = codec_scan(&sanji__join_token__descriptor, wire, &limits, error);
    struct join_token token = {0};
    uint32_t seen = 0;
    struct codec_field field;
    for (size_t at = 0; !code && codec_walk(wire, &at, &field);) {
        seen |= 1u << field.number;
        code = read_field(&field, &token, error);
    }
    if (code)
        return code;
    static const char *const names[] = {"", "format", "secret", "endpoint", "parent_key", "root", "parent", "expires_ms", "unit"};
    for (unsigned i = 1; i < sizeof names / sizeof *names; i++)
        if (!(seen & 1u << i))
            return missing(error, names[i]);
    if (strncmp(token.endpoint, "tcp://", 6) != 0)
        return error_set(error, ERR_INPUT, tr("join token: endpoint: not tcp://HOST:PORT", "入网令牌：endpoint：应为 tcp://主机:端口"));
    *ret = token;
    return OK;
}

enum error_code token_format(const struct join_token *token, char ret[TOKEN_TEXT_MAX], struct error *error)
{
    Sanji__JoinToken message = SANJI__JOIN_TOKEN__INIT;
    message.format = 1;
    message.secret = (ProtobufCBinaryData){TOKEN_SECRET_SIZE, (uint8_t *)token->secret};
    message.endpoint = (char *)token->endpoint;
    message.parent_key = (ProtobufCBinaryData){PUBLIC_KEY_SIZE, (uint8_t *)token->parent_key.bytes};
    message.root = (ProtobufCBinaryData){HASH_SIZE, (uint8_t *)token->root.bytes};
    message.parent = (ProtobufCBinaryData){HASH_SIZE, (uint8_t *)token->parent.bytes};
    message.expires_ms = token->expires_ms;
    message.unit = (char *)token->unit;
    struct buffer bytes = {0};
    codec_pack(&message, &bytes);
    struct join_token again;
    enum error_code code = OK;
    if (bytes.failed)
        code = error_set(error, ERR_MEMORY, "%s", tr("no memory for a token", "内存不足，无法生成令牌"));
    else
        code = decode(buffer_bytes(&bytes), &again, error);
    if (!code) {
        struct hash check = crypto_hash(TAG_TOKEN_CHECK, buffer_bytes(&bytes));
        buffer_append(&bytes, check.bytes, CHECK_SIZE);
        if (bytes.failed) {
            code = error_set(error, ERR_MEMORY, "%s", tr("no memory for a token", "内存不足，无法生成令牌"));
        } else {
            memcpy(ret, prefix, sizeof prefix - 1);
            crypto_base64(buffer_bytes(&bytes), ret + sizeof prefix - 1);
        }
    }
    if (bytes.data)
        crypto_wipe(bytes.data, bytes.size);
    buffer_finish(&bytes);
    return code;
}

static enum error_code check_and_decode(struct bytes bytes, struct join_token *ret, struct error *error)
{
    struct bytes wire = bytes_of(bytes.data, bytes.size > CHECK_SIZE ? bytes.size - CHECK_SIZE : 0);
    struct hash check = crypto_hash(TAG_TOKEN_CHECK, wire);
    if (wire.size == 0 || memcmp(check.bytes, wire.data + wire.size, CHECK_SIZE) != 0)
        return error_set(
            error, ERR_INPUT, "%s",
            tr("join token: mistyped, or a part is missing: copy the whole text again", "入网令牌：输入有误或不完整，请重新完整复制"));
    return decode(wire, ret, error);
}

enum error_code token_parse(const char *text, struct join_token *ret, struct error *error)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        size--;
    if (size < sizeof prefix - 1 || strncmp(text, stem, sizeof stem - 1) != 0)
        return error_set(error, ERR_INPUT, tr("not a join token: it begins with %s", "不是入网令牌：应以 %s 开头"), prefix);
    if (strncmp(text, prefix, sizeof prefix - 1) != 0)
        return error_set(error, ERR_VERSION, tr("join token: another version than %s", "入网令牌：版本不是 %s"), prefix);
    char body[TOKEN_TEXT_MAX];
    text += sizeof prefix - 1;
    size -= sizeof prefix - 1;
    if (size >= sizeof body)
        return error_set(error, ERR_INPUT, tr("join token: %zu characters are too many", "入网令牌：%zu 个字符过长"), size);
    memcpy(body, text, size);
    body[size] = 0;
    struct buffer bytes = {0};
    enum error_code code = crypto_from_base64(body, &bytes);
    if (code == ERR_MEMORY)
        error_set(error, code, "%s", tr("no memory for a token", "内存不足，无法读取令牌"));
    else if (code)
        error_set(error, code, "%s",
                  tr("join token: mistyped or cut short: only letters, digits, - and _ belong in it",
                     "入网令牌：输入有误或被截断，只应含字母、数字、- 和 _"));
    else
        code = check_and_decode(buffer_bytes(&bytes), ret, error);
    crypto_wipe(body, sizeof body);
    if (bytes.data)
        crypto_wipe(bytes.data, bytes.size);
    buffer_finish(&bytes);
    return code;
}

struct hash token_name(const uint8_t secret[TOKEN_SECRET_SIZE]) { return crypto_hash(TAG_TOKEN, bytes_of(secret, TOKEN_SECRET_SIZE)); }
