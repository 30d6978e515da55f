// libfuse 3.14's low-level API as Swift sees it.
#pragma once
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
