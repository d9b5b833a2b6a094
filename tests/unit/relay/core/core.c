// Two and more cores wired in memory (tests/trace/world.h), through random faults: whatever happens, everything arrives exactly once
// and in order when the lines are whole again.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>

#include "tests/trace/world.h"
#include "tests/unit/relay/core/drive.h"

enum { UP = 1, DOWN_ALL = 2, DOWN_ONE = 3 };

struct dice {
    uint64_t state;
};

static uint32_t roll(struct dice *dice, uint32_t sides)
{
    dice->state = dice->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice->state >> 33) % sides;
}

// ---- properties

// The receiver committed what the sender sent, each once, in the order of the stream.
static void assert_arrived(struct world *world, unsigned from, unsigned to, bool in_order)
{
    unsigned first = to == 0 ? UP : DOWN_ALL, last = to == 0 ? UP : DOWN_ONE;
    for (unsigned stream = first; stream <= last; stream++)
        for (unsigned lane = 1; lane <= LANES; lane++) {
            const uint32_t *sent, *received;
            uint32_t sent_count = world_sent(world, from, to, stream, lane, &sent);
            uint32_t received_count = world_received(world, to, from, stream, lane, &received);
            if (in_order) {
                assert_int_equal(received_count, sent_count);
                for (uint32_t i = 0; i < sent_count; i++)
                    assert_int_equal(received[i], sent[i]);
                continue;
            }
            for (uint32_t i = 0; i < sent_count; i++) { // a restored sender's stream: nothing is missing, nothing twice
                uint32_t times = 0;
                for (uint32_t k = 0; k < received_count; k++)
                    times += received[k] == sent[i];
                assert_int_equal(times, 1);
            }
        }
}

static uint32_t any_size(struct dice *dice)
{
    static const uint32_t sizes[] = {40, 300, 1023, 1024, 1025, 5000, 40000, 150000};
    return sizes[roll(dice, sizeof sizes / sizeof *sizes)];
}

static void append_some(struct world *world, struct dice *dice, unsigned children)
{
    unsigned child = 1 + roll(dice, children), lane = 1 + roll(dice, LANES), stream = 1 + roll(dice, 3);
    uint32_t size = any_size(dice);
    if (lane == 1 && size > 5000)
        size = 600;
    world_append(world, stream == UP ? child : 0, stream, lane, child, size, false);
}

static void break_something(struct world *world, struct dice *dice, unsigned children)
{
    unsigned child = 1 + roll(dice, children);
    struct world_line *line = world_line(world, child);
    switch (roll(dice, 7)) {
    case 0:
        world_cut(world, child);
        break;
    case 1:
        line->state = LINE_DOWN;
        world_cut(world, child);
        break;
    case 2:
        line->state = LINE_MUTE;
        break;
    case 3:
        world_restart(world, child);
        break;
    case 4:
        world_restart(world, 0);
        break;
    case 5:
        line->rate = (uint32_t[]){0, 3000, 20000, 500000}[roll(dice, 4)];
        line->delay_ms = (uint32_t[]){1, 20, 300, 900}[roll(dice, 4)];
        break;
    default:
        line->state = LINE_UP;
    }
}

static void heal(struct world *world, unsigned children)
{
    for (unsigned child = 1; child <= children; child++)
        *world_line(world, child) = (struct world_line){.delay_ms = 20, .rate = 200000};
}

