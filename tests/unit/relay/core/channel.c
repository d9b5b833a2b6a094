// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "relay/core/channel.h"

enum { OURS = 50, THEIRS = 60 };

static const struct core_staged none;

static struct core_row row(uint64_t position, uint32_t size)
{
    return (struct core_row){.position = position, .size = size, .overhead = 200};
}

// ---- sender

static enum core_alarm begin(struct sender *sender, uint64_t generation, uint64_t headers)
{
    return sender_begin(sender, OURS, &(struct core_mark){generation, headers, headers}, &none, 1000);
}

static uint64_t load_after(struct sender *sender, bool *ret_skip)
{
    uint64_t after = UINT64_MAX;
    uint32_t max;
    if (!sender_load(sender, &after, &max, ret_skip))
        return UINT64_MAX;
    assert_in_range(max, 1, CORE_ROWS_MAX);
    return after;
}

static void a_sender_begins_where_the_peer_is(void **unused)
{
    (void)unused;
    struct sender sender;
    bool skip;
    sender_init(&sender, OURS, 10, NULL);
    assert_int_equal(begin(&sender, 0, 0), ALARM_NONE); // from the start
    assert_int_equal(load_after(&sender, &skip), 0);
    assert_false(skip);
    sender_finish(&sender);
    assert_int_equal(begin(&sender, OURS, 4), ALARM_NONE); // goes on
    assert_int_equal(load_after(&sender, &skip), 4);
    sender_finish(&sender);
    assert_int_equal(begin(&sender, OURS, 10), ALARM_NONE); // nothing to do
    assert_int_equal(load_after(&sender, &skip), UINT64_MAX);
    sender_extend(&sender, 11);
    assert_int_equal(load_after(&sender, &skip), 10);
    sender_finish(&sender);
    assert_int_equal(begin(&sender, OURS, 12), ALARM_PEER_HOLDS_MORE); // we were restored
    assert_int_equal(sender.state, SENDER_HEADS);
    sender_finish(&sender);
    assert_int_equal(begin(&sender, THEIRS, 3), ALARM_NONE); // another generation
    assert_int_equal(sender.state, SENDER_HEADS);
    assert_int_equal(load_after(&sender, &skip), UINT64_MAX);
    sender_heads(&sender);
    assert_int_equal(load_after(&sender, &skip), 0);
    assert_true(skip);
}

static void fault_17_a_peer_that_lost_rows_is_noticed(void **unused)
{
    (void)unused;
    struct sender sender;
    sender_init(&sender, OURS, 10, &(struct core_mark){OURS, 7, 7});
    assert_int_equal(begin(&sender, OURS, 6), ALARM_PEER_RESTORED);
    sender_finish(&sender);
    assert_int_equal(begin(&sender, OURS, 6), ALARM_NONE); // said once
    sender_finish(&sender);
    assert_int_equal(begin(&sender, 0, 0), ALARM_PEER_RESTORED);
    sender_init(&sender, OURS, 10, &(struct core_mark){THEIRS, 7, 7}); // of a journal before this one: says nothing
    assert_int_equal(begin(&sender, OURS, 6), ALARM_NONE);
}

static void a_repair_ends_where_the_stream_ends(void **unused)
{
    (void)unused;
    struct sender sender;
    struct sender_piece piece;
    bool skip;
    sender_init(&sender, OURS, 10, NULL);
    begin(&sender, THEIRS, 3);
    sender_heads(&sender);
    assert_int_equal(load_after(&sender, &skip), 0);
    sender_rows(&sender, (struct core_row[]){row(4, 100)}, 1, 10); // all others are covered
    assert_true(sender_next(&sender, 16384, &piece));
    assert_int_equal(piece.after, 0);
    assert_int_equal(piece.position, 4);
    sender_sent(&sender, &piece, 1);
    assert_int_equal(load_after(&sender, &skip), 9); // but the last one goes all the same
    assert_false(skip);
    sender_rows(&sender, (struct core_row[]){row(10, 100)}, 1, 10);
    assert_true(sender_next(&sender, 16384, &piece));
    assert_int_equal(piece.after, 4);
    assert_int_equal(load_after(&sender, &skip), UINT64_MAX);
}

