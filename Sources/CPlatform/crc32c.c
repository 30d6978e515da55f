// CRC32C (Castagnoli, RFC 3720 appendix B.4), by the processor's own instruction where it has one.
//
// One crc32 instruction takes 3 cycles but a new one can start every cycle: three interleaved
// streams keep the unit busy. Their results are joined by tables that advance a CRC over the bytes
// of a stream (after Mark Adler's crc32c.c, zlib licence: same mathematics, own code).

#include "CPlatform.h"

#include <string.h>
#if defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

#define POLYNOMIAL 0x82F63B78u
// A 16 KiB chunk is three long streams and 16 bytes.
#define LONG 5456
#define SHORT 256

static uint32_t slices[8][256];
static uint32_t long_shift[4][256];
static uint32_t short_shift[4][256];
static int has_hardware;

static uint32_t load32(const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    return value;
}

uint32_t pail_crc32c_software(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    crc = ~crc;
    for (; count >= 8; p += 8, count -= 8) {
        uint32_t low = load32(p) ^ crc, high = load32(p + 4);
        crc = slices[7][low & 255] ^ slices[6][low >> 8 & 255] ^ slices[5][low >> 16 & 255] ^
              slices[4][low >> 24] ^ slices[3][high & 255] ^ slices[2][high >> 8 & 255] ^
              slices[1][high >> 16 & 255] ^ slices[0][high >> 24];
    }
    for (; count; p++, count--) crc = crc >> 8 ^ slices[0][(crc ^ *p) & 255];
    return ~crc;
}

#if defined(__x86_64__) || defined(__aarch64__)
#if defined(__x86_64__)
#define HARDWARE __attribute__((target("sse4.2")))
#define STEP8(crc, value) ((uint32_t)__builtin_ia32_crc32di((crc), (value)))
#define STEP1(crc, value) __builtin_ia32_crc32qi((crc), (value))
#else
#define HARDWARE __attribute__((target("crc")))
#define STEP8(crc, value) __crc32cd((crc), (value))
#define STEP1(crc, value) __crc32cb((crc), (value))
#endif

static inline uint64_t load64(const uint8_t *p) {
    uint64_t value;
    memcpy(&value, p, 8);
    return value;
}

static inline uint32_t shift(uint32_t table[4][256], uint32_t crc) {
    return table[0][crc & 255] ^ table[1][crc >> 8 & 255] ^ table[2][crc >> 16 & 255] ^
           table[3][crc >> 24];
}

HARDWARE static uint32_t hardware(uint32_t crc, const uint8_t *p, size_t count) {
    uint32_t a = ~crc;
#define STREAMS(LENGTH, TABLE)                                   \
    while (count >= 3 * LENGTH) {                                \
        uint32_t b = 0, c = 0;                                   \
        for (const uint8_t *end = p + LENGTH; p < end; p += 8) { \
            a = STEP8(a, load64(p));                             \
            b = STEP8(b, load64(p + LENGTH));                    \
            c = STEP8(c, load64(p + 2 * LENGTH));                \
        }                                                        \
        a = shift(TABLE, shift(TABLE, a) ^ b) ^ c;               \
        p += 2 * LENGTH;                                         \
        count -= 3 * LENGTH;                                     \
    }
    STREAMS(LONG, long_shift)
    STREAMS(SHORT, short_shift)
    for (; count >= 8; p += 8, count -= 8) a = STEP8(a, load64(p));
    for (; count; p++, count--) a = STEP1(a, *p);
    return ~a;
}
#else
static uint32_t hardware(uint32_t crc, const uint8_t *p, size_t count) {
    return pail_crc32c_software(crc, p, count);
}
#endif

// The table that advances a CRC over `length` zero bytes: the map is linear, so each bit on its own.
static void fill_shift(uint32_t table[4][256], size_t length) {
    uint32_t bits[32];
    for (int bit = 0; bit < 32; bit++) {
        uint32_t crc = 1u << bit;
        for (size_t i = 0; i < length; i++) crc = crc >> 8 ^ slices[0][crc & 255];
        bits[bit] = crc;
    }
    for (int byte = 0; byte < 4; byte++)
        for (int value = 0; value < 256; value++) {
            uint32_t crc = 0;
            for (int bit = 0; bit < 8; bit++)
                if (value >> bit & 1) crc ^= bits[8 * byte + bit];
            table[byte][value] = crc;
        }
}

__attribute__((constructor)) static void prepare(void) {
    for (int value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
        slices[0][value] = crc;
    }
    for (int value = 0; value < 256; value++)
        for (int slice = 1; slice < 8; slice++) {
            uint32_t before = slices[slice - 1][value];
            slices[slice][value] = before >> 8 ^ slices[0][before & 255];
        }
#if defined(__x86_64__)
    __builtin_cpu_init();
    has_hardware = __builtin_cpu_supports("sse4.2");
#elif defined(__aarch64__)
    has_hardware = (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#endif
    if (has_hardware) {
        fill_shift(long_shift, LONG);
        fill_shift(short_shift, SHORT);
    }
}

uint32_t pail_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return has_hardware ? hardware(crc, bytes, count) : pail_crc32c_software(crc, bytes, count);
}

int pail_crc32c_is_hardware(void) { return has_hardware; }
