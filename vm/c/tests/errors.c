/* Each way in which a call fails, and an object that is written. Prints the lines of what is not as expected. */
#include <mach_vm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define PAGES 100
#define expect(condition) ((condition) ? (void) 0 : (void) printf("line %d: %s\n", __LINE__, #condition))

static char store[PAGES * PAGE];
static int terminated;

static kern_return_t request(void *context, mach_vm_offset_t offset, mach_vm_size_t length, void *data)
{
	expect(context == store);
	if (offset / PAGE == 13)
		return KERN_FAILURE;
	memcpy(data, store + offset, length);
	return KERN_SUCCESS;
}

static kern_return_t keep(void *context, mach_vm_offset_t offset, mach_vm_size_t length, const void *data)
{
	expect(context == store);
	memcpy(store + offset, data, length);
	return KERN_SUCCESS;
}

static void terminate(void *context)
{
	expect(context == store);
	terminated++;
}

static void *pointer(mach_vm_address_t address)
{
	return (void *) (uintptr_t) address;
}

int main(int argc, char **argv)
{
	const mach_vm_pager_t pager = { request, keep, terminate };
	mach_vm_options_t options = { .resident = 32 * PAGE };
	mach_vm_address_t memory, object, readable;
	mach_vm_t vm, other;
	char bytes[2 * PAGE];

	if (argc > 1)
		options.faults = atoi(argv[1]);
	kern_return_t code = mach_vm_create(&options, &vm);
	if (code == KERN_NO_ACCESS || code == KERN_NOT_SUPPORTED) {
		printf("skipped: %s\n", mach_vm_error_string(code));
		return 0;
	}
	expect(code == KERN_SUCCESS);

	/* What there is not. */
	expect(mach_vm_create(NULL, &other) == KERN_INVALID_ARGUMENT);
	expect(mach_vm_create(&options, NULL) == KERN_INVALID_ARGUMENT);
	options.resident = 1;
	expect(mach_vm_create(&options, &other) == KERN_INVALID_ARGUMENT);
	options = (mach_vm_options_t) { .resident = 1 << 20, .faults = 9 };
	expect(mach_vm_create(&options, &other) == KERN_INVALID_ARGUMENT);
	options = (mach_vm_options_t) { .resident = 1 << 20, .faults = 1, .swap = "/nowhere/swap" };
	expect(mach_vm_create(&options, &other) == KERN_FAILURE);
	expect(mach_vm_allocate(vm + 1, &memory, PAGE, VM_FLAGS_ANYWHERE) == KERN_INVALID_ARGUMENT);
	expect(mach_vm_allocate(vm, NULL, PAGE, VM_FLAGS_ANYWHERE) == KERN_INVALID_ARGUMENT);
	expect(mach_vm_allocate(vm, &memory, 0, VM_FLAGS_ANYWHERE) == KERN_INVALID_ARGUMENT);
	expect(mach_vm_allocate(vm, &memory, -1, VM_FLAGS_ANYWHERE) == KERN_INVALID_ARGUMENT);
	expect(mach_vm_allocate(vm, &memory, PAGE, 0) == KERN_INVALID_ARGUMENT);
	expect(mach_vm_map(vm, &object, PAGE, VM_FLAGS_ANYWHERE, NULL, NULL, 0, VM_PROT_READ)
	    == KERN_INVALID_ARGUMENT);
	expect(mach_vm_map(vm, &object, PAGE, VM_FLAGS_ANYWHERE, &pager, store, 1, VM_PROT_READ)
	    == KERN_INVALID_ARGUMENT);
	expect(mach_vm_map(vm, &object, PAGE, VM_FLAGS_ANYWHERE, &pager, store, 0, VM_PROT_WRITE)
	    == KERN_INVALID_ARGUMENT);
	/* The second of them had begun to be mapped. */
	terminated = 0;

	/* A size that is no multiple of a page is rounded up, and up again when it is given back. */
	expect(mach_vm_allocate(vm, &memory, PAGE + 1, VM_FLAGS_ANYWHERE) == KERN_SUCCESS);
	memset(pointer(memory), 7, 2 * PAGE);
	expect(mach_vm_deallocate(vm, memory, PAGE) == KERN_INVALID_ADDRESS);
	expect(mach_vm_deallocate(vm, memory + PAGE, PAGE) == KERN_INVALID_ADDRESS);
	expect(mach_vm_read_overwrite(vm, memory + PAGE, PAGE + 1, bytes) == KERN_INVALID_ADDRESS);
	expect(mach_vm_read_overwrite(vm, memory, 2 * PAGE, bytes) == KERN_SUCCESS && bytes[2 * PAGE - 1] == 7);
	expect(mach_vm_read_overwrite(vm, memory, 1, NULL) == KERN_INVALID_ARGUMENT);
	expect(mach_vm_write(vm, memory + PAGE, "abc", 3) == KERN_SUCCESS);
	expect(memcmp((char *) pointer(memory) + PAGE, "abc\7", 4) == 0);
	expect(mach_vm_behavior_set(vm, memory, PAGE, 99) == KERN_INVALID_ARGUMENT);
	expect(mach_vm_behavior_set(vm, memory, 3 * PAGE, VM_BEHAVIOR_WILLNEED) == KERN_INVALID_ADDRESS);
	expect(mach_vm_behavior_set(vm, memory, 2 * PAGE, VM_BEHAVIOR_WILLNEED) == KERN_SUCCESS);
	expect(mach_vm_behavior_set(vm, memory + PAGE, PAGE, VM_BEHAVIOR_FREE) == KERN_SUCCESS);
	expect(((char *) pointer(memory))[PAGE] == 0 && ((char *) pointer(memory))[PAGE - 1] == 7);
	expect(mach_vm_deallocate(vm, memory, PAGE + 1) == KERN_SUCCESS);
	expect(mach_vm_deallocate(vm, memory, PAGE + 1) == KERN_INVALID_ADDRESS);

	/* An object: what is written is kept, and a page that its pager does not give is an error. */
	for (int page = 0; page < PAGES; page++)
		memset(store + page * PAGE, page, PAGE);
	expect(mach_vm_map(vm, &object, PAGES * PAGE, VM_FLAGS_ANYWHERE, &pager, store, 0,
	    VM_PROT_READ | VM_PROT_WRITE) == KERN_SUCCESS);
	for (int page = 0; page < PAGES; page += 3)
		((char *) pointer(object))[page * PAGE + 1] = 55;
	expect(mach_vm_read_overwrite(vm, object + 13 * PAGE, PAGE, bytes) == KERN_MEMORY_ERROR);
	expect(mach_vm_read_overwrite(vm, object + 14 * PAGE, PAGE, bytes) == KERN_SUCCESS && bytes[5] == 14);
	expect(terminated == 0);
	expect(mach_vm_deallocate(vm, object, PAGES * PAGE) == KERN_SUCCESS);
	expect(terminated == 1);
	for (int page = 0; page < PAGES; page++)
		expect(store[page * PAGE + 1] == (page % 3 == 0 ? 55 : page) && store[page * PAGE] == page);

	/* A part of it, for reading. */
	expect(mach_vm_map(vm, &readable, PAGE, VM_FLAGS_ANYWHERE, &pager, store, 20 * PAGE, VM_PROT_READ)
	    == KERN_SUCCESS);
	expect(*(char *) pointer(readable) == 20);
	expect(mach_vm_write(vm, readable, "abc", 3) == KERN_PROTECTION_FAILURE);

	/* Memory that is there still goes with the vm. */
	expect(mach_vm_destroy(vm) == KERN_SUCCESS);
	expect(terminated == 2);
	expect(mach_vm_destroy(vm) == KERN_INVALID_ARGUMENT);
	expect(strcmp(mach_vm_error_string(KERN_SUCCESS), "success") == 0);
	puts("done");
	return 0;
}