static void rows_are_cut_into_pieces(void **unused)
{
    (void)unused;
    struct sender sender;
    struct sender_piece piece;
    bool skip;
    sender_init(&sender, OURS, 3, NULL);
    begin(&sender, 0, 0);
    assert_false(sender_next(&sender, 1024, &piece));
    load_after(&sender, &skip);
    sender_rows(&sender, (struct core_row[]){row(1, 2500), row(2, 0), row(3, 1)}, 3, 3);
    uint32_t lengths[] = {1024, 1024, 452, 0, 1}, offsets[] = {0, 1024, 2048, 0, 0}, positions[] = {1, 1, 1, 2, 3};
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(sender_next(&sender, 1024, &piece));
        assert_int_equal(piece.length, lengths[i]);
        assert_int_equal(piece.offset, offsets[i]);
        assert_int_equal(piece.position, positions[i]);
        assert_int_equal(piece.after, positions[i] - 1);
        assert_int_equal(piece.bytes, lengths[i] + (offsets[i] ? 0 : 200));
        sender_sent(&sender, &piece, i);
    }
    assert_false(sender_next(&sender, 1024, &piece));
    assert_int_equal(sender_unacknowledged(&sender), 2501 + 3 * 200);
}

static void a_staged_row_goes_on_at_its_offset(void **unused)
{
    (void)unused;
    struct sender sender;
    struct sender_piece piece;
    bool skip;
    static const struct {
        struct core_staged staged;
        uint32_t offset;
    } cases[] = {{{.position = 3, .offset = 700}, 700},
                 {{.position = 4, .offset = 700}, 0},
                 {{.position = 3, .offset = 1000}, 0},
                 {{.position = 3, .offset = UINT32_MAX}, 0},
                 {{.position = 0, .offset = 5}, 0}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        sender_init(&sender, OURS, 3, NULL);
        sender_begin(&sender, OURS, &(struct core_mark){OURS, 2, 2}, &cases[i].staged, 1000);
        load_after(&sender, &skip);
        sender_rows(&sender, (struct core_row[]){row(3, 1000)}, 1, 3);
        assert_true(sender_next(&sender, 200, &piece));
        assert_int_equal(piece.offset, cases[i].offset);
        assert_int_equal(piece.length, 200);
    }
}

static void acknowledgements_are_checked(void **unused)
{
    (void)unused;
    struct sender sender;
    struct sender_piece piece;
    bool skip, news, released;
    uint32_t upto = 0;
    sender_init(&sender, OURS, 5, NULL);
    begin(&sender, OURS, 2);
    load_after(&sender, &skip);
    sender_rows(&sender, (struct core_row[]){row(3, 10), row(4, 10), row(5, 10)}, 3, 5);
    for (uint32_t i = 0; i < 2; i++) {
        sender_next(&sender, 1024, &piece);
        sender_sent(&sender, &piece, 70 + i);
    }
    struct core_mark marks[] = {{OURS, 5, 5}, {OURS, 4, 5}, {OURS, UINT64_MAX, 0}}; // never sent, bodies beyond headers
    for (int i = 0; i < 3; i++)
        assert_false(sender_acknowledge(&sender, OURS, &marks[i], &news, &released, &upto));
    assert_true(sender_acknowledge(&sender, OURS, &(struct core_mark){THEIRS, 99, 99}, &news, &released, &upto));
    assert_false(news);
    assert_true(sender_acknowledge(&sender, OURS, &(struct core_mark){OURS, 4, 3}, &news, &released, &upto));
    assert_true(news && released);
    assert_int_equal(upto, 71);
    assert_int_equal(sender.headers, 4);
    assert_int_equal(sender.bodies, 3);
    // fault 24: repeated, and late
    assert_true(sender_acknowledge(&sender, OURS, &(struct core_mark){OURS, 4, 3}, &news, &released, &upto));
    assert_false(news || released);
    assert_true(sender_acknowledge(&sender, OURS, &(struct core_mark){OURS, 3, 3}, &news, &released, &upto));
    assert_false(news);
    assert_int_equal(sender.headers, 4);
}

