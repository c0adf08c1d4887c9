/* Does what each line of standard input says by the system call of that name, and prints its result and errno.

   Without a C library in between that would do something else instead, and static, so that no LD_PRELOAD could help.
   A line: CALL ARGUMENT..., separated by blanks; `as UID GID CALL ARGUMENT...` does it in a child that has become UID:GID;
   `in DIRECTORY` starts a sequence there; `#` is a comment. Numbers are octal with a leading 0. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#define NO_FOLLOW 0x100
#define EMPTY 0x1000

struct capability { unsigned magic, data[4]; };
struct how { unsigned long flags, mode, resolve; };
struct kernel_statx { unsigned mask, blksize; unsigned long attributes; unsigned nlink, uid, gid; unsigned short mode, pad;
  unsigned long ino, size, blocks, attributes_mask; unsigned long times[8]; unsigned rdev_major, rdev_minor, dev[2]; char rest[112]; };

static char *word[16];
static int words;
static long number(int i) { return i < words ? strtol(word[i], 0, 0) : 0; }
static char *text(int i) { return i < words ? word[i] : ""; }
static int is(const char *name) { return !strcmp(word[0], name); }

static void show(const char *how, long mode, long uid, long gid, long device, long links) {
  printf(" %s %lo %ld:%ld %d,%d %ld", how, mode, uid, gid, major(device), minor(device), links);
}

/* All ways to ask for the status of a file have to agree. */
static void look(const char *path) {
  struct stat s;
  struct kernel_statx x;
  if (syscall(SYS_newfstatat, AT_FDCWD, path, &s, NO_FOLLOW) == 0) show("l", s.st_mode, s.st_uid, s.st_gid, s.st_rdev, s.st_nlink);
  memset(&x, 0, sizeof x);
  if (syscall(SYS_statx, AT_FDCWD, path, 0, 0x7ff, &x) == 0) show("x", x.mode, x.uid, x.gid, makedev(x.rdev_major, x.rdev_minor), x.nlink);
#ifdef SYS_lstat
  if (syscall(SYS_lstat, path, &s) == 0) show("l", s.st_mode, s.st_uid, s.st_gid, s.st_rdev, s.st_nlink);
  if (syscall(SYS_stat, path, &s) == 0) show("s", s.st_mode, s.st_uid, s.st_gid, s.st_rdev, s.st_nlink);
#endif
  int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) {
    if (syscall(SYS_fstat, fd, &s) == 0) show("f", s.st_mode, s.st_uid, s.st_gid, s.st_rdev, s.st_nlink);
    if (syscall(SYS_newfstatat, fd, "", &s, EMPTY) == 0) show("e", s.st_mode, s.st_uid, s.st_gid, s.st_rdev, s.st_nlink);
    close(fd);
  }
}

/* Nobody shall open a device that a random sequence has made. Ours would be an empty file. */
static int is_device(const char *path) {
  struct stat s;
  if (syscall(SYS_newfstatat, AT_FDCWD, path, &s, 0) || !(S_ISCHR(s.st_mode) || S_ISBLK(s.st_mode))) return 0;
  errno = ENXIO;
  return 1;
}

static long capability(long (*call)(const char *, int, void *, int), const char *path, int n) {
  struct capability c = {number(n) ? number(n) : 0x02000001, {number(n + 1), 0, 0, 0}};
  return call(path, -1, &c, number(n + 2));
}
static long set_followed(const char *path, int fd, void *c, int flags) { (void)fd; return syscall(SYS_setxattr, path, "security.capability", c, 20, flags); }
static long set_itself(const char *path, int fd, void *c, int flags) { (void)fd; return syscall(SYS_lsetxattr, path, "security.capability", c, 20, flags); }
static long set_opened(const char *path, int fd, void *c, int flags) {
  fd = is_device(path) ? -1 : open(path, O_RDONLY | O_NONBLOCK);
  long r = fd < 0 ? -1 : syscall(SYS_fsetxattr, fd, "security.capability", c, 20, flags);
  int e = errno;
  close(fd);
  errno = e;
  return r;
}

