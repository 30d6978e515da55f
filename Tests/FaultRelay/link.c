// One relayed connection: two sockets and a queue of delayed bytes in each direction.
//
// Bytes read get the time they are due on the other side: behind what the rate allows, and half a
// round trip later. A new connection costs one round trip more, as a handshake does. Faults are
// put into the queue where they belong in the stream, so that they too arrive in order.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"

enum { CHUNK = 256 << 10, ROUNDS = 4 };
#define MIB 1048576.0
static const size_t QUEUE_LIMIT = 64u << 20, BLOCKED_LIMIT = 4u << 20;

typedef struct chunk {
    struct chunk *next;
    int64_t due;
    size_t length, offset;
    char data[CHUNK];
} chunk;
typedef enum { OPEN, END_FIN, END_RESET, ENDED } ending;
typedef struct {
    chunk *head, *tail;
    size_t queued;
    int64_t free_at;    // when the link has carried all bytes queued so far
    int64_t last_due;
    ending end;         // what follows the last byte
} queue;
enum { CLIENT, SERVER };
typedef struct {
    int fd, readable, writable;
} end_point;
typedef struct connection {
    struct connection *next;
    end_point ends[2];
    queue queues[2];     // [CLIENT]: from the client to the server, [SERVER]: back
    scanner scanners[2]; // of what comes from that end
    int64_t handshake_done;
    int swallowing;      // the request under way is answered here
    long long truncate_in; // bytes of body until the close, -1 for none
    int is_dead;
} connection;

settings faults;
statistics counters;
static connection *links;
static chunk *spare;
static uint64_t random_state = 1;

int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

void links_seed(uint64_t seed) { random_state = seed * 0x9E3779B97F4A7C15u | 1; }

static double random_unit(void) { // xorshift64*
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (double)((random_state * 0x2545F4914F6CDD1Du) >> 11) / 9007199254740992.0;
}

static int happens(double permille) { return permille > 0 && random_unit() * 1000 < permille; }

static chunk *take_chunk(void) {
    chunk *c = spare;
    if (c) spare = c->next;
    else if (!(c = malloc(sizeof *c))) abort();
    c->next = NULL;
    c->length = c->offset = 0;
    return c;
}

static void give_chunk(chunk *c) {
    c->next = spare;
    spare = c;
}

static void append(connection *l, int from, chunk *c) {
    queue *q = &l->queues[from];
    int64_t start = now_us();
    if (from == CLIENT && start < l->handshake_done) start = l->handshake_done;
    if (start < q->free_at) start = q->free_at;
    q->free_at = start;
    if (faults.rate > 0) q->free_at += (int64_t)(c->length / (faults.rate * MIB) * 1e6);
    c->due = q->free_at + (int64_t)(faults.rtt * 500);
    if (c->due < q->last_due) c->due = q->last_due; // in order, also when the settings change
    q->last_due = c->due;
    if (q->tail) q->tail->next = c;
    else q->head = c;
    q->tail = c;
    q->queued += c->length;
    if (from == CLIENT) counters.up += c->length;
    else counters.down += c->length;
}

static void append_bytes(connection *l, int from, const char *bytes, size_t n) {
    while (n > 0) {
        chunk *c = take_chunk();
        c->length = n < CHUNK ? n : CHUNK;
        memcpy(c->data, bytes, c->length);
        append(l, from, c);
        bytes += c->length;
        n -= c->length;
    }
}

