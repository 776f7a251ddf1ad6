/* What the stubs use of the C library, for a compiler without one. */
#ifndef ORACLE_STRING_H
#define ORACLE_STRING_H
#include <stddef.h>
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
size_t strlen(const char *);
#endif
