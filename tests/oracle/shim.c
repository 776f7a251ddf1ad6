/*
 * The host's half of a program around C stubs. It does what it is told on its standard input and decides nothing: memory is
 * read and written, stubs are called, and every function that a stub calls is passed on and answered by the other end.
 *
 * Commands (numbers are little-endian):
 *   W address:u64 size:u32 bytes   write memory            (no answer)
 *   R address:u64 size:u32         read memory             answer: size:u32 bytes
 *   I                              list the calls          answer: for each call a list; then an empty list
 *   C index:u32 fill:u8 size:u32 bytes   call a client stub with these arguments     ends with R
 *   D request:u64 reply:u64 fill:u8      call the demux function                     ends with R
 *   A value:u64                    answer an upcall        (no answer)
 * While C or D is carried out, the program sends upcalls and takes W, R and A:
 *   U list                         name, then each argument as name and bytes
 *   F value:u64 list               finished: the result, and what the arguments are now
 * A list is count:u32, then for each item size:u32 and bytes. Stack and buffers are filled with `fill` before a call, so that
 * two runs show which bytes a stub leaves as they were.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shim.h"

#define ARENA ((void *)0x30000000)
#define ARENA_SIZE 0x02000000

/* Lists under construction. */
struct list {
	uint32_t count;
	size_t size;
	unsigned char bytes[1 << 20];
};

static void read_exactly(void *to, size_t size)
{
	if (size != 0 && fread(to, size, 1, stdin) != 1)
		exit(0);
}

static void write_all(const void *from, size_t size)
{
	if (size != 0 && fwrite(from, size, 1, stdout) != 1)
		exit(1);
}

static uint32_t read_u32(void)
{
	uint32_t value;
	read_exactly(&value, sizeof value);
	return value;
}

static uint64_t read_u64(void)
{
	uint64_t value;
	read_exactly(&value, sizeof value);
	return value;
}

static void *read_pointer(void)
{
	return (void *)(uintptr_t)read_u64();
}

static void add(struct list *list, const void *bytes, uint32_t size)
{
	if (list->size + sizeof size + size > sizeof list->bytes)
		abort();
	memcpy(list->bytes + list->size, &size, sizeof size);
	memcpy(list->bytes + list->size + sizeof size, bytes, size);
	list->size += sizeof size + size;
	list->count++;
}

static void send_list(struct list *list)
{
	write_all(&list->count, sizeof list->count);
	write_all(list->bytes, list->size);
	list->count = 0;
	list->size = 0;
}

/* The commands that only touch memory. Returns false for any other. */
static int memory_command(int command)
{
	void *address;
	uint32_t size;

	if (command != 'W' && command != 'R')
		return 0;
	address = read_pointer();
	size = read_u32();
	if (command == 'W') {
		read_exactly(address, size);
	} else {
		write_all(&size, sizeof size);
		write_all(address, size);
		fflush(stdout);
	}
	return 1;
}

/* Upcalls. */

static struct list upcall_list;

void upcall(const char *name)
{
	add(&upcall_list, name, strlen(name));
}

void argument(const char *name, const void *value, unsigned size)
{
	add(&upcall_list, name, strlen(name));
	add(&upcall_list, value, size);
}

word answer(void)
{
	int command;

	putchar('U');
	send_list(&upcall_list);
	fflush(stdout);
	while ((command = getchar()) != EOF) {
		if (command == 'A')
			return (word)read_u64();
		if (!memory_command(command))
			abort();
	}
	exit(0);
}

static void word_argument(const char *name, word value)
{
	argument(name, &value, sizeof value);
}

/* What stubs call. */

unsigned mach_msg(void *message, unsigned option, unsigned send_size, unsigned receive_size, unsigned receive_name,
		  unsigned timeout, unsigned notify)
{
	upcall("mach_msg");
	word_argument("message", (word)message);
	word_argument("option", option);
	word_argument("send_size", send_size);
	word_argument("receive_size", receive_size);
	word_argument("receive_name", receive_name);
	word_argument("timeout", timeout);
	word_argument("notify", notify);
	return (unsigned)answer();
}

