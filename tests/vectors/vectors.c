#include "tests/vectors/vectors.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "record.pb-c.h"
#include "relay/heads.h"
#include "relay/introduce.h"
#include "relay/store_memory.h"
#include "tests/samples.h"

enum { MONTH_2016_12 = 2016 * 12 + 11, DAY_2016_12_30 = 17165 };

static const uint8_t seed[32] = "sanji golden vectors";
static struct symmetric_key case_key;
static struct key_id case_key_id;

static ProtobufCBinaryData binary(const void *data, size_t size) { return (ProtobufCBinaryData){size, (uint8_t *)data}; }

static struct vector *add(struct vectors *vectors, const char *name, const char *kind, const char *with, const char *expect,
                          const char *why)
{
    assert(vectors->count < VECTORS_MAX);
    struct vector *vector = &vectors->items[vectors->count++];
    *vector = (struct vector){.kind = kind, .with = with, .expect = expect, .why = why};
    snprintf(vector->name, sizeof vector->name, "%s", name);
    return vector;
}

static struct bytes bytes_named(const struct vectors *vectors, const char *name)
{
    for (size_t i = 0; i < vectors->count; i++)
        if (strcmp(vectors->items[i].name, name) == 0)
            return buffer_bytes(&vectors->items[i].bytes);
    abort();
}

// A copy of another vector, to be spoiled.
static struct vector *spoil(struct vectors *vectors, const char *of, const char *name, const char *expect, const char *why)
{
    const struct vector *from = NULL;
    for (size_t i = 0; i < vectors->count; i++)
        if (strcmp(vectors->items[i].name, of) == 0)
            from = &vectors->items[i];
    assert(from);
    struct vector *to = add(vectors, name, from->kind, from->with, expect, why);
    buffer_append(&to->bytes, from->bytes.data, from->bytes.size);
    return to;
}

// Inserts, or with `size` cuts, at a place found by its bytes.
static void splice(struct vector *vector, size_t at, size_t size, const void *with, size_t with_size)
{
    struct buffer fresh = {0};
    assert(at + size <= vector->bytes.size);
    buffer_append(&fresh, vector->bytes.data, at);
    buffer_append(&fresh, with, with_size);
    buffer_append(&fresh, vector->bytes.data + at + size, vector->bytes.size - at - size);
    buffer_finish(&vector->bytes);
    vector->bytes = fresh;
}

// ---- keys and certificates

static void add_key(struct vectors *vectors, const char *name, const char *kind, struct bytes public_key, struct bytes secret)
{
    char line[256], public_text[65], secret_text[129];
    crypto_hex(public_key, public_text);
    crypto_hex(secret, secret_text);
    int size = snprintf(line, sizeof line, "%s %s %s %s\n", name, kind, public_text, secret_text);
    buffer_append(&vectors->keys, line, (size_t)size);
}

static void add_station(struct vectors *vectors, const char *name, const struct sample *sample, const char *issuer)
{
    const struct identity *identity = &sample->identity;
    add_key(vectors, name, "sign", bytes_of(identity->sign.public_key.bytes, 32), bytes_of(identity->sign.secret_key.bytes, 64));
    add_key(vectors, name, "seal", bytes_of(identity->seal.public_key.bytes, 32), bytes_of(identity->seal.secret_key.bytes, 32));
    add_key(vectors, name, "transport", bytes_of(identity->transport.public_key.bytes, 32),
            bytes_of(identity->transport.secret_key.bytes, 32));
    char file[48];
    snprintf(file, sizeof file, "certificate-%s", name);
    struct vector *vector =
        add(vectors, file, "certificate", issuer, "OK", issuer[0] ? "signed by its parent" : "a root record, signed by itself");
    buffer_append(&vector->bytes, sample->wire.data, sample->wire.size);
}