static void endless_gaps_stop_the_channel(void **unused)
{
    (void)unused;
    struct sender sender;
    sender_init(&sender, OURS, 5, NULL);
    begin(&sender, OURS, 2);
    for (int i = 0; i < CHANNEL_REPAIRS_MAX; i++)
        assert_true(sender_restart(&sender, 1000));
    assert_false(sender_restart(&sender, 1000));
    assert_int_equal(sender.state, SENDER_STOPPED);
    sender_heads(&sender);
    assert_int_equal(sender.state, SENDER_STOPPED);
    sender_retry(&sender, 61000);
    assert_int_equal(sender.state, SENDER_HEADS);
    assert_false(sender_restart(&sender, 62000)); // one a pause
    sender_finish(&sender);
    begin(&sender, OURS, 2); // the next session tries again
    assert_int_equal(sender.state, SENDER_RUN);
}

static void a_stream_shorter_than_said_is_not_asked_for_ever(void **unused)
{
    (void)unused;
    struct sender sender;
    bool skip;
    sender_init(&sender, OURS, 5, NULL);
    begin(&sender, OURS, 3);
    assert_int_equal(load_after(&sender, &skip), 3);
    sender_rows(&sender, NULL, 0, 3);
    assert_int_equal(load_after(&sender, &skip), UINT64_MAX);
    sender_extend(&sender, 6);
    assert_int_equal(load_after(&sender, &skip), 3);
    sender_extend(&sender, 7); // while the load is out
    sender_rows(&sender, NULL, 0, 3);
    assert_int_equal(load_after(&sender, &skip), 3);
}

// The shell reads a commit before it says that the stream grew; the peer takes the row and comes back in between.
static void rows_read_before_they_are_told_are_of_the_stream(void **unused)
{
    (void)unused;
    struct sender sender;
    struct sender_piece piece;
    bool skip;
    sender_init(&sender, OURS, 3, NULL);
    begin(&sender, OURS, 2);
    assert_int_equal(load_after(&sender, &skip), 2);
    sender_rows(&sender, (struct core_row[]){row(3, 10), row(4, 10)}, 2, 4);
    while (sender_next(&sender, 1024, &piece))
        sender_sent(&sender, &piece, 1);
    sender_finish(&sender);
    assert_int_equal(begin(&sender, OURS, 4), ALARM_NONE); // not: "peer holds more"
    assert_int_equal(sender.state, SENDER_RUN);
}

static void positions_far_apart_are_loaded_in_turns(void **unused)
{
    (void)unused;
    struct sender sender;
    struct sender_piece piece;
    bool skip;
    uint64_t far = (uint64_t)1 << 40;
    sender_init(&sender, OURS, far, NULL);
    begin(&sender, 0, 0);
    load_after(&sender, &skip);
    sender_rows(&sender, (struct core_row[]){row(1, 10), row(far, 10)}, 2, far);
    assert_true(sender_next(&sender, 100, &piece));
    assert_int_equal(piece.position, 1);
    sender_sent(&sender, &piece, 1);
    assert_int_equal(load_after(&sender, &skip), 1);
    sender_rows(&sender, (struct core_row[]){row(far, 10)}, 1, far);
    assert_true(sender_next(&sender, 100, &piece));
    assert_true(piece.position == far);
}

// ---- receiver

static struct receiver receiver_at(uint64_t headers)
{
    struct receiver receiver;
    struct core_mark mark = {headers ? THEIRS : 0, headers, headers}, held;
    struct core_staged staged = {0};
    assert_true(receiver_init(&receiver, &mark, NULL));
    receiver_begin(&receiver, &held, &staged);
    assert_int_equal(held.headers, headers);
    assert_int_equal(staged.position, 0);
    return receiver;
}

