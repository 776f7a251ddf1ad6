/* Writes a request of library_add to standard output. */
#include <stdio.h>
#include <string.h>

typedef mach_port_t shelf_t, mach_port_copy_send_t;
typedef int pages_t[4];
typedef char *scan_t;
typedef struct {
	int from, to;
} mark_t;

#include "library.h"

int main(void)
{
	__Request__library_add_t request;
	unsigned unused = sizeof request.pages - 2 * sizeof(int);

	memset(&request, 0, sizeof request);
	request.Head.msgh_bits = 0x80000000 | 19;
	request.Head.msgh_size = sizeof request - unused;
	request.Head.msgh_remote_port = 0x103;
	request.Head.msgh_id = MIG_ID_library_add;
	request.msgh_body.msgh_descriptor_count = 2;
	request.lender.name = 0x207;
	request.lender.disposition = 19;
	request.scan.address = (void *)0x10000;
	request.scan.size = 300;
	request.scan.copy = 1;
	request.scan.type = 1;
	request.NDR.int_rep = 1;
	request.scanCnt = 300;
	request.year = 1986;
	request.mark.from = 5;
	request.mark.to = 9;
	request.pagesCnt = 2;
	request.pages[0] = 11;
	request.pages[1] = 12;
	fwrite(&request, 1, request.Head.msgh_size, stdout);
	return 0;
}
