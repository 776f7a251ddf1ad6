/* As much of the message.h of Mach 2.5 as the headers of `mig c-header` use, for a machine that has none: the
   fields and their bits are those of docs/book/dialects.md. */
#ifndef MACH_MESSAGE_H
#define MACH_MESSAGE_H

typedef int port_t, kern_return_t, boolean_t;

typedef struct {
	unsigned int msg_unused : 24, msg_simple : 8;
	unsigned int msg_size;
	int msg_type;
	port_t msg_local_port, msg_remote_port;
	int msg_id;
} msg_header_t;

typedef struct {
	unsigned int msg_type_name : 8, msg_type_size : 8, msg_type_number : 12, msg_type_inline : 1,
		msg_type_longform : 1, msg_type_deallocate : 1, msg_type_unused : 1;
} msg_type_t;

typedef struct {
	msg_type_t msg_type_header;
	short msg_type_long_name, msg_type_long_size;
	int msg_type_long_number;
} msg_type_long_t;

#endif
