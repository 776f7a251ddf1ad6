/*
 * Between the shim, which is compiled with the host's headers, and the generated drivers, which see Mach's headers only.
 * It uses no type that the two could define differently.
 */
#ifndef SHIM_H
#define SHIM_H

typedef unsigned long word; /* as wide as a pointer, on both ABIs */

/* A client stub, and the names and sizes of its parameters. */
struct parameter {
	const char *name;
	unsigned size;
};
struct call {
	const char *name;
	void (*run)(void);
	const struct parameter *parameters; /* ended by a null name */
};

/* What a driver gives to the shim. */
extern const struct call calls[]; /* ended by a null name */
int demux(void *request, void *reply);

/*
 * For a client's driver: the next argument of this call; the stack below, right before the call, so that nothing else has
 * written there; and then each argument as the stub left it, and the result.
 */
void take(void *value, unsigned size);
void __attribute__((noinline)) fill_stack(void);
void give(const void *value, unsigned size);
void finish(unsigned result);

/* For a server's driver: tells of a call, with its arguments, and returns what the server is to return. */
void upcall(const char *name);
void argument(const char *name, const void *value, unsigned size);
word answer(void);

#endif
