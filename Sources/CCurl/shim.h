// libcurl as Swift sees it. Variadic functions do not import: one wrapper per argument class.
#pragma once
#include <curl/curl.h>
#include <sys/prctl.h>

static inline CURLcode pail_curl_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode pail_curl_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(easy, option, value);
}
// The text is copied by libcurl; NULL gives the option its default back.
static inline CURLcode pail_curl_set_string(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}
// The pointer is kept by libcurl, what it points to is the caller's.
static inline CURLcode pail_curl_set_pointer(CURL *easy, CURLoption option, void *value) {
    return curl_easy_setopt(easy, option, value);
}
// CURLOPT_WRITEFUNCTION, CURLOPT_HEADERFUNCTION and CURLOPT_READFUNCTION.
typedef size_t (*pail_curl_data_function)(char *data, size_t size, size_t count, void *context);
static inline CURLcode pail_curl_set_data_function(
    CURL *easy, CURLoption option, pail_curl_data_function function) {
    return curl_easy_setopt(easy, option, function);
}
typedef int (*pail_curl_seek_function)(void *context, curl_off_t offset, int origin);
static inline CURLcode pail_curl_set_seek_function(CURL *easy, pail_curl_seek_function function) {
    return curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, function);
}
typedef int (*pail_curl_debug_function)(
    CURL *easy, curl_infotype type, char *data, size_t size, void *context);
static inline CURLcode pail_curl_set_debug_function(CURL *easy, pail_curl_debug_function function) {
    return curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, function);
}
static inline CURLcode pail_curl_get_long(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}
static inline CURLMcode pail_curl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}
// http and https only, also where CURLOPT_PROTOCOLS_STR (7.85) is missing.
static inline CURLcode pail_curl_limit_protocols(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}
// Names the calling thread; at most 15 bytes are kept, see PR_SET_NAME in prctl(2).
static inline void pail_curl_name_thread(const char *name) {
    prctl(PR_SET_NAME, name);
}
// The next finished transfer, or NULL. `result` is untouched then.
static inline CURL *pail_curl_next_finished(CURLM *multi, CURLcode *result) {
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            *result = message->data.result;
            return message->easy_handle;
        }
    }
    return NULL;
}
