/*
 * The stubs of the C MIG over a kernel that does nothing:
 *
 *	c_stubs CASE COUNT MESSAGE
 *
 * makes COUNT calls and prints their time in nanoseconds. MESSAGE is a file with the message that the kernel delivers. What is not the
 * stubs' has a name that begins with `null_`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned int port;
typedef unsigned long natural;

/* The stubs, and the functions that the server's call; as in the generated headers. */
int memory_object_create(port, port, natural, port, port, natural);
int memory_object_data_initialize(port, port, natural, natural, unsigned);
int memory_object_data_request(port, port, natural, natural, int);
int arrays_put(port, const int *, unsigned, char *, unsigned, int *);
int arrays_get(port, int *, unsigned *, char **, unsigned *);
int memory_object_default_server(void *, void *);
int memory_object_server(void *, void *);
int arrays_server(void *, void *);

static char message[8192], request[8192], reply[8192], page[4096];
static size_t message_size;
static const int numbers[8];
static long calls;

__attribute__((noipa)) int null_mach_msg(void *buffer, int option, unsigned send_size, unsigned receive_size, port receive_name,
	unsigned timeout, port notify)
{
	(void)send_size, (void)receive_size, (void)receive_name, (void)timeout, (void)notify;
	if (option & 1 /* MACH_SEND_MSG */)
		calls++;
	if (option & 2 /* MACH_RCV_MSG */)
		memcpy(buffer, message, message_size);
	return calls == -1; /* 0, as in Rust */
}

port null_mig_get_reply_port(void) { return 0x707; }
void null_mig_put_reply_port(port name) { (void)name; }
void null_mach_msg_destroy(void *destroyed) { (void)destroyed; }
void null_mig_dealloc_reply_port(port name) { (void)name; }

int null_memory_object_create(void) { calls++; return 0; }
int null_memory_object_data_initialize(void) { calls++; return 0; }
int null_memory_object_data_request(void) { calls++; return 0; }

int null_arrays_put(port server, const int *in, unsigned count, char *bytes, unsigned size, int *out)
{
	(void)server, (void)in, (void)bytes;
	calls++;
	*out = count + size;
	return 0;
}

int null_arrays_get(port server, int *out, unsigned *count, char **bytes, unsigned *size)
{
	(void)server;
	calls++;
	memcpy(out, numbers, sizeof numbers);
	*count = 8;
	*bytes = page;
	*size = sizeof page;
	return 0;
}

/* A program that sends messages: what it has, and what it gets. */
struct caller {
	port server, object, control, name;
	natural offset, size;
	int access;
	const int *numbers;
	natural numbers_count;
	char *bytes;
	natural bytes_size;
};

struct results {
	int count;
	int numbers[16];
	unsigned numbers_count;
	char *bytes;
	unsigned size;
};

__attribute__((noipa)) static int send_create(const struct caller *c)
{
	return memory_object_create(c->server, c->object, c->offset, c->control, c->name, c->size) == 0;
}

__attribute__((noipa)) static int send_initialize(const struct caller *c)
{
	return memory_object_data_initialize(c->server, c->control, c->offset, (natural)c->bytes, c->bytes_size) == 0;
}

__attribute__((noipa)) static int send_request(const struct caller *c)
{
	return memory_object_data_request(c->server, c->control, c->offset, c->size, c->access) == 0;
}

__attribute__((noipa)) static int call_put(const struct caller *c, struct results *out)
{
	return arrays_put(c->server, c->numbers, c->numbers_count, c->bytes, c->bytes_size, &out->count);
}

__attribute__((noipa)) static int call_get(const struct caller *c, struct results *out)
{
	out->numbers_count = 16;
	return arrays_get(c->server, out->numbers, &out->numbers_count, &out->bytes, &out->size);
}

enum { CREATE, INITIALIZE, REQUEST, PUT };

static inline __attribute__((always_inline)) int client(int routine)
{
	static const struct caller caller = {
		.server = 0x103, .object = 0x203, .control = 0x303, .name = 0x403, .offset = 0x10000, .size = 4096, .access = 1,
		.numbers = numbers, .numbers_count = 8, .bytes = page, .bytes_size = sizeof page,
	};
	struct results results;
	switch (routine) {
	case CREATE: return send_create(&caller);
	case INITIALIZE: return send_initialize(&caller);
	case REQUEST: return send_request(&caller);
	case PUT: return call_put(&caller, &results) == 0;
	default: return call_get(&caller, &results) == 0;
	}
}

/* A turn of a server's loop: receives a message, serves it, and answers it, as mach_msg_server does. */
__attribute__((noipa)) static int serve_message(int (*demux)(void *, void *))
{
	struct { unsigned bits, size; natural remote, local; unsigned seqno, id; natural type; int code; } *out = (void *)reply;
	if (null_mach_msg(request, 2, 0, sizeof request, 0x103, 0, 0) != 0)
		return 0;
	int known = demux(request, reply);
	if (out->bits & 0x80000000 || out->code == 0 || out->code == -305 /* MIG_NO_REPLY */) {
		if (out->code == -305)
			out->remote = 0;
	} else {
		null_mach_msg_destroy(request);
	}
	if (out->remote != 0)
		known &= null_mach_msg(reply, 1 | ((out->bits & 0xff) == 18 /* MOVE_SEND_ONCE */ ? 0 : 0x10), out->size, 0, 0, 0, 0) == 0;
	return known;
}

/* Cases 0 to 4 are the clients', 5 to 9 the server's. */
__attribute__((noinline)) long run_messages(unsigned which, long count)
{
	static int (*const demuxes[])(void *, void *) = {
		memory_object_default_server, memory_object_default_server, memory_object_server, arrays_server, arrays_server,
	};
	int (*demux)(void *, void *) = demuxes[which % 5];
	long good = 0;
	for (long i = 0; i < count; i++)
		good += which < 5 ? client(which) : serve_message(demux);
	return good;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	unsigned which = atoi(argv[1]);
	long count = atol(argv[2]);
	FILE *file = fopen(argv[3], "rb");
	if (!file)
		return 2;
	message_size = fread(message, 1, sizeof message, file);
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	long good = run_messages(which, count);
	clock_gettime(CLOCK_MONOTONIC, &end);
	if (good != count || calls < count)
		return 1;
	printf("%ld\n", (end.tv_sec - start.tv_sec) * 1000000000L + end.tv_nsec - start.tv_nsec);
	return 0;
}
