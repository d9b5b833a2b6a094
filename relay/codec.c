#include "relay/codec.h"

#include <assert.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

#include "relay/language.h"
#include "relay/text.h"

// ---- reading

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

// Shortest form only (protobuf-c takes any).
static bool get_long_varint(struct bytes wire, size_t *at, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < CODEC_VARINT_MAX && *at + i < wire.size; i++) {
        uint8_t byte = wire.data[*at + i];
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte & 0x80)
            continue;
        if ((byte == 0 && i > 0) || (i == 9 && byte > 1))
            return false;
        *at += i + 1;
        *ret = value;
        return true;
    }
    return false;
}

// Most are of one byte.
static inline bool get_varint(struct bytes wire, size_t *at, uint64_t *ret)
{
    if (*at >= wire.size || wire.data[*at] & 0x80)
        return get_long_varint(wire, at, ret);
    *ret = wire.data[(*at)++];
    return true;
}

static uint64_t get_little_endian(const uint8_t *data, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)data[i] << (8 * i);
    return value;
}

// Reads one field, whatever its type; `ret_type` is its wire type.
static bool get_field(struct bytes wire, size_t *at, struct codec_field *ret, unsigned *ret_type)
{
    size_t begin = *at, place = *at;
    uint64_t tag, value = 0;
    struct bytes bytes = {0};
    if (!get_varint(wire, &place, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return false;
    unsigned type = tag & 7;
    if (type == WIRE_VARINT) {
        if (!get_varint(wire, &place, &value))
            return false;
    } else if (type == WIRE_64 || type == WIRE_32) {
        size_t size = type == WIRE_64 ? 8 : 4;
        if (wire.size - place < size)
            return false;
        value = get_little_endian(wire.data + place, size);
        place += size;
    } else if (type == WIRE_BYTES) {
        uint64_t size;
        if (!get_varint(wire, &place, &size) || size > wire.size - place)
            return false;
        bytes = bytes_of(wire.data + place, size);
        place += size;
    } else {
        return false;
    }
    *ret = (struct codec_field){(uint32_t)(tag >> 3), value, bytes, bytes_of(wire.data + begin, place - begin)};
    *ret_type = type;
    *at = place;
    return true;
}

bool codec_walk(struct bytes wire, size_t *offset, struct codec_field *ret)
{
    unsigned type;
    return *offset < wire.size && get_field(wire, offset, ret, &type);
}

bool codec_next_varint(struct bytes packed, size_t *offset, uint64_t *ret) { return get_varint(packed, offset, ret); }

bool codec_next(struct bytes wire, uint32_t field, size_t *offset, struct bytes *ret)
{
    struct codec_field found;
    unsigned type;
    while (*offset < wire.size && get_field(wire, offset, &found, &type)) {
        if (found.number == field && type == WIRE_BYTES) {
            *ret = found.bytes;
            return true;
        }
    }
    return false;
}

enum error_code codec_version(struct bytes wire, struct error *error)
{
    // Both fit one byte for a long time to come; a longer varint is another version too.
    bool has_format = wire.size >= 2 && wire.data[0] == 0x08;
    if (has_format && wire.data[1] != 1)
        return error_set(error, ERR_VERSION, tr("format %u is not known here, only 1", "未知格式 %u，仅支持 1"), wire.data[1]);
    if (has_format && wire.size >= 4 && wire.data[2] == 0x10 && wire.data[3] != 1)
        return error_set(error, ERR_VERSION, tr("crypto suite %u is not known here, only 1", "未知密码套件 %u，仅支持 1"), wire.data[3]);
    return OK;
}

enum error_code codec_copy(struct bytes bytes, void *ret, size_t size, const char *what, struct error *error)
{
    if (bytes.size != size)
        return error_set(error, ERR_INPUT, tr("%s: not %zu bytes", "%s：不是 %zu 字节"), what, size);
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++)
        any |= bytes.data[i];
    if (!any)
        return error_set(error, ERR_INPUT, tr("%s: all zero", "%s：全为零"), what);
    memcpy(ret, bytes.data, size);
    return OK;
}

enum error_code codec_copy_text(struct bytes bytes, char *ret, size_t max, const char *what, struct error *error)
{
    if (bytes.size > max)
        return error_set(error, ERR_LIMIT, tr("%s: longer than %zu bytes", "%s：超过 %zu 字节"), what, max);
    if (!text_plain(bytes))
        return error_set(error, ERR_INPUT, tr("%s: not UTF-8, or holds a control character", "%s：不是 UTF-8，或含有控制字符"), what);
    if (bytes.size)
        memcpy(ret, bytes.data, bytes.size);
    ret[bytes.size] = 0;
    return OK;
}

// ---- pre-scan

struct scan {
    const uint8_t *begin; // of the outermost message
    uint32_t elements_left;
    bool open_enums;
    unsigned depth;
    const char *root;
    const char *path[CODEC_DEPTH_MAX]; // field names down to the place
    struct error *error;
};

static enum error_code fault(const struct scan *scan, enum error_code code, const uint8_t *place, const char *why)
{
    char path[256];
    int used = snprintf(path, sizeof path, "%s", scan->root);
    for (unsigned i = 0; i < scan->depth && scan->path[i] && used >= 0 && (size_t)used < sizeof path; i++)
        used += snprintf(path + used, sizeof path - (size_t)used, ".%s", scan->path[i]);
    return error_set(scan->error, code, tr("%s, byte %zu: %s", "%s，第 %zu 字节：%s"), path, (size_t)(place - scan->begin), why);
}

static enum error_code count_elements(struct scan *scan, size_t count, const uint8_t *place)
{
    if (count > scan->elements_left)
        return fault(scan, ERR_LIMIT, place, tr("too many fields and elements", "字段和元素过多"));
    scan->elements_left -= (uint32_t)count;
    return OK;
}

static unsigned wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
        return WIRE_VARINT;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return WIRE_BYTES;
}