static void add_certificates(struct vectors *vectors, const struct sample *samples)
{
    add_station(vectors, "county", &samples[0], "");
    add_station(vectors, "township", &samples[1], "certificate-county");
    add_station(vectors, "village", &samples[2], "certificate-township");
    struct vector *v =
        spoil(vectors, "certificate-village", "bad-certificate-issuer", "ERR_FORGED", "checked against the county: it names the township");
    v->with = "certificate-county";
    v = spoil(vectors, "certificate-village", "bad-certificate-signature", "ERR_FORGED", "one bit of the signature is turned");
    v->bytes.data[v->bytes.size - 40] ^= 1;
    v = spoil(vectors, "certificate-village", "bad-certificate-unit", "ERR_FORGED", "another unit under the old signature");
    uint8_t *unit = memmem(v->bytes.data, v->bytes.size, "321081100201", 12);
    unit[11] = '2';
    v = spoil(vectors, "certificate-village", "bad-certificate-format", "ERR_VERSION", "format 2");
    v->bytes.data[4] = 2;
    v = spoil(vectors, "certificate-village", "bad-certificate-suite", "ERR_VERSION", "crypto suite 2");
    v->bytes.data[6] = 2;
    v = spoil(vectors, "certificate-village", "bad-certificate-key", "ERR_INPUT", "sign_key is the point of order 1");
    uint8_t *key = memmem(v->bytes.data, v->bytes.size, samples[2].identity.sign.public_key.bytes, 32);
    memset(key, 0, 32);
    key[0] = 1;
    v = spoil(vectors, "certificate-village", "bad-certificate-cut", "ERR_INPUT", "the last byte is missing");
    v->bytes.size--;
    v = spoil(vectors, "certificate-village", "bad-certificate-unknown-field", "ERR_INPUT", "field 3 of SignedCertificate is unknown");
    splice(v, v->bytes.size, 0, "\x1a\x01x", 3);
}

// ---- content of entries

static void pack(struct vectors *vectors, const char *name, const char *kind, const char *why, const void *message)
{
    codec_pack(message, &add(vectors, name, kind, "", "OK", why)->bytes);
}

static void fill_feed(const struct sample *sample, Sanji__Feed *ret)
{
    sanji__feed__init(ret);
    ret->station = binary(sample->identity.station.bytes, STATION_ID_SIZE);
    ret->ordinal = 1;
    ret->nonce = 0x0123456789ABCDEF;
    ret->lane = SANJI__LANE__CASE;
    ret->audience = SANJI__AUDIENCE__UP;
}

static void add_figures(struct vectors *vectors, const struct hash *definition)
{
    uint32_t cells[] = {0, 2, 3, 130};
    int64_t values[] = {11, 8, 0, -3};
    Sanji__Statement statement = SANJI__STATEMENT__INIT;
    statement.definition = binary(definition, 32);
    statement.unit = (char *)"321081100201";
    statement.term = 3;
    statement.period_type = SANJI__PERIOD_TYPE__MONTH;
    statement.period = MONTH_2016_12;
    statement.scope = SANJI__SCOPE__OWN;
    statement.basis = SANJI__BASIS__COMPUTED;
    statement.extent = SANJI__EXTENT__FULL;
    statement.n_cells = statement.n_values = 4;
    statement.cells = cells;
    statement.values = values;
    pack(vectors, "statement", "Statement", "packed arrays with a 0 and a negative value", &statement);
    Sanji__Complete complete = SANJI__COMPLETE__INIT;
    complete.unit = (char *)"321081100201";
    complete.term = 3;
    complete.period_type = SANJI__PERIOD_TYPE__MONTH;
    complete.through = MONTH_2016_12;
    complete.head = 5;
    pack(vectors, "complete", "Complete", "December 2016 is stated", &complete);
}

