/* 128-bit products for exact.pxd; every compiler that builds the core (gcc, clang, zig) has the type. */
#ifndef TRADEPLANE_EXACT_H
#define TRADEPLANE_EXACT_H
typedef __int128 tradeplane_int128;
#endif