// Why a scalar is refused, NULL if it is not.
static const char *scalar_fault(const struct scan *scan, const ProtobufCFieldDescriptor *field, uint64_t value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return value > 1 ? tr("a bool that is neither 0 nor 1", "布尔值既非 0 也非 1") : NULL;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_SINT32:
        return value > UINT32_MAX ? tr("a 32-bit number that needs more", "32 位数值超出范围") : NULL;
    case PROTOBUF_C_TYPE_INT32:
        return value > INT32_MAX && value < 0xFFFFFFFF80000000u ? tr("a 32-bit number that needs more", "32 位数值超出范围") : NULL;
    case PROTOBUF_C_TYPE_ENUM:
        if (value > INT32_MAX || (!scan->open_enums && !protobuf_c_enum_descriptor_get_value(field->descriptor, (int)value)))
            return tr("a value that its list does not have", "取值不在枚举中");
        return NULL;
    default:
        return NULL;
    }
}

static enum error_code scan_packed(struct scan *scan, const ProtobufCFieldDescriptor *field, struct bytes packed)
{
    unsigned type = wire_type_of(field->type);
    if (packed.size == 0)
        return fault(scan, ERR_INPUT, packed.data, tr("an empty array on the wire", "线上出现空数组"));
    size_t at = 0;
    while (at < packed.size) {
        const uint8_t *place = packed.data + at;
        uint64_t value;
        if (type == WIRE_VARINT) {
            if (!get_varint(packed, &at, &value))
                return fault(scan, ERR_INPUT, place, tr("not a shortest varint", "变长整数不是最短形式"));
            const char *why = scalar_fault(scan, field, value);
            if (why)
                return fault(scan, ERR_INPUT, place, why);
        } else {
            size_t size = type == WIRE_64 ? 8 : 4;
            if (packed.size - at < size)
                return fault(scan, ERR_INPUT, place, tr("the array ends inside a number", "数组在数值中间截断"));
            at += size;
        }
        enum error_code code = count_elements(scan, 1, place);
        if (code)
            return code;
    }
    return OK;
}

static enum error_code scan_message(struct scan *scan, const ProtobufCMessageDescriptor *type, struct bytes wire);

static bool is_packed(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED && wire_type_of(field->type) != WIRE_BYTES;
}

static enum error_code scan_value(struct scan *scan, const ProtobufCFieldDescriptor *field, const struct codec_field *found)
{
    if (is_packed(field))
        return scan_packed(scan, field, found->bytes);
    const uint8_t *place = found->whole.data;
    bool has_presence =
        field->label == PROTOBUF_C_LABEL_REPEATED || field->type == PROTOBUF_C_TYPE_MESSAGE || (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF);
    if (!has_presence && found->value == 0 && found->bytes.size == 0)
        return fault(scan, ERR_INPUT, place, tr("a default value on the wire", "线上出现默认值"));
    if (field->type == PROTOBUF_C_TYPE_STRING && !text_valid(found->bytes))
        return fault(scan, ERR_INPUT, place, tr("text that is not UTF-8 or holds NUL", "文本不是 UTF-8 或含有空字符"));
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        if (scan->depth == CODEC_DEPTH_MAX)
            return fault(scan, ERR_LIMIT, place, tr("nested too deep", "嵌套过深"));
        return scan_message(scan, field->descriptor, found->bytes);
    }
    const char *why = scalar_fault(scan, field, found->value);
    return why ? fault(scan, ERR_INPUT, place, why) : OK;
}

