// Makes again from the journal what the journal alone decides: the views. In place, in one transaction: a crash leaves the store as it was.
#pragma once
#include "node/verify.h"

struct rebuild_report {
    uint64_t rows;    // of views, made again
    uint64_t dropped; // damaged rows that come again by themselves (marks of links, parts of bodies) or that nothing needs
};
// No node may run there (ERR_BUSY). ERR_CORRUPT, and nothing is changed: the tree is damaged; rows of the journal are (the running node
// fetches them again, and then this works); or what is no view is (feeds, streams, peers, receipts, evidence, whose station it is:
// station_salvage() makes a new store). Needs the keys, and room for the views twice. Errors as station_verify_dir() and txn_commit().
enum error_code station_rebuild(const char *directory, struct rebuild_report *ret, struct error *error);
