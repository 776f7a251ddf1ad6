/* The POSIX types that Mach's headers mention. */
#ifndef ORACLE_SYS_TYPES_H
#define ORACLE_SYS_TYPES_H
#include <stddef.h>
#include <stdint.h>
typedef long ssize_t;
typedef unsigned mode_t;
typedef unsigned char u_char;
typedef unsigned short u_short;
typedef unsigned u_int;
typedef unsigned long u_long;
typedef long off_t;
typedef long time_t;
typedef unsigned long dev_t;
#endif
