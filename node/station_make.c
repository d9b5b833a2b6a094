// Making a station: a root's init, and a join with a token.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "envelope.pb-c.h"
#include "node/enrolment.h"
#include "node/station.h"
#include "relay/endpoint.h"
#include "relay/file.h"
#include "relay/keyring.h"
#include "relay/language.h"
#include "relay/transport.h"

enum { PATH_SIZE = 4096, JOIN_TIMEOUT_MS = 30000 };

static const char *const default_listen = "tcp://127.0.0.1:7310", *const default_join = "tcp://127.0.0.1:7311";

// What a new station's first transaction writes.
struct birth {
    const char *directory; // being made
    struct config config;
    struct identity identity;
    struct bytes certificate;      // own SignedCertificate
    struct bytes chain[CHAIN_MAX]; // issuers, root record first
    uint32_t chain_count;
    struct bytes codebook, units; // codebook.size 0: none
    uint32_t codebook_version, units_version;
};

static enum error_code read_file(const char *path, size_t limit, struct buffer *ret, struct error *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set_errno(error, ERR_IO, "%s", path);
    uint8_t part[16384];
    size_t got;
    while ((got = fread(part, 1, sizeof part, file)) > 0 && ret->size <= limit)
        buffer_append(ret, part, got);
    enum error_code code = ferror(file) ? error_set_errno(error, ERR_IO, "%s", path) : OK;
    fclose(file);
    if (code != OK)
        return code;
    if (ret->size > limit)
        return error_set(error, ERR_LIMIT, tr("%s: larger than %zu bytes", "%s：超过 %zu 字节"), path, limit);
    return ret->failed ? error_set(error, ERR_MEMORY, "%s", path) : OK;
}

// The target must be free: nothing there, or an empty directory.
static enum error_code check_free(const char *directory, struct error *error)
{
    DIR *dir = opendir(directory);
    if (!dir)
        return errno == ENOENT ? OK : error_set_errno(error, ERR_IO, "%s", directory);
    unsigned entries = 0;
    while (readdir(dir))
        entries++;
    closedir(dir);
    return entries <= 2
               ? OK
               : error_set(error, ERR_EXISTS,
                           tr("%s: not empty; a new station needs a directory of its own", "%s：非空；新站点需要独立的目录"), directory);
}

static enum error_code check_address(const char *name, const char *address, struct error *error)
{
    struct endpoint endpoint;
    enum error_code code = address ? endpoint_parse(address, &endpoint, error) : OK;
    if (code == OK && address && strlen(address) >= ADDRESS_SIZE)
        code = error_set(error, ERR_LIMIT, tr("--%s: longer than %d bytes", "--%s：超过 %d 字节"), name, ADDRESS_SIZE - 1);
    return code;
}

// A path without the slashes at its end, and the path beside it where it is made.
static enum error_code make_paths(const char *directory, const char *suffix, char target[PATH_SIZE], char staging[PATH_SIZE],
                                  struct error *error)
{
    size_t size = strlen(directory);
    while (size > 1 && directory[size - 1] == '/')
        size--;
    if (size == 0 || size + strlen(suffix) >= FILE_PATH_SIZE - 32) // with room for the names inside
        return error_set(error, ERR_INPUT, tr("'%.100s': no name for a directory", "“%.100s”：不能用作目录名"), directory);
    snprintf(target, PATH_SIZE, "%.*s", (int)size, directory);
    snprintf(staging, PATH_SIZE, "%.*s%s", (int)size, directory, suffix);
    return OK;
}

static void remove_made(const char *directory)
{
    static const char *const names[] = {
        "keys/station",   "keys/sign.key", "keys/seal.key", "keys/transport.key", "keys/keyring", "keys", "store/data.mdb",
        "store/lock.mdb", "store",         "marker",        "enrolment",          "station.conf", ""};
    char path[PATH_SIZE + 32]; // what each of their makers leaves of a failure it removes itself
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        remove(path);
    }
}

// Whole at `to`, or still at `from`: what may not last is taken back, so that the same command can be given again.
static enum error_code into_place(const char *from, const char *to, struct error *error)
{
    if (rename(from, to) != 0)
        return error_set_errno(error, ERR_IO, "%s", to);
    enum error_code code = file_sync_name(to, error);
    if (code != OK)
        rename(to, from);
    return code;
}