static long opened(const char *path, int flags, long (*call)(int)) {
  int fd = !(flags & O_PATH) && is_device(path) ? -1 : open(path, flags | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -1;
  long r = call(fd);
  int e = errno;
  close(fd);
  errno = e;
  return r;
}
static long fchown_it(int fd) { return syscall(SYS_fchown, fd, number(2), number(3)); }
static long fchown_empty(int fd) { return syscall(SYS_fchownat, fd, "", number(2), number(3), EMPTY); }
static long fchmod_it(int fd) { return syscall(SYS_fchmod, fd, number(2)); }
static long write_it(int fd) { return write(fd, "text", 4); }
static long truncate_it(int fd) { return ftruncate(fd, number(2)); }
static long link_it(int fd) { return syscall(SYS_linkat, fd, "", AT_FDCWD, text(2), EMPTY); }
static long tmpfile_it(int fd) { char p[64]; sprintf(p, "/proc/self/fd/%d", fd); return syscall(SYS_linkat, AT_FDCWD, p, AT_FDCWD, text(2), 0x400); }

static long hex(const char *data, long n) {
  for (long i = 0; i < n; i++) printf("%02x", (unsigned char)data[i]);
  return n;
}

static long call(void) {
  struct how how = {number(2) | O_NONBLOCK, number(3), 0};
  char buffer[256];
  long r;
  int fd;
#ifdef SYS_chown
  if (is("chown")) return syscall(SYS_chown, text(1), number(2), number(3));
  if (is("lchown")) return syscall(SYS_lchown, text(1), number(2), number(3));
  if (is("chmod")) return syscall(SYS_chmod, text(1), number(2));
  if (is("mknod")) return syscall(SYS_mknod, text(1), number(2), makedev(number(3), number(4)));
  if (is("mkdir")) return syscall(SYS_mkdir, text(1), number(2));
  if (is("symlink")) return syscall(SYS_symlink, text(1), text(2));
#endif
  if (is("fchown")) return opened(text(1), O_RDONLY, fchown_it);
  if (is("fchown-path")) return opened(text(1), O_PATH | O_NOFOLLOW, fchown_empty);
  if (is("fchownat")) return syscall(SYS_fchownat, AT_FDCWD, text(1), number(2), number(3), number(4));
  if (is("fchmod")) return opened(text(1), O_RDONLY, fchmod_it);
  if (is("fchmodat")) return syscall(SYS_fchmodat, AT_FDCWD, text(1), number(2));
  if (is("fchmodat2")) return syscall(SYS_fchmodat2, AT_FDCWD, text(1), number(2), number(3));
  if (is("mknodat")) return syscall(SYS_mknodat, AT_FDCWD, text(1), number(2), makedev(number(3), number(4)));
  if (is("mkdirat")) return syscall(SYS_mkdirat, AT_FDCWD, text(1), number(2));
  if (is("symlinkat")) return syscall(SYS_symlinkat, text(1), AT_FDCWD, text(2));
  if (is("link")) return syscall(SYS_linkat, AT_FDCWD, text(1), AT_FDCWD, text(2), 0);
  if (is("link-opened")) return opened(text(1), O_PATH, link_it);
  if (is("rename")) return syscall(SYS_renameat, AT_FDCWD, text(1), AT_FDCWD, text(2));
  if (is("renameat2")) return syscall(SYS_renameat2, AT_FDCWD, text(1), AT_FDCWD, text(2), number(3));
  if (is("unlink")) return syscall(SYS_unlinkat, AT_FDCWD, text(1), 0);
  if (is("rmdir")) return syscall(SYS_unlinkat, AT_FDCWD, text(1), 0x200);
  if (is("create")) return opened(text(1), O_CREAT | O_WRONLY | number(3), write_it);
  if ((is("openat") || is("openat2")) && is_device(text(1))) return -1;
  if (is("openat")) { r = fd = syscall(SYS_openat, AT_FDCWD, text(1), number(2) | O_NONBLOCK, number(3)); if (fd >= 0) { r = write(fd, "new", 3); close(fd); } return r; }
  if (is("openat2")) { r = fd = syscall(SYS_openat2, AT_FDCWD, text(1), &how, sizeof how); if (fd >= 0) { r = write(fd, "new", 3); close(fd); } return r; }
  if (is("tmpfile")) return opened(text(1), O_TMPFILE | O_RDWR, tmpfile_it);
  if (is("write")) return opened(text(1), O_WRONLY | O_APPEND, write_it);
  if (is("truncate")) return opened(text(1), O_WRONLY, truncate_it);
  if (is("utime")) return syscall(SYS_utimensat, AT_FDCWD, text(1), 0, number(2));
  if (is("access")) return syscall(SYS_faccessat, AT_FDCWD, text(1), number(2));
  if (is("umask")) return umask(number(1));
  if (is("setcap")) return capability(set_followed, text(1), 2);
  if (is("lsetcap")) return capability(set_itself, text(1), 2);
  if (is("fsetcap")) return capability(set_opened, text(1), 2);
  if (is("remcap")) return syscall(SYS_removexattr, text(1), "security.capability");
  if (is("getcap")) { r = syscall(SYS_getxattr, text(1), "security.capability", buffer, number(2)); return r > 0 && number(2) ? hex(buffer, r) : r; }
  if (is("lgetcap")) { r = syscall(SYS_lgetxattr, text(1), "security.capability", buffer, sizeof buffer); return r > 0 ? hex(buffer, r) : r; }
  if (is("listxattr")) { r = syscall(SYS_llistxattr, text(1), buffer, number(2)); return r > 0 && number(2) ? hex(buffer, r) : r; }
  if (is("stat")) { look(text(1)); return 0; }
  printf("no such call: %s\n", word[0]);
  exit(2);
}

static long as_another(void) {
  long uid = number(1), gid = number(2);
  fflush(stdout);
  pid_t child = fork();
  if (!child) {
    int groups[] = {gid};
    if (syscall(SYS_setgroups, 1, groups) || syscall(SYS_setresgid, gid, gid, gid) || syscall(SYS_setresuid, uid, uid, uid)) _exit(200);
    for (int i = 3; i <= words; i++) word[i - 3] = word[i];
    words -= 3;
    errno = 0;
    long r = call();
    int e = r < 0 ? errno : 0;
    fflush(stdout);
    _exit(e);
  }
  int status;
  waitpid(child, &status, 0);
  errno = WEXITSTATUS(status);
  return errno ? -1 : 0;
}

int main(int argc, char **argv) {
  static char line[4096];
  const char *top = argc > 1 ? argv[1] : ".";
  int start = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (long n = 1; fgets(line, sizeof line, stdin); n++) {
    words = 0;
    for (char *w = strtok(line, " \n"); w && words < 15; w = strtok(0, " \n")) word[words++] = w;
    word[words] = 0;
    if (!words || word[0][0] == '#') continue;
    if (is("in")) {
      umask(022);
      if (fchdir(start) || mkdir(text(1), 0755) || chdir(text(1))) { printf("in %s: %s\n", text(1), strerror(errno)); return 1; }
      continue;
    }
    printf("%ld %s", n, word[0]);
    errno = 0;
    long r = is("as") ? as_another() : call();
    if (r < 0) printf(" failed %d\n", errno); else printf(" %ld\n", r);
  }
  return 0;
}
