// ZeroMQ 4.3.4 as this project uses it, and nothing else of it: CURVE always, our limits on every socket. The only file pair that names
// zmq.h is zeromq.c. Used by transport*.c alone.
//
// Sockets are `void *`, as ZeroMQ has them; each has one owner thread. What returns a pointer returns NULL with errno on failure;
// zeromq_error() turns that into a text.
#pragma once
#include "relay/crypto.h"

enum {
    ZEROMQ_ROUTING_ID_SIZE = 5, // bytes: what a ROUTER draws for each connection: 0 and a counter from a random start (RFC 28)
    ZEROMQ_HANDSHAKE_MS = 5000, // TCP, and the handshake after it, take at most this each: two round trips; idle callers are gone then
    ZEROMQ_USER_SIZE = 2 * PUBLIC_KEY_SIZE + 1,
};

void *zeromq_context(void);
void zeromq_context_end(void *context); // takes NULL; waits for the I/O thread; its sockets must be closed before

// ERR_LIMIT: no descriptors; ERR_MEMORY: anything else.
enum error_code zeromq_error(struct error *error);

// Accepts on `fd` (a listening, non-blocking socket, ours no more if this succeeds), asking the handler about each key under `domain`.
// The watch tells of connections.
void *zeromq_router(void *context, int fd, const char *endpoint, const char *domain, const struct secret_key *own, void **ret_watch);
// Connects once to `endpoint`, to whoever has the key `server`, and takes messages of at most `max` bytes beside their body. The watch
// tells how it went.
void *zeromq_client(void *context, const char *endpoint, bool ipv6, const struct public_key *server, const struct public_key *own_public,
                    const struct secret_key *own_secret, size_t max, void **ret_watch);
// Closes a socket and its watch (each may be NULL) at once, dropping what is queued; sets both to NULL.
void zeromq_close(void **socket, void **watch);

// The handler of handshakes (ZAP, RFC 27): to be there before the first ROUTER, one in a context.
void *zeromq_handler(void *context);
struct zeromq_handshake {
    bool valid; // CURVE, and complete; else it can only be refused
    char domain[32], request[32];
    struct public_key key;
};
bool zeromq_handshake_next(void *handler, struct zeromq_handshake *ret); // false: none waits
// Each must be answered before the next is taken. LATER closes the connection without a word.
enum zeromq_verdict { ZEROMQ_ACCEPT, ZEROMQ_LATER, ZEROMQ_REFUSE };
void zeromq_handshake_answer(void *handler, const struct zeromq_handshake *handshake, enum zeromq_verdict verdict);

// What a client's watch says next of its one attempt. REFUSED: our key; ABSENT: no TCP connection; BROKEN: cut in the handshake or
// after it. These three end it.
enum zeromq_attempt { ZEROMQ_IDLE, ZEROMQ_GOING, ZEROMQ_CONNECTED, ZEROMQ_REFUSED, ZEROMQ_ABSENT, ZEROMQ_BROKEN };
// `ret_fd` (may be NULL) is set when the TCP connection is there.
enum zeromq_attempt zeromq_attempt(void *watch, int *ret_fd);
// What a router's watch says next: a connection came (1) or went (-1), also before its handshake, by this descriptor; 0: nothing more
// now.
int zeromq_change(void *watch, int *ret_fd);

// One frame, with a message and its body (schema/link.proto). Of a ROUTER also who it is for or from.
struct zeromq_frame {
    _Alignas(void *) uint8_t space[64]; // a zmq_msg_t
};
struct zeromq_message {
    struct zeromq_frame id, frame;
    struct bytes message, body; // inside the frame
    bool coded;                 // the message is a difference (relay/repeats.h)
};
enum zeromq_taken { ZEROMQ_NOTHING, ZEROMQ_MALFORMED, ZEROMQ_MESSAGE };
void zeromq_message_init(struct zeromq_message *message);
void zeromq_message_finish(struct zeromq_message *message);
// Takes the next one, if any, in place of what `message` held.
enum zeromq_taken zeromq_take_client(void *socket, struct zeromq_message *message);
// ... and its routing id and the key that the handler accepted. MALFORMED also: the client chose its own id.
enum zeromq_taken zeromq_take_router(void *socket, struct zeromq_message *message, uint32_t *ret_id, struct public_key *ret_key);
int zeromq_fd(struct zeromq_message *message); // the connection it came by; -1: unknown

// Never blocks; all or nothing. `id`: of a ROUTER's connection, else NULL. ERR_BUSY: its pipe is full; ERR_NETWORK: no connection;
// ERR_LIMIT: a message over `max`, or a body over MESSAGE_MAX; ERR_MEMORY.
enum error_code zeromq_send(void *socket, const uint32_t *id, struct bytes message, bool coded, struct bytes body, size_t max);

// Waits until one of the sockets (NULL: none there; at most 16), or `fd` (-1: none), has something to read; returns a bit for each that
// has, `fd` at bit `count`. 0: nothing in time, a signal, or it was woken for something else. -1: for ever.
unsigned zeromq_poll(void *const *sockets, unsigned count, int fd, long timeout_ms);

void zeromq_keypair(struct public_key *ret_public, struct secret_key *ret_secret); // CURVE