static void one_run(uint64_t seed, bool lossy, bool restored)
{
    struct dice dice = {seed};
    struct world *world = world_create(seed, false);
    unsigned children = 1 + roll(&dice, 3);
    world_station(world, "top", WORLD_NONE);
    for (unsigned i = 0; i < children; i++)
        world_station(world, "below", 0);
    for (int i = 0; i < 60; i++) {
        for (uint32_t k = roll(&dice, 4); k > 0; k--)
            append_some(world, &dice, children);
        if (roll(&dice, 3) == 0)
            break_something(world, &dice, children);
        if (lossy) { // beyond what a connection does: messages lost and repeated inside it
            world_line(world, 1)->lose_in_1000 = roll(&dice, 30);
            world_line(world, 1)->repeat_in_1000 = roll(&dice, 100);
        }
        if (restored && roll(&dice, 25) == 0)
            world_restore(world, roll(&dice, 1 + children), roll(&dice, 3));
        world_run(world, (uint32_t[]){1, 30, 500, 4000, 40000}[roll(&dice, 5)]);
    }
    heal(world, children);
    world_run(world, 1000);
    if (!world_settle(world, 1200 * 1000))
        fail_msg("seed %llu: not settled", (unsigned long long)seed);
    world_run(world, 1000);
    for (unsigned child = 1; child <= children; child++) {
        assert_arrived(world, child, 0, !restored);
        assert_arrived(world, 0, child, !restored);
    }
    const struct world_count *count = world_count(world);
    assert_int_equal(count->acks_beyond, 0);
    assert_int_equal(count->over_window, 0);
    assert_true(count->urgent_behind_max <= 1);
    if (!lossy && !restored) {
        assert_int_equal(count->alarms[ALARM_PROTOCOL], 0);
        assert_int_equal(count->alarms[ALARM_PEER_RESTORED], 0);
        assert_int_equal(count->alarms[ALARM_PEER_HOLDS_MORE], 0);
    }
    world_destroy(world);
}

static uint64_t runs(void)
{
    const char *text = getenv("SANJI_RUNS"); // more than the default of a quick test
    return text ? strtoull(text, NULL, 10) : 40;
}

static void everything_arrives_once_in_order(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= runs(); seed++)
        one_run(seed, false, false);
}

static void fault_23_24_26_so_it_does_when_messages_vanish_and_repeat(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= runs(); seed++)
        one_run(1000 + seed, true, false);
}

static void fault_17_so_it_does_when_stations_are_restored(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= runs(); seed++)
        one_run(2000 + seed, false, true);
}

static void the_same_seed_tells_the_same_story(void **unused)
{
    (void)unused;
    struct world *worlds[2];
    for (int i = 0; i < 2; i++) {
        struct dice dice = {5};
        worlds[i] = world_create(5, true);
        world_station(worlds[i], "top", WORLD_NONE);
        world_station(worlds[i], "below", 0);
        for (int k = 0; k < 30; k++) {
            append_some(worlds[i], &dice, 1);
            break_something(worlds[i], &dice, 1);
            world_run(worlds[i], 700);
        }
    }
    assert_string_equal(world_story(worlds[0]), world_story(worlds[1]));
    world_destroy(worlds[0]);
    world_destroy(worlds[1]);
}

// ---- single faults

static void fault_56_a_flapping_link_does_little(void **unused)
{
    (void)unused;
    struct world *world = world_create(3, false);
    world_station(world, "top", WORLD_NONE);
    world_station(world, "below", 0);
    world_line(world, 1)->rate = 20000;
    world_append(world, 1, UP, 5, 0, 200000, false);
    for (int i = 0; i < 60; i++) { // reset every 2 s for 2 minutes
        world_run(world, 2000);
        world_cut(world, 1);
    }
    assert_true(world_settle(world, 120000));
    const struct world_count *count = world_count(world);
    assert_true(count->bytes < 200000 + count->dials * 22000); // resumed each time: a cut loses the second in flight at most
    assert_int_equal(count->repeats, 0);
    assert_true(count->dials < 60); // and backed off
    world_destroy(world);
}

static void fault_49_a_half_open_line_is_left_within_30_s(void **unused)
{
    (void)unused;
    struct world *world = world_create(4, false);
    world_station(world, "top", WORLD_NONE);
    world_station(world, "below", 0);
    world_run(world, 2000);
    struct core_link_status status;
    assert_true(world_link(world, 1, 0, &status));
    assert_int_equal(status.state, LINK_LIVE);
    world_line(world, 1)->state = LINE_MUTE;
    world_run(world, 31000);
    assert_true(world_link(world, 1, 0, &status) && status.state != LINK_LIVE);
    assert_true(world_link(world, 0, 1, &status) && status.state == LINK_DOWN);
    world_destroy(world);
}

