#include "relay/marker.h"

#include "relay/codec.h"
#include "relay/file.h"
#include "relay/language.h"
#include "trust.pb-c.h"

enum {
    CHECKSUM_SIZE = 16,
    MARKER_MAX = 256, // bytes of the file: 16 + 115 at most
};

static const char marker_name[] = "marker";
static const struct codec_limits limits = {.bytes_max = MARKER_MAX, .elements_max = 10};

enum error_code marker_write(const char *directory, const struct marker *marker, struct error *error)
{
    Sanji__Marker message = SANJI__MARKER__INIT;
    message.format = 1;
    message.station = (ProtobufCBinaryData){STATION_ID_SIZE, (uint8_t *)marker->station.bytes};
    message.ordinal = marker->ordinal;
    message.nonce = marker->nonce;
    message.starts = marker->starts;
    message.end = marker->end;
    if (!hash_is_zero(&marker->digest))
        message.digest = (ProtobufCBinaryData){HASH_SIZE, (uint8_t *)marker->digest.bytes};
    message.clean = marker->clean;
    message.restored = marker->restored;
    message.wants = marker->wants;
    struct buffer file = {0};
    uint8_t *checksum = buffer_extend(&file, CHECKSUM_SIZE);
    if (checksum)
        codec_pack(&message, &file);
    enum error_code code = OK;
    if (file.failed) {
        code = error_set(error, ERR_MEMORY, "%s/%s", directory, marker_name);
    } else {
        struct hash hash = crypto_hash(TAG_MARKER, bytes_of(file.data + CHECKSUM_SIZE, file.size - CHECKSUM_SIZE));
        memcpy(file.data, hash.bytes, CHECKSUM_SIZE);
        code = file_replace(directory, marker_name, buffer_bytes(&file), error);
    }
    buffer_finish(&file);
    return code;
}

static enum error_code damaged(struct error *error, const char *directory)
{
    return error_set(error, ERR_CORRUPT, tr("%s/%s: damaged", "%s/%s：已损坏"), directory, marker_name);
}

static enum error_code decode(struct bytes file, const char *directory, struct marker *ret, struct error *error)
{
    if (file.size < CHECKSUM_SIZE)
        return damaged(error, directory);
    struct bytes wire = bytes_of(file.data + CHECKSUM_SIZE, file.size - CHECKSUM_SIZE);
    struct hash hash = crypto_hash(TAG_MARKER, wire);
    if (memcmp(hash.bytes, file.data, CHECKSUM_SIZE) != 0)
        return damaged(error, directory);
    if (codec_version(wire, NULL) != OK)
        return error_set(error, ERR_VERSION, tr("%s/%s: written by a newer version", "%s/%s：由更新版本写入"), directory, marker_name);
    if (codec_scan(&sanji__marker__descriptor, wire, &limits, NULL) != OK)
        return damaged(error, directory);
    struct marker marker = {0};
    enum error_code code = OK;
    struct codec_field field;
    bool has_format = false, has_station = false;
    for (size_t at = 0; !code && codec_walk(wire, &at, &field);) {
        has_format |= field.number == 1;
        has_station |= field.number == 2;
        if (field.number == 2)
            code = codec_copy(field.bytes, marker.station.bytes, STATION_ID_SIZE, "station", NULL);
        else if (field.number == 3)
            marker.ordinal = (uint32_t)field.value;
        else if (field.number == 4)
            marker.nonce = field.value;
        else if (field.number == 5)
            marker.starts = field.value;
        else if (field.number == 6)
            marker.end = field.value;
        else if (field.number == 7)
            code = codec_copy(field.bytes, marker.digest.bytes, HASH_SIZE, "digest", NULL);
        else if (field.number == 8)
            marker.clean = true;
        else if (field.number == 9)
            marker.restored = true;
        else if (field.number == 10)
            marker.wants = field.value;
    }
    if (code || !has_format || !has_station)
        return damaged(error, directory);
    *ret = marker;
    return OK;
}

enum error_code marker_read(const char *directory, struct marker *ret, struct error *error)
{
    struct buffer file = {0};
    enum error_code code = file_read(directory, marker_name, MARKER_MAX, false, &file, error);
    if (code == ERR_LIMIT)
        code = damaged(error, directory);
    if (!code)
        code = decode(buffer_bytes(&file), directory, ret, error);
    buffer_finish(&file);
    return code;
}
