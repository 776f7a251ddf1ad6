/* As much of Apple's message.h as the headers of `mig c-header` use, for a machine that has none: written from
   the layouts in docs/book/macos.md. */
#ifndef MACH_MESSAGE_H
#define MACH_MESSAGE_H

#include <stdint.h>

typedef uint32_t mach_port_t;
typedef int32_t kern_return_t;
typedef uint32_t mach_msg_type_number_t;
typedef uint32_t mach_msg_type_name_t;
typedef int32_t boolean_t;

#pragma pack(push, 4)

typedef struct {
	uint32_t msgh_bits, msgh_size;
	mach_port_t msgh_remote_port, msgh_local_port, msgh_voucher_port;
	int32_t msgh_id;
} mach_msg_header_t;

typedef struct {
	uint32_t msgh_descriptor_count;
} mach_msg_body_t;

typedef struct {
	mach_port_t name;
	uint32_t pad1;
	unsigned int pad2 : 16, disposition : 8, type : 8;
} mach_msg_port_descriptor_t;

typedef struct {
	void *address;
	boolean_t deallocate : 8;
	unsigned int copy : 8, pad1 : 8, type : 8;
	uint32_t size;
} mach_msg_ool_descriptor_t;

typedef struct {
	void *address;
	boolean_t deallocate : 8;
	unsigned int copy : 8, disposition : 8, type : 8;
	mach_msg_type_number_t count;
} mach_msg_ool_ports_descriptor_t;

typedef struct {
	unsigned char mig_vers, if_vers, reserved1, mig_encoding, int_rep, char_rep, float_rep, reserved2;
} NDR_record_t;

#pragma pack(pop)

#endif
