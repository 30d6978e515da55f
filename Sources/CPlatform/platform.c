#include "CPlatform.h"
#include <dirent.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <syslog.h>
#include <sys/prctl.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const int pail_O_DIRECT = O_DIRECT, pail_O_TMPFILE = O_TMPFILE, pail_O_PATH = O_PATH,
          pail_O_NOATIME = O_NOATIME;
const int pail_SEEK_DATA = SEEK_DATA, pail_SEEK_HOLE = SEEK_HOLE;
const int pail_FALLOC_FL_KEEP_SIZE = FALLOC_FL_KEEP_SIZE,
          pail_FALLOC_FL_PUNCH_HOLE = FALLOC_FL_PUNCH_HOLE,
          pail_FALLOC_FL_ZERO_RANGE = FALLOC_FL_ZERO_RANGE,
          pail_FALLOC_FL_COLLAPSE_RANGE = FALLOC_FL_COLLAPSE_RANGE,
          pail_FALLOC_FL_INSERT_RANGE = FALLOC_FL_INSERT_RANGE;
const unsigned pail_RENAME_NOREPLACE = RENAME_NOREPLACE, pail_RENAME_EXCHANGE = RENAME_EXCHANGE,
               pail_RENAME_WHITEOUT = RENAME_WHITEOUT;
const int pail_AT_EMPTY_PATH = AT_EMPTY_PATH, pail_AT_SYMLINK_NOFOLLOW = AT_SYMLINK_NOFOLLOW;
const unsigned pail_SYNC_FILE_RANGE_WAIT_BEFORE = SYNC_FILE_RANGE_WAIT_BEFORE,
               pail_SYNC_FILE_RANGE_WRITE = SYNC_FILE_RANGE_WRITE,
               pail_SYNC_FILE_RANGE_WAIT_AFTER = SYNC_FILE_RANGE_WAIT_AFTER;

void pail_set_thread_name(const char *name) {
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = 0;
    pthread_setname_np(pthread_self(), cut);
}

int64_t pail_peer_uid(int socket) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -(int64_t)errno;
    return (int64_t)peer.uid;
}

int pail_accept(int listener) {
    int fd;
    do fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

void pail_close_from(int first) {
    if (close_range(first, ~0U, 0) == 0) return;
    // Kernels before 5.9, and sandboxes that forbid it.
    DIR *open = opendir("/proc/self/fd");
    if (!open) {
        for (int fd = first; fd < 65536; fd++) close(fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(open))) {
        int fd = atoi(entry->d_name);
        if (fd >= first && fd != dirfd(open)) close(fd);
    }
    closedir(open);
}

int pail_openat(int directory, const char *name, int flags, unsigned mode) {
    int fd;
    do fd = openat(directory, name, flags, mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

ssize_t pail_pread_all(int fd, void *memory, size_t count, int64_t offset) {
    size_t done = 0;
    while (done < count) {
        ssize_t n = pread(fd, (char *)memory + done, count - done, offset + done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) break;
        done += n;
    }
    return done;
}

int pail_pwrite_all(int fd, const void *memory, size_t count, int64_t offset) {
    struct iovec piece = {(void *)memory, count};
    return pail_pwritev_all(fd, &piece, 1, offset);
}

int pail_pwritev_all(int fd, struct iovec *pieces, int count, int64_t offset) {
    while (count > 0) {
        ssize_t n = pwritev(fd, pieces, count < 1024 ? count : 1024, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return -EIO;
        offset += n;
        while (count > 0 && (size_t)n >= pieces->iov_len) {
            n -= pieces->iov_len;
            pieces++;
            count--;
        }
        if (n > 0) {
            pieces->iov_base = (char *)pieces->iov_base + n;
            pieces->iov_len -= n;
        }
    }
    return 0;
}

int pail_fallocate(int fd, int mode, int64_t offset, int64_t count) {
    int result;
    do result = fallocate(fd, mode, offset, count);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int pail_punch_hole(int fd, int64_t offset, int64_t count) {
    return pail_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}

int pail_sync_file_range(int fd, int64_t offset, int64_t count, unsigned flags) {
    return sync_file_range(fd, offset, count, flags) < 0 ? -errno : 0;
}

int pail_renameat2(int from_directory, const char *from, int to_directory, const char *to,
                   unsigned flags) {
    return renameat2(from_directory, from, to_directory, to, flags) < 0 ? -errno : 0;
}

ssize_t pail_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset,
                             size_t count) {
    off_t in = from_offset, out = to_offset;
    ssize_t n;
    do n = copy_file_range(from, &in, to, &out, count, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t pail_lseek(int fd, int64_t offset, int whence) {
    off_t result = lseek(fd, offset, whence);
    return result < 0 ? -errno : result;
}

void pail_set_not_dumpable(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

void pail_open_syslog(void) { openlog("pail", LOG_PID, LOG_DAEMON); }

void pail_syslog(int priority, const char *line) { syslog(priority, "%s", line); }
