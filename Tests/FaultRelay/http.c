// Finds heads and bodies of HTTP/1.1 messages in a byte stream. Changes nothing, keeps one head.
// Pipelined requests are not expected. What is not HTTP (TLS) passes as one opaque piece.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "relay.h"

const char *const method_names[M_COUNT] = {"GET", "HEAD", "PUT", "POST", "DELETE", "OTHER"};

// The value of a header in the complete head, or NULL. Ends at the line's end.
static const char *header(const scanner *s, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strchr(s->head, '\n'); line; line = strchr(line, '\n')) {
        line++;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1;
            while (*value == ' ' || *value == '\t') value++;
            return value;
        }
    }
    return NULL;
}

static int method_of(const char *head) {
    for (int m = 0; m < M_OTHER; m++) {
        size_t length = strlen(method_names[m]);
        if (strncmp(head, method_names[m], length) == 0 && head[length] == ' ') return m;
    }
    return M_OTHER;
}

// Chooses the state behind a complete head. RFC 9112, 6.3.
static void end_head(scanner *s, piece *result, int answers_head) {
    s->head[s->head_length] = 0;
    const char *encoding = header(s, "transfer-encoding"), *size = header(s, "content-length");
    int is_chunked = encoding && strncasecmp(encoding, "chunked", 7) == 0;
    int has_body = 1;
    result->head_done = 1;
    s->length = -1;
    if (s->is_response) {
        const char *space = strchr(s->head, ' ');
        s->status = space ? atoi(space) : 0;
        if (s->status / 100 == 1) { s->state = S_HEAD; return; }
        has_body = !answers_head && s->status != 204 && s->status != 304;
    } else {
        const char *expect = header(s, "expect");
        s->method = method_of(s->head);
        s->expects = expect && strncasecmp(expect, "100-", 4) == 0;
        has_body = is_chunked || size;
    }
    if (!has_body) {
        s->length = 0;
    } else if (is_chunked) {
        s->state = S_CHUNK_SIZE;
        s->left = s->line = 0;
        return;
    } else if (size) {
        s->length = s->left = atoll(size);
    } else {
        s->state = S_CLOSE;
        return;
    }
    s->state = s->length > 0 ? S_LENGTH : S_HEAD;
    result->message_done = s->length <= 0;
}

static piece scan_head(scanner *s, const char *bytes, size_t n, int answers_head) {
    piece result = {.is_head = 1};
    while (result.length < n) {
        if (s->head_length + 1 == sizeof s->head) { s->state = S_OPAQUE; return result; }
        char byte = bytes[result.length++];
        s->head[s->head_length++] = byte;
        size_t l = s->head_length;
        if (l == 1 && (byte < 'A' || byte > 'Z')) { s->state = S_OPAQUE; return result; }
        if (byte == '\n' && l >= 4 && memcmp(s->head + l - 4, "\r\n\r\n", 4) == 0) {
            end_head(s, &result, answers_head);
            return result;
        }
    }
    return result;
}

// One byte of a chunk-size line, of the line end behind a chunk, or of the trailers.
static void scan_framing(scanner *s, char byte, piece *result) {
    if (byte == '\r') return;
    if (byte != '\n') {
        int is_digit = byte >= '0' && byte <= '9', lower = byte | 0x20;
        int is_letter = lower >= 'a' && lower <= 'f';
        if (s->state == S_CHUNK_SIZE && s->line >= 0) {
            int digit = is_digit ? byte - '0' : lower - 'a' + 10;
            if (is_digit || is_letter) s->left = s->left * 16 + digit;
            else s->line = -1000000; // an extension: no more digits
        }
        s->line++;
        return;
    }
    int was_empty = s->line == 0;
    s->line = 0;
    if (s->state == S_CHUNK_END) {
        s->state = S_CHUNK_SIZE;
        s->left = 0;
    } else if (s->state == S_CHUNK_SIZE) {
        s->state = s->left > 0 ? S_CHUNK : S_TRAILER;
    } else if (was_empty) {
        s->state = S_HEAD;
        result->message_done = 1;
    }
}

piece scan(scanner *s, const char *bytes, size_t n, int answers_head) {
    piece result = {0};
    switch (s->state) {
    case S_HEAD:
        return scan_head(s, bytes, n, answers_head);
    case S_LENGTH:
    case S_CHUNK:
        result.is_body = 1;
        result.length = (long long)n < s->left ? n : (size_t)s->left;
        s->left -= result.length;
        if (s->left > 0) return result;
        if (s->state == S_CHUNK) {
            s->state = S_CHUNK_END;
            s->line = 0;
        } else {
            s->state = S_HEAD;
            result.message_done = 1;
        }
        return result;
    case S_CHUNK_SIZE:
    case S_CHUNK_END:
    case S_TRAILER:
        while (result.length < n && s->state != S_CHUNK && !result.message_done)
            scan_framing(s, bytes[result.length++], &result);
        return result;
    case S_CLOSE:
    case S_OPAQUE:
        break;
    }
    result.is_body = s->state == S_CLOSE;
    result.length = n;
    return result;
}
