// libfuse 3.14's low-level API as Swift sees it, the mount calls beside it, and the few inline
// functions that must be C: a log function with a va_list, and what Glibc hides without _GNU_SOURCE.
#pragma once
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <fuse3/fuse_opt.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

extern int dup3(int old_fd, int new_fd, int flags);
extern int pipe2(int fds[2], int flags);
extern int pthread_setname_np(pthread_t thread, const char *name);

static inline int pail_dup3(int old_fd, int new_fd, int flags) {
    return dup3(old_fd, new_fd, flags);
}
static inline int pail_pipe2(int fds[2], int flags) { return pipe2(fds, flags); }
static inline int pail_thread_name(pthread_t thread, const char *name) {
    return pthread_setname_np(thread, name);
}

static inline void pail_wake_ignore(int number) { (void)number; }

/// The signal that interrupts a sleeping thread and does nothing else.
static inline int pail_wake_signal(void) { return SIGRTMIN + 7; }

/// Lets the signal interrupt the calling thread's system calls (no SA_RESTART).
static inline void pail_wake_prepare(void) {
    struct sigaction action;
    sigset_t set;
    __builtin_memset(&action, 0, sizeof action);
    action.sa_handler = pail_wake_ignore;
    sigaction(pail_wake_signal(), &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, pail_wake_signal());
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static inline void pail_wake(pthread_t thread) { pthread_kill(thread, pail_wake_signal()); }

/// Starts a child that looks at `path` and writes its errno, 0 for none, as an int to `answer`. The
/// child makes only calls that are safe after a fork of a process with threads.
static inline pid_t pail_probe(const char *path, int answer) {
    pid_t child = fork();
    if (child != 0) return child;
    for (int fd = 0; fd < 1024; fd++)
        if (fd != answer) close(fd);
    struct stat status;
    int error = lstat(path, &status) == 0 ? 0 : errno;
    _exit(write(answer, &error, sizeof error) == sizeof error ? 0 : 1);
}

/// umount2(2)'s flags.
static const int pail_mnt_force = 1;
static const int pail_mnt_detach = 2;
static const int pail_umount_nofollow = 8;

/// Receives one finished line of libfuse's log. `level` is an `enum fuse_log_level`.
void pail_fuse_log_line(int level, const char *line);

static inline void pail_fuse_log_format(enum fuse_log_level level, const char *fmt, va_list ap) {
    char line[1024];
    vsnprintf(line, sizeof line, fmt, ap);
    pail_fuse_log_line((int)level, line);
}

/// Sends libfuse's messages to `pail_fuse_log_line` instead of standard error. Process-wide.
static inline void pail_fuse_take_log(void) { fuse_set_log_func(pail_fuse_log_format); }
