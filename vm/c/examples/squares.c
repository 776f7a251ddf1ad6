/* A table that is larger than what may be resident, and an object whose pages a function makes. */
#include <mach_vm.h>
#include <stdio.h>
#include <string.h>

static void check(const char *what, kern_return_t code)
{
	if (code != KERN_SUCCESS)
		printf("%s: %s\n", what, mach_vm_error_string(code));
}

/* The page with the number n is full of n. */
static kern_return_t numbers(void *context, mach_vm_offset_t offset, mach_vm_size_t length, void *data)
{
	(void) context;
	for (mach_vm_size_t at = 0; at < length; at += 4096)
		memset((char *) data + at, (int) ((offset + at) / 4096), 4096);
	return KERN_SUCCESS;
}

int main(void)
{
	mach_vm_options_t options = { .resident = 1 << 20, .faults = MACH_VM_FAULTS_SIGNAL };
	const uint64_t count = 1 << 20;
	const mach_vm_pager_t pager = { .data_request = numbers };
	mach_vm_statistics_t statistics;
	mach_vm_address_t address;
	mach_vm_t vm;

	kern_return_t code = mach_vm_create(&options, &vm);
	if (code != KERN_SUCCESS) {
		printf("skipped: %s\n", mach_vm_error_string(code));
		return 0;
	}

	check("allocate", mach_vm_allocate(vm, &address, count * sizeof(uint64_t), VM_FLAGS_ANYWHERE));
	uint64_t *squares = (uint64_t *) (uintptr_t) address;
	uint64_t wrong = 0;
	for (uint64_t n = 0; n < count; n++)
		squares[n] = n * n;
	for (uint64_t n = 0; n < count; n++)
		wrong += squares[n] != n * n;
	check("statistics", mach_vm_statistics(vm, &statistics));
	printf("%llu of %llu squares are wrong, at most %llu KiB were resident\n", (unsigned long long) wrong,
	    (unsigned long long) count, (unsigned long long) statistics.peak_resident >> 10);
	check("deallocate", mach_vm_deallocate(vm, address, count * sizeof(uint64_t)));

	check("map", mach_vm_map(vm, &address, 200 * 4096, VM_FLAGS_ANYWHERE, &pager, NULL, 0, VM_PROT_READ));
	printf("page 77 is full of %u\n", ((unsigned char *) (uintptr_t) address)[77 * 4096 + 5]);
	check("destroy", mach_vm_destroy(vm));
	return 0;
}
