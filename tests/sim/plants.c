// Calls of production code that the linker leads through here (--wrap): the clock, what shows a station's steps, and the bugs built in on
// purpose. Without a plant each goes straight on.
#include <time.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/core/lane.h"
#include "relay/core/window.h"
#include "relay/receipt.h"
#include "tests/sim/adversary.h"
#include "tests/sim/check.h"

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
enum error_code __real_txn_commit(struct txn *txn, struct error *error);
enum error_code __wrap_txn_commit(struct txn *txn, struct error *error);
bool __real_txn_get(struct txn *txn, enum table table, struct bytes key, struct bytes *ret);
bool __wrap_txn_get(struct txn *txn, enum table table, struct bytes key, struct bytes *ret);
void __real_route_batch(struct txn *txn, const struct place *place, const struct header *header, const struct certificate *signer,
                        uint64_t position, bool has_body, struct grown *grown);
void __wrap_route_batch(struct txn *txn, const struct place *place, const struct header *header, const struct certificate *signer,
                        uint64_t position, bool has_body, struct grown *grown);
bool __real_incarnation_behind(struct txn *txn, const struct station_id *station, const struct head *heads, uint32_t count);
bool __wrap_incarnation_behind(struct txn *txn, const struct station_id *station, const struct head *heads, uint32_t count);
void __real_engine_found_restored(struct engine *engine, const char *why);
void __wrap_engine_found_restored(struct engine *engine, const char *why);
void __real_route_back(struct txn *txn, const struct place *place, const struct batch_row *row, const struct station_id *child,
                       struct grown *grown);
void __wrap_route_back(struct txn *txn, const struct place *place, const struct batch_row *row, const struct station_id *child,
                       struct grown *grown);
bool __real_heads_contradict(const struct heads *a, const struct heads *b, uint32_t *ret);
bool __wrap_heads_contradict(const struct heads *a, const struct heads *b, uint32_t *ret);
enum received __real_receive(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, struct grown *grown);
enum received __wrap_receive(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, struct grown *grown);
void __real_evidence_add(struct txn *txn, uint32_t feed, uint64_t first, const struct hash *header_hash, struct bytes header,
                         struct bytes signature, struct bytes body);
void __wrap_evidence_add(struct txn *txn, uint32_t feed, uint64_t first, const struct hash *header_hash, struct bytes header,
                         struct bytes signature, struct bytes body);
enum error_code __real_arrival_check(struct arrival *arrival, struct signers *signers, struct txn *txn, struct error *error);
enum error_code __wrap_arrival_check(struct arrival *arrival, struct signers *signers, struct txn *txn, struct error *error);
bool __real_reach_entitles(uint32_t reach, uint32_t tiers_up);
bool __wrap_reach_entitles(uint32_t reach, uint32_t tiers_up);
bool __real_window_admits(struct window *window, uint32_t bytes, bool urgent);
bool __wrap_window_admits(struct window *window, uint32_t bytes, bool urgent);
unsigned __real_lane_pick(const struct lane_scheduler *scheduler, const uint32_t next_bytes[LANES]);
unsigned __wrap_lane_pick(const struct lane_scheduler *scheduler, const uint32_t next_bytes[LANES]);
uint64_t __real_stream_append(struct txn *txn, const struct stream *stream, const struct stream_row *row);
uint64_t __wrap_stream_append(struct txn *txn, const struct stream *stream, const struct stream_row *row);
enum error_code __real_writer_submit_arrival(struct writer *writer, struct arrival_job *job);
enum error_code __wrap_writer_submit_arrival(struct writer *writer, struct arrival_job *job);
enum error_code __real_writer_submit_call(struct writer *writer, const struct call_job *call);
enum error_code __wrap_writer_submit_call(struct writer *writer, const struct call_job *call);

// ---- the clock

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (!world)
        return __real_clock_gettime(clock, ret);
    uint64_t ms = clock == CLOCK_REALTIME ? site_utc_ms(world->current) : world->now + 1000000;
    *ret = (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    return 0;
}

// ---- a station's steps

// Another call of a station that is to stop after so many. False: it is stopping, nothing it does happens any more.
static bool lives(struct site *site)
{
    if (!site)
        return true;
    if (site->crash_in && --site->crash_in == 0)
        site->dying = true;
    return !site->dying;
}

enum error_code __wrap_writer_submit_arrival(struct writer *writer, struct arrival_job *job)
{
    if (!lives(world->current))
        return ERR_BUSY;
    enum error_code code = __real_writer_submit_arrival(writer, job);
    site_submitted(world->current);
    return code;
}

enum error_code __wrap_writer_submit_call(struct writer *writer, const struct call_job *call)
{
    if (!lives(world->current))
        return ERR_BUSY;
    enum error_code code = __real_writer_submit_call(writer, call);
    site_submitted(world->current);
    return code;
}

bool __wrap_txn_get(struct txn *txn, enum table table, struct bytes key, struct bytes *ret)
{
    if (world && world->current)
        site_reads();
    return __real_txn_get(txn, table, key, ret);
}

