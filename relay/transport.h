// ZeroMQ ROUTER and DEALER with CURVE, and ZAP against the enrolled keys, failing closed. zeromq.c is the only file that names zmq.h.
//
// Identity is the CURVE key that ZAP accepted, read from the frame's User-Id (the routing-id frame has none in 4.3.4). Routing ids
// are ZeroMQ's own (5 bytes, drawn from a random start) and serve to answer, nothing else: a client that chooses one of its own is
// not listened to, so there is nothing to squat. A message is one frame, with the message's size before it and its body behind
// (schema/link.proto).
//
// A transport has one owner thread; only transport_wake() may be called from others. At most one in a process.
#pragma once
#include "relay/crypto.h"

struct transport;

// Two dials: of the parent, and of the station above it when the parent keeps silent.
enum { TRANSPORT_DIALS = 2 };
// Bytes of the largest answer to a joiner: codebook, unit tree, and the chain with its signatures.
enum { TRANSPORT_ANSWER_MAX = 2 * DOCUMENT_MAX + DEPTH_MAX * 2 * CERTIFICATE_MAX };

struct transport_config {
    struct public_key public_key; // CURVE
    struct secret_key secret_key; // the first 32 bytes
    const char *listen;           // tcp://HOST:PORT, children's links; NULL: none
    const char *join;             // tcp://HOST:PORT, enrolment; NULL: none
    // Whether a key may open a link here; must say no to keys it doesn't know. Called on the owner thread, from transport_wait(),
    // transport_create() and transport_self_test(). May be NULL when `listen` is.
    bool (*enrolled)(void *context, const struct public_key *key);
    void *context;
};

enum transport_event_type {
    TRANSPORT_MESSAGE,      // on a link: `peer` (key), `message`, `body`
    TRANSPORT_CONNECTED,    // our dial finished its handshake
    TRANSPORT_DISCONNECTED, // our dial's connection broke or lost something, or the handshake failed (`detail`); the socket is closed, dial
                            // again
    TRANSPORT_JOIN,         // on the join endpoint: `peer`, `message`, answer with transport_answer(reply_to)
    TRANSPORT_WOKEN,        // transport_wake() was called, once or more
};
struct transport_event {
    enum transport_event_type type;
    bool parent;   // MESSAGE: from our dial
    unsigned dial; // CONNECTED, DISCONNECTED, MESSAGE with `parent`: which, below TRANSPORT_DIALS
    bool refused;  // DISCONNECTED: the other side does not know our key
    struct public_key peer;
    uint64_t route;             // MESSAGE from a child: the connection it came by, to answer on; JOIN: reply_to; never 0
    struct bytes message, body; // live until the next transport_wait()
    const char *detail;         // DISCONNECTED: why, in the thread's language; lives until the next transport_wait()
};

// Binds; then proves with a key of its own that an unknown key is refused (fails closed). The configuration is copied; `enrolled` and
// its context must outlive the transport. `error` may be NULL.
// ERR_STATE: an unknown key was let in; ERR_TIMEOUT: the proof could not be made, as when the key pair is none; ERR_INPUT, ERR_NETWORK:
// address bad, taken, not allowed; ERR_LIMIT: no descriptors; ERR_MEMORY.
enum error_code transport_create(const struct transport_config *config, struct transport **ret, struct error *error);
void transport_destroy(struct transport *transport); // takes NULL; linger 0: what is unacknowledged is sent again another time

// The proof again, for an hourly check: takes some milliseconds, at most 6 s. OK where nothing listens. ERR_STATE: a stranger gets in, the
// caller must stop the transport; ERR_BUSY: new connections are shed just now; ERR_TIMEOUT, ERR_LIMIT, ERR_MEMORY: no proof, ask later.
enum error_code transport_self_test(struct transport *transport, struct error *error);

// Addresses really bound (port 0 is allowed in the configuration); NULL: none.
const char *transport_listen(const struct transport *transport);
const char *transport_join(const struct transport *transport);

// Waits at most `timeout_ms` (-1: for ever) and returns one event; false: none in time. Handshakes of peers are served in here.
bool transport_wait(struct transport *transport, int timeout_ms, struct transport_event *ret);
void transport_wake(struct transport *transport); // any thread, async-signal-safe

// Dials (a fresh socket each time); hangs up what that dial had before. Returns at once: CONNECTED or DISCONNECTED follows in
// at most 10 s, unless hung up. Give an address, not a name, where names may be slow: the look-up holds up every other link.
// ERR_INPUT: bad address; ERR_LIMIT, ERR_MEMORY: no socket.
enum error_code transport_dial(struct transport *transport, unsigned dial, const char *endpoint, const struct public_key *server,
                               struct error *error);
void transport_hangup(struct transport *transport, unsigned dial); // no event follows

// Never blocks; the bytes are copied. ERR_BUSY: the peer's pipe is full, try later; ERR_NETWORK: no such connection (any more);
// ERR_LIMIT: message or body over MESSAGE_MAX (answers: TRANSPORT_ANSWER_MAX), for which the peer would cut the line;
// ERR_MEMORY. After an error nothing was sent.
enum error_code transport_send_parent(struct transport *transport, unsigned dial, struct bytes message, struct bytes body);
enum error_code transport_send_child(struct transport *transport, uint64_t route, struct bytes message, struct bytes body);
enum error_code transport_answer(struct transport *transport, uint64_t reply_to, struct bytes message);

// What was turned away since the start.
struct transport_counts {
    uint64_t refused;   // handshakes by keys that are not enrolled
    uint64_t limited;   // handshakes over the rate of the join endpoint
    uint64_t malformed; // messages of another shape, with a piece missing before them, or by a client that chose its own routing id
    uint64_t shed;      // connections closed for want of descriptors
    uint64_t renewed;   // times the join endpoint dropped all its connections
    uint64_t endless;   // connections cut because they brought a message without an end
    bool short_of_room; // no new connections are taken just now
};
struct transport_counts transport_counts(const struct transport *transport);

// A joiner's one exchange with a parent's join endpoint: asks, waits, returns the answer. Keys are the joiner's own transport keys.
// Blocks up to `timeout_ms` and asks again on a connection that broke, so the request must bear being repeated. Appends to `ret`.
// ERR_INPUT: bad address; ERR_NETWORK: nobody there, the line broke, or who is there does not have
// the key `server`; ERR_REFUSED: it turned our key away (not a join endpoint);
// ERR_TIMEOUT; ERR_LIMIT; ERR_MEMORY. Any thread without a transport; has a ZeroMQ context of its own for as long as it takes.
enum error_code transport_ask(const char *endpoint, const struct public_key *server, const struct public_key *own_public,
                              const struct secret_key *own_secret, struct bytes request, int timeout_ms, struct buffer *ret,
                              struct error *error);
