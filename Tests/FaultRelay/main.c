// fault-relay: a TCP relay on loopback that behaves like a far or broken link in front of an HTTP
// server. For tests; it listens on loopback only and ends by itself with its parent.
//
//   fault-relay --target PORT [--listen PORT] [--control PORT] [--rtt MS] [--rate MIB_PER_S]
//       [--cut N] [--error-503 N] [--corrupt N] [--truncate N] [--blackhole] [--seed N] [--count]
//       [--max-seconds N]
//
// See relay.h for the faults; N is a chance in 1000. A port 0 (the default) takes a free one. The
// first line on stdout says both: "listen PORT control PORT".
// A line sent to the control port changes a setting ("rate 90", "cut 0"), or is one of: "stop"
// (resets all connections, refuses new ones), "go", "stats", "zero" (counters), "quit". Each is
// answered by one line. SIGUSR1, and the end with --count, print the counters.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"

static int epoll_fd, listener = -1, control = -1;
static uint16_t listen_port, target_port;
static volatile sig_atomic_t wants_end, wants_statistics;
static struct { int fd; size_t length; char line[256]; } talker = {.fd = -1};
static int listener_tag, control_tag, talker_tag;

static const struct { const char *name; double *value; } variables[] = {
    {"rtt", &faults.rtt}, {"rate", &faults.rate}, {"cut", &faults.cut},
    {"error-503", &faults.error_503}, {"corrupt", &faults.corrupt}, {"truncate", &faults.truncate},
    {"blackhole", &faults.blackhole},
};
enum { VARIABLES = sizeof variables / sizeof variables[0] };

static void on_signal(int number) {
    if (number == SIGUSR1) wants_statistics = 1;
    else wants_end = 1;
}

static void describe(char *text, size_t size) {
    unsigned long long all = 0;
    for (int m = 0; m < M_COUNT; m++) all += counters.requests[m];
    int n = snprintf(text, size, "connections=%llu requests=%llu",
        counters.connections, all);
    for (int m = 0; m < M_COUNT; m++)
        n += snprintf(text + n, size - n, " %s=%llu", method_names[m],
            counters.requests[m]);
    snprintf(text + n, size - n,
        " up=%llu down=%llu cut=%llu errors=%llu corrupted=%llu truncated=%llu\n", counters.up,
        counters.down, counters.cut, counters.errors, counters.corrupted, counters.truncated);
}

static void print_statistics(void) {
    char text[512];
    describe(text, sizeof text);
    fputs(text, stdout);
    fflush(stdout);
}

// A listening socket on loopback, known to epoll under `tag`; -1 when the port is taken.
static int listen_on(uint16_t *port, void *tag) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t size = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&a, sizeof a) || listen(fd, 1024)) {
        close(fd);
        return -1;
    }
    getsockname(fd, (void *)&a, &size);
    *port = ntohs(a.sin_port);
    struct epoll_event e = {EPOLLIN, {.ptr = tag}};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    return fd;
}

// Performs one command and writes its answer.
static void obey(const char *line, char *answer, size_t size) {
    char name[32] = "";
    double value = 0;
    int words = sscanf(line, "%31s %lf", name, &value);
    snprintf(answer, size, "ok\n");
    if (!strcmp(name, "stats")) {
        describe(answer, size);
    } else if (!strcmp(name, "zero")) {
        memset(&counters, 0, sizeof counters);
    } else if (!strcmp(name, "quit")) {
        wants_end = 1;
    } else if (!strcmp(name, "stop")) {
        if (listener >= 0) close(listener);
        listener = -1;
        links_reset_all();
    } else if (!strcmp(name, "go")) {
        if (listener < 0) listener = listen_on(&listen_port, &listener_tag);
        if (listener < 0) snprintf(answer, size, "error: port %u is taken\n", listen_port);
    } else {
        for (int i = 0; i < VARIABLES; i++) {
            if (strcmp(name, variables[i].name)) continue;
            if (words == 2 && value >= 0) *variables[i].value = value;
            else snprintf(answer, size, "error: %s needs a number of 0 or more\n", name);
            return;
        }
        snprintf(answer, size, "error: no command \"%s\"\n", name);
    }
}

static void close_talker(void) {
    if (talker.fd >= 0) close(talker.fd);
    talker.fd = -1;
    talker.length = 0;
}