// ---- the first transaction

static void add_document(struct txn *txn, uint32_t kind, struct bytes content, uint32_t version)
{
    struct hash hash = crypto_hash(TAG_DOCUMENT, content);
    enum object_kind object;
    struct bytes held;
    if (!object_read(txn, &hash, &object, &held))
        object_add(txn, &hash, OBJECT_DOCUMENT, content);
    document_enforce(txn, kind, &hash, version);
}

static void announce(struct author *author, struct txn *txn, uint32_t kind, struct bytes content, uint32_t version, uint64_t now_ms,
                     struct grown *grown)
{
    Sanji__Announce message = SANJI__ANNOUNCE__INIT;
    struct hash hash = crypto_hash(TAG_DOCUMENT, content);
    struct buffer wire = {0};
    message.kind = (Sanji__DocumentKind)kind;
    message.hash = (ProtobufCBinaryData){.len = HASH_SIZE, .data = hash.bytes};
    message.version = version;
    message.size = (uint32_t)content.size;
    codec_pack(&message, &wire);
    route_document(txn, &hash, grown);
    if (wire.failed)
        txn_fail(txn, ERR_MEMORY, "announcement");
    author_add(author, txn, SANJI__LANE__CONTROL, SANJI__AUDIENCE__SUBTREE, NULL, REACH_TOP, SANJI__ENTRY_KIND__ANNOUNCE, now_ms,
               buffer_bytes(&wire), NULL);
    buffer_finish(&wire);
}

static enum error_code first_words(const struct birth *birth, struct txn *txn, const struct certificate *self, uint64_t nonce,
                                   struct error *error)
{
    struct author *author;
    struct grown grown = {0};
    struct author_config config = {.self = self, .sign_key = &birth->identity.sign.secret_key, .ordinal = 1, .nonce = nonce};
    enum error_code code = author_create(&config, &author, error);
    if (code != OK)
        return code;
    uint64_t now = utc_ms();
    author_context(author, now, NULL);
    announce(author, txn, DOCUMENT_UNITS, birth->units, birth->units_version, now, &grown);
    if (birth->codebook.size)
        announce(author, txn, DOCUMENT_CODEBOOK, birth->codebook, birth->codebook_version, now, &grown);
    author_finish(author, txn, &grown);
    author_destroy(author);
    return OK;
}

static enum error_code write_store(const struct birth *birth, struct store *store, uint64_t nonce, const struct units *units,
                                   struct error *error)
{
    struct certificate self;
    enum error_code code = certificate_decode(birth->certificate, &self, error);
    struct txn *txn = code == OK ? txn_begin(store, true, error) : NULL;
    if (!txn)
        return code != OK ? code : error->code;
    struct journal_meta meta = {.format = 1, .station = birth->identity.station, .generation = crypto_random_u64(), .starts = 1};
    journal_create(txn, &meta);
    for (uint32_t i = 0; i < birth->chain_count; i++) {
        struct certificate issuer;
        if (certificate_decode(birth->chain[i], &issuer, NULL) == OK)
            object_add(txn, &issuer.hash, OBJECT_CERTIFICATE, birth->chain[i]);
    }
    object_add(txn, &self.hash, OBJECT_CERTIFICATE, birth->certificate);
    meta_put(txn, "self", bytes_of(self.hash.bytes, HASH_SIZE));
    add_document(txn, DOCUMENT_UNITS, birth->units, birth->units_version);
    if (birth->codebook.size)
        add_document(txn, DOCUMENT_CODEBOOK, birth->codebook, birth->codebook_version);
    unit_ids_assign(txn, units);
    code = self.root ? first_words(birth, txn, &self, nonce, error) : OK;
    if (code != OK) {
        txn_abort(txn);
        return code;
    }
    return txn_commit(txn, error);
}

static enum error_code keep_enrolment(const struct birth *birth, struct store *store, struct error *error)
{
    struct certificate self;
    enum error_code code = certificate_decode(birth->certificate, &self, error);
    struct txn *txn = code == OK ? txn_begin(store, false, error) : NULL;
    if (!txn)
        return code != OK ? code : error->code;
    code = enrolment_keep(birth->directory, txn, &self, error);
    txn_abort(txn);
    return code;
}

