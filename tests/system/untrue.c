// Linked into a sanji of the tests only (system/heads.py), whose calls of two functions the linker leads through here: a station that
// everything else in it believes to be honest.
//   SANJI_MUTE=FILE: while FILE is there, what others signed goes into no stream to the parent; their signed heads still do
//   SANJI_SECOND=1: its signed heads name another history than its batches
#include <stdlib.h>
#include <unistd.h>

#include "link.pb-c.h"
#include "relay/heads.h"

uint64_t __real_stream_append(struct txn *txn, const struct stream *stream, const struct stream_row *row);
uint64_t __wrap_stream_append(struct txn *txn, const struct stream *stream, const struct stream_row *row);
enum error_code __real_heads_sign(const struct heads *heads, const struct secret_key *key, struct buffer *ret_claim,
                                  uint8_t ret_signature[SIGNATURE_SIZE], struct error *error);
enum error_code __wrap_heads_sign(const struct heads *heads, const struct secret_key *key, struct buffer *ret_claim,
                                  uint8_t ret_signature[SIGNATURE_SIZE], struct error *error);

uint64_t __wrap_stream_append(struct txn *txn, const struct stream *stream, const struct stream_row *row)
{
    static const struct station_id here;
    const char *mute = getenv("SANJI_MUTE");
    struct batch_row batch;
    if (mute && stream->stream == SANJI__STREAM__STREAM_UP && !row->is_object && access(mute, F_OK) == 0 &&
        journal_read(txn, row->batch, &batch) && !station_equal(&batch.from, &here))
        return stream_end(txn, stream);
    return __real_stream_append(txn, stream, row);
}

enum error_code __wrap_heads_sign(const struct heads *heads, const struct secret_key *key, struct buffer *ret_claim,
                                  uint8_t ret_signature[SIGNATURE_SIZE], struct error *error)
{
    struct heads other = *heads;
    for (uint32_t i = 0; i < other.count && getenv("SANJI_SECOND"); i++)
        if (heads_own(&other, &other.heads[i]) != HEADS_OWN)
            other.heads[i].last.bytes[0] ^= 1;
    return __real_heads_sign(&other, key, ret_claim, ret_signature, error);
}