static void fault_55_a_herd_is_served_with_little_credit(void **unused)
{
    (void)unused;
    struct world *world = world_create(6, false);
    world_pool(world, 2 * 65536);
    world_station(world, "top", WORLD_NONE);
    for (unsigned i = 1; i < WORLD_STATIONS_MAX; i++) {
        world_station(world, "below", 0);
        world_line(world, i)->rate = 50000;
        for (int k = 0; k < 5; k++)
            world_append(world, i, UP, 5, 0, 60000, false);
        world_append(world, i, UP, 1, 0, 500, false);
    }
    world_run(world, 3000);
    for (unsigned i = 1; i < WORLD_STATIONS_MAX; i++) { // urgent is there already, credit or not
        const uint32_t *received;
        assert_int_equal(world_received(world, 0, i, UP, 1, &received), 1);
    }
    assert_true(world_settle(world, 300000));
    for (unsigned i = 1; i < WORLD_STATIONS_MAX; i++)
        assert_arrived(world, i, 0, true);
    assert_int_equal(world_count(world)->alarms[ALARM_PROTOCOL], 0);
    world_destroy(world);
}

static void a_full_store_asks_to_come_back(void **unused)
{
    (void)unused;
    struct world *world = world_create(8, false);
    world_station(world, "top", WORLD_NONE);
    world_station(world, "below", 0);
    world_run(world, 1000);
    world_refuse_next(world, 0, FAULT_STORE);
    world_append(world, 1, UP, 3, 0, 500, false);
    world_run(world, 1000);
    struct core_link_status status;
    assert_true(world_link(world, 1, 0, &status) && status.state == LINK_DOWN);
    assert_true(world_settle(world, 60000));
    assert_arrived(world, 1, 0, true);
    world_destroy(world);
}

static void a_refused_gap_is_repaired(void **unused)
{
    (void)unused;
    struct world *world = world_create(9, false);
    world_station(world, "top", WORLD_NONE);
    world_station(world, "below", 0);
    world_run(world, 1000);
    world_refuse_next(world, 0, FAULT_GAP);
    for (int i = 0; i < 5; i++)
        world_append(world, 1, UP, 3, 0, 500, false);
    assert_true(world_settle(world, 20000));
    const uint32_t *received;
    assert_int_equal(world_received(world, 0, 1, UP, 3, &received), 5);
    assert_int_equal(world_count(world)->hellos, 2); // in the same session
    world_destroy(world);
}

// ---- many links

static void a_county_of_links(void **unused)
{
    (void)unused;
    struct core_config config = {.links_max = CHILDREN_MAX + 1, .generation = 1};
    assert_true(core_size(&config) <= (CHILDREN_MAX + 1) * (size_t)8192);
    struct drive drive;
    drive_init(&drive, 1301, 32 << 20);
    for (uint32_t link = 1; link <= 1300; link++)
        drive_child(&drive, link, link);
    struct core_event event = {.type = EVENT_EXTENDED, .link = UINT32_MAX, .channel = 6}; // one for all of them
    event.extended.end = 1;
    drive_step(&drive, event);
    bool loaded[1301] = {false};
    uint32_t loads = 0, steps = 0;
    do {
        const struct core_update *load;
        for (uint32_t i = 0; (load = drive_update(&drive, UPDATE_LOAD, i)); i++) {
            assert_false(loaded[load->link]);
            loaded[load->link] = true;
            loads++;
        }
        steps++;
    } while (drive_tick(&drive, 0));
    assert_int_equal(loads, 1300);
    assert_true(steps < 100);
    assert_true(core_deadline(drive.core) > drive.now_ms);
    drive_finish(&drive);
}

