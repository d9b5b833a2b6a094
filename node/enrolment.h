// DIR/enrolment: what a station needs beside its keys to be a station again when its store is lost: its certificate with its issuers', and
// the documents in force. Nothing in it is secret. Written when the station is made, and at each start of the node when it has changed.
//
// File: 16 bytes of checksum (the first of crypto_hash(TAG_ENROLMENT, rest)), then for each: kind u8 (1 certificate, 2 document),
// document's kind u8 (0: a certificate), version be32, size be32, content.
#pragma once
#include "relay/invite.h"

// One of them; `content` points into what was read.
struct enrolled {
    enum object_kind kind;
    uint8_t document; // DOCUMENT_CODEBOOK, DOCUMENT_UNITS; 0: a certificate
    uint32_t version;
    struct bytes content;
};
enum { ENROLLED_MAX = CHAIN_MAX + 2 };

// Writes what the store says, unless the file says the same. Errors as file_replace(), and the transaction's. ERR_MEMORY.
enum error_code enrolment_keep(const char *directory, struct txn *txn, const struct certificate *self, struct error *error);
// Appends the file to `file`, into which `ret` points. ERR_NOT_FOUND: there is none; ERR_CORRUPT: damaged; ERR_IO, ERR_MEMORY.
enum error_code enrolment_read(const char *directory, struct buffer *file, struct enrolled ret[ENROLLED_MAX], uint32_t *ret_count,
                               struct error *error);