// Everything of a station but its keys, in birth->directory.
static enum error_code make(const struct birth *birth, const struct units *units, struct error *error)
{
    struct store *store = NULL;
    struct marker marker = {.station = birth->identity.station, .ordinal = 1, .nonce = crypto_random_u64(), .starts = 1};
    char keys[PATH_SIZE + 8];
    snprintf(keys, sizeof keys, "%s/keys", birth->directory);
    enum error_code code = keyring_create(birth->directory, error);
    if (code == ERR_EXISTS)
        code = file_sync_directory(keys, error); // of an earlier try to join, which may have been killed before it did
    if (code == OK)
        code = store_open(birth->directory, STORE_CREATE, 0, &store, error);
    if (code == OK)
        code = write_store(birth, store, marker.nonce, units, error);
    if (code == OK)
        code = keep_enrolment(birth, store, error);
    store_close(store);
    if (code == OK)
        code = marker_write(birth->directory, &marker, error);
    if (code == OK)
        code = config_write(birth->directory, &birth->config, error);
    return code;
}

// ---- a root

static enum error_code root_certificate(struct birth *birth, const struct units *units, int32_t unit, struct buffer *ret,
                                        struct error *error)
{
    struct certificate draft = {.station = birth->identity.station,
                                .unit_from = units->items[unit].from,
                                .sign_key = birth->identity.sign.public_key,
                                .seal_key = birth->identity.seal.public_key,
                                .transport_key = birth->identity.transport.public_key,
                                .units = units->hash,
                                .term = 1,
                                .root = true,
                                .issued_ms = utc_ms(),
                                .ordinal = 1,
                                .depth = units->items[unit].depth};
    snprintf(draft.unit, sizeof draft.unit, "%s", units->items[unit].code);
    snprintf(draft.tier, sizeof draft.tier, "%s", units->tiers[units->items[unit].tier]);
    crypto_random(draft.serial, sizeof draft.serial);
    enum error_code code = certificate_issue(&draft, NULL, &birth->identity.sign.secret_key, ret, error);
    birth->config.root = draft.hash;
    birth->certificate = buffer_bytes(ret);
    return code;
}

static enum error_code make_root(struct birth *birth, const struct units *units, int32_t unit, const char *target, struct error *error)
{
    struct buffer certificate = {0};
    enum error_code code = mkdir(birth->directory, 0700) == 0 ? OK : error_set_errno(error, ERR_IO, "%s", birth->directory);
    if (code == OK)
        code = identity_create(birth->directory, error);
    if (code == OK)
        code = identity_load(birth->directory, &birth->identity, error);
    if (code == OK)
        code = root_certificate(birth, units, unit, &certificate, error);
    if (code == OK)
        code = make(birth, units, error);
    if (code == OK)
        code = into_place(birth->directory, target, error);
    if (code != OK)
        remove_made(birth->directory);
    identity_finish(&birth->identity);
    buffer_finish(&certificate);
    return code;
}