static void add_trust(struct vectors *vectors, const struct sample *samples, const struct hash *some)
{
    uint8_t wrapped[WRAPPED_KEY_SIZE];
    if (!crypto_wrap(&samples[1].identity.seal.public_key, &case_key, wrapped))
        abort();
    Sanji__KeyGrant grant = SANJI__KEY_GRANT__INIT;
    grant.key_id = binary(&case_key_id, KEY_ID_SIZE);
    grant.station = binary(&samples[1].identity.station, STATION_ID_SIZE);
    grant.wrapped = binary(wrapped, sizeof wrapped);
    pack(vectors, "key-grant", "KeyGrant", "the case key of keys.txt, wrapped for the township", &grant);
    Sanji__Announce announce = SANJI__ANNOUNCE__INIT;
    announce.kind = SANJI__DOCUMENT_KIND__CODEBOOK;
    announce.hash = binary(some, 32);
    announce.version = 4;
    announce.size = 20000;
    pack(vectors, "announce", "Announce", "codebook version 4", &announce);
    Sanji__Feed feed;
    fill_feed(&samples[2], &feed);
    Sanji__Receipt receipt = SANJI__RECEIPT__INIT;
    receipt.feed = &feed;
    receipt.sequence = 7;
    receipt.header = binary(some, 32);
    receipt.state = SANJI__RECEIPT__STATE__ACCEPTED;
    receipt.time_ms = 1483228801000;
    pack(vectors, "receipt", "Receipt", "the township accepted the batch at 7 of the village", &receipt);
    Sanji__Cut cut = SANJI__CUT__INIT;
    cut.feed = &feed;
    cut.sequence = 7;
    cut.header = binary(some, 32);
    cut.revoke = true;
    pack(vectors, "cut", "Cut", "nothing of the feed counts behind 7", &cut);
    Sanji__Head head = SANJI__HEAD__INIT, *list[] = {&head};
    head.feed = &feed;
    head.next = 8;
    head.header = binary(some, 32);
    head.bodies = 8;
    Sanji__Heads heads = SANJI__HEADS__INIT;
    heads.n_heads = 1;
    heads.heads = list;
    pack(vectors, "heads", "Heads", "one head", &heads);
}

static void add_records(struct vectors *vectors, const struct hash *definition)
{
    uint8_t record[16], subject[16];
    memset(record, 0x51, sizeof record);
    memset(subject, 0x52, sizeof subject);
    char *codes[] = {(char *)"orphan", (char *)"disabled"};
    Sanji__Value number = SANJI__VALUE__INIT, none = SANJI__VALUE__INIT, many = SANJI__VALUE__INIT;
    number.number = -25000;
    number.has_number = true;
    none.has_number = true; // zero is a value, and absent is not
    many.n_codes = 2;
    many.codes = codes;
    Sanji__Field fields[3], *list[] = {&fields[0], &fields[1], &fields[2]};
    Sanji__Value *values[] = {&number, &none, &many};
    char *names[] = {(char *)"balance", (char *)"visits", (char *)"categories"};
    for (size_t i = 0; i < 3; i++) {
        sanji__field__init(&fields[i]);
        fields[i].field = names[i];
        fields[i].value = values[i];
    }
    Sanji__RecordSection section = SANJI__RECORD_SECTION__INIT;
    section.record = binary(record, 16);
    section.revision = 1;
    section.form = (char *)"visit";
    section.definition = binary(definition, 32);
    section.sections = 1;
    section.register_ = (char *)"child";
    section.subject = binary(subject, 16);
    section.unit = (char *)"321081100201";
    section.at = DAY_2016_12_30;
    section.recorded_ms = 1483228800000;
    section.person = (char *)"王";
    section.n_fields = 3;
    section.fields = list;
    pack(vectors, "record", "RecordSection", "what the sealed entry of kind RECORD opens to", &section);
    char *marks[] = {(char *)"stock:2016-12"};
    Sanji__Custody custody = SANJI__CUSTODY__INIT;
    custody.register_ = (char *)"child";
    custody.subject = binary(subject, 16);
    custody.from_unit = (char *)"321081100201";
    custody.to_unit = (char *)"321081100202";
    custody.effective = DAY_2016_12_30;
    custody.n_marks = 1;
    custody.marks = marks;
    pack(vectors, "custody", "Custody", "what the sealed entry of kind CUSTODY opens to", &custody);
}