static void kill_link(connection *l, int with_reset) {
    if (l->is_dead) return;
    l->is_dead = 1;
    for (int side = 0; side < 2; side++) {
        struct linger now = {1, 0};
        if (with_reset) setsockopt(l->ends[side].fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(l->ends[side].fd);
        for (chunk *c = l->queues[side].head, *next; c; c = next) {
            next = c->next;
            give_chunk(c);
        }
        l->queues[side].head = NULL;
    }
}

void links_reset_all(void) {
    for (connection *l = links; l; l = l->next) kill_link(l, 1);
}

void link_open(int client, int epoll, uint16_t target_port) {
    int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(target_port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection *l = calloc(1, sizeof *l);
    if (!l || server < 0 || (connect(server, (void *)&a, sizeof a) && errno != EINPROGRESS)) {
        free(l);
        if (server >= 0) close(server);
        close(client);
        return;
    }
    l->truncate_in = -1;
    l->handshake_done = now_us() + (int64_t)(faults.rtt * 1000);
    l->scanners[SERVER].is_response = 1;
    l->next = links;
    links = l;
    counters.connections++;
    for (int side = 0; side < 2; side++) {
        int fd = side == CLIENT ? client : server;
        l->ends[side] = (end_point){fd, 0, 0};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        uint32_t wanted = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
        struct epoll_event e = {wanted, {.ptr = &l->ends[side]}};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

void link_event(void *end, uint32_t events) {
    end_point *e = end;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) e->readable = 1;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) e->writable = 1;
}

// Answers the request under way without the server.
static void answer_503(connection *l, int is_head, int may_go_on) {
    static const char body[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code><Message>Please "
        "reduce your request rate.</Message><RequestId>fault-relay</RequestId></Error>";
    char text[1024];
    int n = snprintf(text, sizeof text,
        "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %zu\r\n"
        "x-amz-request-id: fault-relay\r\n%s\r\n%s", sizeof body - 1,
        may_go_on ? "" : "Connection: close\r\n", is_head ? "" : body);
    append_bytes(l, SERVER, text, (size_t)n);
    if (!may_go_on) l->queues[SERVER].end = END_FIN;
}

// Takes requests apart: counts them, forwards them or answers them here.
static void from_client(connection *l, chunk *c) {
    scanner *s = &l->scanners[CLIENT];
    int is_plain = s->state == S_OPAQUE || (s->state == S_LENGTH && s->left > (long long)c->length);
    if (is_plain && !l->swallowing) {
        scan(s, c->data, c->length, 0);
        append(l, CLIENT, c);
        return;
    }
    for (size_t at = 0; at < c->length;) {
        piece p = scan(s, c->data + at, c->length - at, 0);
        if (p.head_done) {
            counters.requests[s->method]++;
            l->swallowing = happens(faults.error_503);
            counters.errors += (unsigned)l->swallowing;
            if (!l->swallowing) append_bytes(l, CLIENT, s->head, s->head_length);
            s->head_length = 0;
        } else if (s->state == S_OPAQUE && s->head_length) { // not HTTP: let go of what was held
            append_bytes(l, CLIENT, s->head, s->head_length);
            s->head_length = 0;
        } else if (!p.is_head && !l->swallowing) {
            append_bytes(l, CLIENT, c->data + at, p.length);
        }
        int must_close = l->swallowing && s->expects && p.head_done && !p.message_done;
        if (l->swallowing && (p.message_done || must_close)) {
            answer_503(l, s->method == M_HEAD, !must_close);
            if (!must_close) l->swallowing = 0;
        }
        at += p.length;
    }
    give_chunk(c);
}

// Follows responses for the faults that belong inside them. The rest of the stream is dropped when
// one of them ends it.
static void from_server(connection *l, chunk *c) {
    scanner *s = &l->scanners[SERVER];
    queue *q = &l->queues[SERVER];
    size_t keep = c->length;
    if (happens(faults.cut * c->length / MIB)) {
        keep = (size_t)(random_unit() * c->length);
        q->end = END_RESET;
        counters.cut++;
    }
    for (size_t at = 0; at < keep;) {
        piece p = scan(s, c->data + at, keep - at, l->scanners[CLIENT].method == M_HEAD);
        if (p.head_done) {
            s->head_length = 0;
            int has_body = s->state != S_HEAD;
            if (has_body && happens(faults.truncate))
                l->truncate_in = (long long)(random_unit() * (s->length > 0 ? s->length : 1));
        }
        if (p.is_body && l->truncate_in >= 0) {
            if (l->truncate_in < (long long)p.length) {
                keep = at + (size_t)l->truncate_in;
                q->end = END_FIN;
                counters.truncated++;
                break;
            }
            l->truncate_in -= (long long)p.length;
        }
        if (p.is_body && happens(faults.corrupt * p.length / MIB)) {
            c->data[at + (size_t)(random_unit() * p.length)] ^= 0x20;
            counters.corrupted++;
        }
        at += p.length;
    }
    c->length = keep;
    if (keep > 0) append(l, SERVER, c);
    else give_chunk(c);
}

static void pump_in(connection *l, int side) {
    end_point *e = &l->ends[side];
    queue *q = &l->queues[side];
    size_t most = CHUNK;
    if (faults.rate > 0 && faults.rate * MIB * 0.005 < most) { // at most 5 ms of the link at once
        most = (size_t)(faults.rate * MIB * 0.005);
        if (most < 4096) most = 4096;
    }
    for (int round = 0; round < ROUNDS && e->readable && q->end == OPEN; round++) {
        int is_blocked = !l->ends[!side].writable;
        if (q->queued >= (is_blocked ? BLOCKED_LIMIT : QUEUE_LIMIT)) return;
        chunk *c = take_chunk();
        ssize_t n = recv(e->fd, c->data, most, MSG_DONTWAIT);
        if (n > 0) {
            c->length = (size_t)n;
            if (side == CLIENT) from_client(l, c);
            else from_server(l, c);
            continue;
        }
        give_chunk(c);
        if (n < 0 && errno == EINTR) continue;
        e->readable = 0;
        if (n == 0) q->end = END_FIN;
        else if (errno != EAGAIN) q->end = END_RESET;
    }
}

// Returns when the next byte is due, 0 when something can be done at once, -1 for never.
static int64_t pump_out(connection *l, int from, int64_t now) {
    queue *q = &l->queues[from];
    end_point *to = &l->ends[!from];
    for (chunk *c; (c = q->head);) {
        if (c->due > now) return c->due;
        if (!to->writable) return -1;
        ssize_t n = send(to->fd, c->data + c->offset, c->length - c->offset,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            to->writable = 0;
            if (errno != EAGAIN) kill_link(l, 1);
            return -1;
        }
        c->offset += (size_t)n;
        q->queued -= (size_t)n;
        if (c->offset < c->length) continue;
        q->head = c->next;
        if (!q->head) q->tail = NULL;
        give_chunk(c);
    }
    if (q->end == END_RESET) {
        kill_link(l, 1);
    } else if (q->end == END_FIN) {
        q->end = ENDED;
        shutdown(to->fd, SHUT_WR);
        // What the server ended is over: a client that keeps its half open gets no more.
        if (from == SERVER || l->queues[!from].end == ENDED) kill_link(l, 0);
    }
    return -1;
}

int64_t links_service(void) {
    int64_t next = -1, now = now_us();
    for (connection **at = &links; *at;) {
        connection *l = *at;
        for (int side = 0; side < 2 && !l->is_dead && !faults.blackhole; side++) {
            pump_in(l, side);
            int64_t due = pump_out(l, side, now);
            if (l->is_dead) break;
            end_point *e = &l->ends[side];
            size_t limit = l->ends[!side].writable ? QUEUE_LIMIT : BLOCKED_LIMIT;
            int has_room = l->queues[side].queued < limit;
            if (e->readable && has_room && l->queues[side].end == OPEN) due = 0;
            if (due >= 0 && (next < 0 || due < next)) next = due;
        }
        if (l->is_dead) {
            *at = l->next;
            free(l);
        } else {
            at = &l->next;
        }
    }
    return next;
}