enum error_code station_create_root(const char *directory, const char *unit, const char *units_path, const char *codebook_path,
                                    const char *listen, const char *join, struct error *error)
{
    struct buffer units_csv = {0}, codebook_yaml = {0};
    struct units *units = NULL;
    struct codebook *codebook = NULL;
    struct birth birth = {.units_version = 1};
    char target[PATH_SIZE], staging[PATH_SIZE], suffix[32];
    snprintf(suffix, sizeof suffix, ".making-%d", (int)getpid());
    birth.directory = staging;
    enum error_code code = crypto_init(error);
    if (code == OK)
        code = make_paths(directory, suffix, target, staging, error);
    if (code == OK)
        code = check_free(target, error);
    listen = listen ? listen : default_listen;
    join = join ? join : default_join;
    if (code == OK)
        code = check_address("listen", listen, error);
    if (code == OK)
        code = check_address("join", join, error);
    if (code == OK)
        code = read_file(units_path, DOCUMENT_MAX, &units_csv, error);
    if (code == OK)
        code = units_parse(buffer_bytes(&units_csv), units_path, &units, error);
    int32_t at = units ? units_find(units, unit) : UNIT_NONE;
    if (code == OK && at == UNIT_NONE)
        code = error_set(error, ERR_NOT_FOUND, tr("%s: no unit with the code %s", "%s：没有代码为 %s 的单位"), units_path, unit);
    if (code == OK && units->items[at].depth > 0)
        code = error_set(error, ERR_REFUSED,
                         tr("unit %s is not the root of the tree, which is %s: the stations below it are invited, and join",
                            "单位 %s 不是单位树的根（根为 %s）：其下各站点由上级邀请后加入"),
                         unit, units->items[0].code);
    if (code == OK && codebook_path)
        code = read_file(codebook_path, DOCUMENT_MAX, &codebook_yaml, error);
    if (code == OK && codebook_path)
        code = codebook_load(buffer_bytes(&codebook_yaml), codebook_path, &codebook, error);
    if (code == OK) {
        snprintf(birth.config.listen, ADDRESS_SIZE, "%s", listen);
        snprintf(birth.config.join, ADDRESS_SIZE, "%s", join);
        birth.units = buffer_bytes(&units_csv);
        birth.codebook = buffer_bytes(&codebook_yaml);
        birth.codebook_version = codebook ? codebook->version : 0;
        code = make_root(&birth, units, at, target, error);
    }
    codebook_destroy(codebook);
    units_destroy(units);
    buffer_finish(&units_csv);
    buffer_finish(&codebook_yaml);
    return code;
}

// ---- a join

// The reply's chain must begin at the pinned root and end at the pinned parent, and our certificate must be for our keys.
static enum error_code check_reply(const struct join_reply *reply, const struct join_token *token, const struct identity *identity,
                                   struct error *error)
{
    struct certificate issuer, certificate;
    if (reply->chain_count == 0)
        return error_set(error, ERR_FORGED, "%s", tr("the parent sent no certificate chain", "上级未发送证书链"));
    for (uint32_t i = 0; i <= reply->chain_count; i++) {
        struct bytes wire = i < reply->chain_count ? reply->chain[i] : reply->certificate;
        enum error_code code = certificate_decode(wire, &certificate, error);
        if (code == OK)
            code = certificate_check(wire, &certificate, i ? &issuer : NULL, error);
        if (code != OK)
            return code;
        if (i == 0 && !hash_equal(&certificate.hash, &token->root))
            return error_set(error, ERR_FORGED, "%s",
                             tr("the parent belongs to another root than the token says", "上级所属的根与令牌不符"));
        issuer = i < reply->chain_count ? certificate : issuer;
    }
    if (!hash_equal(&issuer.hash, &token->parent))
        return error_set(error, ERR_FORGED, "%s",
                         tr("the answer does not come from the parent that the token names", "应答并非来自令牌所指的上级"));
    bool ours = station_equal(&certificate.station, &identity->station) &&
                memcmp(&certificate.sign_key, &identity->sign.public_key, PUBLIC_KEY_SIZE) == 0 &&
                memcmp(&certificate.seal_key, &identity->seal.public_key, PUBLIC_KEY_SIZE) == 0 &&
                memcmp(&certificate.transport_key, &identity->transport.public_key, PUBLIC_KEY_SIZE) == 0;
    if (!ours || strcmp(certificate.unit, token->unit) != 0)
        return error_set(error, ERR_FORGED, "%s", tr("the certificate is not for this station", "证书不属于本站点"));
    return OK;
}

static enum error_code ask(struct birth *birth, const struct join_token *token, struct buffer *answer, struct join_reply *reply,
                           struct error *error)
{
    struct join_request request;
    struct buffer wire = {0};
    enum error_code code = join_request_sign(&birth->identity, token->secret, birth->config.listen, &request, error);
    if (code != OK)
        return code;
    join_request_pack(&request, &wire);
    crypto_wipe(&request, sizeof request);
    code = transport_ask(token->endpoint, &token->parent_key, &birth->identity.transport.public_key, &birth->identity.transport.secret_key,
                         buffer_bytes(&wire), JOIN_TIMEOUT_MS, answer, error);
    if (wire.data)
        crypto_wipe(wire.data, wire.size); // the token's secret
    buffer_finish(&wire);
    if (code == OK)
        code = join_reply_unpack(buffer_bytes(answer), reply, error);
    if (code == OK && *reply->refusal)
        code = error_set(error, ERR_REFUSED, "%s", tr(reply->refusal, *reply->refusal_zh ? reply->refusal_zh : reply->refusal));
    return code == OK ? check_reply(reply, token, &birth->identity, error) : code;
}

