/* What MIG's stubs want of a C library for Mach. */
#ifndef ORACLE_MIG_SUPPORT_H
#define ORACLE_MIG_SUPPORT_H
#include <mach/std_types.h>
#include <mach/message.h>
#include <mach/mach_types.h>
#include <string.h>
mach_port_t mig_get_reply_port(void);
void mig_dealloc_reply_port(mach_port_t);
void mig_put_reply_port(mach_port_t);
void mig_allocate(vm_address_t *, vm_size_t);
void mig_deallocate(vm_address_t, vm_size_t);
vm_size_t mig_strncpy(char *, const char *, vm_size_t);
void mach_msg_destroy(mach_msg_header_t *);
#endif