static struct core_piece piece_of(uint64_t after, uint64_t position, uint32_t size, uint32_t offset, uint32_t length)
{
    return (struct core_piece){.generation = THEIRS,
                               .after = after,
                               .position = position,
                               .size = size,
                               .offset = offset,
                               .length = length,
                               .overhead = offset ? 0 : 200};
}

static enum receiver_verdict give(struct receiver *receiver, struct core_piece piece) { return receiver_piece(receiver, &piece).verdict; }

static void a_receiver_takes_rows_in_order_only(void **unused)
{
    (void)unused;
    struct receiver receiver = receiver_at(2);
    assert_int_equal(give(&receiver, piece_of(2, 3, 100, 0, 60)), RECEIVER_TAKE);
    assert_int_equal(give(&receiver, piece_of(2, 3, 100, 0, 60)), RECEIVER_IGNORE); // fault 23: again
    assert_int_equal(give(&receiver, piece_of(2, 3, 100, 60, 40)), RECEIVER_TAKE_LAST);
    assert_int_equal(give(&receiver, piece_of(2, 3, 100, 60, 40)), RECEIVER_IGNORE);
    assert_int_equal(give(&receiver, piece_of(3, 7, 0, 0, 0)), RECEIVER_TAKE_LAST); // positions may leave out some; `after` says so
    assert_int_equal(receiver_taken(&receiver), 100 + 2 * 200);
    assert_int_equal(give(&receiver, piece_of(8, 9, 10, 0, 10)), RECEIVER_GAP); // fault 26
}

static void fault_25_26_disorder_is_a_gap(void **unused)
{
    (void)unused;
    struct core_piece bad[] = {piece_of(3, 4, 100, 0, 100), piece_of(1, 3, 100, 0, 100), piece_of(0, 3, 100, 0, 100),
                               piece_of(2, 3, 100, 50, 50), piece_of(0, 1, 100, 0, 100)};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct receiver receiver = receiver_at(2);
        assert_int_equal(give(&receiver, bad[i]), RECEIVER_GAP);
        bool discard, alarm;
        assert_true(receiver_gap(&receiver, &discard, &alarm));
        assert_false(discard || alarm);
        assert_int_equal(give(&receiver, piece_of(2, 3, 100, 0, 100)), RECEIVER_IGNORE); // until repaired
        assert_false(receiver_gap(&receiver, &discard, &alarm));
        assert_true(receiver_heads_wanted(&receiver, 1000, &discard));
        assert_false(discard);
        assert_int_equal(give(&receiver, piece_of(0, 3, 100, 0, 100)), RECEIVER_TAKE_LAST);
    }
    struct receiver receiver = receiver_at(2);
    give(&receiver, piece_of(2, 3, 100, 0, 50));
    assert_int_equal(give(&receiver, piece_of(2, 3, 100, 60, 40)), RECEIVER_GAP); // a piece left out
    bool discard, alarm;
    assert_true(receiver_gap(&receiver, &discard, &alarm));
    assert_true(discard);
}

static void malformed_pieces_break_the_protocol(void **unused)
{
    (void)unused;
    struct core_piece bad[] = {piece_of(2, 0, 10, 0, 10),
                               piece_of(3, 3, 10, 0, 10),
                               piece_of(2, 3, 10, 0, 11),
                               piece_of(2, 3, 10, 11, 0),
                               piece_of(2, 3, 10, 0, 0),
                               piece_of(2, 3, DOCUMENT_MAX + 1, 0, 10),
                               piece_of(2, 3, 20000, 0, FRAME_MAX + 1),
                               piece_of(2, 3, UINT32_MAX, UINT32_MAX, 1)};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct receiver receiver = receiver_at(2);
        assert_int_equal(give(&receiver, bad[i]), RECEIVER_BROKEN);
    }
    struct receiver receiver = receiver_at(2);
    struct core_piece piece = piece_of(2, 3, 10, 0, 10);
    piece.generation = 0;
    assert_int_equal(give(&receiver, piece), RECEIVER_BROKEN);
    piece = piece_of(2, 3, 10, 0, 10);
    piece.overhead = UINT32_MAX;
    assert_int_equal(give(&receiver, piece), RECEIVER_BROKEN);
}

