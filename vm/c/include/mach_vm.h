/*
 * Paged memory and memory objects for programs in C on Linux, by the names that Mach has for them.
 *
 * Link with -lmach_vm_c. All functions may be called by all threads. A vm is a number, as a port's name is: one
 * that is not valid is KERN_INVALID_ARGUMENT and no crash. Sizes are rounded up to pages of 4096 bytes.
 */
#ifndef MACH_VM_H
#define MACH_VM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t kern_return_t;
typedef uint64_t mach_vm_t;
typedef uint64_t mach_vm_address_t;
typedef uint64_t mach_vm_size_t;
typedef uint64_t mach_vm_offset_t;
typedef int32_t vm_prot_t;
typedef int32_t vm_behavior_t;

#define KERN_SUCCESS 0
#define KERN_INVALID_ADDRESS 1		/* no memory of this vm begins there, or it ends before that */
#define KERN_PROTECTION_FAILURE 2	/* it was mapped for reading only */
#define KERN_INVALID_ARGUMENT 4		/* no such vm, a size of 0, a flag that there is not */
#define KERN_FAILURE 5			/* a call of the system failed, or the swap file cannot be used */
#define KERN_RESOURCE_SHORTAGE 6	/* no memory, threads or addresses */
#define KERN_NO_ACCESS 8		/* userfaultfd is not permitted: take MACH_VM_FAULTS_SIGNAL */
#define KERN_MEMORY_FAILURE 9		/* the manager of the object has refused it, or is gone */
#define KERN_MEMORY_ERROR 10		/* a page cannot be had from its manager */
#define KERN_NOT_SUPPORTED 46		/* Linux is older than 6.8 */

#define VM_PROT_READ 1
#define VM_PROT_WRITE 2

#define VM_FLAGS_ANYWHERE 1

#define VM_BEHAVIOR_WILLNEED 4		/* the bytes will be touched soon */
#define VM_BEHAVIOR_FREE 6		/* nobody wants their content any more: zeros, which take no room */

#define MACH_VM_FAULTS_THREAD 0		/* a thread of the vm brings pages; for all uses of memory */
#define MACH_VM_FAULTS_SIGNAL 1		/* the thread that touches a page does, in a handler of SIGBUS */

/* What a vm may use. A structure of zeros but for `resident` is good. */
typedef struct mach_vm_options {
	uint64_t resident;	/* bytes that may be resident, 64 KiB at least */
	uint64_t paging;	/* bytes of pages that may be elsewhere, where there is no swap file; 0: 1 GiB */
	const char *swap;	/* swap space made by `mach-pager format`; NULL: memory of this process */
	uint32_t faults;	/* MACH_VM_FAULTS_... */
	uint32_t patience;	/* milliseconds that a manager has for an answer; 0: ten seconds */
} mach_vm_options_t;

/*
 * Who has the pages of an object. The functions are called by a thread of the vm, one at a time. They must not
 * touch memory of the object. What they return other than KERN_SUCCESS makes access an error.
 */
typedef struct mach_vm_pager {
	/* Fill `length` bytes, which are those of the object from `offset` on. */
	kern_return_t (*data_request)(void *context, mach_vm_offset_t offset, mach_vm_size_t length, void *data);
	/* Keep these bytes. NULL for an object that is only read. */
	kern_return_t (*data_return)(void *context, mach_vm_offset_t offset, mach_vm_size_t length,
	    const void *data);
	/* The object is not mapped any more. May be NULL. */
	void (*terminate)(void *context);
} mach_vm_pager_t;

typedef struct mach_vm_statistics {
	uint64_t resident;	/* bytes that are resident */
	uint64_t peak_resident;	/* the most that ever were */
	uint64_t requests;	/* pages that managers were asked for */
	uint64_t rescued;	/* pages that came back before they had left */
	uint64_t returned;	/* pages that were returned to managers */
	uint64_t dropped;	/* pages that were dropped, since their managers have them */
} mach_vm_statistics_t;

kern_return_t mach_vm_create(const mach_vm_options_t *options, mach_vm_t *vm);

/* All memory of the vm goes with it. */
kern_return_t mach_vm_destroy(mach_vm_t vm);

/* New memory, all zeros. `flags` is VM_FLAGS_ANYWHERE. */
kern_return_t mach_vm_allocate(mach_vm_t vm, mach_vm_address_t *address, mach_vm_size_t size, int flags);

/* `size` bytes of an object from `offset` on, which is a multiple of a page. */
kern_return_t mach_vm_map(mach_vm_t vm, mach_vm_address_t *address, mach_vm_size_t size, int flags,
    const mach_vm_pager_t *pager, void *context, mach_vm_offset_t offset, vm_prot_t protection);

/*
 * Gives memory back that one call has allocated or mapped, whole. What was changed in an object goes to its
 * pager before this returns.
 */
kern_return_t mach_vm_deallocate(mach_vm_t vm, mach_vm_address_t address, mach_vm_size_t size);

kern_return_t mach_vm_behavior_set(mach_vm_t vm, mach_vm_address_t address, mach_vm_size_t size,
    vm_behavior_t behavior);

/* Copies bytes. A page that cannot be had is KERN_MEMORY_ERROR, where to touch it is SIGBUS. */
kern_return_t mach_vm_read_overwrite(mach_vm_t vm, mach_vm_address_t address, mach_vm_size_t size, void *data);
kern_return_t mach_vm_write(mach_vm_t vm, mach_vm_address_t address, const void *data, mach_vm_size_t size);

kern_return_t mach_vm_statistics(mach_vm_t vm, mach_vm_statistics_t *statistics);

/* What a code means, in words. */
const char *mach_vm_error_string(kern_return_t code);

#ifdef __cplusplus
}
#endif

#endif
