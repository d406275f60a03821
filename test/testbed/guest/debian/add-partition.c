/* Makes the rest of a disk, from a byte on, its first partition. The disk has no partition table: its boot file system begins at 0. */
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int main(int argc, char **argv) {
  uint64_t bytes = 0;
  if (argc != 3) return 2;
  int fd = open(argv[1], O_RDWR | O_CLOEXEC);
  if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes)) return 1;
  long long start = atoll(argv[2]);
  struct blkpg_partition part = {.start = start, .length = (long long)bytes - start, .pno = 1};
  struct blkpg_ioctl_arg add = {.op = BLKPG_ADD_PARTITION, .datalen = sizeof part, .data = &part};
  return ioctl(fd, BLKPG, &add) ? 1 : 0;
}