static void a_step_says_no_more_than_it_may(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS];
    for (unsigned i = 0; i < CORE_CHANNELS; i++)
        ends[i] = 100000;
    struct core_hello hello = drive_hello(7, false);
    hello.credit_bytes = 1 << 30;
    drive_init(&drive, 2, 32 << 20);
    drive_add(&drive, 1, ends);
    drive_greet(&drive, 1, &hello);
    uint64_t next[CORE_CHANNELS] = {0}, sent = 0;
    for (int i = 0; i < 400; i++) { // an endless row of header-only rows, confirmed at once
        for (unsigned channel = 5; channel < CORE_CHANNELS; channel++) {
            drive_rows(&drive, 1, channel, next[channel] + 1, 10, 0);
            assert_true(drive.updates.count <= CORE_UPDATES_MAX);
            for (uint32_t k = 0; k < drive.updates.count; k++)
                sent += drive.updates.items[k].type == UPDATE_SEND_PIECE;
            next[channel] += 10;
        }
        struct core_event ping = {.type = EVENT_PING, .link = 1, .session = 7};
        ping.ping.reply = true;
        ping.ping.token = sent * 200;
        drive.now_ms += 1;
        drive_step(&drive, ping);
        do
            for (uint32_t k = 0; k < drive.updates.count; k++)
                sent += drive.updates.items[k].type == UPDATE_SEND_PIECE;
        while (drive_tick(&drive, 0));
    }
    assert_true(sent > 1000);
    drive_finish(&drive);
}

static void status_of_no_link(void **unused)
{
    (void)unused;
    struct drive drive;
    struct core_link_status status = {.rate_bytes = 5};
    drive_init(&drive, 2, 1 << 20);
    assert_false(core_link(drive.core, 1, &status));
    assert_false(core_link(drive.core, 2, &status));
    assert_false(core_link(drive.core, UINT32_MAX, &status));
    assert_int_equal(status.rate_bytes, 5);
    drive_finish(&drive);
}

// ---- the link past the parent

static void add_past(struct drive *drive, uint32_t link, bool parent, const uint64_t *ends)
{
    static const struct core_mark marks[CORE_CHANNELS];
    struct core_event event = {.type = EVENT_LINK_ADD, .link = link};
    event.add.parent = parent;
    event.add.urgent_only = true;
    event.add.marks = marks;
    event.add.ends = ends;
    drive_step(drive, event);
}

static void init_two_parents(struct drive *drive)
{
    struct core_config config = {.links_max = 4, .second_parent = true, .seed = 11, .generation = 50, .pool_bytes = 1 << 20};
    memset(drive, 0, sizeof *drive);
    drive->now_ms = 1000;
    drive->core = calloc(1, core_size(&config));
    assert_non_null(drive->core);
    core_init(drive->core, &config);
}

