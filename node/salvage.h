// The way back from a store that can't be opened or walked: what can still be read of it is put into a new one, and the rest comes from the
// neighbours. The old store is kept, whole, under another name.
//
// Rows are found without the tree (relay/salvage.h), and each batch is received again as when it first came: certificate chain, signature
// and body are checked, and of each feed what follows a gap is left out. Views, streams and feeds are what comes of that. The journal has a
// new generation, and the marker says that the store was put back: the station opens read-only, its parent grants it the next incarnation
// and gives back what it signed, its children repair what it lacks, children that were lost introduce themselves again. Without any row
// that works as well, as long as DIR/keys and DIR/enrolment are there.
//
// Versions of one row: of a batch the one that another batch of its feed follows, else the one received last, a body before none; of a
// child's row one that bars it, else the one enrolled last; what names its content by hash is the same in all.
#pragma once
#include "relay/error.h"
#include "relay/limits.h"
#include "relay/types.h"

struct salvage_report {
    uint64_t bytes, unreadable;                         // of the damaged file; pages that the disk does not give back
    uint64_t found;                                     // rows that are whole, old versions included
    uint64_t batches, kept;                             // of the journal: found, and put into the new one
    uint64_t expected;                                  // that the journal had when the marker was last written; 0: not known
    uint64_t certificates, documents, children, alarms; // put into the new store
    bool from_enrolment;                                // the station's own certificate was in DIR/enrolment only
    bool root;
    char unit[UNIT_CODE_MAX + 1];
    char kept_as[256]; // the damaged store's name in DIR; empty: nothing was changed
};

// `go_on` false: only says what would come of it; the new store is made beside the old one and thrown away. Without a node (ERR_BUSY).
// Needs room for what is kept. ERR_NOT_FOUND: nothing says any more whose station it is; ERR_CORRUPT, ERR_REFUSED: keys or keyring;
// ERR_FULL, ERR_IO, ERR_MEMORY. On any error the store is where it was. `progress` may be NULL.
enum error_code station_salvage(const char *directory, bool go_on, void (*progress)(void *context, uint64_t done, uint64_t total),
                                void *context, struct salvage_report *ret, struct error *error);
