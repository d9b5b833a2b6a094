// The deterministic simulator: stations made of production code on one virtual clock, with a network and disks that fail as the seed says.
//
// Production: core, engine, engine_links, link_wire, writer (without its thread), receive, route, author, journal over the memory store,
// signers, real signatures, apply, ledger, complete. The simulator's: the network (in place of relay/transport.c), the clock
// (clock_gettime is wrapped), the disk's failures, and the hooks of node/station.c (site.c). The same configuration gives the same digest.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// name, what happens
#define SIM_FAULT_LIST(X)                                                                                                                  \
    X(crash, "a station stops at any step and starts again; what was committed stays")                                                     \
    X(commit, "a commit's outcome is unknown: the process ends; the changes are there afterwards, or not")                                 \
    X(full, "a disk is full for a while")                                                                                                  \
    X(break, "a connection breaks and loses what is in flight")                                                                            \
    X(partition, "a line carries nothing for a while, in both directions")                                                                 \
    X(oneway, "a line carries nothing for a while, in one direction")                                                                      \
    X(slow, "a line of 64 kbit/s, or of a long delay")                                                                                     \
    X(disk, "a disk takes seconds for a commit")                                                                                           \
    X(clock, "a station's wall clock jumps by up to ten years, either way")                                                                \
    X(lose, "a pipe is full for a moment: some messages are not taken and count as lost")                                                  \
    X(replay, "a message that was delivered once is delivered again")                                                                      \
    X(midrow, "a connection breaks in the middle of a row; the receiver may stop a moment later")                                          \
    X(late, "a connection breaks, and what was on the line comes after the next one has begun")                                            \
    X(month, "a station and all below it are cut off for up to thirty days")                                                               \
    X(read, "a page can't be read: the process dies of it")                                                                                \
    X(rot, "a row of a journal is damaged on disk, and the scrubber finds it")                                                             \
    X(restore, "a station's store is put back from an older copy; its marker may be gone")                                                 \
    X(wipe, "a station's disk is lost: it comes back with its keys and certificates and an empty store; its marker may be gone, too")      \
    X(clone, "a copy of a station runs at the same time, and signs a second history")                                                      \
    X(equivocate, "a station signs two histories, and shows both: a copy of it runs that does not care what its parent holds")             \
    X(tamper, "a station changes a bit of what it passes on")                                                                              \
    X(forge, "a station sends what nobody signed: another's name or certificate, its own signature, another encoding of a good one")       \
    X(old, "a station sends again what it sent long ago")                                                                                  \
    X(drop, "a station keeps back messages of every kind")                                                                                 \
    X(ackforge, "a station acknowledges what it does not hold")                                                                            \
    X(mute, "a station passes nothing of one below it on upwards any more")                                                                \
    X(withhold, "a station passes the headers of one below it on upwards without their bodies")                                            \
    X(split, "a station shows one child another history of what it signs than it shows the others, and names to those above")

enum sim_fault {
#define X(name, what) SIM_FAULT_##name,
    SIM_FAULT_LIST(X)
#undef X
        SIM_FAULTS
};

#define SIM_WICKED                                                                                                                         \
    (1u << SIM_FAULT_equivocate | 1u << SIM_FAULT_tamper | 1u << SIM_FAULT_forge | 1u << SIM_FAULT_old | 1u << SIM_FAULT_drop |            \
     1u << SIM_FAULT_ackforge | 1u << SIM_FAULT_mute | 1u << SIM_FAULT_withhold | 1u << SIM_FAULT_split)

// Bugs built in on purpose, each of which exactly one checker must find.
#define SIM_PLANT_LIST(X)                                                                                                                  \
    X(none, "", "no bug")                                                                                                                  \
    X(early_ack, "durable", "a commit of rows that arrived says done, and did nothing")                                                    \
    X(apply_twice, "once", "what arrived is applied twice")                                                                                \
    X(skip_place, "feeds", "a feed's next place moves on without a batch")                                                                 \
    X(ignore_reach, "entitled", "every body travels to the top")                                                                           \
    X(trust_middle, "bytes", "signatures and roots are not checked, and a middle station changes bodies")                                  \
    X(no_window, "bounded", "the window admits every piece")                                                                               \
    X(bulk_first, "urgent", "lanes are served in the reverse order")                                                                       \
    X(lost_effect, "views", "a batch counts as applied and is not")                                                                        \
    X(lost_evidence, "evidence", "the other batch of a fork is not kept")                                                                  \
    X(restored_signs, "quiet", "a restored station goes on in its old incarnation")                                                        \
    X(bodiless_back, "arrived", "what a child lost is put back without bodies")                                                            \
    X(early_receipt, "receipts", "a receipt is signed for a header without its body")                                                      \
    X(blind, "split", "heads that contradict each other go unseen")                                                                        \
    X(lost_row, "arrived", "what belongs to the bulk lane is journaled and put into no stream")

