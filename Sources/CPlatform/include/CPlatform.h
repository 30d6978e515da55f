// What Glibc hides from Swift, and the few functions that must be C.
#pragma once
#include <stdint.h>
#include <stddef.h>
