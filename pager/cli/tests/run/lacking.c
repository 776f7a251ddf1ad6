/*
 * lacking WHICH PROGRAM ARGUMENTS...: runs a program as if the kernel had no userfaultfd ("-"), or one that
 * cannot move pages ("+"); or as a user that the system gives nothing ("nobody"), who need not find the program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* UFFDIO_API, as a number of BPF. */
#define SET_API 0xc018aa3f
#define CALL offsetof(struct seccomp_data, nr)
#define SECOND offsetof(struct seccomp_data, args[1])
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

int main(int argc, char **argv)
{
	struct sock_filter none[] = {
		LOAD(CALL), SKIP_UNLESS(SYS_userfaultfd, 1), RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_filter cannot_move[] = {
		LOAD(CALL), SKIP_UNLESS(SYS_ioctl, 3), LOAD(SECOND), SKIP_UNLESS(SET_API, 1),
		RETURN(SECCOMP_RET_ERRNO | EINVAL), RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog has_none = { sizeof none / sizeof *none, none };
	struct sock_fprog has_old = { sizeof cannot_move / sizeof *cannot_move, cannot_move };

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "nobody") == 0) {
		int program = open(argv[2], O_RDONLY | O_CLOEXEC);

		if (setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0)
			fexecve(program, argv + 2, environ);
		perror(argv[2]);
		return 2;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
	    || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, *argv[1] == '-' ? &has_none : &has_old) != 0) {
		perror("lacking");
		return 2;
	}
	execv(argv[2], argv + 2);
	perror(argv[2]);
	return 2;
}