enum sim_plant {
#define X(name, checker, what) SIM_PLANT_##name,
    SIM_PLANT_LIST(X)
#undef X
        SIM_PLANTS
};

// Rare paths: a run says how often it went through each.
#define SIM_PATH_LIST(X)                                                                                                                   \
    X(heads, "repair by heads")                                                                                                            \
    X(gap, "gap")                                                                                                                          \
    X(resumed, "resumed a part received before")                                                                                           \
    X(staged, "resumed a staged body after a restart")                                                                                     \
    X(duplicate, "duplicate batch")                                                                                                        \
    X(full, "full disk")                                                                                                                   \
    X(stall, "connection given up by the core")                                                                                            \
    X(unknown, "commit of unknown outcome")                                                                                                \
    X(busy, "pipe full")                                                                                                                   \
    X(forged, "forgery refused")                                                                                                           \
    X(bodiless, "header without its body")                                                                                                 \
    X(object, "piece of a certificate or document")                                                                                        \
    X(down, "batch received from above")                                                                                                   \
    X(midrow, "broken in the middle of a row")                                                                                             \
    X(late, "message of a connection before")                                                                                              \
    X(hidden, "row left out by a liar")                                                                                                    \
    X(split, "batch shown to one child as another")                                                                                        \
    X(mended, "damaged row mended")                                                                                                        \
    X(suspended, "station that found out that its store is another")                                                                       \
    X(opened, "next incarnation opened")                                                                                                   \
    X(introduced, "child let in again by a parent that had lost it")                                                                       \
    X(period, "statement taken up when its period was possible")                                                                           \
    X(behind, "batch judged after a damaged one before it")                                                                                \
    X(evidence, "batch kept as evidence")                                                                                                  \
    X(crowd, "more than 64 addressees in one commit")

enum sim_path {
#define X(name, text) SIM_PATH_##name,
    SIM_PATH_LIST(X)
#undef X
        SIM_PATHS
};

enum { SIM_TEXT_MAX = 4096, SIM_SKIPS_MAX = 64, SIM_LOAD = 12 /* records a station and hour */ };

struct sim_config {
    uint64_t seed;
    uint32_t stations;    // 1..1000
    uint32_t minutes;     // of faults and work; healing comes on top
    uint32_t faults;      // 1 << enum sim_fault
    uint32_t load;        // records a station and hour; 0: SIM_LOAD
    const char *topology; // "chain", "star", "random", or a CSV file of units
    enum sim_plant plant;
    bool former; // as the simulator was before: no receipts, and heads signed by a restored station, too. So worlds with the seed of a bug
                 // of then stay what they were
    bool fast;   // stand-ins for signatures and checksums (crypto_fast.c): the same steps in less time
    bool trace;  // every step to stdout
    uint32_t skip_count;
    struct sim_skip {
        uint32_t from, to;
    } skips[SIM_SKIPS_MAX]; // faults that are left out, by their number in the order of injection; the others stay what they were
};

struct sim_result {
    uint64_t events, digest, virtual_ms, commits, batches, urgent_behind, // most times that other lanes sent while an urgent row waited
        injected[SIM_FAULTS], paths[SIM_PATHS];
    uint32_t faults; // numbers given to faults so far
    bool failed;
    const char *checker;      // that fired
    char story[SIM_TEXT_MAX]; // what it says, and the last steps before it
};

// Runs one world to its end, or to the first violation. False: it could not be made (story says why).
bool sim_run(const struct sim_config *config, struct sim_result *ret);
const char *sim_fault_name(enum sim_fault fault);
const char *sim_plant_name(enum sim_plant plant);
const char *sim_plant_checker(enum sim_plant plant); // "" of none
const char *sim_path_text(enum sim_path path);
// "all", "none", "honest" (no liars), "wicked" (liars), or such words and names with commas between. False: an unknown one.
bool sim_faults_parse(const char *list, uint32_t *ret);
// "3-17,20": False: not a list of ranges, or too long.
bool sim_skips_parse(const char *list, struct sim_config *ret);
// The command that runs such a world, without --trace.
void sim_command(const struct sim_config *config, char *ret, size_t size);

// ---- the shortest story (shrink.c)

// Runs one world in a process of its own. A process that crashes or hangs has failed too: its checker is "crash" or "hang".
bool sim_run_apart(const struct sim_config *config, unsigned seconds, struct sim_result *ret);
// Looks for the smallest world in which the checker of `result` still fires, for about so long: shorter, with fewer kinds of faults, fewer
// faults, fewer stations, less load. Both are replaced by what was found.
void sim_shrink(struct sim_config *config, struct sim_result *result, unsigned seconds);
