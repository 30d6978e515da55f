// The benchmark's client: cheap enough never to be the bottleneck. It signs nothing (the paths come
// presigned) and checks only status and length.
//
//   client get HOST PORT THREADS <paths     GETs over one keep-alive connection a thread
//   client read THREADS <paths              reads whole files, in the order of the list
//   client random FILE COUNT SEED           4 KiB reads at random aligned offsets
//   client first <paths                     open and first 4 KiB of each; the median on stdout, in ms
//
// Prints the seconds it took (get, read, random) and exits 1 at the first failure.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char **paths;
static size_t path_count;
static atomic_size_t next_path;
static const char *host, *port;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what, const char *which) {
    fprintf(stderr, "client: %s: %s (%s)\n", what, which, strerror(errno));
    exit(1);
}

static void load_paths(void) {
    char *line = NULL;
    size_t size = 0, room = 0;
    ssize_t length;
    while ((length = getline(&line, &size, stdin)) > 0) {
        if (line[length - 1] == '\n') line[length - 1] = 0;
        if (path_count == room) paths = realloc(paths, (room = room * 2 + 1024) * sizeof *paths);
        paths[path_count++] = strdup(line);
    }
}

static int connect_to_server(void) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    int one = 1, descriptor;
    if (getaddrinfo(host, port, &hints, &found)) fail("no address", host);
    descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(descriptor, found->ai_addr, found->ai_addrlen)) fail("connect", host);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    freeaddrinfo(found);
    return descriptor;
}

static void get_one(int descriptor, const char *path, char *buffer, size_t size) {
    size_t have = 0;
    int length = snprintf(buffer, size, "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", path, host, port);
    if (write(descriptor, buffer, length) != length) fail("send", path);
    char *end = NULL;
    while (!end) {
        ssize_t count = read(descriptor, buffer + have, size - 1 - have);
        if (count <= 0) fail("answer", path);
        have += count;
        buffer[have] = 0;
        end = strstr(buffer, "\r\n\r\n");
    }
    if (strncmp(buffer + 9, "20", 2)) fail("status", buffer);
    char *field = strcasestr(buffer, "\r\ncontent-length:");
    if (!field || field > end) fail("no Content-Length", path);
    int64_t left = strtoll(field + 17, NULL, 10) - (int64_t)(have - (end + 4 - buffer));
    while (left > 0) {
        ssize_t count = read(descriptor, buffer, left < (int64_t)size ? (size_t)left : size);
        if (count <= 0) fail("body", path);
        left -= count;
    }
}

static void *getter(void *unused) {
    size_t index, size = 256 << 10;
    char *buffer = malloc(size);
    int descriptor = connect_to_server();
    while ((index = atomic_fetch_add(&next_path, 1)) < path_count)
        get_one(descriptor, paths[index], buffer, size);
    close(descriptor);
    return unused;
}

static void *file_reader(void *unused) {
    size_t index, size = 256 << 10;
    char *buffer = malloc(size);
    while ((index = atomic_fetch_add(&next_path, 1)) < path_count) {
        int descriptor = open(paths[index], O_RDONLY);
        struct stat status;
        if (descriptor < 0 || fstat(descriptor, &status)) fail("open", paths[index]);
        off_t total = 0;
        ssize_t count;
        while ((count = read(descriptor, buffer, size)) > 0) total += count;
        if (count < 0 || total != status.st_size) fail("read", paths[index]);
        close(descriptor);
    }
    return unused;
}

static void in_threads(int count, void *(*work)(void *)) {
    pthread_t threads[256];
    if (count < 1 || count > 256) fail("threads", "1 to 256");
    double start = now();
    for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    printf("%.4f\n", now() - start);
}

static void random_reads(const char *path, int count, uint64_t state) {
    static char buffer[4096];
    struct stat status;
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0 || fstat(descriptor, &status)) fail("open", path);
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM);
    double start = now();
    for (int i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        off_t offset = (off_t)((state >> 20) % (status.st_size / 4096)) * 4096;
        if (pread(descriptor, buffer, 4096, offset) != 4096) fail("pread", path);
    }
    printf("%.4f\n", now() - start);
}

static int by_value(const void *a, const void *b) {
    double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}

static void first_reads(void) {
    static char buffer[4096];
    double *took = malloc(path_count * sizeof *took);
    for (size_t i = 0; i < path_count; i++) {
        double start = now();
        int descriptor = open(paths[i], O_RDONLY);
        if (descriptor < 0 || read(descriptor, buffer, 4096) <= 0) fail("read", paths[i]);
        took[i] = now() - start;
        close(descriptor);
    }
    qsort(took, path_count, sizeof *took, by_value);
    printf("%.3f\n", took[path_count / 2] * 1000);
}

int main(int argc, char **argv) {
    if (argc == 5 && !strcmp(argv[1], "get")) {
        host = argv[2], port = argv[3];
        load_paths();
        in_threads(atoi(argv[4]), getter);
    } else if (argc == 3 && !strcmp(argv[1], "read")) {
        load_paths();
        in_threads(atoi(argv[2]), file_reader);
    } else if (argc == 5 && !strcmp(argv[1], "random")) {
        random_reads(argv[2], atoi(argv[3]), strtoull(argv[4], NULL, 10));
    } else if (argc == 2 && !strcmp(argv[1], "first")) {
        load_paths();
        first_reads();
    } else {
        fputs("see the first lines of client.c\n", stderr);
        return 64;
    }
    return 0;
}
