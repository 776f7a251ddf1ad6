/* The types of arrays.defs. */
typedef int numbers_t[16];
typedef char *bytes_t;