/* What a kernel calls that is a client. */

unsigned mach_msg_send_from_kernel(void *message, unsigned size)
{
	return mach_msg(message, 1 /* MACH_SEND_MSG */, size, 0, 0, 0, 0);
}

unsigned mach_msg_rpc_from_kernel(void *message, unsigned send_size, unsigned receive_size)
{
	return mach_msg(message, 3 /* and MACH_RCV_MSG */, send_size, receive_size, 0, 0, 0);
}

unsigned mig_get_reply_port(void)
{
	upcall("mig_get_reply_port");
	return (unsigned)answer();
}

void mig_dealloc_reply_port(unsigned port)
{
	upcall("mig_dealloc_reply_port");
	word_argument("port", port);
	answer();
}

void mig_put_reply_port(unsigned port)
{
	upcall("mig_put_reply_port");
	word_argument("port", port);
	answer();
}

void mig_allocate(word *address, word size)
{
	upcall("mig_allocate");
	word_argument("size", size);
	*address = answer();
}

void mig_deallocate(word address, word size)
{
	upcall("mig_deallocate");
	word_argument("address", address);
	word_argument("size", size);
	answer();
}

/* Weak, because the stubs of some interfaces define them. */

__attribute__((weak)) unsigned vm_deallocate(unsigned task, word address, word size)
{
	upcall("vm_deallocate");
	word_argument("task", task);
	word_argument("address", address);
	word_argument("size", size);
	return (unsigned)answer();
}

__attribute__((weak)) unsigned mach_port_deallocate(unsigned task, unsigned name)
{
	upcall("mach_port_deallocate");
	word_argument("task", task);
	word_argument("name", name);
	return (unsigned)answer();
}

unsigned mach_task_self(void)
{
	return 0x101;
}

/* Copies at most `size` bytes, the last always a NUL, and returns the length of the copy as strlen does. */
word mig_strncpy(char *to, const char *from, word size)
{
	word length = 0;

	while (length + 1 < size && from[length]) {
		to[length] = from[length];
		length++;
	}
	to[length] = 0;
	return length;
}

/* Calls. */

static unsigned char *arguments; /* of the call that is being made */
static int fill; /* for what a stub leaves as it is */
static struct list results;
static unsigned result;

void take(void *value, unsigned size)
{
	memcpy(value, arguments, size);
	arguments += size;
}

void give(const void *value, unsigned size)
{
	add(&results, value, size);
}

void fill_stack(void)
{
	volatile unsigned char below[256 * 1024];

	memset((void *)below, fill, sizeof below);
	__asm__ volatile("" : : "r"(below) : "memory");
}

void finish(unsigned value)
{
	result = value;
}

static void send_finished(uint64_t value)
{
	putchar('F');
	write_all(&value, sizeof value);
	send_list(&results);
	fflush(stdout);
}

static void list_calls(void)
{
	static struct list list;
	const struct call *call;
	const struct parameter *parameter;

	for (call = calls; call->name; call++) {
		add(&list, call->name, strlen(call->name));
		for (parameter = call->parameters; parameter->name; parameter++) {
			add(&list, parameter->name, strlen(parameter->name));
			add(&list, &parameter->size, sizeof parameter->size);
		}
		send_list(&list);
	}
	send_list(&list);
	fflush(stdout);
}

static void call(void)
{
	static unsigned char bytes[1 << 16];
	uint32_t index = read_u32();
	uint32_t size;

	fill = getchar();
	size = read_u32();
	if (size > sizeof bytes)
		abort();
	read_exactly(bytes, size);
	arguments = bytes;
	calls[index].run();
	send_finished(result);
}

static void call_demux(void)
{
	void *request = read_pointer();
	void *reply = read_pointer();

	fill = getchar();
	fill_stack();
	send_finished(demux(request, reply));
}

int main(void)
{
	int command;

	if (mmap(ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != ARENA)
		return 9;
	while ((command = getchar()) != EOF) {
		if (command == 'I')
			list_calls();
		else if (command == 'C')
			call();
		else if (command == 'D')
			call_demux();
		else if (!memory_command(command))
			abort();
	}
	return 0;
}