// Order and number of fields: `field` is the one found, `last` the one before it.
static const char *order_fault(const ProtobufCFieldDescriptor *field, const ProtobufCFieldDescriptor *last, const unsigned *oneofs,
                               unsigned oneofs_count)
{
    if (last == field && (field->label != PROTOBUF_C_LABEL_REPEATED || is_packed(field)))
        return tr("a field twice", "字段重复");
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        for (unsigned i = 0; i < oneofs_count; i++)
            if (oneofs[i] == field->quantifier_offset)
                return tr("two members of a oneof", "同一 oneof 出现两个成员");
    return NULL;
}

static enum error_code scan_message(struct scan *scan, const ProtobufCMessageDescriptor *type, struct bytes wire)
{
    enum { ONEOFS_MAX = 4 }; // in one message; ours have one
    unsigned oneofs[ONEOFS_MAX], oneofs_count = 0, index = 0;
    const ProtobufCFieldDescriptor *last = NULL;
    size_t at = 0;
    unsigned level = scan->depth++;
    while (at < wire.size) {
        const uint8_t *place = wire.data + at;
        scan->path[level] = NULL;
        struct codec_field found;
        unsigned wire_type;
        if (!get_field(wire, &at, &found, &wire_type))
            return fault(scan, ERR_INPUT, place,
                         tr("not a field: cut short, or not a shortest varint", "字段被截断，或变长整数不是最短形式"));
        // Fields come in ascending order, so the descriptor's list is walked once.
        while (index < type->n_fields && type->fields[index].id < found.number)
            index++;
        if (index == type->n_fields || type->fields[index].id != found.number)
            return fault(scan, ERR_INPUT, place, tr("a field that is unknown or out of order", "未知字段或字段次序错误"));
        const ProtobufCFieldDescriptor *field = &type->fields[index];
        scan->path[level] = field->name;
        if (wire_type != (is_packed(field) ? WIRE_BYTES : wire_type_of(field->type)))
            return fault(scan, ERR_INPUT, place, tr("the wrong wire type", "线上类型错误"));
        const char *why = order_fault(field, last, oneofs, oneofs_count);
        if (why)
            return fault(scan, ERR_INPUT, place, why);
        enum error_code code = count_elements(scan, 1, place);
        if (!code)
            code = scan_value(scan, field, &found);
        if (code)
            return code;
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            assert(oneofs_count < ONEOFS_MAX);
            oneofs[oneofs_count++] = field->quantifier_offset;
        }
        last = field;
    }
    scan->depth--;
    return OK;
}

enum error_code codec_scan(const struct ProtobufCMessageDescriptor *type, struct bytes wire, const struct codec_limits *limits,
                           struct error *error)
{
    struct scan scan = {.begin = wire.data,
                        .elements_left = limits->elements_max,
                        .open_enums = limits->open_enums,
                        .root = type->short_name,
                        .error = error};
    if (wire.size > limits->bytes_max)
        return error_set(error, ERR_LIMIT, tr("%s: %zu bytes, at most %zu", "%s：%zu 字节，上限 %zu"), type->short_name, wire.size,
                         limits->bytes_max);
    if (wire.size == 0 && !limits->empty_ok)
        return error_set(error, ERR_INPUT, tr("%s: empty", "%s：内容为空"), type->short_name);
    return scan_message(&scan, type, wire);
}

// ---- unpack and pack

static void *allocate(void *arena, size_t size) { return arena_alloc(arena, size); }

static void no_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

enum error_code codec_unpack(const struct ProtobufCMessageDescriptor *type, struct bytes wire, const struct codec_limits *limits,
                             struct arena *arena, void **ret, struct error *error)
{
    enum error_code code = codec_scan(type, wire, limits, error);
    if (code)
        return code;
    ProtobufCAllocator allocator = {.alloc = allocate, .free = no_free, .allocator_data = arena};
    void *message = protobuf_c_message_unpack(type, &allocator, wire.size, wire.data);
    // What the scan let through can fail only for want of memory, or of the arena's.
    if (!message && arena->failed)
        return error_set(error, ERR_MEMORY, tr("%s: out of memory", "%s：内存不足"), type->short_name);
    if (!message)
        return error_set(error, ERR_LIMIT, tr("%s: needs more memory than its %zu bytes may take", "%s：%zu 字节所需内存超出上限"),
                         type->short_name, wire.size);
    *ret = message;
    return OK;
}

void codec_pack(const void *message, struct buffer *ret)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *place = buffer_extend(ret, size);
    if (place && size)
        protobuf_c_message_pack(message, place);
}

size_t codec_put_varint(uint8_t ret[CODEC_VARINT_MAX], uint64_t value)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        ret[size++] = (uint8_t)(value | 0x80);
    ret[size++] = (uint8_t)value;
    return size;
}

size_t codec_varint_size(uint64_t value)
{
    size_t size = 1;
    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}