static void a_new_generation_begins_at_the_start(void **unused)
{
    (void)unused;
    struct receiver receiver = receiver_at(2);
    struct core_piece piece = piece_of(2, 3, 10, 0, 10);
    piece.generation = THEIRS + 1;
    assert_int_equal(give(&receiver, piece), RECEIVER_GAP);
    receiver = receiver_at(2);
    piece.after = 0;
    struct receiver_answer answer = receiver_piece(&receiver, &piece);
    assert_int_equal(answer.verdict, RECEIVER_TAKE_LAST);
    assert_true(answer.restored);
    assert_int_equal(give(&receiver, piece_of(3, 4, 10, 0, 10)), RECEIVER_GAP); // and not another one in between
}

static void tells_what_is_committed_and_no_more(void **unused)
{
    (void)unused;
    struct receiver receiver = receiver_at(2);
    assert_false(receiver_held(&receiver, 5, &(struct core_mark){THEIRS, 3, 3})); // late, of the session before: its row comes again
    assert_int_equal(receiver.told.headers, 2);
    give(&receiver, piece_of(2, 3, 10, 0, 10));
    give(&receiver, piece_of(3, 4, 10, 0, 10));
    assert_int_equal(receiver.told.headers, 2);
    assert_true(receiver_held(&receiver, 5, &(struct core_mark){THEIRS, 3, 3}));
    assert_int_equal(receiver.told.headers, 3);
    assert_int_equal(receiver_taken(&receiver), 210);
    assert_false(receiver_held(&receiver, 5, &(struct core_mark){THEIRS, 3, 3}));
    assert_true(receiver_held(&receiver, 5, &(struct core_mark){THEIRS, 9, 9})); // no further than what came
    assert_int_equal(receiver.told.headers, 4);
    assert_int_equal(receiver_taken(&receiver), 0);
}

static void parts_are_staged_and_go_on(void **unused)
{
    (void)unused;
    struct receiver receiver = receiver_at(2);
    struct core_mark held;
    struct core_staged staged = {0};
    give(&receiver, piece_of(2, 3, 100, 0, 60));
    assert_true(receiver_finish(&receiver));
    assert_false(receiver_finish(&receiver)); // said once
    receiver_begin(&receiver, &held, &staged);
    assert_int_equal(staged.position, 3);
    assert_int_equal(staged.offset, 60);
    assert_int_equal(give(&receiver, piece_of(2, 3, 100, 60, 40)), RECEIVER_TAKE_LAST);

    receiver = receiver_at(2); // or not: the peer begins the row anew
    give(&receiver, piece_of(2, 3, 100, 0, 60));
    receiver_finish(&receiver);
    receiver_begin(&receiver, &held, &staged);
    struct core_piece again = piece_of(2, 3, 100, 0, 100);
    struct receiver_answer answer = receiver_piece(&receiver, &again);
    assert_int_equal(answer.verdict, RECEIVER_TAKE_LAST);
    assert_true(answer.discard);

    struct core_piece other = piece_of(2, 3, 101, 60, 41); // another size: not the same row
    receiver = receiver_at(2);
    give(&receiver, piece_of(2, 3, 100, 0, 60));
    receiver_finish(&receiver);
    receiver_begin(&receiver, &held, &staged);
    assert_int_equal(give(&receiver, other), RECEIVER_GAP);
}

static void the_first_row_of_all_goes_on_too(void **unused)
{
    (void)unused;
    struct receiver receiver = receiver_at(0);
    struct core_mark held;
    struct core_staged staged = {0};
    give(&receiver, piece_of(0, 1, 100, 0, 60));
    assert_true(receiver_finish(&receiver));
    receiver_begin(&receiver, &held, &staged);
    assert_int_equal(held.generation, THEIRS);
    assert_int_equal(held.headers, 0);
    assert_int_equal(staged.offset, 60);
    assert_int_equal(give(&receiver, piece_of(0, 1, 100, 60, 40)), RECEIVER_TAKE_LAST);
}

