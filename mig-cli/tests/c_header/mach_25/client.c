/* A request of relay_add, as a C compiler lays it out. */
#include <mach/message.h>

typedef port_t port_all_t;
typedef int vector_t[3];
typedef char *page_t;
typedef char title_t[80];
typedef int some_t[10];

#ifdef SERVER
#include "relay_s.h"
#else
#include "relay.h"
#endif

#define TYPE(name, size, number) { name, size, number, 1, 0, 0, 0 }

__attribute__((section(".message"))) __Request__relay_add_t message = {
	.Head = { .msg_size = sizeof message, .msg_remote_port = 0x103, .msg_id = MIG_ID_relay_add },
	.ownerType = TYPE(6, 32, 1),
	.owner = 0x207,
	.allType = TYPE(5, 32, 1),
	.all = 0x208,
	.yearType = TYPE(2, 32, 1),
	.year = 1986,
	.vectorType = TYPE(2, 32, 3),
	.vector = { 1, 2, 3 },
	.pageType = { { 0, 0, 0, 0, 1, 1, 0 }, 9, 8, 300 },
	.page = (void *)0x1000,
	.titleType = { { 0, 0, 0, 1, 1, 0, 0 }, 12, 8 * 80, 1 },
	.title = "notes",
};
