// What the parts of fault-relay share. See main.c for what it is.
#pragma once
#include <stddef.h>
#include <stdint.h>

// --- Settings, changeable at run time -----------------------------------------------------------
typedef struct {
    double rtt;         // milliseconds, half of it each way
    double rate;        // MiB/s per connection and direction, 0 = not paced
    double cut;         // chance in 1000, per MiB downstream, of a reset
    double error_503;   // chance in 1000, per request, of 503 SlowDown instead of forwarding it
    double corrupt;     // chance in 1000, per MiB of response bodies, of a flipped byte
    double truncate;    // chance in 1000, per response, of a close inside its body
    double blackhole;   // not 0: connections are accepted, nothing moves
} settings;

enum { M_GET, M_HEAD, M_PUT, M_POST, M_DELETE, M_OTHER, M_COUNT };

typedef struct {
    unsigned long long connections, requests[M_COUNT], up, down;
    unsigned long long cut, errors, corrupted, truncated;
} statistics;

extern settings faults;
extern statistics counters;
extern const char *const method_names[M_COUNT];

// --- http.c: where heads and bodies are ---------------------------------------------------------
enum scan_state {
    S_HEAD, S_LENGTH, S_CHUNK_SIZE, S_CHUNK, S_CHUNK_END, S_TRAILER, S_CLOSE, S_OPAQUE
};

typedef struct {
    int is_response;
    enum scan_state state;
    long long left;      // bytes of the body or chunk still to come
    long long length;    // of the body, -1 when not told ahead
    int line;            // bytes in the current framing line
    int method;          // of the request whose head was complete last
    int status;          // of the response whose head was complete last
    int expects;         // the request waits for 100 Continue
    size_t head_length;
    char head[32768];
} scanner;

typedef struct {
    size_t length;       // bytes of this piece, at least 1
    int is_head, is_body;
    int head_done;       // scanner.head is complete
    int message_done;
} piece;

// The first piece of the given bytes (n > 0). `answers_head`: the response is for a HEAD request.
piece scan(scanner *s, const char *bytes, size_t n, int answers_head);

// --- link.c: connections ------------------------------------------------------------------------
int64_t now_us(void);
// Makes a connection for an accepted socket; takes the socket.
void link_open(int client, int epoll, uint16_t target_port);
// An epoll event for a connection's end.
void link_event(void *end, uint32_t events);
// Moves what may move in all connections. Returns when to be called again at the latest (us), -1
// for never.
int64_t links_service(void);
void links_reset_all(void);
void links_seed(uint64_t seed);
