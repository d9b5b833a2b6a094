// A store in memory: the simulator's disk. Same promises as LMDB's (relay/store.h), bound to it by a differential test.
//
// One thread uses it: a second write transaction while one is open would wait for ever, so it asserts. A crash of a simulated station
// is txn_abort() of what is open; what was committed stays.
#pragma once
#include "relay/store.h"

// ERR_MEMORY. Empty but for the format.
enum error_code store_memory_create(struct store **ret, struct error *error);

// What is committed now, as a store of its own (a backup, a clone): shares rows with `store` until either changes them, so it costs
// nothing. Both then belong to the same thread. ERR_MEMORY.
enum error_code store_memory_copy(struct store *store, struct store **ret, struct error *error);

// The commit after `commits` more good ones fails with `code`: ERR_FULL (nothing changed; later ones work) or ERR_STORE (unknown; every
// later transaction fails with ERR_STORE until store_memory_restart()). `kept`: with ERR_STORE, whether the changes are there after the
// restart.
void store_memory_fail(struct store *store, uint32_t commits, enum error_code code, bool kept);
void store_memory_restart(struct store *store); // the process began anew; forgets a failure that is still to come
