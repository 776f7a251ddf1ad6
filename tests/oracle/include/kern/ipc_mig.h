/* What the stubs of a kernel that is a client call instead of mach_msg. */
#ifndef ORACLE_IPC_MIG_H
#define ORACLE_IPC_MIG_H
#include <mach/message.h>
mach_msg_return_t mach_msg_send_from_kernel(mach_msg_header_t *, mach_msg_size_t);
mach_msg_return_t mach_msg_rpc_from_kernel(mach_msg_header_t *, mach_msg_size_t, mach_msg_size_t);
#endif