// ---- liars

void __wrap_route_batch(struct txn *txn, const struct place *place, const struct header *header, const struct certificate *signer,
                        uint64_t position, bool has_body, struct grown *grown)
{
    enum passing passing = adversary_passes(world ? world->current : NULL, header);
    if (passing != PASS_WHOLE)
        path_taken(SIM_PATH_hidden);
    if (passing != PASS_NOTHING)
        __real_route_batch(txn, place, header, signer, position, has_body && passing == PASS_WHOLE, grown);
}

// Equivocation: what would tell an honest station that it is not alone.
bool __wrap_incarnation_behind(struct txn *txn, const struct station_id *station, const struct head *heads, uint32_t count)
{
    return !(world && world->current && world->current->stubborn) && __real_incarnation_behind(txn, station, heads, count);
}

void __wrap_engine_found_restored(struct engine *engine, const char *why)
{
    if (!(world && world->current && world->current->stubborn))
        __real_engine_found_restored(engine, why);
}

// ---- what was taken

enum received __wrap_receive(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, struct grown *grown)
{
    enum received outcome = __real_receive(receiver, txn, arrival, grown);
    if (planted(SIM_PLANT_early_receipt) && outcome == RECEIVED_BODILESS && receiver->author && !arrival->is_object &&
        arrival->stream == SANJI__STREAM__STREAM_UP && arrival->lane == SANJI__LANE__URGENT)
        receipt_give(receiver->author, txn, &arrival->decoded, arrival->received_ms);
    if ((outcome == RECEIVED || outcome == RECEIVED_BODILESS) && !arrival->is_object && world && world->current)
        check_kept(world->current, txn, arrival);
    return outcome;
}

// ---- bugs

void __wrap_evidence_add(struct txn *txn, uint32_t feed, uint64_t first, const struct hash *header_hash, struct bytes header,
                         struct bytes signature, struct bytes body)
{
    if (!planted(SIM_PLANT_lost_evidence))
        __real_evidence_add(txn, feed, first, header_hash, header, signature, body);
}

bool __wrap_heads_contradict(const struct heads *a, const struct heads *b, uint32_t *ret)
{
    return !planted(SIM_PLANT_blind) && __real_heads_contradict(a, b, ret);
}

void __wrap_route_back(struct txn *txn, const struct place *place, const struct batch_row *row, const struct station_id *child,
                       struct grown *grown)
{
    struct batch_row copy = *row;
    if (planted(SIM_PLANT_bodiless_back))
        copy.body = bytes_of(NULL, 0);
    __real_route_back(txn, place, &copy, child, grown);
}

enum error_code __wrap_txn_commit(struct txn *txn, struct error *error)
{
    if (world && world->current && world->current->died_reading) {
        txn_abort(txn);
        return error_set(error, ERR_STORE, "the process died");
    }
    if (planted(SIM_PLANT_early_ack) && world->current && world->current->arriving && chance(100)) {
        txn_abort(txn);
        return OK;
    }
    return __real_txn_commit(txn, error);
}

enum error_code __wrap_arrival_check(struct arrival *arrival, struct signers *signers, struct txn *txn, struct error *error)
{
    enum error_code code = __real_arrival_check(arrival, signers, txn, error);
    if (code == ERR_FORGED || code == ERR_INPUT)
        path_taken(SIM_PATH_forged);
    if (code == OK || code == ERR_NOT_FOUND || !planted(SIM_PLANT_trust_middle) || arrival->is_object)
        return code;
    if (header_decode(buffer_bytes(&arrival->header), &arrival->decoded, error) != OK)
        return code;
    const struct certificate *signer = signers_find(signers, txn, &arrival->decoded.certificate);
    if (!signer)
        return code;
    arrival->signer = *signer;
    arrival->checked = true;
    return OK;
}

bool __wrap_reach_entitles(uint32_t reach, uint32_t tiers_up)
{
    return planted(SIM_PLANT_ignore_reach) || __real_reach_entitles(reach, tiers_up);
}

bool __wrap_window_admits(struct window *window, uint32_t bytes, bool urgent)
{
    if (planted(SIM_PLANT_bulk_first))
        urgent = false; // nor has urgent its room in the window
    return __real_window_admits(window, bytes, urgent) || planted(SIM_PLANT_no_window);
}

unsigned __wrap_lane_pick(const struct lane_scheduler *scheduler, const uint32_t next_bytes[LANES])
{
    for (unsigned lane = LANES; planted(SIM_PLANT_bulk_first) && lane > 0; lane--)
        if (next_bytes[lane - 1])
            return lane;
    return __real_lane_pick(scheduler, next_bytes);
}

uint64_t __wrap_stream_append(struct txn *txn, const struct stream *stream, const struct stream_row *row)
{
    if (planted(SIM_PLANT_lost_row) && !row->is_object && stream->lane == LANES)
        return stream_end(txn, stream);
    return __real_stream_append(txn, stream, row);
}
