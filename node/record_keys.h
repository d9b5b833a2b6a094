// Who may read a record: which key seals a section, to whom the key is granted, and how far the section travels.
//
// Sections share the key of their subject (or of their form, when it is about nothing): destroying it erases the subject. A section
// whose readers sit above the parent, but not at the parent (a reporter's identity), has a key of its own that the parent never gets.
// A key is granted to the stations of the tiers that its sections name, and every key but those also to the parent, so that a dead disk
// loses nothing. Which tiers have it is kept under the key's owner in SUBJECTS.
#pragma once
#include "node/desk.h"
#include "node/subjects.h"

// Owners are 16 bytes: the subject's id, or the first 16 bytes of a tagged hash.
struct key_owner {
    uint8_t id[SUBJECT_ID_SIZE];
    uint32_t tiers; // bit per codebook tier: the section's readers
    bool parent;    // the parent gets the key, whatever the tiers say
};
// `subject` all zero: the form's own. `section` as record_sections() gives it.
struct key_owner key_owner_of(const struct desk *desk, const struct form *form, int section, const uint8_t subject[SUBJECT_ID_SIZE]);

// The owner's key, made and put into the keyring at first use, and who still lacks it. Writes nothing into the transaction.
// ERR_REFUSED: the key was destroyed (the subject was erased). Else as keyring_add().
struct key_plan {
    struct subject_row row; // as it will be; the edge of a new one is EDGE_NONE
    bool fresh;             // the key is new
    uint32_t grants;        // bit per ancestor, parent 0: who is to be granted it now
};
enum error_code key_prepare(const struct desk *desk, const struct key_owner *owner, const struct key_plan *already, struct key_plan *ret,
                            struct error *error);
// Signs a grant for one ancestor (audience UP, just far enough). Errors are the transaction's.
void key_grant(const struct desk *desk, const struct key_id *id, uint32_t ancestor);
// Signs grants for all who hold the key of `owner` or shall, and may have a body of this reach: on the urgent lane, into the batch that is
// open there, so that what it brings can be opened whatever else is late. Errors are the transaction's.
void key_grant_urgent(const struct desk *desk, const struct key_owner *owner, const struct subject_row *row, uint32_t reach);

// How many tiers up a section of this form goes from here: to the highest ancestor whose tier it names, at least to the parent, 0 at the
// root.
uint32_t section_reach(const struct desk *desk, const struct form *form, int section);