static void spoil_statement(struct vectors *vectors)
{
    static const struct {
        const char *name, *why;
        size_t cut; // bytes at the end: 1: values' last; the arrays are the last two fields, 2 + 5 and 2 + 4 bytes
        const char *with;
        size_t size;
    } cases[] = {
        {"bad-statement-unpacked", "cells one by one: arrays of numbers are packed", 13, "\x50\x00\x50\x02", 4},
        {"bad-statement-empty-array", "an empty array is absent", 13, "\x52\x00", 2},
        {"bad-statement-two-arrays", "an array in two pieces", 0, "\x5a\x01\x02", 3},
        {"bad-statement-long-varint", "an element longer than it need be", 13, "\x52\x02\x82\x00", 4},
        {"bad-statement-33-bits", "a cell above 32 bits", 13, "\x52\x05\xff\xff\xff\xff\x1f", 7},
        {"bad-statement-cut", "an element is cut short", 13, "\x52\x01\x82", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vector *v = spoil(vectors, "statement", cases[i].name, "ERR_INPUT", cases[i].why);
        splice(v, v->bytes.size - cases[i].cut, cases[i].cut, cases[i].with, cases[i].size);
    }
    struct vector *v = spoil(vectors, "statement", "bad-statement-default", "ERR_INPUT", "unit_from 0 is the default and absent");
    uint8_t *term = memmem(v->bytes.data, v->bytes.size, "\x20\x03\x28\x01", 4);
    splice(v, (size_t)(term - v->bytes.data), 0, "\x18\x00", 2);
    v = spoil(vectors, "statement", "bad-statement-order", "ERR_INPUT", "term before unit");
    term = memmem(v->bytes.data, v->bytes.size, "\x20\x03\x28\x01", 4);
    splice(v, (size_t)(term - v->bytes.data), 2, "", 0);
    splice(v, 34, 0, "\x20\x03", 2);
    v = spoil(vectors, "statement", "bad-statement-enum", "ERR_INPUT", "period type 9 is not declared");
    term = memmem(v->bytes.data, v->bytes.size, "\x20\x03\x28\x01", 4);
    term[3] = 9;
    v = spoil(vectors, "statement", "bad-statement-nul", "ERR_INPUT", "a NUL in the unit's code");
    uint8_t *unit = memmem(v->bytes.data, v->bytes.size, "321081100201", 12);
    unit[3] = 0;
    v = spoil(vectors, "statement", "bad-statement-utf8", "ERR_INPUT", "the unit's code is not UTF-8");
    unit = memmem(v->bytes.data, v->bytes.size, "321081100201", 12);
    unit[3] = 0xFF;
    v = spoil(vectors, "statement", "bad-statement-twice", "ERR_INPUT", "term twice");
    term = memmem(v->bytes.data, v->bytes.size, "\x20\x03\x28\x01", 4);
    splice(v, (size_t)(term - v->bytes.data), 0, "\x20\x03", 2);
}

// ---- a batch of one entry of each kind

static const struct {
    Sanji__EntryKind kind;
    const char *content, *file;
    bool sealed;
} kinds[] = {
    {SANJI__ENTRY_KIND__RECORD, "record", "entry-record", true},
    {SANJI__ENTRY_KIND__STATEMENT, "statement", "entry-statement", false},
    {SANJI__ENTRY_KIND__COMPLETE, "complete", "entry-complete", false},
    {SANJI__ENTRY_KIND__KEY_GRANT, "key-grant", "entry-key-grant", false},
    {SANJI__ENTRY_KIND__ANNOUNCE, "announce", "entry-announce", false},
    {SANJI__ENTRY_KIND__RECEIPT, "receipt", "entry-receipt", false},
    {SANJI__ENTRY_KIND__CUSTODY, "custody", "entry-custody", true},
    {SANJI__ENTRY_KIND__CUT, "cut", "entry-cut", false},
    {SANJI__ENTRY_KIND__HEADS, "heads", "entry-heads", false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void add_entry(struct batch_draft *draft, size_t i, struct bytes content)
{
    struct buffer sealed = {0};
    if (kinds[i].sealed) {
        uint8_t associated[4 + STATION_ID_SIZE + KEY_ID_SIZE];
        entry_associated(&draft->feed.station, kinds[i].kind, &case_key_id, associated);
        crypto_encrypt(&case_key, bytes_of(associated, sizeof associated), content, &sealed);
        content = buffer_bytes(&sealed);
    }
    if (batch_draft_add(draft, kinds[i].kind, 1483228800000 + i, content, kinds[i].sealed ? &case_key_id : NULL, NULL) != OK)
        abort();
    buffer_finish(&sealed);
}

static void add_signed(struct vectors *vectors, const char *name, const char *why, struct bytes header, const uint8_t *signature)
{
    Sanji__SignedHeader message = SANJI__SIGNED_HEADER__INIT;
    message.header = binary(header.data, header.size);
    message.signature = binary(signature, SIGNATURE_SIZE);
    codec_pack(&message, &add(vectors, name, "header", "certificate-village", "OK", why)->bytes);
}

static void add_batch(struct vectors *vectors, const struct sample *samples, const struct hash *codebook)
{
    const struct sample *village = &samples[SAMPLE_VILLAGE];
    struct feed_key feed = sample_feed(village);
    struct feed_state chain = {.next = 1, .bodies = 1};
    struct buffer wire = {0};
    struct header header;
    uint8_t signature[SIGNATURE_SIZE];
    static struct entry entries[BATCH_ENTRIES_MAX];
    for (unsigned b = 0; b < 2; b++) { // all kinds; then one entry on top of it
        struct batch_draft draft;
        if (batch_draft_init(&draft, &feed, 2, NULL) != OK)
            abort();
        for (size_t i = 0; i < (b ? 1 : KINDS); i++)
            add_entry(&draft, i, bytes_named(vectors, kinds[i].content));
        buffer_clear(&wire);
        if (batch_draft_sign(&draft, &chain, &village->certificate, &village->identity.sign.secret_key, 1483228800000, codebook, NULL, 0,
                             &wire, &header, signature, NULL) != OK ||
            body_check(buffer_bytes(&draft.body), &header, entries, NULL) != OK)
            abort();
        add_signed(vectors, b ? "header-second" : "header-first", b ? "follows header-first" : "first batch of a feed", buffer_bytes(&wire),
                   signature);
        buffer_append(&add(vectors, b ? "body-second" : "body-first", "body", b ? "header-second" : "header-first", "OK",
                           b ? "one entry" : "one entry of each kind")
                           ->bytes,
                      draft.body.data, draft.body.size);
        for (size_t i = 0; i < KINDS && !b; i++)
            buffer_append(&add(vectors, kinds[i].file, "entry", kinds[i].content, "OK",
                               kinds[i].sealed ? "sealed with the case key of keys.txt" : "clear")
                               ->bytes,
                          entries[i].wire.data, entries[i].wire.size);
        chain = (struct feed_state){.next = header.first + header.count, .last = header.hash, .bodies = 1};
        batch_draft_finish(&draft);
    }
    buffer_finish(&wire);
}

static void spoil_batch(struct vectors *vectors)
{
    struct vector *v = spoil(vectors, "header-first", "bad-header-signature", "ERR_FORGED", "one bit of the signature is turned");
    v->bytes.data[v->bytes.size - 3] ^= 4;
    v = spoil(vectors, "header-first", "bad-header-malleated", "ERR_FORGED", "S + L instead of S");
    static const uint8_t l[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                  0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    uint8_t *s = v->bytes.data + v->bytes.size - 32;
    for (unsigned i = 0, carry = 0; i < 32; i++) {
        carry += s[i] + l[i];
        s[i] = (uint8_t)carry;
        carry >>= 8;
    }
    v = spoil(vectors, "header-first", "bad-header-signer", "ERR_FORGED", "checked against the township's certificate");
    v->with = "certificate-township";
    v = spoil(vectors, "header-second", "bad-header-first-with-prev", "ERR_INPUT", "sequence 1 with a previous header");
    uint8_t *first = memmem(v->bytes.data, v->bytes.size, "\x28\x0a\x30\x01", 4);
    first[1] = 1;
    v = spoil(vectors, "header-first", "bad-header-later-without-prev", "ERR_INPUT", "sequence 2 without a previous header");
    first = memmem(v->bytes.data, v->bytes.size, "\x28\x01\x30\x09", 4);
    first[1] = 2;
    v = spoil(vectors, "header-first", "bad-header-lane", "ERR_INPUT", "lane 6 is not declared");
    uint8_t *lane = memmem(v->bytes.data, v->bytes.size, "\x20\x03\x28\x01\x22", 5);
    lane[1] = 6;
    v = spoil(vectors, "header-first", "bad-header-audience", "ERR_INPUT", "audience STATION without an addressee");
    lane = memmem(v->bytes.data, v->bytes.size, "\x20\x03\x28\x01\x22", 5);
    lane[3] = 3;
    v = spoil(vectors, "header-first", "bad-header-suite", "ERR_VERSION", "crypto suite 2");
    uint8_t *suite = memmem(v->bytes.data, v->bytes.size, "\x08\x01\x10\x01\x1a", 5);
    suite[3] = 2;
    v = spoil(vectors, "body-first", "bad-body-content", "ERR_FORGED", "one bit of the last entry is turned");
    v->bytes.data[v->bytes.size - 1] ^= 1;
    v = spoil(vectors, "body-first", "bad-body-secret", "ERR_FORGED", "another secret, so other salts");
    v->bytes.data[5] ^= 1;
    v = spoil(vectors, "body-first", "bad-body-of-another", "ERR_FORGED", "the body of header-first under header-second");
    v->with = "header-second";
    v = spoil(vectors, "entry-statement", "bad-entry-two-contents", "ERR_INPUT", "clear and sealed at once");
    splice(v, v->bytes.size, 0, "\x22\x01x", 3);
    v = spoil(vectors, "entry-statement", "bad-entry-key-id", "ERR_INPUT", "a key id with clear content");
    splice(v, v->bytes.size, 0,
           "\x2a\x10"
           "0123456789abcdef",
           18);
    v = spoil(vectors, "entry-record", "bad-entry-no-key-id", "ERR_INPUT", "sealed without its key id");
    v->bytes.size -= 18;
    v = spoil(vectors, "entry-statement", "entry-later-kind", "OK", "kind 99 is of a later version: held, not applied");
    v->bytes.data[1] = 99;
    v = spoil(vectors, "entry-statement", "bad-entry-no-kind", "ERR_INPUT", "no kind");
    splice(v, 0, 2, "", 0);
}

// ---- enrolment

static void add_enrolment(struct vectors *vectors, const struct sample *samples)
{
    struct join_token token = {.endpoint = "tcp://10.1.2.3:7402",
                               .parent_key = samples[1].identity.transport.public_key,
                               .root = samples[0].certificate.hash,
                               .parent = samples[1].certificate.hash,
                               .expires_ms = 1483232400000,
                               .unit = "321081100201"};
    crypto_random(token.secret, sizeof token.secret);
    char text[TOKEN_TEXT_MAX];
    struct join_request request;
    if (token_format(&token, text, NULL) != OK || join_request_sign(&samples[2].identity, token.secret, "", &request, NULL) != OK)
        abort();
    buffer_append(&add(vectors, "token", "token", "", "OK", "the text, as ASCII")->bytes, text, strlen(text));
    struct vector *v = spoil(vectors, "token", "bad-token-mistyped", "ERR_INPUT", "one character is another");
    v->bytes.data[60] = v->bytes.data[60] == 'A' ? 'B' : 'A';
    v = spoil(vectors, "token", "bad-token-cut", "ERR_INPUT", "the last four characters are missing");
    v->bytes.size -= 4;
    v = spoil(vectors, "token", "bad-token-version", "ERR_VERSION", "sanji2-");
    v->bytes.data[5] = '2';
    join_request_pack(&request, &add(vectors, "join-request", "join-request", "", "OK", "of the village, with the token's secret")->bytes);
    v = spoil(vectors, "join-request", "bad-join-request-key", "ERR_FORGED", "another sealing key under the old signature");
    uint8_t *key = memmem(v->bytes.data, v->bytes.size, samples[2].identity.seal.public_key.bytes, 32);
    key[4] ^= 1;
}

// ---- signed heads

static void add_claim(struct vectors *vectors, const char *name, const char *expect, const char *why, const struct heads *heads,
                      const struct sample *signer)
{
    struct buffer claim = {0};
    uint8_t signature[SIGNATURE_SIZE];
    Sanji__SignedHeads message = SANJI__SIGNED_HEADS__INIT;
    if (heads_sign(heads, &signer->identity.sign.secret_key, &claim, signature, NULL) != OK)
        abort();
    message.claim = binary(claim.data, claim.size);
    message.signature = binary(signature, sizeof signature);
    codec_pack(&message, &add(vectors, name, "signed-heads", "certificate-village", expect, why)->bytes);
    buffer_finish(&claim);
}

static void add_heads(struct vectors *vectors, const struct sample *samples)
{
    const struct sample *village = &samples[SAMPLE_VILLAGE];
    struct heads heads = {.station = village->identity.station,
                          .certificate = village->certificate.hash,
                          .ordinal = 1,
                          .starts = 3,
                          .number = 7,
                          .time_ms = 1483228800000,
                          .count = 2};
    struct head own = {.feed = sample_feed(village), .next = 11, .last = crypto_hash(TAG_HEADER, bytes_of_text("own"))};
    struct head above = {.feed = sample_feed(&samples[0]), .next = 4, .last = crypto_hash(TAG_HEADER, bytes_of_text("above"))};
    above.feed.audience = SANJI__AUDIENCE__SUBTREE;
    bool own_first = memcmp(&own.feed.station, &above.feed.station, sizeof own.feed.station) < 0;
    heads.heads[!own_first] = own;
    heads.heads[own_first] = above;
    add_claim(vectors, "signed-heads", "OK", "a feed of its own, and one of the county as it holds it", &heads, village);
    struct vector *v = spoil(vectors, "signed-heads", "bad-signed-heads-signature", "ERR_FORGED", "one bit of the signature is turned");
    v->bytes.data[v->bytes.size - 3] ^= 4;
    v = spoil(vectors, "signed-heads", "bad-signed-heads-signer", "ERR_FORGED", "checked against the township's certificate");
    v->with = "certificate-township";
    v = spoil(vectors, "signed-heads", "bad-signed-heads-number", "ERR_INPUT", "it does not count");
    uint8_t *number = memmem(v->bytes.data, v->bytes.size, "\x28\x01\x30\x03\x38\x07", 6);
    number[5] = 0;
    heads.heads[0] = own_first ? above : own;
    heads.heads[1] = own_first ? own : above;
    add_claim(vectors, "bad-signed-heads-order", "ERR_INPUT", "not ascending", &heads, village);
    heads.heads[0] = above;
    heads.heads[0].feed.audience = SANJI__AUDIENCE__UP;
    heads.count = 1;
    add_claim(vectors, "bad-signed-heads-feed", "ERR_INPUT", "a feed that is not for the station", &heads, village);
}

// Of the village, to the county: past the township.
static void add_introduction(struct vectors *vectors, const struct sample *samples)
{
    struct store *store;
    struct error error;
    if (store_memory_create(&store, &error) != OK)
        abort();
    struct txn *txn = txn_begin(store, true, &error);
    for (int i = 0; i < SAMPLES; i++)
        object_add(txn, &samples[i].certificate.hash, OBJECT_CERTIFICATE, buffer_bytes(&samples[i].wire));
    struct vector *v =
        add(vectors, "introduction", "introduction", "certificate-county", "OK", "the village calls the county, past the township");
    if (introduction_make(txn, &samples[SAMPLE_VILLAGE].certificate, &samples[SAMPLE_VILLAGE].identity.sign.secret_key,
                          "tcp://10.1.2.5:7401", &samples[SAMPLE_COUNTY].identity.transport.public_key, &v->bytes, &error) != OK)
        abort();
    txn_abort(txn);
    store_close(store);
    v = spoil(vectors, "introduction", "bad-introduction-signature", "ERR_FORGED", "one bit of the proof of possession");
    v->bytes.data[v->bytes.size - 1] ^= 1;
    v = spoil(vectors, "introduction", "bad-introduction-cut", "ERR_INPUT", "without the proof of possession");
    v->bytes.size -= SIGNATURE_SIZE + 3;
    struct vector *other = spoil(vectors, "introduction", "bad-introduction-called", "ERR_FORGED", "meant for another station");
    other->with = "certificate-township";
}

void vectors_make(struct vectors *ret)
{
    struct sample samples[SAMPLES];
    memset(ret, 0, sizeof *ret);
    if (crypto_init(NULL) != OK)
        abort();
    crypto_random_replay(seed);
    crypto_random(&case_key, sizeof case_key);
    crypto_random(&case_key_id, sizeof case_key_id);
    samples_init(samples);
    struct hash codebook = crypto_hash(TAG_DOCUMENT, bytes_of_text("codebook"));
    add_key(ret, "case", "id-and-key", bytes_of(&case_key_id, sizeof case_key_id), bytes_of(&case_key, sizeof case_key));
    add_certificates(ret, samples);
    add_figures(ret, &codebook);
    add_trust(ret, samples, &codebook);
    add_records(ret, &codebook);
    add_batch(ret, samples, &codebook);
    add_enrolment(ret, samples);
    add_heads(ret, samples);
    add_introduction(ret, samples);
    spoil_statement(ret);
    spoil_batch(ret);
    samples_finish(samples);
    crypto_random_replay(NULL);
}

void vectors_finish(struct vectors *vectors)
{
    for (size_t i = 0; i < vectors->count; i++)
        buffer_finish(&vectors->items[i].bytes);
    buffer_finish(&vectors->keys);
    vectors->count = 0;
}

void vector_text(const struct vector *vector, struct buffer *ret)
{
    char line[256];
    int size = snprintf(line, sizeof line, "# kind: %s\n# with: %s\n# expect: %s\n# why: %s\n", vector->kind,
                        vector->with[0] ? vector->with : "none", vector->expect, vector->why);
    assert(size > 0 && (size_t)size < sizeof line);
    buffer_append(ret, line, (size_t)size);
    for (size_t at = 0; at < vector->bytes.size; at += 32) {
        size_t count = vector->bytes.size - at < 32 ? vector->bytes.size - at : 32;
        crypto_hex(bytes_of(vector->bytes.data + at, count), line);
        buffer_append(ret, line, 2 * count);
        buffer_append(ret, "\n", 1);
    }
    assert(!ret->failed);
}
