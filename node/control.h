// The node's side of DIR/control.sock (schema/control.proto), and the framing both sides share: a 4-byte big-endian length, then the
// message. Only the node's own user and root may talk.
//
// One thread accepts; each connection has a thread of its own with a small stack, so that no client can hold up another. All of them
// sleep in poll() while nothing comes: an idle node pays nothing.
#pragma once
#include "relay/bytes.h"
#include "relay/error.h"

enum {
    CONTROL_CONNECTIONS_MAX = 64,            // people and dashboards on one machine; a 65th is told ERR_BUSY
    CONTROL_PENDING_MAX = 256 * 1024 * 1024, // bytes of requests under way, all connections: four of the largest
    CONTROL_RECEIVE_MS = 60 * 1000,          // for a whole request to arrive, from the moment it is waited for; then the connection ends
    CONTROL_SEND_MS = 60 * 1000,             // for a whole reply to be taken
    CONTROL_STACK = 256 * 1024,              // bytes a connection: what the handler may use
};

struct control;
struct control_reply; // where a request's answer goes; lives as long as the handler's call

// Sends one Reply. Called from handle(): any number of progress messages, then exactly one answer. ERR_NETWORK: the client is gone;
// ERR_TIMEOUT: it does not read; ERR_STATE: it does not read and the node stops; ERR_LIMIT: over CONTROL_MESSAGE_MAX. After any of
// these further calls do nothing, and the connection ends.
enum error_code control_answer(struct control_reply *reply, struct bytes message);

struct control_config {
    const char *dir; // the station's directory
    // Called on the connection's thread, from several threads at once. `request` is not checked in any way and lives for the call.
    void (*handle)(void *context, struct bytes request, struct control_reply *reply);
    void *context;
    int receive_ms, send_ms; // 0: CONTROL_RECEIVE_MS, CONTROL_SEND_MS
};

// Binds DIR/control.sock (mode 0600), replacing the socket file of a node that has ended. ERR_BUSY: a node listens there; ERR_EXISTS:
// something that is no socket has the name; ERR_IO, ERR_MEMORY.
enum error_code control_start(const struct control_config *config, struct control **ret, struct error *error);
// Accepts no more, ends waiting connections, waits for handlers that run, removes the file. Takes NULL.
void control_stop(struct control *control);

// ---- the client's side
// ERR_NOT_FOUND: no node listens in DIR. The caller closes the socket.
enum error_code control_connect(const char *dir, int *ret_socket, struct error *error);
// `timeout_ms` -1: no limit. ERR_NETWORK: the other side is gone; ERR_TIMEOUT; ERR_LIMIT; ERR_MEMORY.
enum error_code control_send(int socket, struct bytes message, int timeout_ms, struct error *error);
// Appends one message to `ret`.
enum error_code control_receive(int socket, int timeout_ms, struct buffer *ret, struct error *error);