static void fault_33_past_the_parent_only_urgent_rows_go_and_marks_are_its_own(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS];
    unsigned urgent = core_channel(1, 1), bulk = core_channel(1, 5);
    for (unsigned i = 0; i < CORE_CHANNELS; i++)
        ends[i] = i < LANES ? 3 : 0;
    init_two_parents(&drive);
    drive_parent(&drive, 7, ends); // the parent acknowledges everything
    drive_rows(&drive, 0, urgent, 1, 3, 300);
    drive_ack(&drive, 0, 7, urgent, 3, 65536);
    add_past(&drive, 1, true, ends);
    assert_true(drive_until(&drive, UPDATE_DIAL, 1000));
    assert_int_equal(drive_update(&drive, UPDATE_DIAL, 0)->link, 1);
    drive_step(&drive, (struct core_event){.type = EVENT_OPENED, .link = 1});
    struct core_hello hello = drive_hello(8, true);
    drive_greet(&drive, 1, &hello);
    assert_int_equal(drive_state(&drive, 1), LINK_LIVE);
    const struct core_update *load = drive_update(&drive, UPDATE_LOAD, 0);
    assert_true(load && load->link == 1 && load->channel == urgent && load->load.after == 0); // from its own mark, not the parent's
    assert_null(drive_update(&drive, UPDATE_LOAD, 1));
    drive_rows(&drive, 1, urgent, 1, 3, 300);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_PIECE, 2)->piece.position, 3);
    drive_ack(&drive, 1, 8, urgent, 2, 65536);
    struct core_link_status status;
    assert_true(core_link(drive.core, 0, &status) && status.channels[urgent].headers == 3);
    assert_true(core_link(drive.core, 1, &status) && status.channels[urgent].headers == 2 && status.channels[bulk].end == 0 &&
                status.parent);
    // other lanes grow, and nothing of them goes that way
    struct core_event grown = {.type = EVENT_EXTENDED, .link = 1, .channel = bulk, .extended.end = 9};
    drive_step(&drive, grown);
    assert_null(drive_update(&drive, UPDATE_LOAD, 0));
    grown.link = UINT32_MAX;
    drive_step(&drive, grown);
    assert_true(!drive_update(&drive, UPDATE_LOAD, 0) || drive_update(&drive, UPDATE_LOAD, 0)->link == 0);
    // receipts come back on it
    drive_piece(&drive, 1, 8, core_channel(3, 1), 1, 300, 0, 300);
    assert_true(drive_update(&drive, UPDATE_ACCEPT, 0)->accept.complete);
    // it is over: nothing more is said there, the parent's link lives on, and it may open again
    drive_step(&drive, (struct core_event){.type = EVENT_LINK_REMOVE, .link = 1});
    assert_int_equal(drive_state(&drive, 1), LINK_ABSENT);
    assert_non_null(drive_update(&drive, UPDATE_HANGUP, 0));
    assert_int_equal(drive_state(&drive, 0), LINK_LIVE);
    add_past(&drive, 1, true, ends);
    assert_true(drive_until(&drive, UPDATE_DIAL, 1000));
    drive_finish(&drive);
}

static void fault_33_another_lane_past_the_parent_is_against_the_protocol(void **unused)
{
    (void)unused;
    static const uint64_t ends[CORE_CHANNELS] = {0};
    for (unsigned lane = 1; lane <= LANES; lane++) {
        struct drive drive;
        struct core_hello hello = drive_hello(8, false);
        init_two_parents(&drive);
        add_past(&drive, 2, false, ends); // the guest at the station above
        drive_greet(&drive, 2, &hello);
        assert_int_equal(drive_state(&drive, 2), LINK_LIVE);
        drive_piece(&drive, 2, 8, core_channel(1, lane), 1, 300, 0, 300);
        assert_int_equal(drive_state(&drive, 2), lane == 1 ? LINK_LIVE : LINK_BARRED);
        assert_int_equal(drive_update(&drive, UPDATE_ACCEPT, 0) != NULL, lane == 1);
        drive_finish(&drive);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives_once_in_order),
        cmocka_unit_test(fault_23_24_26_so_it_does_when_messages_vanish_and_repeat),
        cmocka_unit_test(fault_17_so_it_does_when_stations_are_restored),
        cmocka_unit_test(the_same_seed_tells_the_same_story),
        cmocka_unit_test(fault_56_a_flapping_link_does_little),
        cmocka_unit_test(fault_49_a_half_open_line_is_left_within_30_s),
        cmocka_unit_test(fault_55_a_herd_is_served_with_little_credit),
        cmocka_unit_test(a_full_store_asks_to_come_back),
        cmocka_unit_test(a_refused_gap_is_repaired),
        cmocka_unit_test(a_county_of_links),
        cmocka_unit_test(a_step_says_no_more_than_it_may),
        cmocka_unit_test(status_of_no_link),
        cmocka_unit_test(fault_33_past_the_parent_only_urgent_rows_go_and_marks_are_its_own),
        cmocka_unit_test(fault_33_another_lane_past_the_parent_is_against_the_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