static enum error_code settle(struct birth *birth, const struct join_token *token, const struct join_reply *reply, const char *target,
                              struct error *error)
{
    struct units *units = NULL;
    struct codebook *codebook = NULL;
    enum error_code code = units_parse(reply->units, "units.csv", &units, error);
    if (code == OK && units_find(units, token->unit) == UNIT_NONE)
        code = error_set(error, ERR_STATE, tr("unit %s is not in the unit tree that the parent sent", "上级发来的单位树中没有单位 %s"),
                         token->unit);
    if (code == OK && reply->codebook.size)
        code = codebook_load(reply->codebook, "codebook.yaml", &codebook, error);
    codebook_destroy(codebook); // that it loads is all that matters here
    if (code != OK) {
        units_destroy(units);
        return code;
    }
    birth->config.root = token->root;
    snprintf(birth->config.parent, ADDRESS_SIZE, "%s", reply->link);
    snprintf(birth->config.parent_join, ADDRESS_SIZE, "%s", token->endpoint);
    snprintf(birth->config.above, ADDRESS_SIZE, "%s", reply->above_link);
    snprintf(birth->config.above_join, ADDRESS_SIZE, "%s", reply->above_join);
    birth->certificate = reply->certificate;
    memcpy(birth->chain, reply->chain, sizeof birth->chain);
    birth->chain_count = reply->chain_count;
    birth->codebook = reply->codebook;
    birth->units = reply->units;
    birth->codebook_version = reply->codebook_version;
    birth->units_version = reply->units_version;
    code = make(birth, units, error);
    if (code == OK)
        code = into_place(birth->directory, target, error);
    units_destroy(units);
    return code;
}

// What an earlier try left of a store is of no use: nothing was ever written there.
static void remove_store(const char *directory)
{
    static const char *const names[] = {"store/data.mdb", "store/lock.mdb", "store"};
    char path[PATH_SIZE + 32];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        remove(path);
    }
}

enum error_code station_join(const char *directory, const char *token_text, const char *listen, const char *join, struct error *error)
{
    struct join_token token;
    struct birth birth = {0};
    struct buffer answer = {0};
    struct join_reply *reply = calloc(1, sizeof *reply);
    char target[PATH_SIZE], staging[PATH_SIZE];
    birth.directory = staging;
    enum error_code code = reply ? crypto_init(error) : error_set(error, ERR_MEMORY, "join");
    if (code == OK)
        code = make_paths(directory, ".joining", target, staging, error);
    if (code == OK)
        code = token_parse(token_text, &token, error);
    if (code == OK)
        code = check_free(target, error);
    if (code == OK)
        code = check_address("listen", listen, error);
    if (code == OK)
        code = check_address("join", join, error);
    if (code == OK && mkdir(staging, 0700) != 0 && errno != EEXIST)
        code = error_set_errno(error, ERR_IO, "%s", staging);
    if (code == OK) {
        snprintf(birth.config.listen, ADDRESS_SIZE, "%s", listen ? listen : "");
        snprintf(birth.config.join, ADDRESS_SIZE, "%s", join ? join : "");
        code = identity_create(staging, error);
        if (code == ERR_EXISTS)
            code = file_sync_directory(staging, error); // of an earlier try, which may have been killed before it did
    }
    if (code == OK)
        code = file_sync_name(staging, error); // the parent will know these keys, and no others
    if (code == OK)
        code = identity_load(staging, &birth.identity, error);
    if (code == OK) {
        code = ask(&birth, &token, &answer, reply, error);
        if (code == ERR_REFUSED || code == ERR_FORGED)
            remove_made(staging); // these keys were refused: the next token gets new ones
    }
    if (code == OK) {
        remove_store(staging);
        code = settle(&birth, &token, reply, target, error);
    }
    crypto_wipe(&token, sizeof token);
    identity_finish(&birth.identity);
    buffer_finish(&answer);
    free(reply);
    return code;
}
