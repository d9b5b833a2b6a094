// Every limit that more than one file needs, with its reason. Limits of one file stand in that file.
#pragma once

enum {
    HASH_SIZE = 32,
    STATION_ID_SIZE = 16,
    KEY_ID_SIZE = 16,
    RECORD_ID_SIZE = 16,
    SUBJECT_ID_SIZE = 16,
    SIGNATURE_SIZE = 64,
    PUBLIC_KEY_SIZE = 32,
    SALT_SIZE = 16,
    SECRET_SIZE = 32,

    BATCH_BODY_MAX = 256 * 1024,    // bytes: half a minute of a 64 kbit/s line, and one assembly buffer
    BATCH_ENTRIES_MAX = 1000,       // a Merkle path stays at 10 hashes
    HEADER_MAX = 4096,              // bytes: a header with the heads that an incarnation follows
    ENTRY_MAX = 128 * 1024,         // bytes: two fit in a batch
    CONTROL_ENTRY_MAX = 4096,       // bytes: control never waits for a document
    CERTIFICATE_MAX = 1024,         // bytes
    DOCUMENT_MAX = 8 * 1024 * 1024, // bytes: 50,000 units at about 80 bytes, twice
    FRAME_MAX = 16 * 1024,          // bytes of body in one Push
    FRAME_MIN = 1024,
    MESSAGE_MAX = 32 * 1024,                // bytes of one link message frame (HeadsPage is the largest)
    CONTROL_MESSAGE_MAX = 64 * 1024 * 1024, // bytes: one import file

    UNIT_CODE_MAX = 32,  // bytes
    UNIT_NAME_MAX = 128, // bytes
    TIER_NAME_MAX = 32,
    UNITS_MAX = 50000,
    DEPTH_MAX = 16,      // tiers: a state has 5
    CHILDREN_MAX = 4096, // stations on one parent: the largest county has 1,300 villages
    LANES = 5,           // Lane values 1..5
    REACH_TOP = 255,
};
