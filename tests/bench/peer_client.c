// Clients of the peers, as fast as their protocols let them be: messages are sent without waiting, with so many unacknowledged at most.
//   peer_client nats PORT SUBJECT COUNT SIZE WINDOW     publishes to a JetStream stream; ends when all are acknowledged
//   peer_client mqtt PORT TOPIC COUNT SIZE WINDOW       the same, QoS 1
//   peer_client mqtt-take PORT TOPIC COUNT              subscribes, QoS 1; says "ready", and ends when so many have come
// Each says at the end when that was (CLOCK_MONOTONIC, seconds).
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "relay/bytes.h"

enum {
    BUFFER = 1 << 20,
    SIZE_MAX_OF_ONE = 256 * 1024,
    PATIENCE_MS = 120 * 1000, // without a byte either way
    HEADER_MAX = 256,         // bytes of protocol before a payload
};

struct client {
    int fd;
    size_t out_at, out_size, in_at, in_size;
    uint8_t out[BUFFER + SIZE_MAX_OF_ONE + HEADER_MAX], in[BUFFER];
};
static struct client client;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "peer_client: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void open_client(const char *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    client.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (client.fd < 0 || connect(client.fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void put(const void *data, size_t size)
{
    if (size > sizeof client.out - client.out_size)
        die("the server takes nothing");
    memcpy(client.out + client.out_size, data, size);
    client.out_size += size;
}

static bool has_room(size_t size) { return client.out_size + size + HEADER_MAX <= sizeof client.out; }

