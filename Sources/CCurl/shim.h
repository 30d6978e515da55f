// libcurl as Swift sees it. Variadic functions do not import: one wrapper per argument class.
#pragma once
#include <curl/curl.h>
