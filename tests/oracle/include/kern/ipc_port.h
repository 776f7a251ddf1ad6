/* In a kernel a port is a pointer; here it is a number as wide as one. */
#ifndef ORACLE_IPC_PORT_H
#define ORACLE_IPC_PORT_H
typedef unsigned long ipc_port_t;
#endif