// Sends what it can and takes what is there; waits until either is possible.
static void turn(void)
{
    struct pollfd ready = {.fd = client.fd, .events = (short)(POLLIN | (client.out_at < client.out_size ? POLLOUT : 0))};
    if (poll(&ready, 1, PATIENCE_MS) <= 0)
        die("nothing moves");
    if (ready.revents & POLLOUT) {
        ssize_t sent = send(client.fd, client.out + client.out_at, client.out_size - client.out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            die("send");
        client.out_at += sent > 0 ? (size_t)sent : 0;
        if (client.out_at == client.out_size)
            client.out_at = client.out_size = 0;
    }
    if (ready.revents & ~POLLOUT) {
        memmove(client.in, client.in + client.in_at, client.in_size - client.in_at);
        client.in_size -= client.in_at;
        client.in_at = 0;
        ssize_t got = recv(client.fd, client.in + client.in_size, sizeof client.in - client.in_size, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            die("the server hung up");
        client.in_size += got > 0 ? (size_t)got : 0;
    }
}

static void said_when(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%.6f\n", (double)now.tv_sec + (double)now.tv_nsec / 1e9);
}

// ---- NATS: lines of text, payloads behind PUB and MSG (docs.nats.io/reference/reference-protocols/nats-protocol)

// Acknowledgements among what came; answers pings.
static uint64_t nats_take(void)
{
    uint64_t count = 0;
    for (;;) {
        char *line = (char *)client.in + client.in_at, *end = memmem(line, client.in_size - client.in_at, "\r\n", 2);
        if (!end)
            return count;
        size_t length = (size_t)(end - line) + 2;
        if (strncmp(line, "MSG ", 4) == 0) {
            char *size = end;
            while (size[-1] != ' ')
                size--;
            length += strtoul(size, NULL, 10) + 2;
            if (length > client.in_size - client.in_at)
                return count;
            if (memmem(end, length - (size_t)(end - line), "\"error\"", 7))
                die("the stream refuses");
            count++;
        } else if (strncmp(line, "PING", 4) == 0) {
            put("PONG\r\n", 6);
        } else if (strncmp(line, "-ERR", 4) == 0) {
            die("the server refuses");
        }
        client.in_at += length;
    }
}

static void nats(const char *subject, uint64_t count, size_t size, uint64_t window)
{
    static const char hello[] = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB acks.of.one 1\r\n";
    char head[HEADER_MAX];
    static uint8_t payload[SIZE_MAX_OF_ONE];
    memset(payload, 'x', sizeof payload);
    int length = snprintf(head, sizeof head, "PUB %s acks.of.one %zu\r\n", subject, size);
    put(hello, sizeof hello - 1);
    for (uint64_t sent = 0, acknowledged = 0; acknowledged < count;) {
        while (sent < count && sent - acknowledged < window && has_room(size)) {
            put(head, (size_t)length);
            put(payload, size);
            put("\r\n", 2);
            sent++;
        }
        turn();
        acknowledged += nats_take();
    }
}

// ---- MQTT 3.1.1 (OASIS Standard, 2014)

static size_t mqtt_size(uint8_t *to, size_t size)
{
    size_t used = 0;
    do {
        to[used++] = (uint8_t)((size & 0x7F) | (size > 0x7F ? 0x80 : 0));
        size >>= 7;
    } while (size);
    return used;
}

static void mqtt_connect(const char *name)
{
    uint8_t packet[64] = {0x10, (uint8_t)(12 + strlen(name)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, (uint8_t)strlen(name)};
    memcpy(packet + 14, name, strlen(name));
    put(packet, 14 + strlen(name));
}

// The next whole packet: its type, and its contents. False: none is here.
static bool mqtt_next(uint8_t *ret_type, struct bytes *ret)
{
    const uint8_t *at = client.in + client.in_at;
    size_t there = client.in_size - client.in_at, size = 0, used = 1;
    for (unsigned shift = 0;; shift += 7) {
        if (used >= there)
            return false;
        size |= (size_t)(at[used] & 0x7F) << shift;
        if (!(at[used++] & 0x80))
            break;
    }
    if (size > there - used)
        return false;
    *ret_type = at[0];
    *ret = bytes_of(at + used, size);
    client.in_at += used + size;
    return true;
}

static void mqtt(const char *topic, uint64_t count, size_t size, uint64_t window)
{
    static uint8_t payload[SIZE_MAX_OF_ONE];
    uint8_t type, head[HEADER_MAX];
    struct bytes packet;
    size_t name = strlen(topic);
    mqtt_connect("publisher");
    for (uint64_t sent = 0, acknowledged = 0; acknowledged < count;) {
        while (sent < count && sent - acknowledged < window && has_room(size)) {
            head[0] = 0x32; // QoS 1
            size_t used = 1 + mqtt_size(head + 1, 2 + name + 2 + size);
            put_be16(head + used, (uint16_t)name);
            memcpy(head + used + 2, topic, name);
            put_be16(head + used + 2 + name, (uint16_t)(1 + sent % 65535));
            put(head, used + 4 + name);
            put(payload, size);
            sent++;
        }
        turn();
        while (mqtt_next(&type, &packet))
            acknowledged += type >> 4 == 4;
    }
}

static void mqtt_take(const char *topic, uint64_t count)
{
    uint8_t head[HEADER_MAX] = {0x82}, type;
    struct bytes packet;
    size_t name = strlen(topic);
    mqtt_connect("taker");
    head[1] = (uint8_t)(2 + 2 + name + 1);
    put_be16(head + 2, 1);
    put_be16(head + 4, (uint16_t)name);
    memcpy(head + 6, topic, name);
    head[6 + name] = 1;
    put(head, 7 + name);
    for (uint64_t came = 0; came < count;) {
        turn();
        while (mqtt_next(&type, &packet)) {
            if (type >> 4 == 9) {
                puts("ready");
                fflush(stdout);
            }
            if (type >> 4 != 3 || packet.size < 4)
                continue;
            size_t at = 2 + (size_t)get_be16(packet.data);
            uint8_t ack[] = {0x40, 2, packet.data[at], packet.data[at + 1]};
            put(ack, sizeof ack);
            came++;
        }
    }
}

int main(int argc, char **argv)
{
    bool publishes = argc == 7 && (strcmp(argv[1], "nats") == 0 || strcmp(argv[1], "mqtt") == 0);
    if (!publishes && (argc != 5 || strcmp(argv[1], "mqtt-take") != 0)) {
        fprintf(stderr, "see the top of peer_client.c\n");
        return 2;
    }
    uint64_t count = strtoull(argv[4], NULL, 10);
    size_t size = publishes ? strtoul(argv[5], NULL, 10) : 0;
    if (size > SIZE_MAX_OF_ONE || strlen(argv[3]) > 100)
        return 2;
    open_client(argv[2]);
    if (!publishes)
        mqtt_take(argv[3], count);
    else if (strcmp(argv[1], "nats") == 0)
        nats(argv[3], count, size, strtoull(argv[6], NULL, 10));
    else
        mqtt(argv[3], count, size, strtoull(argv[6], NULL, 10));
    said_when();
    close(client.fd);
    return 0;
}
