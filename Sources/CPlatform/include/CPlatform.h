// What Glibc hides from Swift, and the few functions that must be C.
//
// Functions that return `-errno` do so because errno read from Swift a moment later may be another's.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/// open(2) flags that Glibc shows only under _GNU_SOURCE.
extern const int pail_O_DIRECT, pail_O_TMPFILE, pail_O_PATH, pail_O_NOATIME;
/// lseek(2) whence.
extern const int pail_SEEK_DATA, pail_SEEK_HOLE;
/// fallocate(2) modes.
extern const int pail_FALLOC_FL_KEEP_SIZE, pail_FALLOC_FL_PUNCH_HOLE, pail_FALLOC_FL_ZERO_RANGE,
    pail_FALLOC_FL_COLLAPSE_RANGE, pail_FALLOC_FL_INSERT_RANGE;
/// renameat2(2) flags.
extern const unsigned pail_RENAME_NOREPLACE, pail_RENAME_EXCHANGE, pail_RENAME_WHITEOUT;
/// *at(2) flags.
extern const int pail_AT_EMPTY_PATH, pail_AT_SYMLINK_NOFOLLOW;
/// sync_file_range(2) flags.
extern const unsigned pail_SYNC_FILE_RANGE_WAIT_BEFORE, pail_SYNC_FILE_RANGE_WRITE,
    pail_SYNC_FILE_RANGE_WAIT_AFTER;

/// Names the calling thread for `ps -L` and `top -H`; only the first 15 bytes count.
void pail_set_thread_name(const char *name);

/// prctl(2), PR_SET_DUMPABLE 0.
void pail_set_not_dumpable(void);
/// openlog(3) as "pail" with LOG_PID for LOG_DAEMON.
void pail_open_syslog(void);
/// syslog(3); the line is not a format.
void pail_syslog(int priority, const char *line);

/// CRC32C of `count` bytes, going on from `crc` (0 to begin). By hardware where there is any.
uint32_t pail_crc32c(uint32_t crc, const void *bytes, size_t count);
/// The same by tables, on any processor.
uint32_t pail_crc32c_software(uint32_t crc, const void *bytes, size_t count);
/// 1 when pail_crc32c uses the processor's instruction.
int pail_crc32c_is_hardware(void);

/// The user at the other end of a Unix socket (SO_PEERCRED), or -errno.
int64_t pail_peer_uid(int socket);
/// accept4(2) with SOCK_CLOEXEC and SOCK_NONBLOCK, tried again on EINTR. Returns the socket or -errno.
int pail_accept(int listener);
/// Closes all descriptors from `first` on (close_range(2), else one by one).
void pail_close_from(int first);

/// openat(2), tried again on EINTR. Returns the descriptor or -errno.
int pail_openat(int directory, const char *name, int flags, unsigned mode);
/// pread(2) until all is read or the file ends. Returns the bytes read or -errno.
ssize_t pail_pread_all(int fd, void *memory, size_t count, int64_t offset);
/// pwrite(2) until all is written. Returns 0 or -errno.
int pail_pwrite_all(int fd, const void *memory, size_t count, int64_t offset);
/// pwritev(2) until all is written; `pieces` is changed. Returns 0 or -errno.
int pail_pwritev_all(int fd, struct iovec *pieces, int count, int64_t offset);
/// fallocate(2) with PUNCH_HOLE | KEEP_SIZE. Returns 0 or -errno.
int pail_punch_hole(int fd, int64_t offset, int64_t count);
/// fallocate(2). Returns 0 or -errno.
int pail_fallocate(int fd, int mode, int64_t offset, int64_t count);
/// sync_file_range(2). Returns 0 or -errno.
int pail_sync_file_range(int fd, int64_t offset, int64_t count, unsigned flags);
/// renameat2(2). Returns 0 or -errno.
int pail_renameat2(int from_directory, const char *from, int to_directory, const char *to,
                   unsigned flags);
/// copy_file_range(2). Returns the bytes copied or -errno.
ssize_t pail_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset,
                             size_t count);
/// lseek(2) with SEEK_DATA or SEEK_HOLE, or any other. Returns the offset or -errno.
int64_t pail_lseek(int fd, int64_t offset, int whence);

#ifdef __cplusplus
}
#endif