static void what_was_staged_on_disk_is_checked(void **unused)
{
    (void)unused;
    struct receiver receiver;
    struct core_mark mark = {THEIRS, 5, 5}, held;
    struct core_staged staged = {0};
    assert_false(receiver_init(&receiver, &mark, &(struct core_staged){.position = 5, .offset = 1, .size = 2})); // held since
    assert_false(receiver_init(&receiver, &mark, &(struct core_staged){.position = 6, .offset = 2, .size = 2})); // no part
    assert_false(receiver_init(&receiver, &mark, &(struct core_staged){.position = 6, .offset = 0, .size = 2}));
    assert_false(receiver_init(&receiver, &(struct core_mark){0}, &(struct core_staged){.position = 6, .offset = 1, .size = 2}));
    assert_true(receiver_init(&receiver, &mark, &(struct core_staged){.position = 6, .offset = 1, .size = 2}));
    receiver_begin(&receiver, &held, &staged);
    assert_int_equal(staged.position, 6);
    assert_int_equal(give(&receiver, piece_of(5, 6, 2, 1, 1)), RECEIVER_TAKE_LAST);
}

static void endless_gaps_are_not_answered_for_ever(void **unused)
{
    (void)unused;
    struct receiver receiver = receiver_at(2);
    bool discard, alarm;
    for (int i = 0; i <= CHANNEL_REPAIRS_MAX; i++) {
        assert_int_equal(give(&receiver, piece_of(7, 9, 10, 0, 10)), RECEIVER_GAP);
        assert_true(receiver_gap(&receiver, &discard, &alarm));
        assert_int_equal(alarm, i == CHANNEL_REPAIRS_MAX);
        assert_true(receiver_heads_wanted(&receiver, 1000, &discard));
    }
    receiver_gap(&receiver, &discard, &alarm);
    assert_false(alarm); // said once
    assert_false(receiver_heads_wanted(&receiver, 1000, &discard));
    assert_true(receiver_heads_wanted(&receiver, 1000 + CHANNEL_PAUSE_MS / 2, &discard));
    assert_false(receiver_heads_wanted(&receiver, 1001 + CHANNEL_PAUSE_MS / 2, &discard));
    assert_int_equal(give(&receiver, piece_of(0, 1, 10, 0, 10)), RECEIVER_TAKE_LAST);
    receiver_held(&receiver, 2000, &(struct core_mark){THEIRS, 1, 1});
    assert_true(receiver_heads_wanted(&receiver, 1002 + CHANNEL_PAUSE_MS / 2, &discard)); // progress was made
}

static void lacking_bodies_are_timed(void **unused)
{
    (void)unused;
    struct receiver receiver = receiver_at(0);
    receiver_held(&receiver, 100, &(struct core_mark){THEIRS, 3, 3});
    assert_int_equal(receiver.behind_ms, 0);
    receiver_held(&receiver, 200, &(struct core_mark){THEIRS, 4, 3});
    receiver_held(&receiver, 300, &(struct core_mark){THEIRS, 5, 3});
    assert_int_equal(receiver.behind_ms, 200);
    receiver_held(&receiver, 400, &(struct core_mark){THEIRS, 6, 4}); // some came
    assert_int_equal(receiver.behind_ms, 400);
    receiver_held(&receiver, 500, &(struct core_mark){THEIRS, 6, 6});
    assert_int_equal(receiver.behind_ms, 0);
}

static void only_what_goes_beyond_the_best_mark_is_progress(void **unused)
{
    (void)unused;
    struct sender sender;
    struct sender_piece piece;
    bool skip, news, released;
    uint32_t upto = 0;
    sender_init(&sender, OURS, 5, NULL);
    begin(&sender, OURS, 3);
    sender_restart(&sender, 1000);
    sender_heads(&sender);
    load_after(&sender, &skip);
    sender_rows(&sender, (struct core_row[]){row(2, 10), row(5, 10)}, 2, 5);
    while (sender_next(&sender, 1024, &piece))
        sender_sent(&sender, &piece, 1);
    assert_true(sender_acknowledge(&sender, OURS, &(struct core_mark){OURS, 2, 1}, &news, &released, &upto));
    assert_true(news);
    assert_int_equal(sender.repairs, 1); // it was at 3 before the repair
    assert_true(sender_acknowledge(&sender, OURS, &(struct core_mark){OURS, 2, 2}, &news, &released, &upto));
    assert_true(news && !released); // a body alone
    assert_true(sender_acknowledge(&sender, OURS, &(struct core_mark){OURS, 5, 5}, &news, &released, &upto));
    assert_int_equal(sender.repairs, 0);
}