// Commands may come in one connection or one after another; a new connection replaces the last.
static void accept_talker(void) {
    int fd = accept4(control, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    close_talker();
    talker.fd = fd;
    struct epoll_event e = {EPOLLIN, {.ptr = &talker_tag}};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static void read_talker(void) {
    ssize_t n = recv(talker.fd, talker.line + talker.length,
                     sizeof talker.line - 1 - talker.length, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) close_talker();
        return;
    }
    talker.length += (size_t)n;
    for (char *end; (end = memchr(talker.line, '\n', talker.length));) {
        char answer[512];
        *end = 0;
        obey(talker.line, answer, sizeof answer);
        if (send(talker.fd, answer, strlen(answer), MSG_NOSIGNAL) < 0) return close_talker();
        talker.length -= (size_t)(end + 1 - talker.line);
        memmove(talker.line, end + 1, talker.length);
    }
    if (talker.length == sizeof talker.line - 1) close_talker();
}

static void accept_clients(void) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
        link_open(fd, epoll_fd, target_port);
}

static void run(int64_t end_at) {
    // PR_SET_PDEATHSIG would end it with the thread that started it, not with the process.
    pid_t parent = getppid();
    int64_t next = -1;
    while (!wants_end && getppid() == parent && now_us() < end_at) {
        struct epoll_event events[256];
        int64_t wait = next < 0 ? 500000 : next - now_us();
        wait = wait < 0 ? 0 : wait > 500000 ? 500000 : wait;
        struct timespec t = {wait / 1000000, wait % 1000000 * 1000};
        int n = epoll_pwait2(epoll_fd, events, 256, &t, NULL);
        int has_clients = 0, has_talker = 0, is_talking = 0;
        for (int i = 0; i < n; i++) {
            void *tag = events[i].data.ptr;
            if (tag == &listener_tag) has_clients = 1;
            else if (tag == &control_tag) has_talker = 1;
            else if (tag == &talker_tag) is_talking = 1;
            else link_event(tag, events[i].events);
        }
        // Only now may connections go away: no event names them any more.
        if (is_talking && talker.fd >= 0) read_talker();
        if (has_talker) accept_talker();
        if (has_clients && listener >= 0) accept_clients();
        next = links_service();
        if (wants_statistics) {
            wants_statistics = 0;
            print_statistics();
        }
    }
}

int main(int argc, char **argv) {
    enum { LISTEN = VARIABLES, CONTROL, TARGET, SEED, COUNT, SECONDS };
    static const struct option options[] = {
        {"rtt", 1, 0, 0}, {"rate", 1, 0, 1}, {"cut", 1, 0, 2}, {"error-503", 1, 0, 3},
        {"corrupt", 1, 0, 4}, {"truncate", 1, 0, 5}, {"blackhole", 0, 0, 6},
        {"listen", 1, 0, LISTEN}, {"control", 1, 0, CONTROL}, {"target", 1, 0, TARGET},
        {"seed", 1, 0, SEED}, {"count", 0, 0, COUNT}, {"max-seconds", 1, 0, SECONDS}, {0},
    };
    uint16_t control_port = 0;
    int counts = 0;
    double seconds = 3600;
    links_seed(1);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == '?') return 64;
        if (option < VARIABLES) *variables[option].value = optarg ? atof(optarg) : 1;
        if (option == LISTEN) listen_port = (uint16_t)atoi(optarg);
        if (option == CONTROL) control_port = (uint16_t)atoi(optarg);
        if (option == TARGET) target_port = (uint16_t)atoi(optarg);
        if (option == SEED) links_seed(strtoull(optarg, NULL, 10));
        if (option == COUNT) counts = 1;
        if (option == SECONDS) seconds = atof(optarg);
    }
    if (optind < argc || !target_port) {
        fprintf(stderr, "fault-relay: --target PORT is needed, and nothing but options\n");
        return 64;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listener = listen_on(&listen_port, &listener_tag);
    control = listen_on(&control_port, &control_tag);
    if (listener < 0 || control < 0) {
        uint16_t port = listener < 0 ? listen_port : control_port;
        fprintf(stderr, "fault-relay: port %u is taken\n", port);
        return 69;
    }
    printf("listen %u control %u\n", listen_port, control_port);
    fflush(stdout);
    run(now_us() + (int64_t)(seconds * 1e6));
    if (counts) print_statistics();
    return 0;
}