static void a_part_of_another_journal_or_held_since_is_not_named(void **unused)
{
    (void)unused;
    struct core_mark held;
    struct core_staged staged = {0};
    struct receiver receiver = receiver_at(2);
    struct core_piece piece = piece_of(0, 1, 100, 0, 60);
    receiver_begin(&receiver, &held, &staged);
    piece.generation = THEIRS + 1; // the peer's journal is a new one
    assert_int_equal(give(&receiver, piece), RECEIVER_TAKE);
    assert_true(receiver_finish(&receiver));
    receiver_begin(&receiver, &held, &staged);
    assert_int_equal(held.generation, THEIRS);
    assert_int_equal(staged.position, 0);
    receiver = receiver_at(2);
    give(&receiver, piece_of(2, 3, 100, 0, 60));
    receiver_finish(&receiver);
    assert_false(receiver_held(&receiver, 5, &(struct core_mark){THEIRS, 3, 3})); // late, of the session before
    receiver_begin(&receiver, &held, &staged);
    assert_int_equal(held.headers, 3);
    assert_int_equal(staged.position, 0);
}

static void marks_of_another_journal_are_not_told(void **unused)
{
    (void)unused;
    struct receiver receiver = receiver_at(2);
    assert_int_equal(give(&receiver, piece_of(2, 3, 10, 0, 10)), RECEIVER_TAKE_LAST);
    assert_false(receiver_held(&receiver, 5, &(struct core_mark){THEIRS + 1, 3, 3}));
    receiver.alarmed = true;
    receiver_held(&receiver, 6, &(struct core_mark){THEIRS, 3, 2});
    assert_true(receiver.alarmed); // still lacking: said once
    receiver_held(&receiver, 7, &(struct core_mark){THEIRS, 3, 3});
    assert_false(receiver.alarmed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sender_begins_where_the_peer_is),
        cmocka_unit_test(fault_17_a_peer_that_lost_rows_is_noticed),
        cmocka_unit_test(a_repair_ends_where_the_stream_ends),
        cmocka_unit_test(rows_are_cut_into_pieces),
        cmocka_unit_test(a_staged_row_goes_on_at_its_offset),
        cmocka_unit_test(acknowledgements_are_checked),
        cmocka_unit_test(endless_gaps_stop_the_channel),
        cmocka_unit_test(a_stream_shorter_than_said_is_not_asked_for_ever),
        cmocka_unit_test(rows_read_before_they_are_told_are_of_the_stream),
        cmocka_unit_test(positions_far_apart_are_loaded_in_turns),
        cmocka_unit_test(a_receiver_takes_rows_in_order_only),
        cmocka_unit_test(fault_25_26_disorder_is_a_gap),
        cmocka_unit_test(malformed_pieces_break_the_protocol),
        cmocka_unit_test(a_new_generation_begins_at_the_start),
        cmocka_unit_test(tells_what_is_committed_and_no_more),
        cmocka_unit_test(parts_are_staged_and_go_on),
        cmocka_unit_test(the_first_row_of_all_goes_on_too),
        cmocka_unit_test(what_was_staged_on_disk_is_checked),
        cmocka_unit_test(endless_gaps_are_not_answered_for_ever),
        cmocka_unit_test(lacking_bodies_are_timed),
        cmocka_unit_test(only_what_goes_beyond_the_best_mark_is_progress),
        cmocka_unit_test(a_part_of_another_journal_or_held_since_is_not_named),
        cmocka_unit_test(marks_of_another_journal_are_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
